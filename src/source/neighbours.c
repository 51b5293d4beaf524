/*
 * neighbours - entries of the table that share a key with what was read
 *
 * A refresh that reads only what has changed sees one of two entries for one
 * key. Which one wins is settled by the table, but whoever wrote the one that
 * was read should hear of the other. It is looked up here, under the keys of
 * what was read, in the set that is in force.
 *
 * Directories are not trusted: one key may have any number of entries. At most
 * NEIGHBOURS_MAX are looked at; `mxhop check` reads them all.
 *
 * *n owns its entries.
 */

#include "source/neighbours.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

#define NEIGHBOURS_MAX 10000

struct search {
    const struct ovtable_delta *d;
    struct neighbours *found;
    unsigned looked_at;
    bool failed;
};

static int neighbours_by_id(const void *a, const void *b)
{
    return memcmp(a, b, OVTABLE_ID_LEN); /* an upsert begins with its id */
}

static bool neighbours_has_id(const void *v, size_t n, size_t size,
                              const unsigned char *id)
{
    return n > 0 && bsearch(id, v, n, size, neighbours_by_id) != NULL;
}

/* One that stays when the delta is applied is kept. */
static bool neighbours_take(void *ctx, const unsigned char *id,
                            struct override *o)
{
    struct search *search = ctx;
    const struct ovtable_delta *d = search->d;
    struct neighbours *found = search->found;

    if (++search->looked_at > NEIGHBOURS_MAX)
        return false;
    if (o->kept_s != 0 || o->held_s != 0)
        return true; /* takes no key from anybody */
    if (neighbours_has_id(d->upsert, d->n_upsert, sizeof(*d->upsert), id) ||
        neighbours_has_id(d->remove, d->n_remove, sizeof(*d->remove), id) ||
        (d->complete &&
         !neighbours_has_id(d->present, d->n_present, sizeof(*d->present), id)))
        return true;
    search->failed = !vec_room(&found->v, found->n, &found->cap, sizeof(*o));
    if (search->failed)
        return false;
    found->v[found->n++] = *o;
    memset(o, 0, sizeof(*o));
    return true;
}

static void neighbours_under(struct search *search, struct ovtable *table,
                             enum ovtable_index by, const struct strlist *keys)
{
    for (size_t i = 0; i < keys->n && !search->failed; i++)
        if (ovtable_under(table, by, keys->v[i], neighbours_take, search,
                          NULL) == MXHOP_ERR_MEMORY)
            search->failed = true;
}

static int neighbours_by_dn(const void *a, const void *b)
{
    const struct override *x = a, *y = b;

    return strcmp(x->dn, y->dn);
}

bool neighbours_find(const char *table, const struct stage *s,
                     const struct ovtable_delta *d, struct neighbours *n_r)
{
    struct search search = {.d = d, .found = n_r};
    enum mxhop_status status;
    struct ovtable *t;
    size_t n = 0;

    *n_r = (struct neighbours){0};
    if (s->n == 0 || (d->complete && d->n_present == 0))
        return true;
    status = ovtable_open(&t, table, NULL);
    if (status != MXHOP_OK)
        return status != MXHOP_ERR_MEMORY;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->v[i].enabled)
            continue;
        neighbours_under(&search, t, OVTABLE_BY_KEY, &s->v[i].keys);
        neighbours_under(&search, t, OVTABLE_BY_EXCHANGE, &s->v[i].exchanges);
    }
    if (search.failed)
        status = MXHOP_ERR_MEMORY;
    if (n_r->n == 0)
        goto out;
    /* An entry that was found under several keys stays once. */
    qsort(n_r->v, n_r->n, sizeof(*n_r->v), neighbours_by_dn);
    for (size_t i = 1; i < n_r->n; i++) {
        if (strcmp(n_r->v[n].dn, n_r->v[i].dn) == 0)
            override_free(&n_r->v[i]);
        else
            n_r->v[++n] = n_r->v[i];
    }
    n_r->n = n + 1;
out:
    ovtable_close(&t);
    return status != MXHOP_ERR_MEMORY;
}

void neighbours_free(struct neighbours *n)
{
    for (size_t i = 0; i < n->n; i++)
        override_free(&n->v[i]);
    free(n->v);
    *n = (struct neighbours){0};
}
