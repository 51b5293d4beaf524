/*
 * ldap_postfix_param - what the parameters of a Postfix ldap: table mean here
 *
 * ldap_table(5) says what they are; one row here is one of them. What only
 * matters to somebody who asks for one key at a time is passed over. What would
 * make the table answer otherwise than a mirror can is refused, with file and
 * line: a route that is not quite that of the table is a wrong one. Unknown
 * names are refused too, as misspelt.
 */

#include "ldap/ldap_postfix.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MAX  3600 /* seconds; as ldap_timeout */
#define DEFAULT_PORT "389"

enum mxhop_status ldap_postfix_fail(const struct postfix_reading *r,
                                    const char *name, const char *what)
{
    return err_set(r->err, MXHOP_ERR_CONFIG, "%.200s:%zu: %.64s: %s", r->file,
                   r->line, name, what);
}

/* ---- one function a kind of parameter ---- */

struct row;
typedef enum mxhop_status set_fn(struct postfix_reading *r,
                                 const struct row *row, const char *value);

struct row {
    const char *name;
    set_fn *set;
    size_t at;       /* offset of what is set, in the struct that set() knows */
    const char *why; /* of a refusal */
};

static enum mxhop_status put(struct postfix_reading *r, char **to,
                             const char *value)
{
    free(*to);
    *to = strdup(value);
    return *to != NULL ? MXHOP_OK : err_nomem(r->err);
}

/* mxhop.cf comes first. */
static bool is_set(const struct postfix_reading *r, const struct row *row)
{
    const char *text = *(char **)(void *)((char *)r->s + row->at);

    return text != NULL && *text != '\0';
}

static enum mxhop_status set_text(struct postfix_reading *r,
                                  const struct row *row, const char *value)
{
    char **to = (char **)(void *)((char *)r->s + row->at);

    return is_set(r, row) ? MXHOP_OK : put(r, to, value);
}

/* Our format_result() knows these. */
static enum mxhop_status set_format(struct postfix_reading *r,
                                    const struct row *row, const char *value)
{
    if (is_set(r, row))
        return MXHOP_OK;
    for (const char *p = value; (p = strchr(p, '%')) != NULL; p += 2)
        if (p[1] != 's' && p[1] != '%')
            return ldap_postfix_fail(
                r, row->name, "of the % forms only %s and %% can be mirrored");
    return set_text(r, row, value);
}

static enum mxhop_status set_base(struct postfix_reading *r,
                                  const struct row *row, const char *value)
{
    if (!is_set(r, row) && strchr(value, '%') != NULL)
        return ldap_postfix_fail(
            r, row->name,
            "a base that depends on the key (%) cannot be mirrored; expected "
            "the DN that all entries are below, here or as ldap_search_base "
            "in mxhop.cf");
    return set_text(r, row, value);
}

static enum mxhop_status set_domains(struct postfix_reading *r,
                                     const struct row *row, const char *value)
{
    if (strpbrk(value, ":/!") != NULL)
        return ldap_postfix_fail(
            r, row->name,
            "expected names of domains: tables, files and \"not\" are "
            "Postfix's own");
    return set_text(r, row, value);
}

static enum mxhop_status set_bool(struct postfix_reading *r,
                                  const struct row *row, const char *value)
{
    bool *to = (bool *)((char *)r->s + row->at);

    if (!str_ieq(value, "yes") && !str_ieq(value, "no"))
        return ldap_postfix_fail(r, row->name, "expected yes or no");
    *to = str_ieq(value, "yes");
    return MXHOP_OK;
}

static enum mxhop_status set_password(struct postfix_reading *r,
                                      const struct row *row, const char *value)
{
    r->password_line = r->line;
    if (r->s->bind_pw_file != NULL && *r->s->bind_pw_file != '\0')
        return MXHOP_OK;
    return set_text(r, row, value);
}

static enum mxhop_status set_scope(struct postfix_reading *r,
                                   const struct row *row, const char *value)
{
    static const char *const words[] = {
        [DIR_SUB] = "sub", [DIR_ONE] = "one", [DIR_BASE] = "base"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!str_ieq(value, words[i]))
            continue;
        r->s->scope = (enum dir_scope)i;
        return MXHOP_OK;
    }
    return ldap_postfix_fail(r, row->name, "expected sub, one or base");
}

static enum mxhop_status set_bind(struct postfix_reading *r,
                                  const struct row *row, const char *value)
{
    static const struct {
        const char *word;
        enum dir_bind bind;
    } words[] = {
        {"yes", DIR_BIND_SIMPLE},    {"simple", DIR_BIND_SIMPLE},
        {"no", DIR_BIND_NONE},       {"none", DIR_BIND_NONE},
        {"sasl", DIR_BIND_EXTERNAL},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!str_ieq(value, words[i].word))
            continue;
        r->s->bind = words[i].bind;
        r->says_bind = true;
        return MXHOP_OK;
    }
    return ldap_postfix_fail(r, row->name,
                             "expected yes, no, none, simple or sasl");
}

static enum mxhop_status set_timeout(struct postfix_reading *r,
                                     const struct row *row, const char *value)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end != '\0' || n == 0 ||
        n > TIMEOUT_MAX)
        return ldap_postfix_fail(r, row->name,
                                 "expected seconds, from 1 to 3600");
    r->s->network_timeout_ms = (uint32_t)n * 1000;
    return MXHOP_OK;
}

/* What is only complete at the end of the file. */
static enum mxhop_status set_later(struct postfix_reading *r,
                                   const struct row *row, const char *value)
{
    char **to = (char **)(void *)((char *)r + row->at);

    if (to == &r->hosts)
        r->hosts_line = r->line;
    if (to == &r->query_filter)
        r->filter_line = r->line;
    return put(r, to, value);
}

static enum mxhop_status skip(struct postfix_reading *r, const struct row *row,
                              const char *value)
{
    (void)r;
    (void)row;
    (void)value;
    return MXHOP_OK;
}

static enum mxhop_status refuse(struct postfix_reading *r,
                                const struct row *row, const char *value)
{
    return *value == '\0' ? MXHOP_OK
                          : ldap_postfix_fail(r, row->name, row->why);
}

static enum mxhop_status set_version(struct postfix_reading *r,
                                     const struct row *row, const char *value)
{
    return strcmp(value, "3") == 0
               ? MXHOP_OK
               : ldap_postfix_fail(r, row->name,
                                   "expected 3: mxhop speaks LDAPv3 only");
}

static enum mxhop_status set_dereference(struct postfix_reading *r,
                                         const struct row *row,
                                         const char *value)
{
    return strcmp(value, "0") == 0
               ? MXHOP_OK
               : ldap_postfix_fail(
                     r, row->name,
                     "expected 0: mxhop follows no aliases; put the entries "
                     "below search_base");
}

static enum mxhop_status set_referrals(struct postfix_reading *r,
                                       const struct row *row, const char *value)
{
    return str_ieq(value, "no")
               ? MXHOP_OK
               : ldap_postfix_fail(r, row->name,
                                   "expected no: mxhop follows no referrals; "
                                   "name a server that has all entries");
}

#define S(field) offsetof(struct ldap_settings, field)
#define R(field) offsetof(struct postfix_reading, field)

static const char by_entry[] =
    "mxhop mirrors entries, and follows no attribute to other ones; give the "
    "routes an attribute of their own";

static const struct row rows[] = {
    {"server_host", set_later, R(hosts), NULL},
    {"server_port", set_later, R(port), NULL},
    {"search_base", set_base, S(base), NULL},
    {"query_filter", set_later, R(query_filter), NULL},
    {"result_attribute", set_text, S(result_attribute), NULL},
    {"result_format", set_format, S(result_format), NULL},
    {"result_filter", set_format, S(result_format), NULL},
    {"domain", set_domains, S(domains), NULL},
    {"scope", set_scope, 0, NULL},
    {"bind", set_bind, 0, NULL},
    {"bind_dn", set_text, S(bind_dn), NULL},
    {"bind_pw", set_password, S(bind_pw), NULL},
    {"sasl_mechs", set_text, S(sasl_mechs), NULL},
    {"start_tls", set_bool, S(start_tls), NULL},
    {"tls_ca_cert_file", set_text, S(tls_ca_file), NULL},
    {"tls_ca_cert_dir", set_text, S(tls_ca_dir), NULL},
    {"tls_cert", set_text, S(tls_cert), NULL},
    {"tls_key", set_text, S(tls_key), NULL},
    {"tls_cipher_suite", set_text, S(tls_ciphers), NULL},
    {"tls_require_cert", set_bool, S(tls_require_cert), NULL},
    {"chase_referrals", set_referrals, 0, NULL},
    {"timeout", set_timeout, 0, NULL},
    {"version", set_version, 0, NULL},
    {"dereference", set_dereference, 0, NULL},
    {"special_result_attribute", refuse, 0, by_entry},
    {"terminal_result_attribute", refuse, 0, by_entry},
    {"leaf_result_attribute", refuse, 0, by_entry},
    {"sasl_realm", refuse, 0, "of SASL mxhop has EXTERNAL only"},
    {"sasl_authz_id", refuse, 0, "mxhop binds as itself only"},
    /* About one query at a time. */
    {"size_limit", skip, 0, NULL},
    {"expansion_limit", skip, 0, NULL},
    {"recursion_limit", skip, 0, NULL},
    {"cache", skip, 0, NULL},
    {"cache_expiry", skip, 0, NULL},
    {"cache_size", skip, 0, NULL},
    {"debuglevel", skip, 0, NULL},
    {"sasl_minssf", skip, 0, NULL},
    {"tls_random_file", skip, 0, NULL},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(N_ROWS <= POSTFIX_ROWS_MAX, "there are more");

/* Postfix takes the last one and says so; here it is not clear what was meant,
   and a mirror of the wrong base is an empty one. */
static enum mxhop_status set_once(struct postfix_reading *r, size_t i,
                                  const char *value)
{
    char what[100];

    if (r->seen[i] != 0) {
        snprintf(what, sizeof(what),
                 "given again, after line %zu; expected once", r->seen[i]);
        return ldap_postfix_fail(r, rows[i].name, what);
    }
    r->seen[i] = r->line;
    return rows[i].set(r, &rows[i], value);
}

enum mxhop_status ldap_postfix_set(struct postfix_reading *r, const char *name,
                                   const char *value)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return set_once(r, i, value);
    /* A line without its "=", and one in the password, would show that. */
    if (strpbrk(name, " \t") != NULL)
        return ldap_postfix_fail(r, "line", "expected name = value");
    return ldap_postfix_fail(
        r, name, "unknown parameter; expected a name that ldap_table(5) lists");
}

/* ---- what belongs together ---- */

/* A host without a port of its own gets server_port. */
static enum mxhop_status finish_hosts(struct postfix_reading *r)
{
    const char *pos = r->hosts, *word;
    const char *port = r->port != NULL ? r->port : DEFAULT_PORT;
    struct buf out = {0};
    size_t len;

    if (r->hosts == NULL || (r->s->servers != NULL && *r->s->servers != '\0'))
        return MXHOP_OK;
    r->line = r->hosts_line;
    if (strspn(port, "0123456789") != strlen(port))
        return ldap_postfix_fail(r, "server_port", "expected a number");
    while ((word = str_next_word(&pos, &len)) != NULL) {
        bool plain = memchr(word, ':', len) == NULL;

        buf_printf(&out, "%s%.*s%s%s", out.len > 0 ? " " : "", (int)len, word,
                   plain ? ":" : "", plain ? port : "");
    }
    free(r->s->servers);
    r->s->servers = buf_detach(&out);
    return r->s->servers != NULL ? MXHOP_OK : err_nomem(r->err);
}

/* A table binds unless it says no, and with an empty name that is as nobody. */
static void finish_bind(struct postfix_reading *r)
{
    const char *dn = r->s->bind_dn;

    if (!r->says_bind && r->s->bind == DIR_BIND_NONE && dn != NULL &&
        *dn != '\0')
        r->s->bind = DIR_BIND_SIMPLE;
}

static enum mxhop_status take_filter(struct postfix_reading *r, char *filter,
                                     char *attribute)
{
    const struct row to_filter = {.name = "", .at = S(filter)};
    const struct row to_key = {.name = "", .at = S(key_attribute)};
    enum mxhop_status status = set_text(r, &to_filter, filter);

    return status == MXHOP_OK ? set_text(r, &to_key, attribute) : status;
}

static enum mxhop_status finish_filter(struct postfix_reading *r)
{
    char *filter, *attribute;
    const char *why;
    char text[300];
    enum mxhop_status status;

    if (r->query_filter == NULL)
        return MXHOP_OK;
    status = ldap_filter_mirror(r->query_filter, &filter, &attribute, &why);
    r->line = r->filter_line;
    if (status == MXHOP_ERR_SYNTAX) {
        snprintf(text, sizeof(text),
                 "cannot be turned into a filter for all entries: %s; set "
                 "ldap_filter and ldap_key_attribute in mxhop.cf",
                 why);
        /* Set there already: then this one is not needed. */
        return r->s->filter != NULL && *r->s->filter != '\0' &&
                       r->s->key_attribute != NULL &&
                       *r->s->key_attribute != '\0'
                   ? MXHOP_OK
                   : ldap_postfix_fail(r, "query_filter", text);
    }
    if (status != MXHOP_OK)
        return err_nomem(r->err);
    status = take_filter(r, filter, attribute);
    free(filter);
    free(attribute);
    return status;
}

enum mxhop_status ldap_postfix_finish(struct postfix_reading *r)
{
    enum mxhop_status status = finish_hosts(r);

    finish_bind(r);
    return status == MXHOP_OK ? finish_filter(r) : status;
}
