/*
 * ldap_settings - what to read from which directory, and as whom
 *
 * The parameters of mxhop.cf(5), or of a Postfix table, arrive as they were
 * written. Here they are checked together, before anything is sent anywhere:
 * a password does not leave in clear because TLS was forgotten in one of two
 * places without anybody saying so.
 *
 * A password is in no message, and is wiped when it is no longer needed; the
 * one in a file is read for each connection, and here only to see that it can
 * be.
 */

#include "ldap/ldap_settings.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/hash.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ldap.h>

#define DEFAULT_CA "/etc/ssl/certs/ca-certificates.crt"
#define URI_MAX    600

/* ---- servers ---- */

static bool settings_is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return *host == '\0' || str_ieq(host, "localhost");
}

/* clear: the first one to which others on the way may listen. */
static enum mxhop_status settings_add_server(struct buf *out, const char *word,
                                             size_t len, char clear[URI_MAX],
                                             struct mxhop_error *err)
{
    char uri[URI_MAX], *colon;
    LDAPURLDesc *url;
    bool known;

    if (len > 500)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_server_host: a word of more than 500 octets");
    snprintf(uri, sizeof(uri), "%s%.*s",
             memmem(word, len, "://", 3) == NULL ? "ldap://" : "", (int)len,
             word);
    colon = strstr(uri, "://");
    *colon = '\0';
    str_lower(uri); /* others compare the scheme */
    *colon = ':';
    if (ldap_url_parse(uri, &url) != LDAP_URL_SUCCESS)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_server_host: \"%s\"; expected "
                       "ldap://host, ldaps://host or ldapi://%%2Fpath",
                       uri);
    known = str_in_list("ldap ldaps ldapi", url->lud_scheme) &&
            !ldap_is_set(url->lud_dn) && url->lud_filter == NULL &&
            url->lud_attrs == NULL && url->lud_exts == NULL;
    if (*clear == '\0' && strcmp(url->lud_scheme, "ldap") == 0 &&
        !settings_is_loopback(url->lud_host != NULL ? url->lud_host : ""))
        strcpy(clear, uri);
    ldap_free_urldesc(url);
    if (!known)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_server_host: \"%s\"; expected a server alone: "
                       "ldap://host, ldaps://host or ldapi://%%2Fpath",
                       uri);
    buf_printf(out, "%s%s", out->len > 0 ? " " : "", uri);
    return MXHOP_OK;
}

static enum mxhop_status settings_servers(struct ldap_settings *s,
                                          char clear[URI_MAX],
                                          struct mxhop_error *err)
{
    const char *pos = s->servers, *word;
    struct buf out = {0};
    enum mxhop_status status = MXHOP_OK;
    size_t len;

    while (status == MXHOP_OK && (word = str_next_word(&pos, &len)) != NULL)
        status = settings_add_server(&out, word, len, clear, err);
    if (status == MXHOP_OK && out.len == 0 && !out.failed)
        status = err_set(err, MXHOP_ERR_CONFIG,
                         "ldap_server_host: empty; expected the servers "
                         "of the directory, as ldap://ldap.example.net");
    if (status != MXHOP_OK) {
        buf_free(&out);
        return status;
    }
    free(s->servers);
    s->servers = buf_detach(&out);
    return s->servers != NULL ? MXHOP_OK : err_nomem(err);
}

/* ---- the rest ---- */

static enum mxhop_status settings_bind(const struct ldap_settings *s,
                                       const char *clear,
                                       struct mxhop_error *err)
{
    bool has_file = ldap_is_set(s->bind_pw_file);
    bool has_password = has_file || ldap_is_set(s->bind_pw);
    char text[LDAP_PASSWORD_SIZE];
    enum mxhop_status status;

    if (s->bind == DIR_BIND_EXTERNAL && ldap_is_set(s->sasl_mechs) &&
        !str_ieq(s->sasl_mechs, "EXTERNAL"))
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_sasl_mechs: \"%.80s\"; expected EXTERNAL, the "
                       "only mechanism there is",
                       s->sasl_mechs);
    if (s->bind != DIR_BIND_SIMPLE)
        return MXHOP_OK;
    if (has_file) {
        status = ldap_password_read(s->bind_pw_file, text, err);
        explicit_bzero(text, sizeof(text));
        if (status != MXHOP_OK)
            return status;
    }
    /* A name without a password would be taken for nobody (RFC 4513 5.1.2),
       and the set for what nobody may see. */
    if (ldap_is_set(s->bind_dn) && !has_password)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_bind_pw_file: empty; ldap_bind_dn needs a "
                       "password, or ldap_bind = none");
    if (!ldap_is_set(s->bind_dn) && has_password)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_bind_dn: empty; expected whose password it is");
    /* Whoever reads it on its way can write routes, if its owner can. */
    if (s->start_tls || s->bind_plaintext || !has_password || *clear == '\0')
        return MXHOP_OK;
    return err_set(err, MXHOP_ERR_CONFIG,
                   "ldap_bind: the password would go to %.200s in clear; set "
                   "ldap_start_tls = yes, or name the server as ldaps:, or "
                   "allow it with ldap_bind_plaintext = yes",
                   clear);
}

static enum mxhop_status settings_tls(struct ldap_settings *s,
                                      struct mxhop_error *err)
{
    if (s->start_tls && strstr(s->servers, "ldaps://") != NULL)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_start_tls: yes with an ldaps: server, where "
                       "TLS is on already; expected ldap: or no");
    if (ldap_is_set(s->tls_cert) != ldap_is_set(s->tls_key))
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_tls_cert, ldap_tls_key: only one is given; "
                       "expected both or none");
    if (ldap_is_set(s->tls_ca_file) || ldap_is_set(s->tls_ca_dir))
        return MXHOP_OK;
    free(s->tls_ca_file);
    s->tls_ca_file = strdup(DEFAULT_CA);
    return s->tls_ca_file != NULL ? MXHOP_OK : err_nomem(err);
}

/*
 * One attribute's name: of two, of an option (which entries are read without)
 * and of an OID (which the server answers with a name) nothing would be found,
 * and the set would be empty.
 */
static enum mxhop_status settings_attribute(const char *parameter,
                                            const char *name,
                                            struct mxhop_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    if (!ldap_is_set(name) || (name[strspn(name, allowed)] == '\0' &&
                               strchr("0123456789-_", name[0]) == NULL))
        return MXHOP_OK;
    return err_set(err, MXHOP_ERR_CONFIG,
                   "%s: \"%.80s\"; expected the name of one attribute, "
                   "without options",
                   parameter, name);
}

static enum mxhop_status settings_filter(struct ldap_settings *s,
                                         struct mxhop_error *err)
{
    bool has_key = ldap_is_set(s->key_attribute);
    struct buf out = {0};

    if (has_key != ldap_is_set(s->result_attribute))
        return err_set(err, MXHOP_ERR_CONFIG,
                       "%s: empty, but the other attribute is given; expected "
                       "both or none",
                       has_key ? "ldap_result_attribute"
                               : "ldap_key_attribute");
    if (ldap_is_set(s->filter))
        return strstr(s->filter, "%s") == NULL
                   ? MXHOP_OK
                   : err_set(err, MXHOP_ERR_CONFIG,
                             "ldap_filter: it has a %%s; expected a "
                             "filter for all entries, as "
                             "(attribute=*)");
    if (has_key)
        buf_printf(&out, "(&(%s=*)(%s=*))", s->key_attribute,
                   s->result_attribute);
    else
        buf_puts(&out, "(objectClass=mxhopOverride)");
    free(s->filter);
    s->filter = buf_detach(&out);
    return s->filter != NULL ? MXHOP_OK : err_nomem(err);
}

/* The texts, in the order of the struct. */
#define TEXTS(s)                                                        \
    {                                                                   \
        &(s)->servers, &(s)->base, &(s)->filter, &(s)->key_attribute,   \
            &(s)->result_attribute, &(s)->result_format, &(s)->domains, \
            &(s)->bind_dn, &(s)->bind_pw, &(s)->bind_pw_file,           \
            &(s)->sasl_mechs, &(s)->tls_ca_file, &(s)->tls_ca_dir,      \
            &(s)->tls_cert, &(s)->tls_key, &(s)->tls_ciphers            \
    }

bool ldap_settings_copy(struct ldap_settings *s_r,
                        const struct ldap_settings *from)
{
    char **texts[] = TEXTS(s_r);
    bool whole = true;

    *s_r = *from;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (*texts[i] == NULL)
            continue;
        *texts[i] = strdup(*texts[i]);
        whole = whole && *texts[i] != NULL;
    }
    return whole;
}

enum mxhop_status ldap_settings_complete(struct ldap_settings *s,
                                         struct mxhop_error *err)
{
    char **texts[] = TEXTS(s), clear[URI_MAX] = "";
    enum mxhop_status status;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (*texts[i] == NULL && (*texts[i] = strdup("")) == NULL)
            return err_nomem(err);
    if ((status = settings_servers(s, clear, err)) != MXHOP_OK)
        return status;
    if (*s->base == '\0')
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_search_base: empty; expected the DN that "
                       "overrides are below, as "
                       "ou=mxhop,dc=example,dc=net");
    if ((status = settings_attribute("ldap_key_attribute", s->key_attribute,
                                     err)) != MXHOP_OK ||
        (status = settings_attribute("ldap_result_attribute",
                                     s->result_attribute, err)) != MXHOP_OK ||
        (status = settings_filter(s, err)) != MXHOP_OK ||
        (status = settings_tls(s, err)) != MXHOP_OK)
        return status;
    return settings_bind(s, clear, err);
}

void ldap_settings_free(struct ldap_settings *s)
{
    char **texts[] = TEXTS(s);

    if (s->bind_pw != NULL)
        explicit_bzero(s->bind_pw, strlen(s->bind_pw));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(*texts[i]);
    *s = (struct ldap_settings){0};
}

/* Raise it when entry.c or ldap_map.c judge the same values differently: what
   was compiled under the old rules is read anew then. */
#define RULES_VERSION 2

uint64_t ldap_settings_fingerprint(const struct ldap_settings *s)
{
    const char *texts[] = {s->servers,          s->base,
                           s->filter,           s->key_attribute,
                           s->result_attribute, s->result_format,
                           s->domains,          s->bind_dn,
                           s->tls_cert};
    uint64_t numbers[] = {RULES_VERSION, (uint64_t)s->scope, (uint64_t)s->bind};
    uint64_t h = hash_bytes(0, numbers, sizeof(numbers));

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        h = hash_bytes(h, texts[i], strlen(texts[i]));
    return h != 0 ? h : 1; /* 0: a table that no directory filled */
}
