/*
 * follow - keep the override table as the directory is
 *
 * A server with RFC 4533 tells of changes as they happen (refreshAndPersist).
 * What it says is staged, and committed when no more came for a moment, or when
 * it has said much: an import of many entries is not a transaction for each.
 * Any other server is read anew every refresh_ms.
 *
 * A server that was stopped, or whose link was cut, looks like one that has
 * nothing to say. So it is asked for its rootDSE now and then, and what it does
 * not answer in time ends the connection.
 *
 * Whatever goes wrong, the last good set stays, with the cookie that belongs to
 * it; after a pause that grows to a minute the servers are tried in their
 * order, from that cookie. Nothing that was staged and not committed outlives
 * its connection.
 *
 * What is not in force as the directory has it (held back, kept in an older
 * version, left out) is in the table, and committed once more each hour, so
 * that it is said again; where something is held back, or has no room under its
 * key, all is read again for that. The state beside the table says each minute
 * that this process is there.
 */

#include "source/follow.h"
#include "source/findings.h"
#include "ldap/ldap_read.h"
#include "ldap/ldap_sync.h"
#include "util/clock.h"

#include <string.h>
#include <time.h>

#define SETTLE_MS    100u   /* silence that ends a burst of changes */
#define HOLD_MS      500u   /* but no change waits longer */
#define PROBE_MS     10000u /* at most; else refresh_ms */
#define PAUSE_MIN_MS 1000u
#define PAUSE_MAX_MS 60000u
#define ALIVE_MS     60000u   /* between two signs of life */
#define REMIND_MS    3600000u /* and between two times that the same is said */

struct follower {
    const struct follow_options *o;
    const struct ldap_settings *s;
    bool well;     /* what was said last about the directory */
    char uri[256]; /* and of which server that was; "": nothing yet */
    bool ready;
    enum mxhop_status fault; /* if not well: what was said then */
    uint64_t wait_ms;        /* before the next attempt, if this one fails */

    /* The present connection. */
    struct ldap_conn *conn;
    struct stage stage;
    struct ldap_sync sync;
    uint64_t started_ms;
    uint64_t changed_ms, heard_ms; /* first and last of what is staged */
    uint64_t probed_ms;            /* answer awaited since; 0: none */
    int probe;
    bool first_done;         /* the refresh stage is committed */
    bool resume;             /* begin anew from what the table holds */
    struct ovtable_where at; /* what is staged is what is new since then */

    struct findings found; /* in what is staged */

    uint64_t alive_ms; /* when the state was written last */
    uint64_t
        remind_ms;  /* when to say again what is not as written; 0: all is */
    bool unsettled; /* without a cookie: all is to be read again for that */
};

/* For the state: why nothing was read, or NULL. */
static void follow_leave_state(struct follower *f,
                               const struct mxhop_error *why)
{
    struct compile_options now = *f->o->compile;

    now.now_s = clock_wall_s();
    compile_leave_state(&now, why);
    f->alive_ms = clock_boot_ms();
}

static void follow_be_alive(struct follower *f)
{
    if (clock_boot_ms() >= f->alive_ms + ALIVE_MS)
        follow_leave_state(f, NULL);
}

static void follow_tell_well(struct follower *f, const char *uri)
{
    f->wait_ms = PAUSE_MIN_MS;
    if (f->well && strncmp(f->uri, uri, sizeof(f->uri) - 1) == 0)
        return;
    f->o->state(f->o->ctx, true, uri);
    f->well = true;
    strncpy(f->uri, uri, sizeof(f->uri) - 1);
}

/* Not each attempt; but where a server that was away is back and wants another
   password, that must be said too. */
static void follow_tell_fault(struct follower *f, const struct mxhop_error *why)
{
    bool passes = why->code == MXHOP_ERR_IO || why->code == MXHOP_ERR_TIMEOUT;

    follow_leave_state(f, why);
    if (!f->well && f->ready && (passes || why->code == f->fault))
        return;
    f->o->state(f->o->ctx, false, why->text);
    f->fault = why->code;
    f->well = false;
}

static void follow_end_attempt(struct follower *f)
{
    if (!f->ready)
        f->o->ready(f->o->ctx);
    f->ready = true;
}

static void follow_pause_ms(struct follower *f, uint64_t ms)
{
    for (uint64_t part; ms > 0; ms -= part) {
        struct timespec t;

        part = ms < ALIVE_MS ? ms : ALIVE_MS;
        t = (struct timespec){(time_t)(part / 1000),
                              (long)(part % 1000) * 1000000};
        nanosleep(&t, NULL);
        follow_be_alive(f);
    }
}

static void follow_forget(struct follower *f)
{
    stage_clear(&f->stage);
    findings_forget(&f->found);
}

/* Commit what was staged. What was found wrong with it may be the reason why
   that is not possible. */
static enum mxhop_status follow_apply(struct follower *f,
                                      const struct ldap_reading *r,
                                      struct mxhop_error *err)
{
    const struct compile_options *o = f->o->compile;
    struct compile_options now = *o;
    struct compile_result result;
    enum mxhop_status status;

    now.now_s = clock_wall_s();
    if (f->remind_ms != 0 && clock_boot_ms() >= f->remind_ms)
        f->found.told = 0;
    status = compile_staged(&now, &f->stage, r, &result, err);
    f->resume = result.change.superseded;
    f->unsettled = result.change.unsettled;
    f->alive_ms = clock_boot_ms();
    if (result.change.held + result.change.kept + result.skipped == 0)
        f->remind_ms = 0;
    else if (f->found.told == 0 || f->remind_ms == 0)
        f->remind_ms = f->alive_ms + REMIND_MS;
    findings_tell(&f->found, f->s->base, o->report, o->ctx);
    compile_free(&result);
    return status;
}

/* ---- a server that tells ---- */

static enum mxhop_status follow_commit(struct follower *f,
                                       struct mxhop_error *err)
{
    struct ldap_reading r = {.complete = f->sync.complete,
                             .since = &f->at,
                             .cookie = f->sync.cookie};
    enum mxhop_status status;

    status = follow_apply(f, &r, err);
    if (status != MXHOP_OK)
        return status;
    f->at.fingerprint = ldap_settings_fingerprint(f->s);
    memcpy(f->at.cookie, r.cookie.text, r.cookie.len);
    f->at.cookie_len = f->unsettled ? 0 : r.cookie.len;
    ldap_sync_committed(&f->sync);
    f->first_done = true;
    f->changed_ms = 0;
    if (f->probed_ms != 0)
        f->probed_ms =
            clock_boot_ms(); /* the disk's time is not the server's */
    follow_tell_well(f, f->conn->uri);
    follow_end_attempt(f);
    return MXHOP_OK;
}

/* Until when to wait for a message before something is to be done. */
static uint64_t follow_next_ms(const struct follower *f)
{
    uint64_t quiet_ms =
        f->o->refresh_ms < PROBE_MS ? f->o->refresh_ms : PROBE_MS;
    uint64_t at = f->probed_ms != 0
                      ? f->probed_ms + f->s->network_timeout_s * 1000ull
                      : f->heard_ms + quiet_ms;
    uint64_t settled;

    if (!f->first_done)
        return f->started_ms + f->s->timeout_s * 1000ull;
    if (f->changed_ms == 0)
        return at;
    settled = f->heard_ms + SETTLE_MS;
    if (settled > f->changed_ms + HOLD_MS)
        settled = f->changed_ms + HOLD_MS;
    return settled < at ? settled : at;
}

static enum mxhop_status follow_take(struct follower *f, LDAPMessage *m,
                                     struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    uint64_t now_ms = clock_boot_ms();

    f->heard_ms = now_ms;
    if (f->probed_ms != 0 && ldap_msgid(m) == f->probe) {
        if (ldap_msgtype(m) == LDAP_RES_SEARCH_RESULT)
            f->probed_ms = 0;
    } else {
        status = ldap_sync_message(&f->sync, m, err);
    }
    ldap_msgfree(m);
    if (status == MXHOP_OK && f->sync.refreshed && !f->first_done)
        return follow_commit(f, err);
    if (f->sync.changed && f->changed_ms == 0)
        f->changed_ms = now_ms;
    return status;
}

/* Not where somebody removed the table, refreshed it or put an older one in its
   place, while there was nothing to commit that would have shown it. */
static bool follow_table_is_ours(const struct follower *f)
{
    struct ovtable_where where;

    return ovtable_where(f->o->compile->table, &where, NULL) == MXHOP_OK &&
           where.fingerprint == f->at.fingerprint &&
           where.cookie_len == f->at.cookie_len &&
           memcmp(where.cookie, f->at.cookie, where.cookie_len) == 0;
}

/* Nothing was heard until follow_next_ms(). */
static enum mxhop_status follow_be_due(struct follower *f,
                                       const struct mxhop_error *silent,
                                       struct mxhop_error *err)
{
    uint64_t now_ms = clock_boot_ms();
    bool remind;

    if (!f->first_done ||
        (f->probed_ms != 0 &&
         now_ms >= f->probed_ms + f->s->network_timeout_s * 1000ull)) {
        *err = *silent;
        return MXHOP_ERR_TIMEOUT;
    }
    remind = f->remind_ms != 0 && now_ms >= f->remind_ms;
    if (f->changed_ms != 0 || (remind && !f->unsettled))
        return follow_commit(f, err);
    f->resume = remind || !follow_table_is_ours(f);
    if (f->resume)
        return MXHOP_ERR_TABLE;
    f->probed_ms = now_ms;
    return ldap_conn_root(f->conn, LDAP_NO_ATTRS, &f->probe, err);
}

static enum mxhop_status follow_listen(struct follower *f,
                                       struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;

    while (status == MXHOP_OK) {
        struct mxhop_error silent;
        LDAPMessage *m;

        status = ldap_conn_next(f->conn, follow_next_ms(f), &m, &silent);
        if (status == MXHOP_OK)
            status = follow_take(f, m, err);
        else if (status == MXHOP_ERR_TIMEOUT)
            status = follow_be_due(f, &silent, err);
        else
            *err = silent;
        follow_be_alive(f);
    }
    return status;
}

/* Ends with an error in any case. */
static enum mxhop_status follow_sync(struct follower *f,
                                     struct mxhop_error *err)
{
    enum mxhop_status status;
    bool scratch = false;

    do {
        bool usable =
            ovtable_where(f->o->compile->table, &f->at, NULL) == MXHOP_OK &&
            ldap_read_since(f->s, &f->at) && !scratch;

        follow_forget(f);
        f->resume = f->first_done = false;
        f->started_ms = f->heard_ms = clock_boot_ms();
        f->changed_ms = f->probed_ms = 0;
        status = ldap_sync_begin(&f->sync, f->conn, &f->stage,
                                 SYNC_REFRESH_AND_PERSIST, f->at.cookie,
                                 usable ? f->at.cookie_len : 0, err);
        if (status == MXHOP_OK)
            status = follow_listen(f, err);
        if (f->resume)
            ldap_abandon_ext(f->conn->ld, f->sync.msgid, NULL, NULL);
        ldap_sync_end(&f->sync);
        scratch = f->sync.must_reload;
    } while (scratch || f->resume);
    return status;
}

/* ---- for ever ---- */

/* One that tells ends with an error; one that does not was read, whole. */
static enum mxhop_status follow_server(void *ctx, const char *uri,
                                       struct mxhop_error *err)
{
    static const struct ldap_reading whole = {.complete = true};
    struct follower *f = ctx;
    enum mxhop_status status;

    f->stage =
        (struct stage){.ldap = f->s, .report = findings_keep, .ctx = &f->found};
    f->sync = (struct ldap_sync){0};
    status = ldap_conn_open(&f->conn, f->s, uri, err);
    if (status != MXHOP_OK)
        return status;
    if (f->conn->has_sync)
        status = follow_sync(f, err);
    if (f->conn->has_sync && !f->sync.unsupported)
        goto out;
    follow_forget(f);
    status = ldap_paged_read(f->conn, &f->stage,
                             clock_boot_ms() + f->s->timeout_s * 1000ull, err);
    if (status == MXHOP_OK)
        status = follow_apply(f, &whole, err);
    if (status == MXHOP_OK)
        follow_tell_well(f, f->conn->uri);
out:
    ldap_conn_close(&f->conn);
    follow_forget(f);
    return status;
}

void follow_directory(const struct follow_options *options)
{
    struct follower f = {.o = options,
                         .s = &options->compile->source->ldap,
                         .wait_ms = PAUSE_MIN_MS};

    for (;;) {
        struct mxhop_error err = {0};
        enum mxhop_status status =
            ldap_each_server(f.s, follow_server, &f, &err);

        if (status != MXHOP_OK)
            follow_tell_fault(&f, &err);
        follow_end_attempt(&f);
        if (status == MXHOP_OK) {
            follow_pause_ms(&f, options->refresh_ms);
            continue;
        }
        follow_pause_ms(&f, f.wait_ms);
        f.wait_ms = f.wait_ms < PAUSE_MAX_MS / 2 ? f.wait_ms * 2 : PAUSE_MAX_MS;
    }
}
