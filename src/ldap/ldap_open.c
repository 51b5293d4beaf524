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
#include "util/clock.h"
#include "util/err.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An entry is a message. Larger than any that slapd takes in one piece. */
#define MESSAGE_MAX (64u << 20)

/* ---- options ---- */

static int open_set_options(struct ldap_conn *c)
{
    const struct ldap_settings *s = c->settings;
    const struct timeval net = {s->network_timeout_s, 0};
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

static bool open_is_ldaps(const struct ldap_conn *c)
{
    return strncmp(c->uri, "ldaps:", 6) == 0;
}

/* A context of the handle's own, made last, from the options before it. */
static enum mxhop_status open_set_tls(struct ldap_conn *c,
                                      struct mxhop_error *err)
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

/* The end of one of the small operations at the beginning; *entry_r, if not
   NULL, gets its first entry, for ldap_msgfree(3) in any case. */
static enum mxhop_status open_finish(struct ldap_conn *c, int msgid,
                                     LDAPMessage **entry_r,
                                     struct mxhop_error *err)
{
    uint64_t deadline_ms =
        clock_boot_ms() + c->settings->network_timeout_s * 1000ull;
    enum mxhop_status status;
    LDAPMessage *m;
    int type, code;

    for (;;) {
        status = ldap_conn_next(c, deadline_ms, &m, err);
        if (status != MXHOP_OK)
            return status;
        type = ldap_msgtype(m);
        if (type == LDAP_RES_SEARCH_ENTRY && entry_r != NULL &&
            *entry_r == NULL) {
            *entry_r = m;
            continue;
        }
        if (ldap_msgid(m) == msgid && type != LDAP_RES_SEARCH_ENTRY &&
            type != LDAP_RES_SEARCH_REFERENCE && type != LDAP_RES_INTERMEDIATE)
            break;
        ldap_msgfree(m);
    }
    status = ldap_conn_result(c, m, &code, NULL, err);
    ldap_msgfree(m);
    return status;
}

/* libldap makes the socket blocking again after each handshake. */
static enum mxhop_status open_unblock(struct ldap_conn *c,
                                      struct mxhop_error *err)
{
    ber_len_t most = MESSAGE_MAX;
    Sockbuf *sb = NULL;
    int flags;

    if (ldap_get_option(c->ld, LDAP_OPT_DESC, &c->fd) != LDAP_OPT_SUCCESS ||
        ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_OPT_SUCCESS ||
        (flags = fcntl(c->fd, F_GETFL)) < 0 ||
        fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(c->fd, F_SETFD, FD_CLOEXEC) < 0)
        return ldap_conn_fail(c, LDAP_LOCAL_ERROR, err);
    ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most);
    return MXHOP_OK;
}

static enum mxhop_status open_start_tls(struct ldap_conn *c,
                                        struct mxhop_error *err)
{
    enum mxhop_status status;
    int msgid, code;

    if (!open_is_ldaps(c)) {
        c->doing = "StartTLS";
        code = ldap_start_tls(c->ld, NULL, NULL, &msgid);
        if (code != LDAP_SUCCESS)
            return ldap_conn_fail(c, code, err);
        status = open_finish(c, msgid, NULL, err);
        if (status != MXHOP_OK)
            return status;
    }
    c->doing = "TLS";
    code = ldap_bound_install(c->ld, &c->bound);
    if (code != LDAP_SUCCESS)
        return ldap_conn_fail(c, code, err);
    c->bound.deadline_ms =
        clock_boot_ms() + c->settings->network_timeout_s * 1000ull;
    code = ldap_install_tls(c->ld);
    if (code != LDAP_SUCCESS && clock_boot_ms() >= c->bound.deadline_ms)
        code = LDAP_TIMEOUT;
    c->bound.deadline_ms = 0;
    return code == LDAP_SUCCESS ? open_unblock(c, err)
                                : ldap_conn_fail(c, code, err);
}

static enum mxhop_status open_bind(struct ldap_conn *c, struct mxhop_error *err)
{
    const struct ldap_settings *s = c->settings;
    bool external = s->bind == DIR_BIND_EXTERNAL;
    char from_file[LDAP_PASSWORD_SIZE] = "", *secret = from_file;
    enum mxhop_status status = MXHOP_OK;
    struct berval value;
    int msgid, code;

    if (s->bind == DIR_BIND_NONE)
        return MXHOP_OK;
    c->doing = "bind";
    if (!external && *s->bind_pw_file != '\0')
        status = ldap_password_read(s->bind_pw_file, from_file, err);
    else if (!external)
        secret = s->bind_pw;
    if (status != MXHOP_OK)
        goto out;
    value = (struct berval){strlen(secret), secret};
    code = ldap_sasl_bind(c->ld, external ? NULL : s->bind_dn,
                          external ? "EXTERNAL" : LDAP_SASL_SIMPLE, &value,
                          NULL, NULL, &msgid);
    status = code == LDAP_SUCCESS ? open_finish(c, msgid, NULL, err)
                                  : ldap_conn_fail(c, code, err);
out:
    explicit_bzero(from_file, sizeof(from_file));
    return status;
}

/* What the server can do. */
static enum mxhop_status open_read_root(struct ldap_conn *c,
                                        struct mxhop_error *err)
{
    static const char supported[] = "supportedControl";
    LDAPMessage *entry = NULL;
    struct berval **v = NULL;
    enum mxhop_status status;
    int msgid;

    c->doing = "read the rootDSE";
    status = ldap_conn_root(c, supported, &msgid, err);
    if (status == MXHOP_OK)
        status = open_finish(c, msgid, &entry, err);
    if (status == MXHOP_OK && entry != NULL)
        v = ldap_get_values_len(c->ld, entry, supported);
    for (size_t i = 0; v != NULL && v[i] != NULL; i++) {
        if (strcmp(v[i]->bv_val, LDAP_CONTROL_SYNC) == 0)
            c->has_sync = true;
        if (strcmp(v[i]->bv_val, LDAP_CONTROL_PAGEDRESULTS) == 0)
            c->has_paging = true;
    }
    ldap_value_free_len(v);
    ldap_msgfree(entry);
    return status;
}

/* ldaps://host is ldap://host:636 on which TLS begins at once. */
static int open_initialize(struct ldap_conn *c)
{
    char scheme[] = "ldap", *plain, *before;
    LDAPURLDesc *url;
    int code;

    if (!open_is_ldaps(c))
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
    enum mxhop_status status = MXHOP_ERR_MEMORY;
    bool tls;
    int code;

    *c_r = NULL;
    if (c == NULL || (c->uri = strdup(uri)) == NULL ||
        setenv("LDAPNOINIT", "1", 1) != 0) {
        err_nomem(err);
        goto fail;
    }
    c->settings = s;
    c->fd = -1;
    tls = open_is_ldaps(c) || (s->start_tls && strncmp(uri, "ldap:", 5) == 0);
    code = open_initialize(c);
    if (code != LDAP_SUCCESS) {
        status = ldap_error(err, uri, "begin", code, NULL);
        goto fail;
    }
    c->doing = "set options";
    code = open_set_options(c);
    if (code == LDAP_SUCCESS && tls &&
        (status = open_set_tls(c, err)) != MXHOP_OK)
        goto fail;
    if (code == LDAP_SUCCESS) {
        c->doing = "connect";
        code = ldap_connect(c->ld);
    }
    if (code != LDAP_SUCCESS) {
        status = ldap_conn_fail(c, code, err);
        goto fail;
    }
    if ((status = open_unblock(c, err)) != MXHOP_OK ||
        (tls && (status = open_start_tls(c, err)) != MXHOP_OK) ||
        (status = open_bind(c, err)) != MXHOP_OK ||
        (status = open_read_root(c, err)) != MXHOP_OK)
        goto fail;
    *c_r = c;
    return MXHOP_OK;
fail:
    ldap_conn_close(&c);
    return status;
}
