/* Text in the format of main.cf, a parameter at a time. */

#ifndef UTIL_MAINCF_H
#define UTIL_MAINCF_H

#include <stddef.h>
#include "util/buf.h"

/* Set the first two members, zero the rest; maincf_free() in the end. */
struct maincf {
    const char *at, *end; /* what is left to read; any octets */

    size_t line;       /* where the parameter, or the fault, begins */
    char *name;        /* of MAINCF_NO_EQUALS the whole line */
    char *value;       /* both without white space around them, and good */
    struct buf text;   /* until the next call */
    size_t lines_read; /* of the text */
};

enum maincf_next {
    MAINCF_PARAMETER,
    MAINCF_END,
    MAINCF_NUL,       /* a NUL octet */
    MAINCF_DANGLING,  /* white space at the beginning, and nothing before it
                         that it would continue */
    MAINCF_NO_EQUALS, /* `name' alone */
    MAINCF_MEMORY
};

/* Nothing may be asked for after an end or a fault. */
enum maincf_next maincf_next(struct maincf *m);
/* What may be wrong with a value that was refused, to be added to the error;
   "" if nothing is known. */
const char *maincf_hint(const char *value);
/* Wipes what was read last: it may be a password. */
void maincf_free(struct maincf *m);

#endif
