/*
 * ldap_paged - all entries, page by page (RFC 2696)
 *
 * For servers without content synchronization. One that has no paged results
 * either is asked for everything at once. What came is the set only if every
 * page ended in success, each one said whether there is another, and nothing
 * was left to another server.
 */

#include "ldap/ldap_read.h"
#include "ldap/ldap_entry.h"
#include "ldap/ldap_error.h"
#include "util/err.h"

#define PAGE 1000 /* entries; what Active Directory allows at most */

/* The result of a page: where the next one begins into *cookie. */
static enum mxhop_status paged_result(struct ldap_conn *c, LDAPMessage *m,
                                      struct berval *cookie,
                                      struct mxhop_error *err)
{
    LDAPControl **controls = NULL, *control;
    enum mxhop_status status;
    ber_int_t estimate;
    int code;

    ber_memfree(cookie->bv_val);
    *cookie = (struct berval){0, NULL};
    status = ldap_conn_result(c, m, &code, &controls, err);
    if (status != MXHOP_OK || !c->has_paging)
        goto out;
    control = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
    /* libldap aborts on a control without a value. */
    if (control == NULL || control->ldctl_value.bv_val == NULL ||
        ldap_parse_pageresponse_control(c->ld, control, &estimate, cookie) !=
            LDAP_SUCCESS)
        status =
            ldap_conn_refuse(c, "a page does not say whether it is the last",
                             err);
out:
    ldap_controls_free(controls);
    return status;
}

enum mxhop_status ldap_paged_read(struct ldap_conn *c, struct stage *stage,
                                  uint64_t deadline_ms, struct mxhop_error *err)
{
    struct berval cookie = {0, NULL}; /* libldap's; empty: first page, last */
    struct ldap_entry entry = {0};
    enum mxhop_status status;

    do {
        LDAPControl *control = NULL;
        bool over = false;
        int msgid;

        if (c->has_paging && ldap_create_page_control(c->ld, PAGE, &cookie, 1,
                                                      &control) != LDAP_SUCCESS)
            status = err_nomem(err);
        else
            status = ldap_conn_search(c, "search", control, &msgid, err);
        ldap_control_free(control);
        while (status == MXHOP_OK && !over) {
            LDAPMessage *m;

            status = ldap_conn_next(c, deadline_ms, &m, err);
            if (status != MXHOP_OK)
                break;
            switch (ldap_msgid(m) == msgid ? ldap_msgtype(m)
                                           : (int)LDAP_RES_INTERMEDIATE) {
            case LDAP_RES_SEARCH_ENTRY:
                status = ldap_entry_read(&entry, c, m, err);
                if (status == MXHOP_OK)
                    status = stage_entry(stage, entry.id, &entry.raw, err);
                break;
            case LDAP_RES_SEARCH_RESULT:
                over = true;
                status = paged_result(c, m, &cookie, err);
                break;
            case LDAP_RES_INTERMEDIATE:
                break;
            default:
                status = ldap_error_reference(err, c->uri, c->doing);
            }
            ldap_msgfree(m);
        }
    } while (status == MXHOP_OK && cookie.bv_len > 0);
    ber_memfree(cookie.bv_val);
    ldap_entry_free(&entry);
    return status;
}
