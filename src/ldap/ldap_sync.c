/*
 * ldap_sync - one content synchronization (RFC 4533)
 *
 * The refresh stage brings what changed since the cookie, in one of two ways.
 * In a present phase the server names each entry that is left; what it did not
 * name is gone, but only when the phase is over: the done control, or a
 * refreshPresent message, says so. In a delete phase it names what is gone. A
 * search without a cookie brings all there is, whatever the phase is called.
 *
 * 389-ds calls everything a present phase, also where it named what is gone and
 * not who is left. So the end of one in which nobody was named is not believed:
 * all is read again, from scratch, which cannot be misunderstood.
 *
 * The persist stage brings changes as they happen.
 *
 * The first thing that is not understood ends it: an entry without its control
 * or with one that cannot be read, a message that is no message, a reference to
 * another server, any result but success. The caller then throws away what was
 * staged, and the cookie with it.
 */

#include "ldap/ldap_sync.h"
#include "ldap/ldap_error.h"
#include "util/err.h"

#include <stdlib.h>
#include <string.h>

static const char doing[] = "synchronize";

static enum mxhop_status refuse(struct ldap_sync *y, const char *what,
                                struct mxhop_error *err)
{
    return err_set(err, MXHOP_ERR_SYNTAX, "%.120s: %s: %s", y->conn->uri, doing,
                   what);
}

/* Of the refresh a cookie is for all of it; afterwards for one change. */
static void take_cookie(struct ldap_sync *y, struct sync_bytes cookie)
{
    if (cookie.len == 0)
        return;
    if (y->refreshed)
        sync_cookie_advance(&y->cookie, cookie);
    else
        sync_cookie_set(&y->cookie, cookie);
    y->changed = y->changed || y->refreshed;
}

enum mxhop_status ldap_sync_begin(struct ldap_sync *y, struct ldap_conn *conn,
                                  struct stage *stage, enum sync_mode mode,
                                  const void *cookie, size_t cookie_len,
                                  struct mxhop_error *err)
{
    char oid[] = LDAP_CONTROL_SYNC;
    LDAPControl control = {.ldctl_oid = oid, .ldctl_iscritical = 1};
    enum mxhop_status status;

    *y = (struct ldap_sync){
        .conn = conn,
        .stage = stage,
        .persist = mode == SYNC_REFRESH_AND_PERSIST,
        .from_scratch = cookie_len == 0,
    };
    sync_cookie_set(&y->cookie, (struct sync_bytes){cookie, cookie_len});
    sync_cookie_drop_sender(&y->cookie);
    status =
        sync_request(mode, (struct sync_bytes){y->cookie.text, y->cookie.len},
                     &control.ldctl_value);
    if (status != MXHOP_OK)
        return err_nomem(err);
    status = ldap_conn_search(conn, &control, &y->msgid, err);
    ber_memfree(control.ldctl_value.bv_val);
    return status;
}

void ldap_sync_end(struct ldap_sync *y)
{
    ldap_entry_free(&y->entry);
}

void ldap_sync_committed(struct ldap_sync *y)
{
    stage_clear(y->stage);
    y->complete = false;
    y->changed = false;
}

/* Without a cookie everything comes as a whole: what is only named then would
   be what the table holds under that id, from another reading. */
static enum mxhop_status take_present(struct ldap_sync *y,
                                      const unsigned char *uuid,
                                      struct mxhop_error *err)
{
    if (y->from_scratch && !y->refreshed)
        return refuse(y, "it names an entry as known that it did not send",
                      err);
    y->present = true;
    return stage_present(y->stage, uuid, err);
}

static enum mxhop_status end_present_phase(struct ldap_sync *y,
                                           struct mxhop_error *err)
{
    if (!y->from_scratch && !y->present) {
        y->must_reload = true;
        return refuse(y, "it names no entry that is left", err);
    }
    y->complete = true;
    return MXHOP_OK;
}

/* ---- entries ---- */

static enum mxhop_status stage_state(struct ldap_sync *y, LDAPMessage *m,
                                     const struct sync_entry *e,
                                     struct mxhop_error *err)
{
    enum mxhop_status status;

    if (e->state == SYNC_DELETE)
        return stage_remove(y->stage, e->uuid, err);
    if (e->state == SYNC_PRESENT)
        return take_present(y, e->uuid, err);
    status = ldap_entry_read(&y->entry, y->conn->ld, m);
    if (status == MXHOP_ERR_MEMORY)
        return err_nomem(err);
    if (status != MXHOP_OK)
        return refuse(y, "an entry cannot be read", err);
    return stage_entry(y->stage, e->uuid, &y->entry.raw, err);
}

static enum mxhop_status take_entry(struct ldap_sync *y, LDAPMessage *m,
                                    struct mxhop_error *err)
{
    LDAPControl **controls = NULL, *control;
    enum mxhop_status status;
    struct sync_entry e;

    if (ldap_get_entry_controls(y->conn->ld, m, &controls) != LDAP_SUCCESS)
        return refuse(y, "the controls of an entry cannot be read", err);
    control = ldap_control_find(LDAP_CONTROL_SYNC_STATE, controls, NULL);
    if (control == NULL || !sync_parse_entry(&control->ldctl_value, &e)) {
        status = refuse(y,
                        "an entry without a valid sync state control, as an "
                        "overlay of the server makes them up (dynlist); such "
                        "entries cannot be followed",
                        err);
    } else {
        status = stage_state(y, m, &e, err);
        y->changed = y->changed || y->refreshed;
        take_cookie(y, e.cookie);
    }
    ldap_controls_free(controls);
    return status;
}

/* ---- messages about many ---- */

static enum mxhop_status take_set(struct ldap_sync *y,
                                  const struct sync_info *info,
                                  struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;

    for (size_t i = 0; status == MXHOP_OK && i < info->n_uuids; i++) {
        const unsigned char *uuid = info->uuids + i * SYNC_UUID_LEN;

        status = info->refresh_deletes ? stage_remove(y->stage, uuid, err)
                                       : take_present(y, uuid, err);
    }
    y->changed = y->changed || y->refreshed;
    return status;
}

static enum mxhop_status take_info(struct ldap_sync *y,
                                   const struct sync_info *info,
                                   struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;

    take_cookie(y, info->cookie);
    switch (info->kind) {
    case SYNC_NEW_COOKIE:
        break;
    case SYNC_ID_SET:
        status = take_set(y, info, err);
        break;
    case SYNC_REFRESH_PRESENT:
        if (y->refreshed)
            return refuse(y, "a second end of the refresh", err);
        status = end_present_phase(y, err);
        y->refreshed = info->refresh_done;
        break;
    case SYNC_REFRESH_DELETE:
        if (y->refreshed)
            return refuse(y, "a second end of the refresh", err);
        y->complete = y->complete || (y->from_scratch && info->refresh_done);
        y->refreshed = info->refresh_done;
        break;
    }
    if (status != MXHOP_OK)
        return status;
    if (y->refreshed && !y->persist)
        return refuse(y, "the refresh is over before its result", err);
    return MXHOP_OK;
}

static enum mxhop_status take_intermediate(struct ldap_sync *y, LDAPMessage *m,
                                           struct mxhop_error *err)
{
    struct berval *value = NULL;
    struct sync_info info = {0};
    enum mxhop_status status = MXHOP_OK;
    char *oid = NULL;

    if (ldap_parse_intermediate(y->conn->ld, m, &oid, &value, NULL, 0) !=
        LDAP_SUCCESS)
        return refuse(y, "an intermediate message cannot be read", err);
    if (oid != NULL && strcmp(oid, LDAP_SYNC_INFO) == 0) {
        status =
            value != NULL ? sync_parse_info(value, &info) : MXHOP_ERR_SYNTAX;
        if (status == MXHOP_OK)
            status = take_info(y, &info, err);
        else if (status == MXHOP_ERR_MEMORY)
            status = err_nomem(err);
        else
            status = refuse(y, "a sync info message that is not valid", err);
    }
    free(info.uuids);
    ber_bvfree(value);
    ldap_memfree(oid);
    return status;
}

/* ---- the end ---- */

static enum mxhop_status take_done(struct ldap_sync *y, LDAPControl **controls,
                                   struct mxhop_error *err)
{
    LDAPControl *control =
        ldap_control_find(LDAP_CONTROL_SYNC_DONE, controls, NULL);
    enum mxhop_status status = MXHOP_OK;
    struct sync_done done;

    if (y->persist)
        return refuse(y, "the server ended it", err);
    if (control == NULL || !sync_parse_done(&control->ldctl_value, &done))
        return refuse(y, "the result has no valid sync done control", err);
    take_cookie(y, done.cookie);
    y->complete = y->complete || y->from_scratch;
    if (!y->complete && !done.refresh_deletes)
        status = end_present_phase(y, err);
    y->refreshed = status == MXHOP_OK;
    return status;
}

static enum mxhop_status take_result(struct ldap_sync *y, LDAPMessage *m,
                                     struct mxhop_error *err)
{
    struct ldap_result r;
    enum mxhop_status status = ldap_conn_result(y->conn, m, doing, &r, err);

    if (status == MXHOP_OK && r.code != LDAP_SUCCESS) {
        y->must_reload =
            r.code == LDAP_SYNC_REFRESH_REQUIRED && !y->from_scratch;
        y->unsupported = r.code == LDAP_UNAVAILABLE_CRITICAL_EXTENSION;
        status = ldap_error(err, y->conn->uri, doing, r.code, r.words);
    } else if (status == MXHOP_OK) {
        status = take_done(y, r.controls, err);
    }
    ldap_controls_free(r.controls);
    return status;
}

enum mxhop_status ldap_sync_message(struct ldap_sync *y, LDAPMessage *m,
                                    struct mxhop_error *err)
{
    if (ldap_msgid(m) != y->msgid)
        return MXHOP_OK;
    switch (ldap_msgtype(m)) {
    case LDAP_RES_SEARCH_ENTRY:
        return take_entry(y, m, err);
    case LDAP_RES_INTERMEDIATE:
        return take_intermediate(y, m, err);
    case LDAP_RES_SEARCH_RESULT:
        return take_result(y, m, err);
    case LDAP_RES_SEARCH_REFERENCE:
        return ldap_error_reference(err, y->conn->uri, doing);
    default:
        return refuse(y, "a message that does not belong there", err);
    }
}
