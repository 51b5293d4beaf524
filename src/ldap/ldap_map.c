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
    struct entry_values ours; /* of our schema */
    char *transport; /* of the results so far; "" for none; NULL: no result */
    const char *mode;
    bool has_key;
    bool failed; /* out of memory */
};

static void map_add(struct mapping *m, const char *attribute, const char *from,
                    const char *text)
{
    struct raw_value *v =
        entry_values_add(&m->ours, attribute, strlen(attribute), text,
                         strlen(text));

    if (v != NULL)
        v->from = from;
    else
        m->failed = true;
}

static void map_key(struct mapping *m, const char *text)
{
    const char *at = strrchr(text, '@');

    if (*m->s->domains != '\0' &&
        (at == NULL || !str_in_list(m->s->domains, at + 1)))
        return;
    /* @domain: everybody in it (RFC draft of inetLocalMailRecipient) */
    map_add(m, "mxhopKey", m->s->key_attribute, *text == '@' ? text + 1 : text);
    m->has_key = true;
}

/* ---- results: NULL, or what is wrong ---- */

static const char *map_set_mode(struct mapping *m, const char *mode)
{
    if (m->mode != NULL && strcmp(m->mode, mode) != 0)
        return "the entry has results that contradict each other; expected "
               "one kind";
    m->mode = mode;
    return NULL;
}

static const char *map_reason(struct mapping *m, const char *mode,
                              const char *text)
{
    size_t code;

    text += strspn(text, " ");
    code = strspn(text, "0123456789."); /* an enhanced status code */
    if (code >= 5 && text[code] == ' ')
        text += code + 1;
    if (*text != '\0')
        map_add(m, "mxhopReason", m->s->result_attribute, text);
    return map_set_mode(m, mode);
}

static const char *map_hosts(struct mapping *m, const char *transport,
                             const char *list)
{
    const char *from = m->s->result_attribute, *pos = list, *why, *word;
    size_t len;

    if (strchr(list, '/') != NULL || strncmp(list, "unix:", 5) == 0)
        return "a socket is no mail host; expected host or [host]:port";
    if (m->transport == NULL) {
        m->transport = strdup(transport);
        m->failed = m->failed || m->transport == NULL;
        if (*transport != '\0')
            map_add(m, "mxhopTransport", from, transport);
    } else if (strcmp(m->transport, transport) != 0) {
        return "the entry has results with different transports; expected one";
    }
    if (*list == '\0')
        return map_set_mode(m, *transport != '\0' ? "merge" : "pass");
    why = map_set_mode(m, "replace");
    if (why != NULL)
        return why;
    /* In the order of the list. */
    for (unsigned i = 0; (word = str_next_word(&pos, &len)) != NULL; i++) {
        char hop[RESULT_MAX + 16];

        if (i == HOPS_MAX)
            return "more than 100 hosts in one value";
        snprintf(hop, sizeof(hop), "%u %.*s", i, (int)len, word);
        map_add(m, "mxhopHop", from, hop);
    }
    return NULL;
}

static const char *map_result(struct mapping *m, char *result)
{
    const char *transport = "";
    char *colon = strchr(result, ':');

    /* With a dot before the colon it is host:port. */
    if (*result != '[' && colon != NULL &&
        memchr(result, '.', (size_t)(colon - result)) == NULL) {
        if (memchr(result, '/', (size_t)(colon - result)) != NULL)
            return "expected transport:host as in transport(5)";
        *colon = '\0';
        transport = result;
        result = colon + 1;
    }
    if (strcmp(transport, "error") == 0)
        return map_reason(m, "reject", result);
    if (strcmp(transport, "retry") == 0 || strcmp(transport, "defer") == 0)
        return map_reason(m, "defer", result);
    if (strcmp(transport, "discard") == 0)
        return "discard is no route; expected a host, error: or retry:";
    return map_hosts(m, transport, result);
}

/* result_format of ldap_table(5), in which %s is the value. */
static const char *map_format(struct mapping *m, const char *text)
{
    const char *f = *m->s->result_format != '\0' ? m->s->result_format : "%s";
    const char *why = NULL;
    struct buf out = {0};

    for (; *f != '\0'; f++) {
        if (f[0] == '%' && f[1] == 's')
            buf_puts(&out, text);
        else
            buf_putc(&out, f[0]);
        if (f[0] == '%' && (f[1] == 's' || f[1] == '%'))
            f++;
    }
    if (out.failed)
        m->failed = true;
    else if (out.len > RESULT_MAX)
        why = "the result is longer than 4096 octets";
    else
        why = map_result(m, out.data);
    buf_free(&out);
    return why;
}

/* ---- an entry ---- */

static const char *map_value(struct mapping *m, const struct raw_value *v)
{
    bool key = str_ieq(v->attribute, m->s->key_attribute);
    bool result = str_ieq(v->attribute, m->s->result_attribute);
    char text[RESULT_MAX + 1];

    if (!key && !result)
        return NULL;
    if (v->len > RESULT_MAX)
        return "the value is longer than 4096 octets";
    if (memchr(v->bytes, '\0', v->len) != NULL)
        return "the value holds a NUL byte";
    memcpy(text, v->bytes, v->len);
    text[v->len] = '\0';
    if (key)
        map_key(m, text);
    /* One attribute may be both: a domain that is its own host. */
    return result ? map_format(m, text) : NULL;
}

enum entry_verdict ldap_map(const struct ldap_settings *s,
                            const struct raw_entry *raw, struct override *o_r,
                            size_t *line_r, struct mxhop_error *err)
{
    struct mapping m = {.s = s};
    enum entry_verdict verdict = ENTRY_OTHER;
    struct raw_entry ours;

    if (*s->key_attribute == '\0')
        return entry_parse(raw, o_r, line_r, err);
    *o_r = (struct override){0};
    for (size_t i = 0; i < raw->n_values; i++) {
        const struct raw_value *v = &raw->values[i];
        const char *why = map_value(&m, v);

        if (why == NULL)
            continue;
        verdict = entry_complain(v, why, line_r, err);
        goto out;
    }
    if (!m.failed && (!m.has_key || m.mode == NULL))
        goto out; /* no key of ours, or no route */
    map_add(&m, "objectClass", NULL, "mxhopOverride");
    map_add(&m, "mxhopMode", NULL, m.mode != NULL ? m.mode : "");
    if (m.failed) {
        err_nomem(err);
        verdict = ENTRY_MEMORY;
        goto out;
    }
    ours = (struct raw_entry){raw->dn, raw->line, m.ours.v, m.ours.n};
    verdict = entry_parse(&ours, o_r, line_r, err);
out:
    entry_values_free(&m.ours);
    free(m.transport);
    return verdict;
}
