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
#include "ldap/ldap_read.h"
#include "source/ldif.h"
#include "source/neighbours.h"
#include "ldap/stage.h"
#include "util/err.h"

#include <stdlib.h>
#include <string.h>

struct compile_file {
    struct stage *stage;
    struct mxhop_error *err;
    enum mxhop_status status;
};

static bool compile_take_entry(void *ctx, const struct raw_entry *raw)
{
    struct compile_file *f = ctx;

    f->status = stage_entry(f->stage, NULL, raw, f->err);
    return f->status == MXHOP_OK;
}

static enum mxhop_status compile_read_file(struct stage *s, const char *path,
                                           struct mxhop_error *err)
{
    struct compile_file f = {.stage = s, .err = err, .status = MXHOP_OK};
    enum mxhop_status status = ldif_read(path, compile_take_entry, &f, err);

    if (f.status != MXHOP_OK)
        return f.status;
    if (status == MXHOP_OK && !stage_drop_same_dn(s))
        return err_nomem(err);
    return status;
}

/* Look at what was staged, and commit it: d as a difference, without one as all
   there is. */
static enum mxhop_status compile_commit(const struct compile_options *o,
                                        struct stage *s,
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
    struct inspection in = {.v = s->v,
                            .lines = s->lines,
                            .n = s->n,
                            .table = o->dry_run ? NULL : o->table,
                            .report = s->report,
                            .ctx = s->ctx,
                            .now_s = o->now_s};
    struct neighbours near = {0};
    bool whole = d == NULL || neighbours_find(o->table, s, d, &near);

    in.others = near.v;
    in.n_others = near.n;
    whole = whole && inspect_set(&in);
    s->findings += in.findings;
    neighbours_free(&near);
    if (!whole)
        return err_nomem(err);
    if (o->dry_run)
        return MXHOP_OK;
    return d != NULL ? ovtable_apply(&w, d, change_r, err)
                     : ovtable_replace(&w, s->v, s->n, change_r, err);
}

/* What was staged is the result's now, whatever became of it. */
static void compile_finish(const struct compile_options *o, struct stage *s,
                           struct compile_result *result_r)
{
    result_r->entries = o->dry_run ? (uint32_t)s->n : result_r->change.after;
    result_r->skipped = s->skipped;
    result_r->findings = s->findings;
    result_r->read = s->v;
    result_r->n_read = s->n;
    s->v = NULL;
    s->n = 0;
    stage_clear(s);
}

enum mxhop_status compile_staged(const struct compile_options *options,
                                 struct stage *s, const struct ldap_reading *r,
                                 struct compile_result *result_r,
                                 struct mxhop_error *err)
{
    struct ovtable_delta d = {0};
    enum mxhop_status status = stage_settle(s, &d, err);

    *result_r = (struct compile_result){0};
    d.complete = r->complete;
    d.since = r->since;
    d.fingerprint = ldap_settings_fingerprint(s->ldap);
    d.cookie = r->cookie.text;
    d.cookie_len = r->cookie.len;
    if (status == MXHOP_OK)
        status = compile_commit(options, s, &d, &result_r->change, err);
    compile_finish(options, s, result_r);
    return status;
}

enum mxhop_status compile_overrides(const struct compile_options *options,
                                    struct compile_result *result_r,
                                    struct mxhop_error *err)
{
    const struct source *source = options->source;
    bool directory = strcmp(source->text, "ldap") == 0;
    struct stage s = {.ldap = directory ? source->ldap : NULL,
                      .report = options->report,
                      .ctx = options->ctx};
    struct ovtable_where where;
    struct ldap_reading reading;
    enum mxhop_status status;

    *result_r = (struct compile_result){0};
    if (directory) {
        /* A table that cannot tell is written anew, from all there is. */
        if (options->force || options->dry_run ||
            ovtable_where(options->table, &where, NULL) != MXHOP_OK)
            memset(&where, 0, sizeof(where));
        status = ldap_read(source->ldap, &where, &s, &reading, err);
        if (status == MXHOP_OK)
            return compile_staged(options, &s, &reading, result_r, err);
    } else if (strncmp(source->text, "ldif:", 5) == 0) {
        status = compile_read_file(&s, source->text + 5, err);
        if (status == MXHOP_OK)
            status = compile_commit(options, &s, NULL, &result_r->change, err);
    } else {
        status = err_set(err, MXHOP_ERR_CONFIG,
                         "overrides: \"%s\": expected ldif:/path/to/file or "
                         "ldap",
                         source->text);
    }
    compile_finish(options, &s, result_r);
    return status;
}

void compile_free(struct compile_result *result)
{
    for (size_t i = 0; i < result->n_read; i++)
        override_free(&result->read[i]);
    free(result->read);
    *result = (struct compile_result){0};
}
