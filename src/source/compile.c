/*
 * compile - from a source of overrides to the override table
 *
 * The source is read and checked whole before the table is touched: a source
 * that cannot be read leaves the last good set in force, an entry that is not
 * valid is reported, and leaves its last good version in force, and the table
 * changes in one transaction.
 *
 * A directory is read from where the table stands (ldap_read.c); what comes
 * back is then all, or a difference, and is committed as such.
 */

#include "source/compile.h"
#include "source/inspect.h"
#include "ldap/ldap_read.h"
#include "source/ldif.h"
#include "source/neighbours.h"
#include "source/state.h"
#include "ldap/stage.h"
#include "util/clock.h"
#include "util/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLLOWER_GONE_S 600 /* it says each minute that it is there */

static enum mxhop_status compile_take_entry(void *stage,
                                            const struct raw_entry *raw,
                                            struct mxhop_error *err)
{
    return stage_entry(stage, NULL, raw, err);
}

/* ---- what is not in force as written ---- */

struct compile_notes {
    struct stage *stage;
    struct state state;
    bool any;
};

static void compile_take_note(void *ctx, const struct ovtable_note *n)
{
    struct compile_notes *notes = ctx;
    struct stage *stage = notes->stage;
    struct state *s = &notes->state;
    char since[CLOCK_TEXT_MAX];

    notes->any = true;
    if (n->held_s != 0) {
        if (s->n_held < STATE_LIST)
            strncpy(s->held[s->n_held++], n->dn, STATE_DN_MAX - 1);
        return;
    }
    if (n->kept_s == 0) {
        finding_report(stage->report, stage->ctx, n->dn, n->line,
                       "%s; the entry is skipped", n->why);
        return;
    }
    if (s->n_kept < STATE_LIST) {
        struct state_kept *k = &s->kept[s->n_kept++];

        strncpy(k->dn, n->dn, sizeof(k->dn) - 1);
        strncpy(k->why, n->why, sizeof(k->why) - 1);
        k->since_s = n->kept_s;
    }
    finding_report(stage->report, stage->ctx, n->dn, n->line,
                   "%s; the last good version (kept since %s) %s", n->why,
                   clock_text(n->kept_s, since),
                   n->off ? "is switched off, as mxhopEnabled says"
                          : "stays in force");
}

static void compile_put_state(const struct compile_options *o,
                              const struct state *now,
                              const struct mxhop_error *why)
{
    struct mxhop_error err;
    struct state s;

    if (o->dry_run || o->trial != NULL)
        return;
    (void)state_read(o->table, &s, &err);
    if (now != NULL) {
        pid_t pid = s.follower_pid;
        int64_t alive_s = s.follower_alive_s;

        s = *now;
        s.follower_pid = pid;
        s.follower_alive_s = alive_s;
    }
    if (now != NULL || why != NULL)
        s.tried_s = o->now_s;
    if (why != NULL)
        strncpy(s.error, why->text, sizeof(s.error) - 1);
    if (o->follower) {
        s.follower_pid = getpid();
        s.follower_alive_s = o->now_s;
    } else if (o->now_s - s.follower_alive_s > FOLLOWER_GONE_S) {
        s.follower_pid = 0;
    }
    if (state_write(o->table, &s, &err) != MXHOP_OK && now != NULL)
        finding_report(o->report, o->ctx, o->table, 0, "%s", err.text);
}

void compile_leave_state(const struct compile_options *o,
                         const struct mxhop_error *why)
{
    compile_put_state(o, NULL, why);
}

/* ---- what was staged ---- */

static enum mxhop_status compile_inspect(const struct compile_options *o,
                                         struct stage *s,
                                         const struct ovtable_delta *d,
                                         struct mxhop_error *err)
{
    struct inspection in = {.v = s->v,
                            .lines = s->lines,
                            .n = s->n,
                            .table = o->dry_run ? NULL : o->table,
                            .report = s->report,
                            .ctx = s->ctx,
                            .now_s = o->now_s};
    struct neighbours near = {0};
    bool whole = neighbours_find(o->table, s, d, &near);

    in.others = near.v;
    in.n_others = near.n;
    whole = whole && inspect_set(&in);
    s->findings += in.findings;
    neighbours_free(&near);
    return whole ? MXHOP_OK : err_nomem(err);
}

/* Look at what was staged, and commit it. */
static enum mxhop_status compile_commit(const struct compile_options *o,
                                        struct stage *s,
                                        const struct ovtable_delta *d,
                                        struct compile_result *result_r,
                                        struct mxhop_error *err)
{
    struct ovtable_change *change = &result_r->change;
    struct compile_notes *notes = calloc(1, sizeof(*notes));
    const struct ovtable_write w = {
        .path = o->table,
        .source = o->source->text,
        .shrink_percent = o->shrink_percent,
        .force = o->force,
        .strict = o->strict,
        .trial = o->trial,
        .now_s = o->now_s,
        .note = compile_take_note,
        .ctx = notes,
    };
    enum mxhop_status status =
        notes != NULL ? compile_inspect(o, s, d, err) : err_nomem(err);

    result_r->skipped = s->repeated;
    if (status != MXHOP_OK)
        goto out;
    if (o->dry_run) {
        stage_report_invalid(s);
        result_r->skipped += (uint32_t)s->n_invalid;
        goto out;
    }
    notes->stage = s;
    if (o->strict && s->repeated > 0)
        status = err_set(err, MXHOP_ERR_SYNTAX,
                         "%s: nothing is changed: %lu entries have the DN of "
                         "another one, and --strict takes all or nothing",
                         o->table, (unsigned long)s->repeated);
    else
        status = ovtable_apply(&w, d, change, err);
    if (!notes->any)
        stage_report_invalid(s);
    result_r->skipped += change->left_out;
    if (status != MXHOP_OK)
        goto out;
    if (change->held > 0)
        finding_report(o->report, o->ctx, o->table, 0, "%s", change->held_text);
    notes->state.read_s = o->now_s;
    strncpy(notes->state.source, o->source->text,
            sizeof(notes->state.source) - 1);
    for (size_t i = 0; i < OVTABLE_ID_LEN; i++)
        snprintf(notes->state.table + 2 * i, 3, "%02x", change->id[i]);
    notes->state.entries = change->after;
    notes->state.held_back = change->held;
    notes->state.kept_count = change->kept;
    notes->state.left_out = result_r->skipped;
    compile_put_state(o, &notes->state, NULL);
out:
    free(notes);
    return status;
}

/* What was staged is the result's now, whatever became of it. */
static enum mxhop_status compile_finish(const struct compile_options *o,
                                        struct stage *s,
                                        enum mxhop_status status,
                                        struct compile_result *result_r,
                                        struct mxhop_error *err)
{
    if (status != MXHOP_OK)
        compile_leave_state(o, err);
    result_r->done = status == MXHOP_OK;
    result_r->entries = o->dry_run ? (uint32_t)s->n : result_r->change.after;
    result_r->findings = s->findings;
    result_r->read = s->v;
    result_r->lines = s->lines;
    result_r->n_read = s->n;
    s->v = NULL;
    s->lines = NULL;
    s->n = 0;
    stage_clear(s);
    return status;
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
    d.cookie = r->cookie.text;
    d.cookie_len = r->cookie.len;
    if (s->ldap != NULL)
        d.fingerprint = ldap_settings_fingerprint(s->ldap);
    if (status == MXHOP_OK)
        status = compile_commit(options, s, &d, result_r, err);
    return compile_finish(options, s, status, result_r, err);
}

enum mxhop_status compile_overrides(const struct compile_options *options,
                                    struct compile_result *result_r,
                                    struct mxhop_error *err)
{
    const struct source *source = options->source;
    bool directory = strcmp(source->text, "ldap") == 0;
    struct stage s = {.ldap = directory ? &source->ldap : NULL,
                      .report = options->report,
                      .ctx = options->ctx};
    struct ldap_reading reading = {.complete = true};
    struct ovtable_where where;
    enum mxhop_status status;

    *result_r = (struct compile_result){0};
    if (directory) {
        /* A table that cannot tell is written anew, from all there is. */
        if (options->force || options->dry_run ||
            ovtable_where(options->table, &where, NULL) != MXHOP_OK)
            memset(&where, 0, sizeof(where));
        status = ldap_read(&source->ldap, &where, &s, &reading, err);
    } else if (strncmp(source->text, "ldif:", 5) == 0) {
        status = ldif_read(source->text + 5, compile_take_entry, &s, err);
    } else {
        status = err_set(err, MXHOP_ERR_CONFIG,
                         "overrides: \"%s\": expected ldif:/path/to/file or "
                         "ldap",
                         source->text);
    }
    if (status == MXHOP_OK)
        return compile_staged(options, &s, &reading, result_r, err);
    return compile_finish(options, &s, status, result_r, err);
}

void compile_free(struct compile_result *result)
{
    for (size_t i = 0; i < result->n_read; i++)
        override_free(&result->read[i]);
    free(result->read);
    free(result->lines);
    *result = (struct compile_result){0};
}
