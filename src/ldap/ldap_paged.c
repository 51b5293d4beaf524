/*
 * ldap_paged - all entries, page by page (RFC 2696)
 *
 * For servers without content synchronization. One that has no paged results
 * either is asked for everything at once. What came is the set only if every
 * page ended in success, each one said whether there is another, and nothing
 * was left to another server.
 */

#include "ldap/ldap_paged.h"
#include "ldap/ldap_entry.h"
#include "ldap/ldap_error.h"
#include "util/err.h"

#include <string.h>

#define PAGE 1000 /* entries; what Active Directory allows at most */

static const char doing[] = "search";

struct paged {
    struct ldap_conn *conn;
    struct stage *stage;
    struct ldap_entry entry;
    struct berval cookie; /* libldap's; empty: the first page, or the last */
    int msgid;
};

static enum mxhop_status refuse(struct paged *p, const char *what,
                                struct mxhop_error *err)
{
    return err_set(err, MXHOP_ERR_SYNTAX, "%.120s: %s: %s", p->conn->uri, doing,
                   what);
}

static enum mxhop_status ask(struct paged *p, struct mxhop_error *err)
{
    LDAPControl *control = NULL;
    enum mxhop_status status;

    if (p->conn->has_paging &&
        ldap_create_page_control(p->conn->ld, PAGE, &p->cookie, 1, &control) !=
            LDAP_SUCCESS)
        return err_nomem(err);
    status = ldap_conn_search(p->conn, control, &p->msgid, err);
    ldap_control_free(control);
    return status;
}

static enum mxhop_status take_entry(struct paged *p, LDAPMessage *m,
                                    struct mxhop_error *err)
{
    enum mxhop_status status = ldap_entry_read(&p->entry, p->conn->ld, m);

    if (status == MXHOP_ERR_MEMORY)
        return err_nomem(err);
    if (status != MXHOP_OK)
        return refuse(p, "an entry cannot be read", err);
    return stage_entry(p->stage, p->entry.id, &p->entry.raw, err);
}

/* Where the next page begins. */
static enum mxhop_status take_cookie(struct paged *p, LDAPControl **controls,
                                     struct mxhop_error *err)
{
    LDAPControl *control =
        ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
    ber_int_t estimate;

    ber_memfree(p->cookie.bv_val);
    p->cookie = (struct berval){0, NULL};
    if (!p->conn->has_paging)
        return MXHOP_OK;
    /* libldap aborts on a control without a value. */
    if (control == NULL || control->ldctl_value.bv_val == NULL ||
        ldap_parse_pageresponse_control(p->conn->ld, control, &estimate,
                                        &p->cookie) != LDAP_SUCCESS)
        return refuse(p, "a page does not say whether it is the last", err);
    return MXHOP_OK;
}

static enum mxhop_status take_result(struct paged *p, LDAPMessage *m,
                                     struct mxhop_error *err)
{
    struct ldap_result r;
    enum mxhop_status status = ldap_conn_result(p->conn, m, doing, &r, err);

    if (status == MXHOP_OK && r.code != LDAP_SUCCESS)
        status = ldap_error(err, p->conn->uri, doing, r.code, r.words);
    else if (status == MXHOP_OK)
        status = take_cookie(p, r.controls, err);
    ldap_controls_free(r.controls);
    return status;
}

static enum mxhop_status take(struct paged *p, LDAPMessage *m, bool *over_r,
                              struct mxhop_error *err)
{
    if (ldap_msgid(m) != p->msgid)
        return MXHOP_OK;
    switch (ldap_msgtype(m)) {
    case LDAP_RES_SEARCH_ENTRY:
        return take_entry(p, m, err);
    case LDAP_RES_INTERMEDIATE:
        return MXHOP_OK;
    case LDAP_RES_SEARCH_RESULT:
        *over_r = true;
        return take_result(p, m, err);
    default:
        return ldap_error_reference(err, p->conn->uri, doing);
    }
}

static enum mxhop_status read_page(struct paged *p, uint64_t deadline_ms,
                                   struct mxhop_error *err)
{
    enum mxhop_status status = ask(p, err);
    bool over = false;

    while (status == MXHOP_OK && !over) {
        LDAPMessage *m;

        status = ldap_conn_next(p->conn, deadline_ms, doing, &m, err);
        if (status != MXHOP_OK)
            break;
        status = take(p, m, &over, err);
        ldap_msgfree(m);
    }
    return status;
}

enum mxhop_status ldap_paged_read(struct ldap_conn *c, struct stage *stage,
                                  uint64_t deadline_ms, struct mxhop_error *err)
{
    struct paged p = {.conn = c, .stage = stage};
    enum mxhop_status status;

    do {
        status = read_page(&p, deadline_ms, err);
    } while (status == MXHOP_OK && p.cookie.bv_len > 0);
    ber_memfree(p.cookie.bv_val);
    ldap_entry_free(&p.entry);
    return status;
}
