/*
 * ovset - a whole set of overrides in memory, in order of DN
 *
 * For the commands that show or compare sets. What is in the override table
 * and what a file would make of it are read into the same form.
 */

#include "cli/ovset.h"
#include "util/clock.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

static bool ovset_take(void *ctx, struct override *o)
{
    struct ovset *set = ctx;

    if (!vec_room(&set->v, set->n, &set->cap, sizeof(*set->v)))
        return false;
    set->v[set->n++] = *o;
    *o = (struct override){0};
    return true;
}

static int ovset_by_dn(const void *a, const void *b)
{
    const struct override *x = a, *y = b;

    return strcmp(x->dn, y->dn);
}

static void ovset_sort(struct ovset *set)
{
    if (set->n > 0)
        qsort(set->v, set->n, sizeof(*set->v), ovset_by_dn);
}

int ovset_read_table(struct ovset *set_r, const struct conf *conf)
{
    struct mxhop_error err;
    struct ovtable_info info;
    enum mxhop_status status;
    struct ovtable *t;

    *set_r = (struct ovset){0};
    if (ovtable_open(&t, conf->override_table, &err) != MXHOP_OK)
        return cli_fail(&err);
    ovtable_info(t, &info);
    status = ovtable_walk(t, ovset_take, set_r, &err);
    ovtable_close(&t);
    ovset_sort(set_r);
    if (status == MXHOP_OK && set_r->n == info.entries)
        return 0;
    ovset_free(set_r);
    return status != MXHOP_OK ? cli_fail(&err) : cli_no_memory();
}

int ovset_read_file(struct ovset *set_r, const char *source)
{
    const struct source from = {.text = source};
    const struct compile_options options = {.source = &from,
                                            .dry_run = true,
                                            .now_s = clock_wall_s(),
                                            .report = cli_report,
                                            .ctx = (void *)&from};
    struct compile_result result;
    struct mxhop_error err;
    enum mxhop_status status = compile_overrides(&options, &result, &err);

    *set_r = (struct ovset){.v = result.read, .n = result.n_read};
    free(result.lines); /* the set is sorted */
    if (status != MXHOP_OK) {
        ovset_free(set_r);
        return cli_fail(&err);
    }
    ovset_sort(set_r);
    return 0;
}

void ovset_free(struct ovset *set)
{
    for (size_t i = 0; i < set->n; i++)
        override_free(&set->v[i]);
    free(set->v);
    *set = (struct ovset){0};
}
