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
#include "ldap/ldap_sync.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

bool ldap_read_since(const struct ldap_settings *s,
                     const struct ovtable_where *where)
{
    return where->fingerprint == ldap_settings_fingerprint(s) &&
           where->cookie_len > 0 && where->entries > 0;
}

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
};

/* *paged_r: the search is none that the server synchronizes. */
static enum mxhop_status ldap_read_sync(struct reader *d, struct ldap_conn *c,
                                        uint64_t deadline_ms, bool *paged_r,
                                        struct mxhop_error *err)
{
    const struct ovtable_where *since = d->where;
    enum mxhop_status status;
    struct ldap_sync y;
    LDAPMessage *m;

    do {
        stage_clear(d->stage);
        status = ldap_sync_begin(&y, c, d->stage, SYNC_REFRESH_ONLY,
                                 since != NULL ? since->cookie : NULL,
                                 since != NULL ? since->cookie_len : 0, err);
        while (status == MXHOP_OK && !y.refreshed) {
            status = ldap_conn_next(c, deadline_ms, &m, err);
            if (status != MXHOP_OK)
                break;
            status = ldap_sync_message(&y, m, err);
            ldap_msgfree(m);
        }
        ldap_sync_end(&y);
        *d->r = (struct ldap_reading){
            .complete = y.complete, .since = since, .cookie = y.cookie};
        since = NULL;
    } while (y.must_reload);
    *paged_r = y.unsupported;
    return status;
}

static enum mxhop_status ldap_read_server(void *ctx, const char *uri,
                                          struct mxhop_error *err)
{
    struct reader *d = ctx;
    uint64_t deadline_ms = clock_boot_ms() + d->s->timeout_s * 1000ull;
    enum mxhop_status status;
    struct ldap_conn *c;
    bool paged;

    status = ldap_conn_open(&c, d->s, uri, err);
    if (status != MXHOP_OK)
        return status;
    paged = !c->has_sync;
    if (c->has_sync)
        status = ldap_read_sync(d, c, deadline_ms, &paged, err);
    if (paged) {
        stage_clear(d->stage);
        *d->r = (struct ldap_reading){.complete = true};
        status = ldap_paged_read(c, d->stage, deadline_ms, err);
    }
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
    struct reader d = {.s = s,
                       .where = ldap_read_since(s, where) ? where : NULL,
                       .stage = stage,
                       .r = r};

    *r = (struct ldap_reading){0};
    return ldap_each_server(s, ldap_read_server, &d, err);
}
