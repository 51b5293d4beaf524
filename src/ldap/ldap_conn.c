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
#include <stdio.h>
#include <stdlib.h>

enum mxhop_status ldap_conn_fail(struct ldap_conn *c, const char *doing,
                                 int code, struct mxhop_error *err)
{
    char *words = NULL;
    enum mxhop_status status;

    ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
    status = ldap_error(err, c->uri, doing, code, words);
    ldap_memfree(words);
    return status;
}

static int last_code(struct ldap_conn *c)
{
    int code = LDAP_OTHER;

    ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &code);
    return code != LDAP_SUCCESS ? code : LDAP_SERVER_DOWN;
}

/* ---- messages ---- */

/* There is something to read, or might be; false: errno says why not. */
static bool wait_readable(const struct ldap_conn *c, uint64_t deadline_ms)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    uint64_t now = clock_boot_ms();
    uint64_t left = deadline_ms > now ? deadline_ms - now : 0;

    return poll(&p, 1, left < INT_MAX ? (int)left : INT_MAX) >= 0 ||
           errno == EINTR;
}

/* The deadline holds also where there is always something more to read. */
static int next_message(struct ldap_conn *c, uint64_t deadline_ms,
                        LDAPMessage **m_r)
{
    while (clock_boot_ms() < deadline_ms) {
        struct timeval none = {0, 0};
        int type = ldap_result(c->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &none, m_r);

        if (type > 0)
            return LDAP_SUCCESS;
        if (type < 0)
            return last_code(c);
        if (!wait_readable(c, deadline_ms))
            return LDAP_SERVER_DOWN;
    }
    return LDAP_TIMEOUT;
}

enum mxhop_status ldap_conn_next(struct ldap_conn *c, uint64_t deadline_ms,
                                 const char *doing, LDAPMessage **m_r,
                                 struct mxhop_error *err)
{
    int code = next_message(c, deadline_ms, m_r);

    if (code == LDAP_SUCCESS)
        return MXHOP_OK;
    if (code == LDAP_TIMEOUT)
        return err_set(err, MXHOP_ERR_TIMEOUT,
                       "%.200s: %s: no answer in the time allowed", c->uri,
                       doing);
    return ldap_conn_fail(c, doing, code, err);
}

enum mxhop_status ldap_conn_result(struct ldap_conn *c, LDAPMessage *m,
                                   const char *doing, struct ldap_result *r,
                                   struct mxhop_error *err)
{
    char *words = NULL;
    int rc;

    *r = (struct ldap_result){0};
    rc = ldap_parse_result(c->ld, m, &r->code, NULL, &words, NULL, &r->controls,
                           0);
    if (words != NULL)
        snprintf(r->words, sizeof(r->words), "%s", words);
    ldap_memfree(words);
    return rc == LDAP_SUCCESS ? MXHOP_OK : ldap_conn_fail(c, doing, rc, err);
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

enum mxhop_status ldap_conn_search(struct ldap_conn *c, LDAPControl *control,
                                   int *msgid_r, struct mxhop_error *err)
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
    int code = ldap_search_ext(c->ld, s->base, scopes[s->scope], s->filter,
                               foreign ? theirs : ours, 0, controls, NULL, NULL,
                               LDAP_NO_LIMIT, msgid_r);

    return code == LDAP_SUCCESS ? MXHOP_OK
                                : ldap_conn_fail(c, "search", code, err);
}

enum mxhop_status ldap_conn_root(struct ldap_conn *c, char **attributes,
                                 int *msgid_r, struct mxhop_error *err)
{
    int code = ldap_search_ext(c->ld, "", LDAP_SCOPE_BASE, "(objectClass=*)",
                               attributes, 0, NULL, NULL, NULL, LDAP_NO_LIMIT,
                               msgid_r);

    return code == LDAP_SUCCESS
               ? MXHOP_OK
               : ldap_conn_fail(c, "read the rootDSE", code, err);
}

enum mxhop_status ldap_conn_probe(struct ldap_conn *c, int *msgid_r,
                                  struct mxhop_error *err)
{
    char name[] = LDAP_NO_ATTRS;
    char *attributes[] = {name, NULL};

    return ldap_conn_root(c, attributes, msgid_r, err);
}

void ldap_conn_abandon(struct ldap_conn *c, int msgid)
{
    ldap_abandon_ext(c->ld, msgid, NULL, NULL);
}
