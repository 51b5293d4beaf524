/*
 * ldap_conn - a connection to one server of a directory
 *
 * libldap waits for ever in more than one place: its sockets are blocking, so
 * that half of a message from a server that was stopped holds its reader,
 * whatever timeouts say. So the socket is made non-blocking as soon as it is
 * connected, libldap is only asked whether a message is complete, and this
 * module waits, in poll(2), until a deadline. Connecting is libldap's own,
 * which LDAP_OPT_NETWORK_TIMEOUT bounds; TLS begins on a connection that
 * exists, for ldaps: too, and is bounded by ldap_bound.c. What remains is the
 * resolution of host names, which takes as long as resolv.conf(5) allows.
 *
 * All options belong to the handle. libldap would also read ldap.conf, .ldaprc
 * and the environment of whoever called us, where a size limit or a certificate
 * that need not be checked may stand: LDAPNOINIT tells it not to, and is the
 * one thing here that is the process's.
 *
 * The owner of a connection uses one thread.
 */

#include "source/ldap_conn.h"
#include "source/ldap_error.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An entry is a message. Larger than any that slapd takes in one piece. */
#define MESSAGE_MAX (64u << 20)

static enum mxhop_status fail(struct ldap_conn *c, const char *doing, int code,
                              struct mxhop_error *err)
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

/* ---- options ---- */

static int set_options(struct ldap_conn *c)
{
    const struct ldap_settings *s = c->settings;
    const struct timeval net = {s->network_timeout_ms / 1000,
                                s->network_timeout_ms % 1000 * 1000};
    const int three = LDAP_VERSION3, never = LDAP_DEREF_NEVER;
    const struct {
        int option;
        const void *value;
    } rows[] = {
        {LDAP_OPT_PROTOCOL_VERSION, &three}, {LDAP_OPT_DEREF, &never},
        {LDAP_OPT_REFERRALS, LDAP_OPT_OFF},  {LDAP_OPT_RESTART, LDAP_OPT_ON},
        {LDAP_OPT_NETWORK_TIMEOUT, &net},    {LDAP_OPT_TIMEOUT, &net},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (ldap_set_option(c->ld, rows[i].option, rows[i].value) !=
            LDAP_OPT_SUCCESS)
            return LDAP_LOCAL_ERROR;
    return LDAP_SUCCESS;
}

static bool is_ldaps(const struct ldap_conn *c)
{
    return strncmp(c->uri, "ldaps:", 6) == 0;
}

static bool wants_tls(const struct ldap_conn *c)
{
    return is_ldaps(c) ||
           (c->settings->start_tls && strncmp(c->uri, "ldap:", 5) == 0);
}

/* A context of the handle's own, made last, from the options before it. */
static enum mxhop_status set_tls(struct ldap_conn *c, struct mxhop_error *err)
{
    const struct ldap_settings *s = c->settings;
    const int demand =
        s->tls_require_cert ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
    const int client = 0;
    const struct {
        int option;
        const char *value;
        const char *name;
        bool is_file; /* libldap would not say which it cannot read */
    } rows[] = {
        {LDAP_OPT_X_TLS_CACERTFILE, s->tls_ca_file, "ldap_tls_ca_cert_file",
         true},
        {LDAP_OPT_X_TLS_CACERTDIR, s->tls_ca_dir, "ldap_tls_ca_cert_dir", true},
        {LDAP_OPT_X_TLS_CERTFILE, s->tls_cert, "ldap_tls_cert", true},
        {LDAP_OPT_X_TLS_KEYFILE, s->tls_key, "ldap_tls_key", true},
        {LDAP_OPT_X_TLS_CIPHER_SUITE, s->tls_ciphers, "ldap_tls_cipher_suite",
         false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (*rows[i].value == '\0')
            continue;
        if (rows[i].is_file && access(rows[i].value, R_OK) != 0)
            return ldap_file_error(err, rows[i].name, rows[i].value);
        if (ldap_set_option(c->ld, rows[i].option, rows[i].value) !=
            LDAP_OPT_SUCCESS)
            return err_set(err, MXHOP_ERR_CONFIG,
                           "%s: \"%.200s\": libldap's TLS library does not "
                           "take this",
                           rows[i].name, rows[i].value);
    }
    if (ldap_set_option(c->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) !=
            LDAP_OPT_SUCCESS ||
        ldap_set_option(c->ld, LDAP_OPT_X_TLS_NEWCTX, &client) !=
            LDAP_OPT_SUCCESS)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "TLS cannot be set up; see ldap_tls_ca_cert_file "
                       "(%.100s), ldap_tls_ca_cert_dir, ldap_tls_cert, "
                       "ldap_tls_key, which must be PEM, and "
                       "ldap_tls_cipher_suite",
                       s->tls_ca_file);
    return MXHOP_OK;
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
static int next_message(struct ldap_conn *c, int msgid, uint64_t deadline_ms,
                        LDAPMessage **m_r)
{
    while (clock_boot_ms() < deadline_ms) {
        struct timeval none = {0, 0};
        int type = ldap_result(c->ld, msgid, LDAP_MSG_ONE, &none, m_r);

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
    int code = next_message(c, LDAP_RES_ANY, deadline_ms, m_r);

    if (code == LDAP_SUCCESS)
        return MXHOP_OK;
    if (code == LDAP_TIMEOUT)
        return err_set(err, MXHOP_ERR_TIMEOUT,
                       "%.200s: %s: no answer in the time allowed", c->uri,
                       doing);
    return fail(c, doing, code, err);
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
    return rc == LDAP_SUCCESS ? MXHOP_OK : fail(c, doing, rc, err);
}

static uint64_t network_deadline(const struct ldap_conn *c)
{
    return clock_boot_ms() + c->settings->network_timeout_ms;
}

/* The end of one of the small operations at the beginning; *m_r, if not NULL,
   gets its first entry. */
static enum mxhop_status finish(struct ldap_conn *c, int msgid,
                                const char *doing, LDAPMessage **entry_r,
                                struct mxhop_error *err)
{
    uint64_t deadline = network_deadline(c);
    struct ldap_result r;
    enum mxhop_status status;
    LDAPMessage *m;

    for (;;) {
        int code = next_message(c, msgid, deadline, &m);

        if (code != LDAP_SUCCESS)
            return fail(c, doing, code, err);
        if (ldap_msgtype(m) == LDAP_RES_SEARCH_ENTRY && entry_r != NULL &&
            *entry_r == NULL) {
            *entry_r = m;
            continue;
        }
        if (ldap_msgtype(m) != LDAP_RES_SEARCH_ENTRY &&
            ldap_msgtype(m) != LDAP_RES_SEARCH_REFERENCE &&
            ldap_msgtype(m) != LDAP_RES_INTERMEDIATE)
            break;
        ldap_msgfree(m);
    }
    status = ldap_conn_result(c, m, doing, &r, err);
    ldap_msgfree(m);
    ldap_controls_free(r.controls);
    if (status == MXHOP_OK && r.code != LDAP_SUCCESS)
        status = ldap_error(err, c->uri, doing, r.code, r.words);
    return status;
}

/* ---- the beginning ---- */

/* libldap makes the socket blocking again after each handshake. */
static enum mxhop_status unblock(struct ldap_conn *c, struct mxhop_error *err)
{
    ber_len_t most = MESSAGE_MAX;
    Sockbuf *sb = NULL;
    int flags;

    if (ldap_get_option(c->ld, LDAP_OPT_DESC, &c->fd) != LDAP_OPT_SUCCESS ||
        ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_OPT_SUCCESS ||
        (flags = fcntl(c->fd, F_GETFL)) < 0 ||
        fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(c->fd, F_SETFD, FD_CLOEXEC) < 0)
        return fail(c, "connect", LDAP_LOCAL_ERROR, err);
    ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most);
    return MXHOP_OK;
}

static enum mxhop_status begin_tls(struct ldap_conn *c, struct mxhop_error *err)
{
    int code = ldap_bound_install(c->ld, &c->bound);

    if (code != LDAP_SUCCESS)
        return fail(c, "TLS", code, err);
    c->bound.deadline_ms = network_deadline(c);
    code = ldap_install_tls(c->ld);
    if (code != LDAP_SUCCESS && clock_boot_ms() >= c->bound.deadline_ms)
        code = LDAP_TIMEOUT;
    c->bound.deadline_ms = 0;
    return code == LDAP_SUCCESS ? unblock(c, err) : fail(c, "TLS", code, err);
}

static enum mxhop_status start_tls(struct ldap_conn *c, struct mxhop_error *err)
{
    enum mxhop_status status;
    int msgid, code;

    if (is_ldaps(c))
        return begin_tls(c, err);
    code = ldap_start_tls(c->ld, NULL, NULL, &msgid);
    if (code != LDAP_SUCCESS)
        return fail(c, "StartTLS", code, err);
    status = finish(c, msgid, "StartTLS", NULL, err);
    return status == MXHOP_OK ? begin_tls(c, err) : status;
}

static enum mxhop_status bind_as(struct ldap_conn *c, struct mxhop_error *err)
{
    const struct ldap_settings *s = c->settings;
    bool external = s->bind == DIR_BIND_EXTERNAL;
    struct berval secret = {0, (char *)""};
    int msgid, code;

    if (s->bind == DIR_BIND_NONE)
        return MXHOP_OK;
    if (!external)
        secret = (struct berval){strlen(s->bind_pw), s->bind_pw};
    code = ldap_sasl_bind(c->ld, external ? NULL : s->bind_dn,
                          external ? "EXTERNAL" : LDAP_SASL_SIMPLE, &secret,
                          NULL, NULL, &msgid);
    return code == LDAP_SUCCESS ? finish(c, msgid, "bind", NULL, err)
                                : fail(c, "bind", code, err);
}

static enum mxhop_status search_root(struct ldap_conn *c, char **attributes,
                                     int *msgid_r, struct mxhop_error *err)
{
    int code = ldap_search_ext(c->ld, "", LDAP_SCOPE_BASE, "(objectClass=*)",
                               attributes, 0, NULL, NULL, NULL, LDAP_NO_LIMIT,
                               msgid_r);

    return code == LDAP_SUCCESS ? MXHOP_OK
                                : fail(c, "read the rootDSE", code, err);
}

static void note_controls(struct ldap_conn *c, LDAPMessage *entry)
{
    struct berval **v = ldap_get_values_len(c->ld, entry, "supportedControl");

    for (size_t i = 0; v != NULL && v[i] != NULL; i++) {
        c->has_sync =
            c->has_sync || strcmp(v[i]->bv_val, LDAP_CONTROL_SYNC) == 0;
        c->has_paging = c->has_paging ||
                        strcmp(v[i]->bv_val, LDAP_CONTROL_PAGEDRESULTS) == 0;
    }
    ldap_value_free_len(v);
}

static enum mxhop_status read_root(struct ldap_conn *c, struct mxhop_error *err)
{
    char name[] = "supportedControl";
    char *attributes[] = {name, NULL};
    LDAPMessage *entry = NULL;
    enum mxhop_status status;
    int msgid;

    status = search_root(c, attributes, &msgid, err);
    if (status == MXHOP_OK)
        status = finish(c, msgid, "read the rootDSE", &entry, err);
    if (status == MXHOP_OK && entry != NULL)
        note_controls(c, entry);
    ldap_msgfree(entry);
    return status;
}

enum mxhop_status ldap_conn_probe(struct ldap_conn *c, int *msgid_r,
                                  struct mxhop_error *err)
{
    char name[] = LDAP_NO_ATTRS;
    char *attributes[] = {name, NULL};

    return search_root(c, attributes, msgid_r, err);
}

static enum mxhop_status prepare(struct ldap_conn *c, struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    int code = set_options(c);

    if (code != LDAP_SUCCESS)
        return fail(c, "set options", code, err);
    if (wants_tls(c))
        status = set_tls(c, err);
    if (status != MXHOP_OK)
        return status;
    code = ldap_connect(c->ld);
    if (code != LDAP_SUCCESS)
        return fail(c, "connect", code, err);
    status = unblock(c, err);
    if (status == MXHOP_OK && wants_tls(c))
        status = start_tls(c, err);
    if (status == MXHOP_OK)
        status = bind_as(c, err);
    return status == MXHOP_OK ? read_root(c, err) : status;
}

/* ldaps://host is ldap://host:636 on which TLS begins at once. */
static int initialize(struct ldap_conn *c)
{
    char scheme[] = "ldap", *plain, *before;
    LDAPURLDesc *url;
    int code;

    if (!is_ldaps(c))
        return ldap_initialize(&c->ld, c->uri);
    if (ldap_url_parse(c->uri, &url) != LDAP_URL_SUCCESS)
        return LDAP_PARAM_ERROR;
    before = url->lud_scheme;
    url->lud_scheme = scheme;
    plain = ldap_url_desc2str(url);
    url->lud_scheme = before;
    ldap_free_urldesc(url);
    code = plain != NULL ? ldap_initialize(&c->ld, plain) : LDAP_NO_MEMORY;
    ldap_memfree(plain);
    return code;
}

enum mxhop_status ldap_conn_open(struct ldap_conn **c_r,
                                 const struct ldap_settings *s, const char *uri,
                                 struct mxhop_error *err)
{
    struct ldap_conn *c = calloc(1, sizeof(*c));
    enum mxhop_status status;
    int code;

    *c_r = NULL;
    if (c == NULL)
        return err_nomem(err);
    c->settings = s;
    c->fd = -1;
    c->uri = strdup(uri);
    if (c->uri == NULL || setenv("LDAPNOINIT", "1", 1) != 0) {
        ldap_conn_close(&c);
        return err_nomem(err);
    }
    code = initialize(c);
    status = code == LDAP_SUCCESS ? prepare(c, err)
                                  : ldap_error(err, uri, "begin", code, NULL);
    if (status == MXHOP_OK)
        *c_r = c;
    else
        ldap_conn_close(&c);
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

/* ---- the search ---- */

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

    return code == LDAP_SUCCESS ? MXHOP_OK : fail(c, "search", code, err);
}

void ldap_conn_abandon(struct ldap_conn *c, int msgid)
{
    ldap_abandon_ext(c->ld, msgid, NULL, NULL);
}
