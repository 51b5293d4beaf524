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
#include "util/err.h"
#include "util/maincf.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MAX 3600 /* seconds; as ldap_timeout */

enum kind {
    KIND_TEXT,     /* without the octets in `word` */
    KIND_PASSWORD, /* the same, unless mxhop.cf names a file */
    KIND_FORMAT,   /* the same, with the % forms that ldap_map.c knows */
    KIND_LATER,    /* a text that is complete at the end of the file only */
    KIND_BOOL,
    KIND_SCOPE,
    KIND_BIND,
    KIND_TIMEOUT,
    KIND_ONLY, /* no value but `word`, or one of them */
    KIND_SKIP
};

#define S(field) offsetof(struct ldap_settings, field)
#define R(field) offsetof(struct postfix_reading, field)

static const char by_entry[] =
    "mxhop mirrors entries, and follows no attribute to other ones; give the "
    "routes an attribute of their own";
static const char format_why[] =
    "of the % forms only %s and %% can be mirrored";
static const char bool_why[] = "expected yes, no, true or false";

static const struct row {
    const char *name;
    enum kind kind;
    size_t at; /* of the member */
    const char *word;
    const char *why; /* of a refusal */
} rows[] = {
    {"server_host", KIND_LATER, R(hosts), NULL, NULL},
    {"server_port", KIND_LATER, R(port), NULL, NULL},
    {"query_filter", KIND_LATER, R(query_filter), NULL, NULL},
    {"search_base", KIND_TEXT, S(base), "%",
     "a base that depends on the key (%) cannot be mirrored; expected the DN "
     "that all entries are below, here or as ldap_search_base in mxhop.cf"},
    {"result_attribute", KIND_TEXT, S(result_attribute), "", NULL},
    {"result_format", KIND_FORMAT, S(result_format), NULL, format_why},
    {"result_filter", KIND_FORMAT, S(result_format), NULL, format_why},
    {"domain", KIND_TEXT, S(domains), ":/!",
     "expected names of domains: tables, files and \"not\" are Postfix's own"},
    {"scope", KIND_SCOPE, 0, NULL, "expected sub, one or base"},
    {"bind", KIND_BIND, 0, NULL, "expected yes, no, none, simple or sasl"},
    {"bind_dn", KIND_TEXT, S(bind_dn), "", NULL},
    {"bind_pw", KIND_PASSWORD, S(bind_pw), "", NULL},
    {"sasl_mechs", KIND_TEXT, S(sasl_mechs), "", NULL},
    {"start_tls", KIND_BOOL, S(start_tls), NULL, bool_why},
    {"tls_ca_cert_file", KIND_TEXT, S(tls_ca_file), "", NULL},
    {"tls_ca_cert_dir", KIND_TEXT, S(tls_ca_dir), "", NULL},
    {"tls_cert", KIND_TEXT, S(tls_cert), "", NULL},
    {"tls_key", KIND_TEXT, S(tls_key), "", NULL},
    {"tls_cipher_suite", KIND_TEXT, S(tls_ciphers), "", NULL},
    {"tls_require_cert", KIND_BOOL, S(tls_require_cert), NULL, bool_why},
    {"timeout", KIND_TIMEOUT, 0, NULL, "expected seconds, from 1 to 3600"},
    {"chase_referrals", KIND_ONLY, 0, "no false 0",
     "expected no: mxhop follows no referrals; name a server that has all "
     "entries"},
    {"version", KIND_ONLY, 0, "3 2",
     "expected 3, or 2, which means the same: mxhop speaks LDAPv3 only"},
    {"dereference", KIND_ONLY, 0, "0",
     "expected 0: mxhop follows no aliases; put the entries below "
     "search_base"},
    {"special_result_attribute", KIND_ONLY, 0, "", by_entry},
    {"terminal_result_attribute", KIND_ONLY, 0, "", by_entry},
    {"leaf_result_attribute", KIND_ONLY, 0, "", by_entry},
    {"sasl_realm", KIND_ONLY, 0, "", "of SASL mxhop has EXTERNAL only"},
    {"sasl_authz_id", KIND_ONLY, 0, "", "mxhop binds as itself only"},
    /* About one query at a time. */
    {"size_limit", KIND_SKIP, 0, NULL, NULL},
    {"expansion_limit", KIND_SKIP, 0, NULL, NULL},
    {"recursion_limit", KIND_SKIP, 0, NULL, NULL},
    {"cache", KIND_SKIP, 0, NULL, NULL},
    {"cache_expiry", KIND_SKIP, 0, NULL, NULL},
    {"cache_size", KIND_SKIP, 0, NULL, NULL},
    {"debuglevel", KIND_SKIP, 0, NULL, NULL},
    {"sasl_minssf", KIND_SKIP, 0, NULL, NULL},
    {"tls_random_file", KIND_SKIP, 0, NULL, NULL},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(N_ROWS <= POSTFIX_ROWS_MAX, "there are more");

enum mxhop_status ldap_postfix_fail(const struct postfix_reading *r,
                                    size_t line, const char *name,
                                    const char *what)
{
    return err_set(r->err, MXHOP_ERR_CONFIG, "%.200s:%zu: %.64s: %s", r->file,
                   line, name, what);
}

enum mxhop_status ldap_postfix_put(const struct postfix_reading *r, char **to,
                                   const char *value)
{
    if (ldap_is_set(*to))
        return MXHOP_OK;
    free(*to);
    *to = strdup(value);
    return *to != NULL ? MXHOP_OK : err_nomem(r->err);
}

size_t ldap_postfix_line(const struct postfix_reading *r, const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return r->seen[i];
    return 0;
}

/* false: not such a value. */
static bool postfix_bind(struct ldap_settings *s, const char *value)
{
    static const struct {
        const char *word;
        enum dir_bind bind;
    } words[] = {
        {"yes", DIR_BIND_SIMPLE},    {"simple", DIR_BIND_SIMPLE},
        {"no", DIR_BIND_NONE},       {"none", DIR_BIND_NONE},
        {"sasl", DIR_BIND_EXTERNAL},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (str_ieq(value, words[i].word)) {
            s->bind = words[i].bind;
            return true;
        }
    return false;
}

static bool postfix_timeout(struct ldap_settings *s, const char *value)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end != '\0' || n == 0 ||
        n > TIMEOUT_MAX)
        return false;
    s->network_timeout_s = (uint32_t)n;
    return true;
}

static bool postfix_format_is_known(const char *format)
{
    for (const char *p = format; (p = strchr(p, '%')) != NULL; p += 2)
        if (p[1] != 's' && p[1] != '%')
            return false;
    return true;
}

static enum mxhop_status postfix_take(struct postfix_reading *r, size_t line,
                                      const struct row *row, const char *value)
{
    char *base = row->kind == KIND_LATER ? (char *)r : (char *)r->s;
    void *member = base + row->at;
    char **text = member;
    char what[300];
    bool good = true;

    switch (row->kind) {
    case KIND_PASSWORD:
        if (ldap_is_set(r->s->bind_pw_file))
            return MXHOP_OK;
        return ldap_postfix_put(r, text, value);
    case KIND_TEXT:
    case KIND_FORMAT:
        if (ldap_is_set(*text))
            return MXHOP_OK; /* mxhop.cf comes first */
        good = row->kind == KIND_FORMAT ? postfix_format_is_known(value)
                                        : strpbrk(value, row->word) == NULL;
        if (good)
            return ldap_postfix_put(r, text, value);
        break;
    case KIND_LATER:
        return ldap_postfix_put(r, text, value);
    case KIND_BOOL:
        *(int *)member = str_in_list("yes true", value);
        good = str_in_list("yes true no false", value);
        break;
    case KIND_SCOPE:
        r->s->scope = str_ieq(value, "one")    ? DIR_ONE
                      : str_ieq(value, "base") ? DIR_BASE
                                               : DIR_SUB;
        good = r->s->scope != DIR_SUB || str_ieq(value, "sub");
        break;
    case KIND_BIND:
        good = postfix_bind(r->s, value);
        break;
    case KIND_TIMEOUT:
        good = postfix_timeout(r->s, value);
        break;
    case KIND_ONLY:
        good = str_ieq(value, row->word) || str_in_list(row->word, value);
        break;
    case KIND_SKIP:
        break;
    }
    if (good)
        return MXHOP_OK;
    snprintf(what, sizeof(what), "%s%s", row->why,
             row->kind == KIND_PASSWORD ? "" : maincf_hint(value));
    return ldap_postfix_fail(r, line, row->name, what);
}

enum mxhop_status ldap_postfix_set(struct postfix_reading *r, size_t line,
                                   const char *name, const char *value)
{
    char what[100];
    size_t i = 0;

    while (i < N_ROWS && strcmp(rows[i].name, name) != 0)
        i++;
    /* A line without its "=", and one in the password, would show that. */
    if (i == N_ROWS && strpbrk(name, " \t") != NULL)
        return ldap_postfix_fail(r, line, "line", "expected name = value");
    if (i == N_ROWS)
        return ldap_postfix_fail(r, line, name,
                                 "unknown parameter; expected a name that "
                                 "ldap_table(5) lists");
    /* Postfix takes the last one and says so; here it is not clear what was
       meant, and a mirror of the wrong base is an empty one. */
    if (r->seen[i] != 0) {
        snprintf(what, sizeof(what),
                 "given again, after line %zu; expected once", r->seen[i]);
        return ldap_postfix_fail(r, line, name, what);
    }
    r->seen[i] = line;
    return postfix_take(r, line, &rows[i], value);
}
