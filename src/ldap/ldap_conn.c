/*
 * ldap_conn - messages over a connection to one server of a directory
 *
 * libldap waits for ever in more than one place: its sockets are blocking, so
 * that half of a message from a server that was stopped holds its reader,
 * whatever timeouts say. So the socket is non-blocking (ldap_open.c), libldap
 * is only asked whether a message is complete, and this module waits, in
 * poll(2), until a deadline.
 *
 * The owner of a connection uses one thread.
 */

#include "ldap/ldap_conn.h"
#include "ldap/ldap_error.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

enum mxhop_status ldap_conn_fail(struct ldap_conn *c, int code,
                                 struct mxhop_error *err)
{
    char *words = NULL;
    enum mxhop_status status;

    ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
    status = ldap_error(err, c->uri, c->doing, code, words);
    ldap_memfree(words);
    return status;
}

enum mxhop_status ldap_conn_refuse(const struct ldap_conn *c, const char *what,
                                   struct mxhop_error *err)
{
    return err_set(err, MXHOP_ERR_SYNTAX, "%.120s: %s: %s", c->uri, c->doing,
                   what);
}

enum mxhop_status ldap_conn_next(struct ldap_conn *c, uint64_t deadline_ms,
                                 LDAPMessage **m_r, struct mxhop_error *err)
{
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        struct timeval none = {0, 0};
        uint64_t now = clock_boot_ms(), left = deadline_ms - now;
        int type, code = LDAP_OTHER;

        /* The deadline holds also where there is always more to read. */
        if (now >= deadline_ms)
            return err_set(err, MXHOP_ERR_TIMEOUT,
                           "%.200s: %s: no answer in the time allowed", c->uri,
                           c->doing);
        type = ldap_result(c->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &none, m_r);
        if (type > 0)
            return MXHOP_OK;
        if (type < 0) {
            ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &code);
            return ldap_conn_fail(
                c, code != LDAP_SUCCESS ? code : LDAP_SERVER_DOWN, err);
        }
        if (poll(&p, 1, left < INT_MAX ? (int)left : INT_MAX) < 0 &&
            errno != EINTR)
            return ldap_conn_fail(c, LDAP_SERVER_DOWN, err);
    }
}

enum mxhop_status ldap_conn_result(struct ldap_conn *c, LDAPMessage *m,
                                   int *code_r, LDAPControl ***controls_r,
                                   struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    char *words = NULL;
    int rc;

    rc = ldap_parse_result(c->ld, m, code_r, NULL, &words, NULL, controls_r, 0);
    if (rc != LDAP_SUCCESS)
        status = ldap_conn_fail(c, rc, err);
    else if (*code_r != LDAP_SUCCESS)
        status = ldap_error(err, c->uri, c->doing, *code_r, words);
    ldap_memfree(words);
    return status;
}

void ldap_conn_close(struct ldap_conn **cp)
{
    struct ldap_conn *c = *cp;

    *cp = NULL;
    if (c == NULL)
        return;
    if (c->ld != NULL)
        ldap_unbind_ext(c->ld, NULL, NULL);
    free(c->uri);
    free(c);
}

/* ---- operations ---- */

enum mxhop_status ldap_conn_search(struct ldap_conn *c, const char *doing,
                                   LDAPControl *control, int *msgid_r,
                                   struct mxhop_error *err)
{
    static const int scopes[] = {
        [DIR_SUB] = LDAP_SCOPE_SUBTREE,
        [DIR_ONE] = LDAP_SCOPE_ONELEVEL,
        [DIR_BASE] = LDAP_SCOPE_BASE,
    };
    const struct ldap_settings *s = c->settings;
    bool foreign = *s->key_attribute != '\0';
    char all[] = LDAP_ALL_USER_ATTRIBUTES, uuid[] = "entryUUID",
         guid[] = "objectGUID", unique[] = "nsUniqueId";
    char *ours[] = {all, uuid, guid, unique, NULL};
    char *theirs[] = {
        s->key_attribute, s->result_attribute, uuid, guid, unique, NULL};
    LDAPControl *controls[] = {control, NULL};
    int code;

    c->doing = doing;
    code = ldap_search_ext(c->ld, s->base, scopes[s->scope], s->filter,
                           foreign ? theirs : ours, 0, controls, NULL, NULL,
                           LDAP_NO_LIMIT, msgid_r);
    return code == LDAP_SUCCESS ? MXHOP_OK : ldap_conn_fail(c, code, err);
}

enum mxhop_status ldap_conn_root(struct ldap_conn *c, const char *attribute,
                                 int *msgid_r, struct mxhop_error *err)
{
    char *attributes[] = {(char *)attribute, NULL};
    int code = ldap_search_ext(c->ld, "", LDAP_SCOPE_BASE, "(objectClass=*)",
                               attributes, 0, NULL, NULL, NULL, LDAP_NO_LIMIT,
                               msgid_r);

    return code == LDAP_SUCCESS ? MXHOP_OK : ldap_conn_fail(c, code, err);
}
