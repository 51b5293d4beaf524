/* What an administrator should look at in a set of valid overrides. */

#ifndef SOURCE_INSPECT_H
#define SOURCE_INSPECT_H

#include <stdint.h>
#include "model/mxset.h"
#include "model/override.h"
#include "ldap/entry.h"

struct inspection {
    const struct override *v; /* what is reported on */
    const size_t *lines;      /* where v[i] stands; NULL: unknown */
    size_t n;
    const struct override *others; /* of the same set, and not reported on, */
    size_t n_others;               /* but they may share a key with v */
    const char *table; /* entries in this one were reported on already, as far
                          as they are by themselves; NULL: none */
    int64_t now_s;
    finding_fn *report; /* may be NULL */
    void *ctx;
    uint32_t findings; /* counted up */
};

/* Windows that are past, where that is news; two entries for one key or
   exchange with overlapping windows, one of them in v, and whether that leaves
   an entry nothing. false: out of memory. */
bool inspect_set(struct inspection *in);

/* Whether an override says nothing but what a domain's MX set says: the same
   hosts in the same order. may_equal: there are MX sets of which that is so. */
#define INSPECT_HOPS_MAX 100
bool inspect_may_equal(const struct override *o);
bool inspect_equals(const struct override *o, const struct mxset *set);

#endif
