/* Domain names: in a message, as octets, as text. */

#ifndef WIRE_NAME_H
#define WIRE_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include "dns/cursor.h"

#define WIRE_NAME_OCTETS 255 /* length octets and the root's included */
#define WIRE_LABEL_MAX   63
#define WIRE_HOPS_MAX                                   \
    127 /* pointers followed: one for each label that a \
           name of 255 octets can have */

/* Uncompressed, lower case, with the root's empty label: two names are the
   same if their octets are. */
struct wire_name {
    uint8_t len; /* 1 to 255; 0: not a name (reading it failed) */
    uint8_t octets[WIRE_NAME_OCTETS];
};

/* Read the name at the cursor and pass it. Fails (in the cursor) on a pointer
   that does not lead backward, too many of them, reserved label types, a name
   over 255 octets, and where the message ends within it. */
void wire_name_read(struct cursor *c, struct wire_name *n_r);

/* Presentation form as of ns_name_ntop(3), "." for the root, no other
   trailing dot; text has WIRE_NAME_TEXT bytes (dns/reply.h). */
void wire_name_print(const struct wire_name *n, char *text);

/* The reverse; one trailing dot is allowed. False if text is not a name: an
   empty one, an empty or long label, more than 255 octets, a bad escape. */
bool wire_name_parse(const char *text, struct wire_name *n_r);

bool wire_name_equal(const struct wire_name *a, const struct wire_name *b);

/* Whether n is `zone` or a name below it; both must be names (len > 0). */
bool wire_name_within(const struct wire_name *n, const struct wire_name *zone);

#endif
