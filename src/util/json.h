/* Text as a JSON string. */

#ifndef UTIL_JSON_H
#define UTIL_JSON_H

#include "util/buf.h"

/* Quoted and escaped to ASCII; octets that are not UTF-8 become U+FFFD. */
void json_escape(const char *text, struct buf *out);
/* The same as a member of an object (name NULL: of an array), behind a comma
   unless it is the first; text NULL: null. */
void json_add(const char *name, const char *text, struct buf *out);
void json_add_list(const char *name, char *const *texts, size_t n,
                   struct buf *out);

#endif
