/* A whole set of overrides into the table, as a source without ids has it. */

#ifndef SUPPORT_OVREPLACE_H
#define SUPPORT_OVREPLACE_H

#include <stdlib.h>
#include "overrides/ovtable.h"
#include "util/err.h"

/* Ids are those of the DNs; of entries with the same DN the first counts. */
static inline enum mxhop_status ovtable_replace(const struct ovtable_write *w,
                                                const struct override *entries,
                                                size_t n,
                                                struct ovtable_change *change_r,
                                                struct mxhop_error *err)
{
    struct ovtable_upsert *v = calloc(n + 1, sizeof(*v));
    const struct ovtable_delta d = {
        .upsert = v, .n_upsert = n, .complete = true};
    enum mxhop_status status;

    memset(change_r, 0, sizeof(*change_r));
    if (v == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        v[n - 1 - i].o = &entries[i]; /* the last one counts */
        if (entries[i].dn != NULL)
            ovtable_id_of_dn(entries[i].dn, v[n - 1 - i].id);
    }
    status = ovtable_apply(w, &d, change_r, err);
    free(v);
    return status;
}

#endif
