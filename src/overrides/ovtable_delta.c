/*
 * ovtable_delta - what a source has to say, made ready to be applied
 *
 * Nothing of it is on disk yet: keys and cookie are checked, and what is said
 * of each id is brought into the order of the database, the last word about it
 * alone.
 */

#include "overrides/ovtable_write.h"
#include "util/err.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

void ovtable_id_of_dn(const char *dn, unsigned char id_r[OVTABLE_ID_LEN])
{
    size_t len = strlen(dn);

    for (unsigned half = 0; half < 2; half++) {
        uint64_t h = hash_bytes(half, dn, len);

        for (unsigned i = 0; i < 8; i++)
            id_r[half * 8 + i] = (unsigned char)(h >> (56 - 8 * i));
    }
}

static enum mxhop_status check_keys(const struct override *o,
                                    const struct strlist *keys,
                                    struct mxhop_error *err)
{
    for (size_t i = 0; i < keys->n; i++) {
        size_t len = strlen(keys->v[i]);

        if (len == 0 || len > OVTABLE_KEY_MAX)
            return err_set(err, MXHOP_ERR_ARGUMENT,
                           "%s: key of %zu octets, 1 to %d are possible", o->dn,
                           len, OVTABLE_KEY_MAX);
    }
    return MXHOP_OK;
}

static enum mxhop_status check_delta(struct ovtable_job *j)
{
    const struct ovtable_delta *d = j->d;
    enum mxhop_status status = MXHOP_OK;

    if (d->cookie_len > OVTABLE_COOKIE_MAX)
        return err_set(j->err, MXHOP_ERR_ARGUMENT,
                       "%s: cookie of %zu octets, at most %d are possible",
                       j->w->path, d->cookie_len, OVTABLE_COOKIE_MAX);
    for (size_t i = 0; i < d->n_upsert && status == MXHOP_OK; i++) {
        const struct override *o = d->upsert[i].o;

        if (o == NULL)
            continue;
        if (o->dn == NULL || o->dn[0] == '\0')
            return err_set(j->err, MXHOP_ERR_ARGUMENT,
                           "%s: entry %zu has no DN", j->w->path, i + 1);
        status = check_keys(o, &o->keys, j->err);
        if (status == MXHOP_OK)
            status = check_keys(o, &o->exchanges, j->err);
    }
    return status;
}

static int by_id_and_rank(const void *a, const void *b)
{
    const struct ovtable_item *x = a, *y = b;
    int d = memcmp(x->id, y->id, OVTABLE_ID_LEN);

    return d != 0 ? d : (x->rank > y->rank) - (x->rank < y->rank);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, OVTABLE_ID_LEN);
}

/* Sorted, of one id the last. Removals rank before all upserts. */
static enum mxhop_status prepare_items(struct ovtable_job *j)
{
    const struct ovtable_delta *d = j->d;
    size_t n = d->n_remove + d->n_upsert;
    struct ovtable_item *v = calloc(n + 1, sizeof(*v));

    j->item = v;
    if (v == NULL)
        return err_nomem(j->err);
    for (size_t i = 0; i < d->n_remove; i++)
        v[i] = (struct ovtable_item){d->remove[i], NULL, i};
    for (size_t i = 0; i < d->n_upsert; i++)
        v[d->n_remove + i] =
            (struct ovtable_item){d->upsert[i].id, d->upsert[i].o,
                                  d->n_remove + i};
    qsort(v, n, sizeof(*v), by_id_and_rank);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || memcmp(v[i].id, v[i + 1].id, OVTABLE_ID_LEN) != 0)
            v[j->n_items++] = v[i];
    }
    return MXHOP_OK;
}

enum mxhop_status ovtable_job_prepare(struct ovtable_job *j)
{
    size_t n = j->d->n_present;
    enum mxhop_status status = check_delta(j);

    if (status == MXHOP_OK)
        status = prepare_items(j);
    if (status != MXHOP_OK || n == 0)
        return status;
    j->present = calloc(n, OVTABLE_ID_LEN);
    if (j->present == NULL)
        return err_nomem(j->err);
    memcpy(j->present, j->d->present, n * OVTABLE_ID_LEN);
    qsort(j->present, n, OVTABLE_ID_LEN, by_id);
    return MXHOP_OK;
}

enum mxhop_status ovtable_replace(const struct ovtable_write *w,
                                  const struct override *entries, size_t n,
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
