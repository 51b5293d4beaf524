/* The findings of one reading among many. */

#ifndef SOURCE_FINDINGS_H
#define SOURCE_FINDINGS_H

#include <stdint.h>
#include "ldap/entry.h"
#include "util/buf.h"

/* Zero-initialise. */
struct findings {
    struct buf first; /* DN and text, each with its NUL */
    unsigned more;    /* for which there was no room */
    uint64_t hash;    /* of all */
    uint64_t told;    /* that of those which were told last */
};

/* Keep one until the reading is over. ctx: struct findings. */
void findings_keep(void *ctx, const struct finding *found);
void findings_forget(struct findings *k);
/* Report them, unless they are those of last time, and forget them. `about` is
   named where there are too many. */
void findings_tell(struct findings *k, const char *about, finding_fn *report,
                   void *ctx);

#endif
