/* What an administrator should look at in a set of valid overrides. */

#ifndef SOURCE_INSPECT_H
#define SOURCE_INSPECT_H

#include "source/compile.h"

struct inspection {
    const struct override *v;
    const size_t *lines; /* where v[i] stands; NULL: unknown */
    size_t n;
    int64_t now_s;
    void (*report)(void *ctx, const struct finding *f); /* may be NULL */
    void *ctx;
    uint32_t findings; /* counted up */
};

/* Windows that are past; two entries for one key or exchange with overlapping
   windows. false: out of memory. */
bool inspect_set(struct inspection *in);

#endif
