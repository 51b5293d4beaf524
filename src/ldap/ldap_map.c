/*
 * ldap_map - somebody else's schema: keys and results as transport(5) has them
 *
 *     smtp:[host]:port, [host], host, host:port    go to these hosts
 *     relay:host1, host2                           in this order
 *     smtp:                                        the domain's own MX hosts
 *     :                                            no opinion
 *     error:text  retry:text                       reject, defer
 *
 * A word before a colon is a transport, unless it has a dot: then it is a host
 * and a port stands behind the colon. What else a result may be (unix:, a
 * path, discard:) routes no mail to hosts, and the entry is reported.
 *
 * The result becomes attributes of our own schema, and entry.c judges them: a
 * host is no better for the directory that it comes from. Errors name the
 * attribute that the value stands in.
 */

#include "ldap/ldap_map.h"
#include "model/key.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESULT_MAX 4096 /* octets of one value */
#define HOPS_MAX   100  /* of one value */

struct mapping {
    const struct ldap_settings *s;
    struct raw_value *values; /* of our schema */
    char **owned;             /* what they point into */
    size_t n, cap;
    char *transport; /* of the results so far; "" for none; NULL: no result */
    bool has_hops;
    const char *mode;
    bool failed; /* out of memory */
};

/* ---- values of our schema ---- */

static bool grow(struct mapping *m)
{
    size_t cap = m->cap != 0 ? m->cap * 2 : 16;
    struct raw_value *values = realloc(m->values, cap * sizeof(*values));
    char **owned;

    if (values == NULL)
        return false;
    m->values = values;
    owned = realloc(m->owned, cap * sizeof(*owned));
    if (owned == NULL)
        return false;
    m->owned = owned;
    m->cap = cap;
    return true;
}

static void add(struct mapping *m, const char *attribute, const char *from,
                const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL || (m->n == m->cap && !grow(m))) {
        free(copy);
        m->failed = true;
        return;
    }
    m->owned[m->n] = copy;
    m->values[m->n++] = (struct raw_value){.attribute = attribute,
                                           .from = from,
                                           .bytes = copy,
                                           .len = strlen(copy)};
}

static void free_mapping(struct mapping *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->owned[i]);
    free(m->owned);
    free(m->values);
    free(m->transport);
}

/* ---- keys ---- */

static bool in_domains(const char *domains, const char *key)
{
    const char *at = strrchr(key, '@');

    return *domains == '\0' || (at != NULL && str_in_list(domains, at + 1));
}

static void add_key(struct mapping *m, const char *text)
{
    if (!in_domains(m->s->domains, text))
        return;
    /* @domain: everybody in it (RFC draft of inetLocalMailRecipient) */
    add(m, "mxhopKey", m->s->key_attribute, *text == '@' ? text + 1 : text);
}

/* ---- results ---- */

/* NULL, or what is wrong. Takes the transport off the result. */
static const char *split_transport(char **result, const char **transport)
{
    char *colon = strchr(*result, ':');

    *transport = "";
    if (**result == '[' || colon == NULL)
        return NULL;
    if (memchr(*result, '.', (size_t)(colon - *result)) != NULL)
        return NULL; /* host:port */
    if (memchr(*result, '/', (size_t)(colon - *result)) != NULL)
        return "expected transport:host as in transport(5)";
    *colon = '\0';
    *transport = *result;
    *result = colon + 1;
    return NULL;
}

static const char *set_mode(struct mapping *m, const char *mode)
{
    if (m->mode != NULL && strcmp(m->mode, mode) != 0)
        return "the entry has results that contradict each other; expected "
               "one kind";
    m->mode = mode;
    return NULL;
}

static const char *add_text(struct mapping *m, const char *mode, char *text)
{
    size_t code;

    text += strspn(text, " ");
    code = strspn(text, "0123456789."); /* an enhanced status code */
    if (code >= 5 && text[code] == ' ')
        text += code + 1;
    if (*text != '\0')
        add(m, "mxhopReason", m->s->result_attribute, text);
    return set_mode(m, mode);
}

/* Hosts in the order of the list. */
static const char *add_hops(struct mapping *m, const char *list)
{
    const char *pos = list, *word;
    unsigned order = 0;
    size_t len;

    while ((word = str_next_word(&pos, &len)) != NULL) {
        char hop[RESULT_MAX + 16];

        if (order == HOPS_MAX)
            return "more than 100 hosts in one value";
        snprintf(hop, sizeof(hop), "%u %.*s", order++, (int)len, word);
        add(m, "mxhopHop", m->s->result_attribute, hop);
        m->has_hops = true;
    }
    return NULL;
}

static const char *same_transport(struct mapping *m, const char *transport)
{
    if (m->transport == NULL) {
        m->transport = strdup(transport);
        m->failed = m->failed || m->transport == NULL;
        if (*transport != '\0')
            add(m, "mxhopTransport", m->s->result_attribute, transport);
        return NULL;
    }
    return strcmp(m->transport, transport) == 0
               ? NULL
               : "the entry has results with different transports; expected "
                 "one";
}

static const char *add_result(struct mapping *m, char *result)
{
    const char *transport, *why = split_transport(&result, &transport);

    if (why != NULL)
        return why;
    if (strcmp(transport, "error") == 0)
        return add_text(m, "reject", result);
    if (strcmp(transport, "retry") == 0 || strcmp(transport, "defer") == 0)
        return add_text(m, "defer", result);
    if (strcmp(transport, "discard") == 0)
        return "discard is no route; expected a host, error: or retry:";
    if (strchr(result, '/') != NULL || strncmp(result, "unix:", 5) == 0)
        return "a socket is no mail host; expected host or [host]:port";
    why = same_transport(m, transport);
    if (why == NULL && *result == '\0')
        return set_mode(m, *transport != '\0' ? "merge" : "pass");
    if (why == NULL)
        why = set_mode(m, "replace");
    return why != NULL ? why : add_hops(m, result);
}

/* result_format of ldap_table(5), in which %s is the value. */
static char *format_result(const struct ldap_settings *s, const char *text)
{
    const char *f = *s->result_format != '\0' ? s->result_format : "%s";
    struct buf out = {0};

    for (; *f != '\0'; f++) {
        if (f[0] == '%' && f[1] == 's')
            buf_puts(&out, text);
        else
            buf_putc(&out, f[0]);
        if (f[0] == '%' && (f[1] == 's' || f[1] == '%'))
            f++;
    }
    return buf_detach(&out);
}

/* ---- an entry ---- */

static const char *take_value(struct mapping *m, bool key, const char *text)
{
    const char *why = NULL;
    char *result;

    if (key) {
        add_key(m, text);
        return NULL;
    }
    result = format_result(m->s, text);
    if (result == NULL)
        m->failed = true;
    else if (strlen(result) > RESULT_MAX)
        why = "the result is longer than 4096 octets";
    else
        why = add_result(m, result);
    free(result);
    return why;
}

static const char *check_value(const struct raw_value *v, char *text)
{
    if (v->len > RESULT_MAX)
        return "the value is longer than 4096 octets";
    if (memchr(v->bytes, '\0', v->len) != NULL)
        return "the value holds a NUL byte";
    memcpy(text, v->bytes, v->len);
    text[v->len] = '\0';
    return NULL;
}

static const char *take_values(struct mapping *m, const struct raw_entry *raw,
                               const struct raw_value **at_r)
{
    char text[RESULT_MAX + 1];

    for (size_t i = 0; i < raw->n_values; i++) {
        const struct raw_value *v = &raw->values[i];
        bool key = str_ieq(v->attribute, m->s->key_attribute);
        const char *why;

        *at_r = v;
        if (!key && !str_ieq(v->attribute, m->s->result_attribute))
            continue;
        why = check_value(v, text);
        if (why == NULL && key)
            why = take_value(m, true, text);
        /* One attribute may be both: a domain that is its own host. */
        if (why == NULL && str_ieq(v->attribute, m->s->result_attribute))
            why = take_value(m, false, text);
        if (why != NULL)
            return why;
    }
    return NULL;
}

static bool has(const struct mapping *m, const char *attribute)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->values[i].attribute, attribute) == 0)
            return true;
    return false;
}

static enum entry_verdict finish(struct mapping *m, const struct raw_entry *raw,
                                 struct override *o_r, struct mxhop_error *err)
{
    struct raw_entry ours = {.dn = raw->dn, .line = raw->line};

    if (!m->failed && (!has(m, "mxhopKey") || m->mode == NULL))
        return ENTRY_OTHER; /* no key of ours, or no route */
    add(m, "objectClass", NULL, "mxhopOverride");
    add(m, "mxhopMode", NULL, m->mode != NULL ? m->mode : "");
    if (m->failed) {
        err_nomem(err);
        return ENTRY_MEMORY;
    }
    ours.values = m->values;
    ours.n_values = m->n;
    return entry_parse(&ours, o_r, err);
}

enum entry_verdict ldap_map(const struct ldap_settings *s,
                            const struct raw_entry *raw, struct override *o_r,
                            struct mxhop_error *err)
{
    struct mapping m = {.s = s};
    const struct raw_value *at = NULL;
    enum entry_verdict verdict;
    const char *why;

    if (*s->key_attribute == '\0')
        return entry_parse(raw, o_r, err);
    *o_r = (struct override){0};
    why = take_values(&m, raw, &at);
    if (why != NULL) {
        err_set(err, MXHOP_ERR_SYNTAX, "%s: \"%.*s\": %s", at->attribute,
                at->len > 80 ? 80 : (int)at->len, at->bytes, why);
        verdict = ENTRY_INVALID;
    } else {
        verdict = finish(&m, raw, o_r, err);
    }
    free_mapping(&m);
    return verdict;
}
