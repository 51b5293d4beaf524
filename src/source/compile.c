/*
 * compile - from a source of overrides to the override table
 *
 * The source is read and checked whole before the table is touched: a source
 * that cannot be read leaves the last good set in force, an entry that is not
 * valid is reported and left out, and the table changes in one transaction.
 */

#include "source/compile.h"
#include "source/inspect.h"
#include "source/ldif.h"
#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loading {
    void (*report)(void *ctx, const struct finding *f);
    void *ctx;
    struct override *v;
    size_t *lines; /* where v[i] stands */
    size_t n, cap;
    uint32_t skipped, findings;
};

__attribute__((format(printf, 4, 5))) static void
report(struct loading *l, const char *dn, size_t line, const char *fmt, ...)
{
    char text[600];
    struct finding f = {dn, line, text};
    va_list ap;

    l->findings++;
    if (l->report == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    l->report(l->ctx, &f);
}

static bool grow(struct loading *l)
{
    size_t cap = l->cap != 0 ? l->cap * 2 : 64;
    struct override *v;
    size_t *lines;

    if (l->n < l->cap)
        return true;
    v = realloc(l->v, cap * sizeof(*v));
    if (v == NULL)
        return false;
    l->v = v;
    lines = realloc(l->lines, cap * sizeof(*lines));
    if (lines == NULL)
        return false;
    l->lines = lines;
    l->cap = cap;
    return true;
}

static bool take_entry(void *ctx, const struct raw_entry *raw)
{
    struct loading *l = ctx;
    struct mxhop_error err;

    if (!grow(l))
        return false;
    switch (entry_parse(raw, &l->v[l->n], &err)) {
    case ENTRY_OK:
        l->lines[l->n++] = raw->line;
        return true;
    case ENTRY_OTHER:
        return true;
    case ENTRY_INVALID:
        l->skipped++;
        report(l, raw->dn, raw->line, "%s; the entry is skipped", err.text);
        return true;
    case ENTRY_MEMORY:
        break;
    }
    return false;
}

static void unload(struct loading *l)
{
    for (size_t i = 0; i < l->n; i++)
        override_free(&l->v[i]);
    free(l->v);
    free(l->lines);
    *l = (struct loading){0};
}

static enum mxhop_status load(struct loading *l, const char *source,
                              struct mxhop_error *err)
{
    if (strncmp(source, "ldif:", 5) == 0)
        return ldif_read(source + 5, take_entry, l, err);
    return err_set(err, MXHOP_ERR_CONFIG,
                   "overrides: \"%s\": expected ldif:/path/to/file", source);
}

/* ---- duplicates ---- */

struct claim { /* a DN that an entry has */
    const char *key;
    const struct override *o;
    size_t line;
};

static int by_key_and_line(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

/* Close the gaps that drop_duplicates() left. */
static void compact(struct loading *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].dn == NULL)
            continue;
        l->v[n] = l->v[i];
        l->lines[n++] = l->lines[i];
    }
    l->n = n;
}

/* A directory has one entry to a DN, and so has the table; a file may have
   more, copied and not renamed. The first one counts. */
static bool drop_duplicates(struct loading *l)
{
    struct claim *c = calloc(l->n + 1, sizeof(*c)), *first = c;

    if (c == NULL)
        return false;
    for (size_t i = 0; i < l->n; i++)
        c[i] = (struct claim){l->v[i].dn, &l->v[i], l->lines[i]};
    qsort(c, l->n, sizeof(*c), by_key_and_line);
    for (size_t i = 1; i < l->n; i++) {
        if (strcmp(first->key, c[i].key) != 0) {
            first = &c[i];
            continue;
        }
        l->skipped++;
        report(l, c[i].key, c[i].line,
               "the entry in line %zu has the same DN; this one is skipped",
               first->line);
        override_free(&l->v[c[i].o - l->v]);
    }
    free(c);
    compact(l);
    return true;
}

static bool inspect(struct loading *l, int64_t now_s)
{
    struct inspection in = {.report = l->report, .ctx = l->ctx, .now_s = now_s};
    bool whole;

    if (!drop_duplicates(l))
        return false;
    in.v = l->v;
    in.lines = l->lines;
    in.n = l->n;
    whole = inspect_set(&in);
    l->findings += in.findings;
    return whole;
}

/* ---- entry points ---- */

static enum mxhop_status write_table(const struct compile_options *o,
                                     const struct loading *l,
                                     struct ovtable_change *change_r,
                                     struct mxhop_error *err)
{
    const struct ovtable_write w = {
        .path = o->table,
        .source = o->source,
        .reader_gid = o->reader_gid,
        .shrink_percent = o->shrink_percent,
        .force = o->force,
        .now_s = o->now_s,
    };

    if (o->dry_run)
        return MXHOP_OK;
    return ovtable_replace(&w, l->v, l->n, change_r, err);
}

enum mxhop_status compile_overrides(const struct compile_options *options,
                                    struct compile_result *result_r,
                                    struct mxhop_error *err)
{
    struct loading l = {.report = options->report, .ctx = options->ctx};
    enum mxhop_status status = load(&l, options->source, err);

    *result_r = (struct compile_result){0};
    if (status == MXHOP_OK && !inspect(&l, options->now_s))
        status = err_nomem(err);
    if (status == MXHOP_OK)
        status = write_table(options, &l, &result_r->change, err);
    result_r->entries = (uint32_t)l.n;
    result_r->skipped = l.skipped;
    result_r->findings = l.findings;
    unload(&l);
    return status;
}

enum mxhop_status
compile_load(const char *source,
             void (*report_fn)(void *ctx, const struct finding *f), void *ctx,
             struct override **entries_r, size_t *n_r, uint32_t *skipped_r,
             struct mxhop_error *err)
{
    struct loading l = {.report = report_fn, .ctx = ctx};
    enum mxhop_status status = load(&l, source, err);

    *entries_r = NULL;
    *n_r = 0;
    if (status != MXHOP_OK) {
        unload(&l);
        return status;
    }
    *entries_r = l.v;
    *n_r = l.n;
    *skipped_r = l.skipped;
    free(l.lines);
    return MXHOP_OK;
}
