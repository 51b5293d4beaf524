/*
 * refresh_dry - what a refresh would change
 *
 * The table that would be is written into a directory of its own, which is gone
 * a moment later, and compared with the one in force: entry by entry, and what
 * each domain in the shared cache would get from the one and from the other.
 */

#include "cli/ovset.h"
#include "overrides/codec.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

int refresh_run(const struct compile_options *options,
                struct compile_result *result_r)
{
    struct mxhop_error err;
    int status;

    if (compile_overrides(options, result_r, &err) == MXHOP_OK)
        return result_r->change.held > 0                       ? EX_TEMPFAIL
               : result_r->change.kept + result_r->skipped > 0 ? EX_DATAERR
                                                               : EX_OK;
    status = cli_fail(&err);
    /* For a lookup these are something else. */
    return err.code == MXHOP_ERR_TIMEOUT    ? EX_IOERR
           : err.code == MXHOP_ERR_ARGUMENT ? EX_DATAERR
                                            : status;
}

/* ---- cached domains ---- */

enum { BEFORE, AFTER, SIDES };

struct dry {
    struct ovtable *t[SIDES]; /* NULL: no table */
    int64_t now_s;
    int side; /* that is looked at */
    struct buf line, entry[SIDES];
    unsigned moved;
};

/* Append one that answers for a domain. */
static void dry_take_entry(void *ctx, const struct override *o)
{
    struct dry *d = ctx;

    if (d->entry[d->side].len > 0)
        buf_puts(&d->line, ", ");
    buf_puts_printable(&d->line, o->dn);
    override_encode(&d->entry[d->side], o);
}

static bool dry_take(void *ctx, const char *domain,
                     const struct cache_entry_state *state,
                     const struct mxset *set)
{
    struct dry *d = ctx;

    (void)state;
    buf_reset(&d->line);
    buf_printf(&d->line, "%s: ", domain);
    for (d->side = BEFORE; d->side < SIDES; d->side++) {
        buf_reset(&d->entry[d->side]);
        buf_puts(&d->line, d->side == AFTER ? " -> " : "");
        if (d->t[d->side] != NULL)
            probe_entries(d->t[d->side], domain, set, d->now_s, dry_take_entry,
                          d);
        if (d->entry[d->side].len == 0)
            buf_puts(&d->line, "no override");
    }
    if (d->entry[BEFORE].len == d->entry[AFTER].len &&
        (d->entry[BEFORE].len == 0 ||
         memcmp(d->entry[BEFORE].data, d->entry[AFTER].data,
                d->entry[BEFORE].len) == 0))
        return true;
    d->moved++;
    return cli_put_line(&d->line);
}

/* The process is the cache's owner afterwards. */
static void dry_print_domains(struct dry *d, const char *config)
{
    struct probe_cache cache;
    struct mxhop *mx;
    int ignored;

    mx = cli_open_cache(config, NULL, "compare with", &cache, &ignored);
    if (mx == NULL)
        return;
    cache_list(cache.view, clock_boot_ms(), dry_take, d);
    printf("%u cached domain%s another entry\n", d->moved,
           d->moved == 1 ? " gets" : "s get");
    mxhop_close(&mx);
}

/* ---- entries ---- */

static int dry_print_entries(const struct conf *conf, const char *trial)
{
    struct conf there = *conf;
    struct ovset before = {0}, after;
    int status;

    there.override_table = (char *)trial;
    if (access(conf->override_table, F_OK) == 0)
        (void)ovset_read_table(&before, conf);
    status = ovset_read_table(&after, &there);
    if (status == 0)
        (void)override_diff(&before, &after);
    for (size_t i = 0; i < after.n; i++)
        if (after.v[i].held_s != 0)
            printf("held back: %s\n", after.v[i].dn);
    ovset_free(&before);
    ovset_free(&after);
    return status;
}

int refresh_dry_run(const struct conf *conf,
                    const struct compile_options *options, const char *config)
{
    struct compile_options trial_options = *options;
    char dir[] = "/tmp/mxhop-dry-run-XXXXXX", trial[PATH_MAX];
    const char *slash = strrchr(conf->override_table, '/');
    struct dry d = {.now_s = options->now_s};
    struct compile_result result;
    const struct ovtable_change *c = &result.change;
    int status, fd = -1;

    if (mkdtemp(dir) == NULL ||
        (fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        cli_complain("%s: %s", dir, strerror(errno));
        return EX_OSERR;
    }
    trial_options.trial = &fd;
    snprintf(trial, sizeof(trial), "%s/%s", dir,
             slash != NULL ? slash + 1 : conf->override_table);
    status = refresh_run(&trial_options, &result);
    if (result.done && c->changed) {
        if (dry_print_entries(conf, trial) != 0 ||
            ovtable_open(&d.t[AFTER], trial, NULL) != MXHOP_OK)
            status = EX_IOERR;
        (void)ovtable_open(&d.t[BEFORE], conf->override_table, NULL);
        (void)unlink(trial);
    }
    (void)rmdir(dir);
    close(fd);
    if (result.done)
        printf("%s: would have %u entr%s: %u added, %u changed, %u removed, "
               "%u skipped, %u kept in an older version, %u held back; nothing "
               "is written\n",
               conf->override_table, c->after, c->after == 1 ? "y" : "ies",
               c->added, c->modified, c->removed, result.skipped, c->kept,
               c->held);
    if (d.t[AFTER] != NULL)
        dry_print_domains(&d, config);
    for (int side = BEFORE; side < SIDES; side++) {
        ovtable_close(&d.t[side]);
        buf_free(&d.entry[side]);
    }
    buf_free(&d.line);
    compile_free(&result);
    return status;
}
