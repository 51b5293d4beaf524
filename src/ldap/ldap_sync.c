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

/* Of the refresh a cookie is for all of it; afterwards for one change. */
static void sync_take_cookie(struct ldap_sync *y, struct sync_bytes cookie)
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
    status = ldap_conn_search(conn, "synchronize", &control, &y->msgid, err);
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
static enum mxhop_status sync_take_present(struct ldap_sync *y,
                                           const unsigned char *uuid,
                                           struct mxhop_error *err)
{
    if (y->from_scratch && !y->refreshed)
        return ldap_conn_refuse(
            y->conn, "it names an entry as known that it did not send", err);
    y->present = true;
    return stage_present(y->stage, uuid, err);
}

static enum mxhop_status sync_end_present_phase(struct ldap_sync *y,
                                                struct mxhop_error *err)
{
    y->must_reload = !y->from_scratch && !y->present;
    if (y->must_reload)
        return ldap_conn_refuse(y->conn, "it names no entry that is left", err);
    y->complete = true;
    return MXHOP_OK;
}

static enum mxhop_status sync_take_entry(struct ldap_sync *y, LDAPMessage *m,
                                         struct mxhop_error *err)
{
    LDAPControl **controls = NULL, *control;
    enum mxhop_status status;
    struct sync_entry e;

    if (ldap_get_entry_controls(y->conn->ld, m, &controls) != LDAP_SUCCESS)
        return ldap_conn_refuse(y->conn,
                                "the controls of an entry cannot be read", err);
    control = ldap_control_find(LDAP_CONTROL_SYNC_STATE, controls, NULL);
    if (control == NULL || !sync_parse_entry(&control->ldctl_value, &e)) {
        status = ldap_conn_refuse(
            y->conn,
            "an entry without a valid sync state control, as an overlay of the "
            "server makes them up (dynlist); such entries cannot be followed",
            err);
        goto out;
    }
    if (e.state == SYNC_DELETE) {
        status = stage_remove(y->stage, e.uuid, err);
    } else if (e.state == SYNC_PRESENT) {
        status = sync_take_present(y, e.uuid, err);
    } else {
        status = ldap_entry_read(&y->entry, y->conn, m, err);
        if (status == MXHOP_OK)
            status = stage_entry(y->stage, e.uuid, &y->entry.raw, err);
    }
    y->changed = y->changed || y->refreshed;
    sync_take_cookie(y, e.cookie);
out:
    ldap_controls_free(controls);
    return status;
}

/* A message about many entries, or about the refresh as a whole. */
static enum mxhop_status sync_take_info(struct ldap_sync *y,
                                        const struct sync_info *info,
                                        struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;

    sync_take_cookie(y, info->cookie);
    if (info->kind == SYNC_NEW_COOKIE)
        return MXHOP_OK;
    if (info->kind == SYNC_ID_SET) {
        for (size_t i = 0; status == MXHOP_OK && i < info->n_uuids; i++) {
            const unsigned char *uuid = info->uuids + i * SYNC_UUID_LEN;

            status = info->refresh_deletes ? stage_remove(y->stage, uuid, err)
                                           : sync_take_present(y, uuid, err);
        }
        y->changed = y->changed || y->refreshed;
        return status;
    }
    if (y->refreshed)
        return ldap_conn_refuse(y->conn, "a second end of the refresh", err);
    if (info->kind == SYNC_REFRESH_PRESENT)
        status = sync_end_present_phase(y, err);
    else
        y->complete = y->complete || (y->from_scratch && info->refresh_done);
    y->refreshed = info->refresh_done;
    if (status == MXHOP_OK && y->refreshed && !y->persist)
        return ldap_conn_refuse(y->conn,
                                "the refresh is over before its result", err);
    return status;
}

static enum mxhop_status sync_take_intermediate(struct ldap_sync *y,
                                                LDAPMessage *m,
                                                struct mxhop_error *err)
{
    struct berval *value = NULL;
    struct sync_info info = {0};
    enum mxhop_status status = MXHOP_OK;
    char *oid = NULL;

    if (ldap_parse_intermediate(y->conn->ld, m, &oid, &value, NULL, 0) !=
        LDAP_SUCCESS)
        return ldap_conn_refuse(y->conn,
                                "an intermediate message cannot be read", err);
    if (oid == NULL || strcmp(oid, LDAP_SYNC_INFO) != 0)
        goto out;
    status = value != NULL ? sync_parse_info(value, &info) : MXHOP_ERR_SYNTAX;
    if (status == MXHOP_OK)
        status = sync_take_info(y, &info, err);
    else if (status == MXHOP_ERR_MEMORY)
        status = err_nomem(err);
    else
        status = ldap_conn_refuse(y->conn,
                                  "a sync info message that is not valid", err);
out:
    free(info.uuids);
    ber_bvfree(value);
    ldap_memfree(oid);
    return status;
}

static enum mxhop_status sync_take_result(struct ldap_sync *y, LDAPMessage *m,
                                          struct mxhop_error *err)
{
    LDAPControl **controls = NULL, *control;
    int code = LDAP_OTHER;
    enum mxhop_status status =
        ldap_conn_result(y->conn, m, &code, &controls, err);
    struct sync_done done;

    if (status != MXHOP_OK) {
        y->must_reload = code == LDAP_SYNC_REFRESH_REQUIRED && !y->from_scratch;
        y->unsupported = code == LDAP_UNAVAILABLE_CRITICAL_EXTENSION;
        goto out;
    }
    control = ldap_control_find(LDAP_CONTROL_SYNC_DONE, controls, NULL);
    if (y->persist) {
        status = ldap_conn_refuse(y->conn, "the server ended it", err);
        goto out;
    }
    if (control == NULL || !sync_parse_done(&control->ldctl_value, &done)) {
        status =
            ldap_conn_refuse(y->conn,
                             "the result has no valid sync done control", err);
        goto out;
    }
    sync_take_cookie(y, done.cookie);
    y->complete = y->complete || y->from_scratch;
    if (!y->complete && !done.refresh_deletes)
        status = sync_end_present_phase(y, err);
    y->refreshed = status == MXHOP_OK;
out:
    ldap_controls_free(controls);
    return status;
}

enum mxhop_status ldap_sync_message(struct ldap_sync *y, LDAPMessage *m,
                                    struct mxhop_error *err)
{
    if (ldap_msgid(m) != y->msgid)
        return MXHOP_OK;
    switch (ldap_msgtype(m)) {
    case LDAP_RES_SEARCH_ENTRY:
        return sync_take_entry(y, m, err);
    case LDAP_RES_INTERMEDIATE:
        return sync_take_intermediate(y, m, err);
    case LDAP_RES_SEARCH_RESULT:
        return sync_take_result(y, m, err);
    case LDAP_RES_SEARCH_REFERENCE:
        return ldap_error_reference(err, y->conn->uri, y->conn->doing);
    default:
        return ldap_conn_refuse(y->conn, "a message that does not belong there",
                                err);
    }
}
