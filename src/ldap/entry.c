/*
 * entry - the rules of one override entry
 *
 * One row an attribute: its name, whether it takes several values, and the
 * function that checks a value and stores it in normal form. What the
 * attributes mean together is checked at the end. An entry is valid as a whole
 * or not at all: half an override would route mail in a way nobody wrote down.
 */

#include "ldap/entry.h"
#include "ldap/gentime.h"
#include "util/err.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX     4096 /* octets: no attribute needs more */
#define TRANSPORT_MAX 100
#define REASON_MAX    200

static const char no_memory[] = "out of memory";

/* NULL, or static text: what is wrong and what was expected. */
typedef const char *set_fn(struct override *o, const char *value);

static const char *add(struct strlist *list, const char *value)
{
    return strlist_add(list, value) ? NULL : no_memory;
}

/* host or .suffix */
static const char *add_pattern(struct strlist *list, const char *value)
{
    char name[1 + NAME_MAX_TEXT + 1] = ".";
    bool suffix = value[0] == '.';
    const char *why = name_normalise(value + (suffix ? 1 : 0), name + 1);

    return why != NULL ? why : add(list, suffix ? name : name + 1);
}

static const char *set_key(struct override *o, const char *value)
{
    struct key key;

    if (strcmp(value, "*") == 0)
        return add(&o->keys, value);
    if (strchr(value, '@') == NULL)
        return add_pattern(&o->keys, value);
    key_parse(value, &key);
    if (key.kind != KEY_RECIPIENT)
        return key.why;
    return add(&o->keys, key.recipient);
}

static const char *set_exchange(struct override *o, const char *value)
{
    return add_pattern(&o->exchanges, value);
}

static const char *set_exclude(struct override *o, const char *value)
{
    return add_pattern(&o->excludes, value);
}

static const char *set_mode(struct override *o, const char *value)
{
    if (override_mode_parse(value, &o->mode))
        return NULL;
    return "expected replace, prepend, append, exclude, merge, pass, reject "
           "or defer";
}

static const char *set_hop(struct override *o, const char *value)
{
    struct hopspec hop;
    const char *why = hop_parse(value, &hop);

    if (why != NULL)
        return why;
    return override_add_hop(o, &hop) ? NULL : no_memory;
}

static const char *set_text(char **to, const char *value)
{
    *to = strdup(value);
    return *to != NULL ? NULL : no_memory;
}

static const char *set_transport(struct override *o, const char *value)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t n = strlen(value);

    if (n == 0 || n > TRANSPORT_MAX || strspn(value, allowed) != n)
        return "expected the name of a transport in master.cf, without colon";
    return set_text(&o->transport, value);
}

static const char *set_group(struct override *o, const char *value)
{
    if (str_ieq(value, "site"))
        o->group = OVERRIDE_GROUP_SITE;
    else if (str_ieq(value, "domain"))
        o->group = OVERRIDE_GROUP_DOMAIN;
    else
        return "expected site or domain";
    return NULL;
}

static const char *set_reason(struct override *o, const char *value)
{
    size_t n = strlen(value);

    if (n == 0 || n > REASON_MAX)
        return "expected a text of 1 to 200 octets";
    for (size_t i = 0; i < n; i++)
        if (value[i] < ' ' || value[i] > '~')
            return "expected printable ASCII: the text goes into SMTP replies";
    return set_text(&o->reason, value);
}

static const char *set_enabled(struct override *o, const char *value)
{
    if (!str_ieq(value, "TRUE") && !str_ieq(value, "FALSE"))
        return "expected TRUE or FALSE";
    o->enabled = str_ieq(value, "TRUE");
    return NULL;
}

static const char *set_time(int64_t *to, const char *value)
{
    if (gentime_parse(value, to))
        return NULL;
    return "expected a generalizedTime such as 20261231235900Z";
}

static const char *set_not_before(struct override *o, const char *value)
{
    return set_time(&o->not_before_s, value);
}

static const char *set_not_after(struct override *o, const char *value)
{
    return set_time(&o->not_after_s, value);
}

static const struct attribute {
    const char *name;
    bool multi;
    set_fn *set;
} attributes[] = {
    {"mxhopKey", true, set_key},
    {"mxhopExchange", true, set_exchange},
    {"mxhopMode", false, set_mode},
    {"mxhopHop", true, set_hop},
    {"mxhopExclude", true, set_exclude},
    {"mxhopTransport", false, set_transport},
    {"mxhopGroup", false, set_group},
    {"mxhopReason", false, set_reason},
    {"mxhopEnabled", false, set_enabled},
    {"mxhopNotBefore", false, set_not_before},
    {"mxhopNotAfter", false, set_not_after},
};

#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static size_t find_attribute(const char *name)
{
    size_t i = 0;

    while (i < N_ATTRIBUTES && !str_ieq(attributes[i].name, name))
        i++;
    return i;
}

static bool value_is(const struct raw_value *v, const char *text)
{
    char copy[64];

    if (v->len >= sizeof(copy))
        return false;
    memcpy(copy, v->bytes, v->len);
    copy[v->len] = '\0';
    return str_ieq(copy, text);
}

static bool is_ours(const struct raw_entry *raw)
{
    for (size_t i = 0; i < raw->n_values; i++)
        if (str_ieq(raw->values[i].attribute, "objectClass") &&
            value_is(&raw->values[i], "mxhopOverride"))
            return true;
    return false;
}

static enum entry_verdict complain(struct mxhop_error *err,
                                   const struct raw_value *v, const char *why)
{
    if (why == no_memory) {
        err_nomem(err);
        return ENTRY_MEMORY;
    }
    err_set(err, MXHOP_ERR_SYNTAX, "%s: \"%.*s\"%s: %s",
            v->from != NULL ? v->from : v->attribute,
            v->len > 80 ? 80 : (int)v->len, v->bytes, v->len > 80 ? "..." : "",
            why);
    return ENTRY_INVALID;
}

static enum entry_verdict take_value(const struct raw_value *v, unsigned *seen,
                                     struct override *o,
                                     struct mxhop_error *err)
{
    size_t i = find_attribute(v->attribute);
    char text[VALUE_MAX + 1];
    const char *why;

    if (i == N_ATTRIBUTES) {
        char head[6] = "";

        memcpy(head, v->attribute, strnlen(v->attribute, 5));
        if (!str_ieq(head, "mxhop"))
            return ENTRY_OK; /* cn, description, operational attributes */
        return complain(err, v, "no such attribute; see mxhop_table(5)");
    }
    if (v->len > VALUE_MAX)
        return complain(err, v, "the value is longer than 4096 octets");
    if (memchr(v->bytes, '\0', v->len) != NULL)
        return complain(err, v, "the value holds a NUL byte");
    if (!attributes[i].multi && (*seen & (1u << i)) != 0)
        return complain(err, v, "the attribute takes one value only");
    *seen |= 1u << i;
    memcpy(text, v->bytes, v->len);
    text[v->len] = '\0';
    why = attributes[i].set(o, text);
    return why == NULL ? ENTRY_OK : complain(err, v, why);
}

/* What the attributes must be together. NULL, or what is wrong. */
static const char *judge(const struct override *o)
{
    bool takes_hops = o->mode == OVERRIDE_REPLACE ||
                      o->mode == OVERRIDE_PREPEND ||
                      o->mode == OVERRIDE_APPEND || o->mode == OVERRIDE_MERGE;
    bool changes = o->excludes.n > 0 || o->transport != NULL ||
                   o->group != OVERRIDE_GROUP_UNSET;

    if (o->keys.n == 0 && o->exchanges.n == 0)
        return "mxhopKey: the entry has neither mxhopKey nor mxhopExchange, "
               "and would match nothing";
    if (o->n_hops > 0 && !takes_hops)
        return "mxhopHop: this mxhopMode takes no hops";
    if (o->n_hops == 0 && takes_hops && o->mode != OVERRIDE_MERGE)
        return "mxhopHop: this mxhopMode needs at least one hop";
    if (o->mode == OVERRIDE_MERGE && o->n_hops == 0 && !changes)
        return "mxhopHop: mode merge needs a hop, mxhopExclude, mxhopTransport "
               "or mxhopGroup";
    if (o->mode == OVERRIDE_EXCLUDE && o->excludes.n == 0)
        return "mxhopExclude: mode exclude needs a host or .suffix to drop";
    if (o->not_before_s != 0 && o->not_after_s != 0 &&
        o->not_before_s > o->not_after_s)
        return "mxhopNotAfter: the window ends before it begins";
    return NULL;
}

enum entry_verdict entry_parse(const struct raw_entry *raw,
                               struct override *o_r, struct mxhop_error *err)
{
    enum entry_verdict verdict = ENTRY_OK;
    unsigned seen = 0;
    const char *why;

    *o_r = (struct override){.mode = OVERRIDE_REPLACE, .enabled = true};
    if (!is_ours(raw))
        return ENTRY_OTHER;
    for (size_t i = 0; verdict == ENTRY_OK && i < raw->n_values; i++)
        verdict = take_value(&raw->values[i], &seen, o_r, err);
    if (verdict == ENTRY_OK && (why = judge(o_r)) != NULL) {
        err_set(err, MXHOP_ERR_SYNTAX, "%s", why);
        verdict = ENTRY_INVALID;
    }
    if (verdict == ENTRY_OK && (o_r->dn = strdup(raw->dn)) == NULL) {
        err_nomem(err);
        verdict = ENTRY_MEMORY;
    }
    if (verdict != ENTRY_OK)
        override_free(o_r);
    return verdict;
}
