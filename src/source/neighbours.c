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

#include <stdlib.h>
#include <string.h>

#define NEIGHBOURS_MAX 10000

struct search {
    const struct ovtable_delta *d;
    struct neighbours *found;
    unsigned looked_at;
    bool failed;
};

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, OVTABLE_ID_LEN); /* an upsert begins with its id */
}

static bool has_id(const void *v, size_t n, size_t size,
                   const unsigned char *id)
{
    return n > 0 && bsearch(id, v, n, size, by_id) != NULL;
}

static bool stays(const struct ovtable_delta *d, const unsigned char *id)
{
    return !has_id(d->upsert, d->n_upsert, sizeof(*d->upsert), id) &&
           !has_id(d->remove, d->n_remove, sizeof(*d->remove), id) &&
           (!d->complete ||
            has_id(d->present, d->n_present, sizeof(*d->present), id));
}

static bool make_room(struct neighbours *n)
{
    size_t cap = n->cap != 0 ? n->cap * 2 : 16;
    struct override *v;

    if (n->n < n->cap)
        return true;
    v = realloc(n->v, cap * sizeof(*v));
    if (v == NULL)
        return false;
    n->v = v;
    n->cap = cap;
    return true;
}

static bool take(void *ctx, const unsigned char *id, struct override *o)
{
    struct search *search = ctx;

    if (++search->looked_at > NEIGHBOURS_MAX)
        return false;
    if (!stays(search->d, id))
        return true;
    search->failed = !make_room(search->found);
    if (search->failed)
        return false;
    search->found->v[search->found->n++] = *o;
    memset(o, 0, sizeof(*o));
    return true;
}

static void look_under(struct search *search, struct ovtable *table,
                       enum ovtable_index by, const struct strlist *keys)
{
    for (size_t i = 0; i < keys->n && !search->failed; i++)
        if (ovtable_under(table, by, keys->v[i], take, search, NULL) ==
            MXHOP_ERR_MEMORY)
            search->failed = true;
}

static int by_dn(const void *a, const void *b)
{
    const struct override *x = a, *y = b;

    return strcmp(x->dn, y->dn);
}

/* An entry that was found under several keys stays once. */
static void sort_out(struct neighbours *found)
{
    size_t n = 0;

    if (found->n == 0)
        return;
    qsort(found->v, found->n, sizeof(*found->v), by_dn);
    for (size_t i = 1; i < found->n; i++) {
        if (strcmp(found->v[n].dn, found->v[i].dn) == 0)
            override_free(&found->v[i]);
        else
            found->v[++n] = found->v[i];
    }
    found->n = n + 1;
}

static enum mxhop_status search_table(struct ovtable *table,
                                      const struct stage *s,
                                      struct search *search)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct override *o = &s->v[i];

        if (!o->enabled)
            continue;
        look_under(search, table, OVTABLE_BY_KEY, &o->keys);
        look_under(search, table, OVTABLE_BY_EXCHANGE, &o->exchanges);
    }
    sort_out(search->found);
    return search->failed ? MXHOP_ERR_MEMORY : MXHOP_OK;
}

bool neighbours_find(const char *table, const struct stage *s,
                     const struct ovtable_delta *d, struct neighbours *n_r)
{
    struct search search = {.d = d, .found = n_r};
    enum mxhop_status status;
    struct ovtable *t;

    *n_r = (struct neighbours){0};
    if (s->n == 0 || (d->complete && d->n_present == 0))
        return true;
    status = ovtable_open(&t, table, NULL);
    if (status == MXHOP_OK) {
        status = search_table(t, s, &search);
        ovtable_close(&t);
    }
    return status != MXHOP_ERR_MEMORY;
}

void neighbours_free(struct neighbours *n)
{
    for (size_t i = 0; i < n->n; i++)
        override_free(&n->v[i]);
    free(n->v);
    *n = (struct neighbours){0};
}
