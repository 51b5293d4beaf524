/* What in the override table shares a key with what a refresh read. */

#ifndef SOURCE_NEIGHBOURS_H
#define SOURCE_NEIGHBOURS_H

#include "ldap/stage.h"

struct neighbours {
    struct override *v; /* in order of DN */
    size_t n, cap;
};

/* Those that stay when *d, which was made of *s, is applied to the table; none
   where it is the whole set, or where the table cannot be read, which is for
   ovtable_apply() to say. false: out of memory. */
bool neighbours_find(const char *table, const struct stage *s,
                     const struct ovtable_delta *d, struct neighbours *n_r);
void neighbours_free(struct neighbours *n);

#endif
