/*
 * compile - from a source of overrides to the override table
 *
 * The source is read and checked whole before the table is touched: a source
 * that cannot be read leaves the last good set in force, an entry that is not
 * valid is reported and left out, and the table changes in one transaction.
 *
 * A directory is read from where the table stands (ldap_read.c); what comes
 * back is then all, or a difference, and is committed as such.
 */

#include "source/compile.h"
#include "source/inspect.h"
#include "source/ldap_read.h"
#include "source/ldif.h"
#include "source/neighbours.h"
#include "source/stage.h"
#include "util/err.h"

#include <stdlib.h>
#include <string.h>

/* ---- LDIF ---- */

struct file_reader {
    struct stage *stage;
    struct mxhop_error *err;
    enum mxhop_status status;
};

static bool take_entry(void *ctx, const struct raw_entry *raw)
{
    struct file_reader *r = ctx;

    r->status = stage_entry(r->stage, NULL, raw, r->err);
    return r->status == MXHOP_OK;
}

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
static void compact(struct stage *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].dn == NULL)
            continue;
        s->v[n] = s->v[i];
        s->lines[n++] = s->lines[i];
    }
    s->n = n;
}

/* A directory has one entry to a DN, and so has the table; a file may have
   more, copied and not renamed. The first one counts. */
static bool drop_duplicates(struct stage *s)
{
    struct claim *c = calloc(s->n + 1, sizeof(*c)), *first = c;

    if (c == NULL)
        return false;
    for (size_t i = 0; i < s->n; i++)
        c[i] = (struct claim){s->v[i].dn, &s->v[i], s->lines[i]};
    qsort(c, s->n, sizeof(*c), by_key_and_line);
    for (size_t i = 1; i < s->n; i++) {
        if (strcmp(first->key, c[i].key) != 0) {
            first = &c[i];
            continue;
        }
        s->skipped++;
        stage_report(
            s, c[i].key, c[i].line,
            "the entry in line %zu has the same DN; this one is skipped",
            first->line);
        override_free(&s->v[c[i].o - s->v]);
    }
    free(c);
    compact(s);
    return true;
}

static enum mxhop_status read_file(struct stage *s, const char *path,
                                   struct mxhop_error *err)
{
    struct file_reader r = {.stage = s, .err = err, .status = MXHOP_OK};
    enum mxhop_status status = ldif_read(path, take_entry, &r, err);

    return r.status != MXHOP_OK ? r.status : status;
}

/* ---- any source ---- */

static bool is_directory(const struct source *source)
{
    return strcmp(source->text, "ldap") == 0;
}

static struct stage
new_stage(const struct source *source,
          void (*report)(void *ctx, const struct finding *f), void *ctx)
{
    return (struct stage){
        .ldap = is_directory(source) ? source->ldap : NULL,
        .report = report,
        .ctx = ctx,
    };
}

/* What a directory said into *d_r, which is to be committed. */
static enum mxhop_status settle(struct stage *s, const struct ldap_reading *r,
                                struct ovtable_delta *d_r,
                                struct mxhop_error *err)
{
    enum mxhop_status status = stage_settle(s, d_r, err);

    if (status != MXHOP_OK)
        return status;
    d_r->complete = r->complete;
    d_r->since = r->since;
    d_r->fingerprint = ldap_settings_fingerprint(s->ldap);
    d_r->cookie = r->cookie.text;
    d_r->cookie_len = r->cookie.len;
    return MXHOP_OK;
}

/* From a directory what is new since `where`, with *d_r to be committed. */
static enum mxhop_status load(struct stage *s, const struct source *source,
                              const struct ovtable_where *where,
                              struct ldap_reading *r, struct ovtable_delta *d_r,
                              struct mxhop_error *err)
{
    enum mxhop_status status;

    if (strncmp(source->text, "ldif:", 5) == 0)
        return read_file(s, source->text + 5, err);
    if (!is_directory(source))
        return err_set(err, MXHOP_ERR_CONFIG,
                       "overrides: \"%s\": expected ldif:/path/to/file or ldap",
                       source->text);
    status = ldap_read(source->ldap, where, s, r, err);
    return status == MXHOP_OK ? settle(s, r, d_r, err) : status;
}

static bool inspect(const struct compile_options *o, struct stage *s,
                    const struct ovtable_delta *d)
{
    struct inspection in = {
        .report = s->report, .ctx = s->ctx, .now_s = o->now_s};
    struct neighbours near = {0};
    bool whole = s->ldap != NULL ? neighbours_find(o->table, s, d, &near)
                                 : drop_duplicates(s);

    in.v = s->v;
    in.lines = s->lines;
    in.n = s->n;
    in.others = near.v;
    in.n_others = near.n;
    whole = whole && inspect_set(&in);
    s->findings += in.findings;
    neighbours_free(&near);
    return whole;
}

/* ---- entry points ---- */

/* A table that cannot tell is written anew, from all there is. */
static struct ovtable_where begin_at(const struct compile_options *o)
{
    struct ovtable_where where;

    if (o->force || o->dry_run || !is_directory(o->source) ||
        ovtable_where(o->table, &where, NULL) != MXHOP_OK)
        memset(&where, 0, sizeof(where));
    return where;
}

static enum mxhop_status write_table(const struct compile_options *o,
                                     const struct stage *s,
                                     const struct ovtable_delta *d,
                                     struct ovtable_change *change_r,
                                     struct mxhop_error *err)
{
    const struct ovtable_write w = {
        .path = o->table,
        .source = o->source->text,
        .shrink_percent = o->shrink_percent,
        .force = o->force,
        .now_s = o->now_s,
    };

    if (is_directory(o->source))
        return ovtable_apply(&w, d, change_r, err);
    return ovtable_replace(&w, s->v, s->n, change_r, err);
}

/* The rest of a refresh, with the status so far. */
static enum mxhop_status finish(const struct compile_options *options,
                                struct stage *s, const struct ovtable_delta *d,
                                enum mxhop_status status,
                                struct compile_result *result_r,
                                struct mxhop_error *err)
{
    *result_r = (struct compile_result){0};
    if (status == MXHOP_OK && !inspect(options, s, d))
        status = err_nomem(err);
    if (status == MXHOP_OK && !options->dry_run)
        status = write_table(options, s, d, &result_r->change, err);
    result_r->entries =
        options->dry_run ? (uint32_t)s->n : result_r->change.after;
    result_r->skipped = s->skipped;
    result_r->findings = s->findings;
    result_r->read = s->v;
    result_r->n_read = s->n;
    s->v = NULL;
    s->n = 0;
    stage_clear(s);
    return status;
}

enum mxhop_status compile_overrides(const struct compile_options *options,
                                    struct compile_result *result_r,
                                    struct mxhop_error *err)
{
    struct stage s = new_stage(options->source, options->report, options->ctx);
    struct ovtable_where where = begin_at(options);
    struct ovtable_delta delta = {0};
    struct ldap_reading reading;
    enum mxhop_status status =
        load(&s, options->source, &where, &reading, &delta, err);

    return finish(options, &s, &delta, status, result_r, err);
}

enum mxhop_status compile_staged(const struct compile_options *options,
                                 struct stage *s, const struct ldap_reading *r,
                                 struct compile_result *result_r,
                                 struct mxhop_error *err)
{
    struct ovtable_delta delta = {0};
    enum mxhop_status status = settle(s, r, &delta, err);

    return finish(options, s, &delta, status, result_r, err);
}

void compile_free(struct compile_result *result)
{
    for (size_t i = 0; i < result->n_read; i++)
        override_free(&result->read[i]);
    free(result->read);
    *result = (struct compile_result){0};
}
