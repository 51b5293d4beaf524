/*
 * ldap_read - one reading of a directory
 *
 * Servers are asked in the order of ldap_server_host. Whatever one cannot do,
 * down to a wrong password, the next may; the set comes from one of them alone.
 * A cookie is tried with each: servers that replicate understand each other's,
 * and one that is behind says so (unwillingToPerform) and is passed over.
 *
 * Servers tell what was changed, not what somebody may see since an access rule
 * was. A set that is empty because of one would stay empty, so it has no
 * cookie: reading all of nothing costs nothing.
 */

#include "ldap/ldap_read.h"
#include "ldap/ldap_paged.h"
#include "ldap/ldap_sync.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

enum mxhop_status
ldap_each_server(const struct ldap_settings *s,
                 enum mxhop_status (*fn)(void *ctx, const char *uri,
                                         struct mxhop_error *err),
                 void *ctx, struct mxhop_error *err)
{
    const char *pos = s->servers, *word;
    enum mxhop_status status = MXHOP_ERR_CONFIG;
    struct buf why = {0};
    size_t len;

    while (status != MXHOP_OK && (word = str_next_word(&pos, &len)) != NULL) {
        char *uri = strndup(word, len);
        struct mxhop_error one = {0};

        status = uri != NULL ? fn(ctx, uri, &one) : err_nomem(&one);
        buf_printf(&why, "%s%s", why.len > 0 ? "; " : "", one.text);
        free(uri);
    }
    if (status != MXHOP_OK)
        err_set(err, status, "%s", why.failed ? "out of memory" : why.data);
    buf_free(&why);
    return status;
}

struct reader {
    const struct ldap_settings *s;
    const struct ovtable_where *where; /* NULL: no cookie to begin with */
    struct stage *stage;
    struct ldap_reading *r;
    uint64_t deadline_ms;
};

static enum mxhop_status run_sync(struct reader *d, struct ldap_sync *y,
                                  struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;

    while (status == MXHOP_OK && !y->refreshed) {
        LDAPMessage *m;

        status =
            ldap_conn_next(y->conn, d->deadline_ms, "synchronize", &m, err);
        if (status != MXHOP_OK)
            break;
        status = ldap_sync_message(y, m, err);
        ldap_msgfree(m);
    }
    return status;
}

static void keep(struct ldap_reading *r, const struct ldap_sync *y)
{
    r->complete = y->complete;
    r->cookie = y->cookie;
}

/* *paged_r: the search is none that the server synchronizes. */
static enum mxhop_status read_sync(struct reader *d, struct ldap_conn *c,
                                   bool scratch, bool *paged_r,
                                   struct mxhop_error *err)
{
    bool cookie = !scratch && d->where != NULL;
    enum mxhop_status status;
    struct ldap_sync y;

    status = ldap_sync_begin(&y, c, d->stage, SYNC_REFRESH_ONLY,
                             cookie ? d->where->cookie : NULL,
                             cookie ? d->where->cookie_len : 0, err);
    if (status == MXHOP_OK)
        status = run_sync(d, &y, err);
    if (status == MXHOP_OK) {
        keep(d->r, &y);
        d->r->since = cookie ? d->where : NULL;
    }
    *paged_r = y.unsupported;
    ldap_sync_end(&y);
    if (!y.must_reload)
        return status;
    stage_clear(d->stage);
    return read_sync(d, c, true, paged_r, err);
}

static enum mxhop_status read_conn(struct reader *d, struct ldap_conn *c,
                                   struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    bool paged = !c->has_sync;

    if (c->has_sync)
        status = read_sync(d, c, false, &paged, err);
    if (!paged)
        return status;
    stage_clear(d->stage);
    *d->r = (struct ldap_reading){.complete = true};
    return ldap_paged_read(c, d->stage, d->deadline_ms, err);
}

static enum mxhop_status read_server(void *ctx, const char *uri,
                                     struct mxhop_error *err)
{
    struct reader *d = ctx;
    struct ldap_conn *c;
    enum mxhop_status status;

    d->deadline_ms = clock_boot_ms() + d->s->timeout_ms;
    status = ldap_conn_open(&c, d->s, uri, err);
    if (status != MXHOP_OK)
        return status;
    status = read_conn(d, c, err);
    ldap_conn_close(&c);
    if (status != MXHOP_OK)
        stage_clear(d->stage);
    return status;
}

enum mxhop_status ldap_read(const struct ldap_settings *s,
                            const struct ovtable_where *where,
                            struct stage *stage, struct ldap_reading *r,
                            struct mxhop_error *err)
{
    bool same = where->fingerprint == ldap_settings_fingerprint(s) &&
                where->cookie_len > 0 && where->entries > 0;
    struct reader d = {
        .s = s, .where = same ? where : NULL, .stage = stage, .r = r};

    *r = (struct ldap_reading){0};
    return ldap_each_server(s, read_server, &d, err);
}
