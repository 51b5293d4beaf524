/* A whole set of overrides into the table, as a source without ids has it, and
   the one that stands first under a key out of it. */

#ifndef SUPPORT_OVREPLACE_H
#define SUPPORT_OVREPLACE_H

#include <stdlib.h>
#include <string.h>
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

static inline bool ovtable_take_first(void *ctx, struct override *o)
{
    *(struct override *)ctx = *o;
    *o = (struct override){0};
    return false;
}

/* The DN of *o_r is NULL where there is none. */
static inline enum mxhop_status
ovtable_find(struct ovtable *t, enum ovtable_index by, const char *key,
             int64_t now_s, struct override *o_r, int64_t *edge_s,
             struct mxhop_error *err)
{
    int64_t unused = INT64_MAX;

    *o_r = (struct override){0};
    return ovtable_active(t, by, key, now_s, edge_s != NULL ? edge_s : &unused,
                          ovtable_take_first, o_r, err);
}

#endif
