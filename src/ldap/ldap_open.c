/*
 * ldap_open - the beginning of a connection: connect, TLS, bind, rootDSE
 *
 * Connecting is libldap's own, which LDAP_OPT_NETWORK_TIMEOUT bounds; after it
 * the socket is made non-blocking. TLS begins on a connection that exists, for
 * ldaps: too, and is bounded by ldap_bound.c. What remains is the resolution of
 * host names, which takes as long as resolv.conf(5) allows.
 *
 * All options belong to the handle. libldap would also read ldap.conf, .ldaprc
 * and the environment of whoever called us, where a size limit or a certificate
 * that need not be checked may stand: LDAPNOINIT tells it not to, and is the
 * one thing here that is the process's.
 */

#include "ldap/ldap_conn.h"
#include "ldap/ldap_error.h"
#include "ldap/ldap_password.h"
#include "util/clock.h"
#include "util/err.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An entry is a message. Larger than any that slapd takes in one piece. */
#define MESSAGE_MAX (64u << 20)

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

/* ---- operations ---- */

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
        status = ldap_conn_next(c, deadline, doing, &m, err);
        if (status != MXHOP_OK)
            return status;
        if (ldap_msgtype(m) == LDAP_RES_SEARCH_ENTRY && entry_r != NULL &&
            *entry_r == NULL) {
            *entry_r = m;
            continue;
        }
        if (ldap_msgid(m) == msgid &&
            ldap_msgtype(m) != LDAP_RES_SEARCH_ENTRY &&
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
        return ldap_conn_fail(c, "connect", LDAP_LOCAL_ERROR, err);
    ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most);
    return MXHOP_OK;
}

static enum mxhop_status begin_tls(struct ldap_conn *c, struct mxhop_error *err)
{
    int code = ldap_bound_install(c->ld, &c->bound);

    if (code != LDAP_SUCCESS)
        return ldap_conn_fail(c, "TLS", code, err);
    c->bound.deadline_ms = network_deadline(c);
    code = ldap_install_tls(c->ld);
    if (code != LDAP_SUCCESS && clock_boot_ms() >= c->bound.deadline_ms)
        code = LDAP_TIMEOUT;
    c->bound.deadline_ms = 0;
    return code == LDAP_SUCCESS ? unblock(c, err)
                                : ldap_conn_fail(c, "TLS", code, err);
}

static enum mxhop_status start_tls(struct ldap_conn *c, struct mxhop_error *err)
{
    enum mxhop_status status;
    int msgid, code;

    if (is_ldaps(c))
        return begin_tls(c, err);
    code = ldap_start_tls(c->ld, NULL, NULL, &msgid);
    if (code != LDAP_SUCCESS)
        return ldap_conn_fail(c, "StartTLS", code, err);
    status = finish(c, msgid, "StartTLS", NULL, err);
    return status == MXHOP_OK ? begin_tls(c, err) : status;
}

static enum mxhop_status send_bind(struct ldap_conn *c, const char *mechanism,
                                   const char *dn, char *secret,
                                   struct mxhop_error *err)
{
    struct berval value = {strlen(secret), secret};
    int msgid,
        code = ldap_sasl_bind(c->ld, dn, mechanism, &value, NULL, NULL, &msgid);

    return code == LDAP_SUCCESS ? finish(c, msgid, "bind", NULL, err)
                                : ldap_conn_fail(c, "bind", code, err);
}

static enum mxhop_status bind_as(struct ldap_conn *c, struct mxhop_error *err)
{
    const struct ldap_settings *s = c->settings;
    char text[LDAP_PASSWORD_SIZE] = "";
    enum mxhop_status status;

    if (s->bind == DIR_BIND_NONE)
        return MXHOP_OK;
    if (s->bind == DIR_BIND_EXTERNAL)
        return send_bind(c, "EXTERNAL", NULL, text, err);
    if (*s->bind_pw_file == '\0')
        return send_bind(c, LDAP_SASL_SIMPLE, s->bind_dn, s->bind_pw, err);
    status = ldap_password_read(s->bind_pw_file, text, err);
    if (status == MXHOP_OK)
        status = send_bind(c, LDAP_SASL_SIMPLE, s->bind_dn, text, err);
    explicit_bzero(text, sizeof(text));
    return status;
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

    status = ldap_conn_root(c, attributes, &msgid, err);
    if (status == MXHOP_OK)
        status = finish(c, msgid, "read the rootDSE", &entry, err);
    if (status == MXHOP_OK && entry != NULL)
        note_controls(c, entry);
    ldap_msgfree(entry);
    return status;
}

static enum mxhop_status prepare(struct ldap_conn *c, struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    int code = set_options(c);

    if (code != LDAP_SUCCESS)
        return ldap_conn_fail(c, "set options", code, err);
    if (wants_tls(c))
        status = set_tls(c, err);
    if (status != MXHOP_OK)
        return status;
    code = ldap_connect(c->ld);
    if (code != LDAP_SUCCESS)
        return ldap_conn_fail(c, "connect", code, err);
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
