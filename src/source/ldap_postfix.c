/*
 * ldap_postfix - the file of a Postfix ldap: table as settings of ours
 *
 * ldap_table(5) says what the parameters mean; one row here is one of them.
 * What only matters to somebody who asks for one key at a time is passed over.
 * What would make the table answer otherwise than a mirror can is refused, with
 * file and line: a route that is not quite that of the table is a wrong one.
 * Unknown names are refused too, as misspelt.
 *
 * The format is that of main.cf: `name = value`, lines that begin with white
 * space go on, # begins a comment line. Any octets may come in.
 */

#include "source/ldap_settings.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX     65536
#define TIMEOUT_MAX  3600 /* seconds; as ldap_timeout */
#define DEFAULT_PORT "389"

struct reading {
    struct ldap_settings *s;
    struct mxhop_error *err;
    const char *file;
    size_t line;
    char *hosts, *port, *query_filter; /* as written; owned */
    size_t hosts_line, filter_line, password_line;
};

static enum mxhop_status fail(const struct reading *r, const char *name,
                              const char *what)
{
    return err_set(r->err, MXHOP_ERR_CONFIG, "%.200s:%zu: %.64s: %s", r->file,
                   r->line, name, what);
}

/* ---- one function a kind of parameter ---- */

struct row;
typedef enum mxhop_status set_fn(struct reading *r, const struct row *row,
                                 const char *value);

struct row {
    const char *name;
    set_fn *set;
    size_t at;       /* offset of what is set, in the struct that set() knows */
    const char *why; /* of a refusal */
};

static enum mxhop_status put(struct reading *r, char **to, const char *value)
{
    free(*to);
    *to = strdup(value);
    return *to != NULL ? MXHOP_OK : err_nomem(r->err);
}

/* mxhop.cf comes first. */
static enum mxhop_status set_text(struct reading *r, const struct row *row,
                                  const char *value)
{
    char **to = (char **)(void *)((char *)r->s + row->at);

    return *to != NULL && **to != '\0' ? MXHOP_OK : put(r, to, value);
}

static enum mxhop_status set_bool(struct reading *r, const struct row *row,
                                  const char *value)
{
    bool *to = (bool *)((char *)r->s + row->at);

    if (!str_ieq(value, "yes") && !str_ieq(value, "no"))
        return fail(r, row->name, "expected yes or no");
    *to = str_ieq(value, "yes");
    return MXHOP_OK;
}

static enum mxhop_status set_password(struct reading *r, const struct row *row,
                                      const char *value)
{
    r->password_line = r->line;
    if (r->s->bind_pw_file != NULL && *r->s->bind_pw_file != '\0')
        return MXHOP_OK;
    return set_text(r, row, value);
}

static enum mxhop_status set_scope(struct reading *r, const struct row *row,
                                   const char *value)
{
    static const char *const words[] = {
        [DIR_SUB] = "sub", [DIR_ONE] = "one", [DIR_BASE] = "base"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!str_ieq(value, words[i]))
            continue;
        r->s->scope = (enum dir_scope)i;
        return MXHOP_OK;
    }
    return fail(r, row->name, "expected sub, one or base");
}

static enum mxhop_status set_bind(struct reading *r, const struct row *row,
                                  const char *value)
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
        return MXHOP_OK;
    }
    return fail(r, row->name, "expected yes, no, none, simple or sasl");
}

static enum mxhop_status set_timeout(struct reading *r, const struct row *row,
                                     const char *value)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end != '\0' || n == 0 ||
        n > TIMEOUT_MAX)
        return fail(r, row->name, "expected seconds, from 1 to 3600");
    r->s->network_timeout_ms = (uint32_t)n * 1000;
    return MXHOP_OK;
}

/* What is only complete at the end of the file. */
static enum mxhop_status set_later(struct reading *r, const struct row *row,
                                   const char *value)
{
    char **to = (char **)(void *)((char *)r + row->at);

    if (to == &r->hosts)
        r->hosts_line = r->line;
    if (to == &r->query_filter)
        r->filter_line = r->line;
    return put(r, to, value);
}

static enum mxhop_status skip(struct reading *r, const struct row *row,
                              const char *value)
{
    (void)r;
    (void)row;
    (void)value;
    return MXHOP_OK;
}

static enum mxhop_status refuse(struct reading *r, const struct row *row,
                                const char *value)
{
    return *value == '\0' ? MXHOP_OK : fail(r, row->name, row->why);
}

static enum mxhop_status set_version(struct reading *r, const struct row *row,
                                     const char *value)
{
    return strcmp(value, "3") == 0
               ? MXHOP_OK
               : fail(r, row->name, "expected 3: mxhop speaks LDAPv3 only");
}

static enum mxhop_status
set_dereference(struct reading *r, const struct row *row, const char *value)
{
    return strcmp(value, "0") == 0
               ? MXHOP_OK
               : fail(r, row->name,
                      "expected 0: mxhop follows no aliases; put the entries "
                      "below search_base");
}

#define S(field) offsetof(struct ldap_settings, field)
#define R(field) offsetof(struct reading, field)

static const char by_entry[] =
    "mxhop mirrors entries, and follows no attribute to other ones; give the "
    "routes an attribute of their own";

static const struct row rows[] = {
    {"server_host", set_later, R(hosts), NULL},
    {"server_port", set_later, R(port), NULL},
    {"search_base", set_text, S(base), NULL},
    {"query_filter", set_later, R(query_filter), NULL},
    {"result_attribute", set_text, S(result_attribute), NULL},
    {"result_format", set_text, S(result_format), NULL},
    {"result_filter", set_text, S(result_format), NULL},
    {"domain", set_text, S(domains), NULL},
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
    {"chase_referrals", set_bool, S(chase_referrals), NULL},
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

static enum mxhop_status set(struct reading *r, const char *name,
                             const char *value)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].set(r, &rows[i], value);
    return fail(r, name,
                "unknown parameter; expected a name that ldap_table(5) lists");
}

/* ---- lines ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char *trim(char *text)
{
    size_t n;

    while (is_space(*text))
        text++;
    n = strlen(text);
    while (n > 0 && is_space(text[n - 1]))
        text[--n] = '\0';
    return text;
}

static enum mxhop_status take_logical(struct reading *r, struct buf *line)
{
    char *equals = line->len > 0 ? strchr(line->data, '=') : NULL;
    enum mxhop_status status;

    if (line->failed)
        return err_nomem(r->err);
    if (line->len == 0)
        return MXHOP_OK;
    if (equals == NULL)
        return fail(r, "line", "expected name = value");
    *equals = '\0';
    status = set(r, trim(line->data), trim(equals + 1));
    explicit_bzero(line->data, line->len); /* it may be the password */
    buf_reset(line);
    return status;
}

static enum mxhop_status take_lines(struct reading *r, const char *text,
                                    size_t len, struct buf *line)
{
    enum mxhop_status status = MXHOP_OK;
    size_t number = 0;

    for (size_t at = 0, n; status == MXHOP_OK && at < len; at += n + 1) {
        const char *start = text + at, *visible = start;
        const char *end = memchr(start, '\n', len - at);

        number++;
        n = end != NULL ? (size_t)(end - start) : len - at;
        while (visible < start + n && is_space(*visible))
            visible++;
        if (visible == start + n || *visible == '#')
            continue;
        if (!is_space(*start))
            status = take_logical(r, line);
        if (line->len == 0)
            r->line = number;
        buf_add(line, start, n);
    }
    return status == MXHOP_OK ? take_logical(r, line) : status;
}

/* ---- what belongs together ---- */

/* A host without a port of its own gets server_port. */
static enum mxhop_status finish_hosts(struct reading *r)
{
    const char *pos = r->hosts, *word;
    const char *port = r->port != NULL ? r->port : DEFAULT_PORT;
    struct buf out = {0};
    size_t len;

    if (r->hosts == NULL || (r->s->servers != NULL && *r->s->servers != '\0'))
        return MXHOP_OK;
    r->line = r->hosts_line;
    if (strspn(port, "0123456789") != strlen(port))
        return fail(r, "server_port", "expected a number");
    while ((word = str_next_word(&pos, &len)) != NULL) {
        bool plain = memchr(word, ':', len) == NULL;

        buf_printf(&out, "%s%.*s%s%s", out.len > 0 ? " " : "", (int)len, word,
                   plain ? ":" : "", plain ? port : "");
    }
    free(r->s->servers);
    r->s->servers = buf_detach(&out);
    return r->s->servers != NULL ? MXHOP_OK : err_nomem(r->err);
}

static enum mxhop_status take_filter(struct reading *r, char *filter,
                                     char *attribute)
{
    const struct row to_filter = {.name = "", .at = S(filter)};
    const struct row to_key = {.name = "", .at = S(key_attribute)};
    enum mxhop_status status = set_text(r, &to_filter, filter);

    return status == MXHOP_OK ? set_text(r, &to_key, attribute) : status;
}

static enum mxhop_status finish_filter(struct reading *r)
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
                   : fail(r, "query_filter", text);
    }
    if (status != MXHOP_OK)
        return err_nomem(r->err);
    status = take_filter(r, filter, attribute);
    free(filter);
    free(attribute);
    return status;
}

static enum mxhop_status parse(struct reading *r, const char *text, size_t len)
{
    struct buf line = {0};
    enum mxhop_status status;

    if (memchr(text, '\0', len) != NULL)
        return err_set(r->err, MXHOP_ERR_CONFIG,
                       "%.200s: a NUL octet; expected the text file of an "
                       "ldap: table",
                       r->file);
    status = take_lines(r, text, len, &line);
    if (status == MXHOP_OK)
        status = finish_hosts(r);
    if (status == MXHOP_OK)
        status = finish_filter(r);
    if (line.data != NULL)
        explicit_bzero(line.data, line.cap);
    buf_free(&line);
    free(r->hosts);
    free(r->port);
    free(r->query_filter);
    return status;
}

enum mxhop_status ldap_postfix_parse(struct ldap_settings *s, const char *name,
                                     const char *text, size_t len,
                                     struct mxhop_error *err)
{
    struct reading r = {.s = s, .err = err, .file = name};

    return parse(&r, text, len);
}

/* ---- the file ---- */

static enum mxhop_status file_error(struct mxhop_error *err, const char *path,
                                    const char *why)
{
    return err_set(err, MXHOP_ERR_CONFIG, "ldap_config: %.200s: %s", path, why);
}

static enum mxhop_status read_all(int fd, const char *path, char *text,
                                  size_t *len_r, struct stat *st,
                                  struct mxhop_error *err)
{
    ssize_t n;

    *len_r = 0;
    if (fstat(fd, st) != 0)
        return file_error(err, path, strerror(errno));
    if (!S_ISREG(st->st_mode))
        return file_error(err, path, "not a regular file");
    while ((n = read(fd, text + *len_r, FILE_MAX + 1 - *len_r)) > 0)
        *len_r += (size_t)n;
    if (n < 0)
        return file_error(err, path, strerror(errno));
    if (*len_r > FILE_MAX)
        return file_error(err, path,
                          "larger than 64 KiB; expected the file of an ldap: "
                          "table");
    return MXHOP_OK;
}

static enum mxhop_status use_file(struct reading *r, int fd, char *text)
{
    struct stat st;
    size_t len;
    enum mxhop_status status = read_all(fd, r->file, text, &len, &st, r->err);

    if (status == MXHOP_OK)
        status = parse(r, text, len);
    explicit_bzero(text, FILE_MAX + 1);
    if (status != MXHOP_OK || r->password_line == 0 ||
        (st.st_mode & S_IRWXO) == 0)
        return status;
    r->line = r->password_line;
    return fail(r, "bind_pw",
                "others have access to this file; take that from them "
                "(chmod o=)");
}

enum mxhop_status ldap_postfix_read(struct ldap_settings *s, const char *path,
                                    struct mxhop_error *err)
{
    struct reading r = {.s = s, .err = err, .file = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text;
    enum mxhop_status status;

    if (fd < 0)
        return file_error(err, path, strerror(errno));
    text = malloc(FILE_MAX + 1);
    status = text != NULL ? use_file(&r, fd, text) : err_nomem(err);
    free(text);
    close(fd);
    return status;
}
