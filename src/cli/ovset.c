/*
 * ovset - a whole set of overrides in memory, in order of DN
 *
 * For the commands that show or compare sets. What is in the override table
 * and what a source would make of it are read into the same form; of several
 * entries with one DN the first counts, as for refresh.
 */

#include "cli/ovset.h"

#include <stdlib.h>
#include <string.h>

static bool take(void *ctx, struct override *o)
{
    struct ovset *set = ctx;

    if (set->n == set->cap) {
        size_t cap = set->cap != 0 ? set->cap * 2 : 64;
        struct override *v = realloc(set->v, cap * sizeof(*v));

        if (v == NULL)
            return false;
        set->v = v;
        set->cap = cap;
    }
    set->v[set->n++] = *o;
    *o = (struct override){0};
    return true;
}

struct ranked {
    struct override o;
    size_t rank;
};

static int by_dn(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    int d = strcmp(x->o.dn, y->o.dn);

    return d != 0 ? d : (x->rank > y->rank) - (x->rank < y->rank);
}

static bool sort(struct ovset *set)
{
    struct ranked *r = calloc(set->n + 1, sizeof(*r));
    size_t n = 0;

    if (r == NULL)
        return false;
    for (size_t i = 0; i < set->n; i++)
        r[i] = (struct ranked){set->v[i], i};
    qsort(r, set->n, sizeof(*r), by_dn);
    for (size_t i = 0; i < set->n; i++) {
        if (n > 0 && strcmp(r[i].o.dn, set->v[n - 1].dn) == 0)
            override_free(&r[i].o);
        else
            set->v[n++] = r[i].o;
    }
    set->n = n;
    free(r);
    return true;
}

static int no_memory(struct ovset *set)
{
    ovset_free(set);
    cli_complain("out of memory");
    return 71;
}

static enum mxhop_status walk(struct ovset *set, struct ovtable *t,
                              uint32_t *entries_r, struct mxhop_error *err)
{
    struct ovtable_snap *s;
    struct ovtable_info info;
    enum mxhop_status status = ovtable_begin(t, &s, err);

    if (status != MXHOP_OK)
        return status;
    status = ovtable_info(s, &info, err);
    *entries_r = info.entries;
    if (status == MXHOP_OK)
        status = ovtable_walk(s, take, set, err);
    ovtable_end(&s);
    return status;
}

int ovset_read_table(struct ovset *set_r, const struct conf *conf)
{
    struct mxhop_error err;
    uint32_t entries = 0;
    struct ovtable *t;
    enum mxhop_status status;

    *set_r = (struct ovset){0};
    if (ovtable_open(&t, conf->override_table, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = walk(set_r, t, &entries, &err);
    ovtable_close(&t);
    if (status != MXHOP_OK) {
        ovset_free(set_r);
        return cli_fail(&err);
    }
    if (set_r->n != entries || !sort(set_r))
        return no_memory(set_r);
    return 0;
}

int ovset_read_source(struct ovset *set_r, const char *source, bool complain)
{
    struct source from = {.text = source};
    struct mxhop_error err;
    uint32_t skipped;

    *set_r = (struct ovset){0};
    if (compile_load(&from, complain ? cli_report : NULL, &from, &set_r->v,
                     &set_r->n, &skipped, &err) != MXHOP_OK)
        return cli_fail(&err);
    return sort(set_r) ? 0 : no_memory(set_r);
}

void ovset_free(struct ovset *set)
{
    for (size_t i = 0; i < set->n; i++)
        override_free(&set->v[i]);
    free(set->v);
    *set = (struct ovset){0};
}
