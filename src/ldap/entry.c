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
#include "overrides/ovtable.h"
#include "util/err.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX     4096 /* octets: no attribute needs more */
#define TRANSPORT_MAX 100
#define REASON_MAX    200

/* ---- values ---- */

struct raw_value *entry_values_add(struct entry_values *values,
                                   const char *attribute, size_t attribute_len,
                                   const void *bytes, size_t len)
{
    struct raw_value *v;
    char *copy;

    if (!vec_room(&values->v, values->n, &values->cap, sizeof(*values->v)))
        return NULL;
    copy = malloc(attribute_len + 1 + len + 1); /* both in one */
    if (copy == NULL)
        return NULL;
    memcpy(copy, attribute, attribute_len);
    copy[attribute_len] = '\0';
    if (len > 0)
        memcpy(copy + attribute_len + 1, bytes, len);
    copy[attribute_len + 1 + len] = '\0';
    v = &values->v[values->n++];
    *v = (struct raw_value){
        .attribute = copy, .bytes = copy + attribute_len + 1, .len = len};
    return v;
}

void entry_values_reset(struct entry_values *values)
{
    for (size_t i = 0; i < values->n; i++)
        free((char *)values->v[i].attribute);
    values->n = 0;
}

void entry_values_free(struct entry_values *values)
{
    entry_values_reset(values);
    free(values->v);
    *values = (struct entry_values){0};
}

void finding_report(finding_fn *fn, void *ctx, const char *dn, size_t line,
                    const char *fmt, ...)
{
    char text[600];
    struct finding f = {dn, line, text};
    va_list ap;

    if (fn == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fn(ctx, &f);
}

/* ---- one function a kind of attribute ---- */

static const char no_memory[] = "out of memory";

/* NULL, or static text: what is wrong and what was expected. `member` is what
   the row names. */
typedef const char *entry_set(struct override *o, void *member,
                              const char *value);

static const char *entry_add(struct strlist *list, const char *value)
{
    return strlist_add(list, value) ? NULL : no_memory;
}

/* host or .suffix */
static const char *entry_set_pattern(struct override *o, void *member,
                                     const char *value)
{
    char name[1 + NAME_MAX_TEXT + 1] = ".";
    bool suffix = value[0] == '.';
    const char *why = name_normalise(value + (suffix ? 1 : 0), name + 1);

    (void)o;
    if (strncmp(value, "*.", 2) == 0)
        return "expected .example.com for all names below example.com";
    return why != NULL ? why : entry_add(member, suffix ? name : name + 1);
}

static const char *entry_set_key(struct override *o, void *member,
                                 const char *value)
{
    struct key key;

    if (strcmp(value, "*") == 0)
        return entry_add(member, value);
    if (strchr(value, '@') == NULL)
        return entry_set_pattern(o, member, value);
    if (value[0] == '@' || strncmp(value, "*@", 2) == 0)
        return "expected example.com, without @, for everybody in a domain";
    key_parse(value, &key);
    if (key.kind != KEY_RECIPIENT)
        return key.why;
    return entry_add(member, key.recipient);
}

static const char *entry_set_mode(struct override *o, void *member,
                                  const char *value)
{
    (void)o;
    if (override_mode_parse(value, member))
        return NULL;
    return "expected replace, prepend, append, exclude, merge, pass, reject "
           "or defer";
}

static const char *entry_set_hop(struct override *o, void *member,
                                 const char *value)
{
    struct hopspec hop;
    const char *why = hop_parse(value, &hop);

    (void)member;
    if (why != NULL)
        return why;
    return override_add_hop(o, &hop) ? NULL : no_memory;
}

static const char *entry_set_text(char **to, const char *value)
{
    *to = strdup(value);
    return *to != NULL ? NULL : no_memory;
}

static const char *entry_set_transport(struct override *o, void *member,
                                       const char *value)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t n = strlen(value);

    (void)o;
    if (n == 0 || n > TRANSPORT_MAX || strspn(value, allowed) != n)
        return "expected the name of a transport in master.cf, without colon";
    return entry_set_text(member, value);
}

static const char *entry_set_group(struct override *o, void *member,
                                   const char *value)
{
    (void)member;
    if (str_ieq(value, "site"))
        o->group = OVERRIDE_GROUP_SITE;
    else if (str_ieq(value, "domain"))
        o->group = OVERRIDE_GROUP_DOMAIN;
    else
        return "expected site or domain";
    return NULL;
}

static const char *entry_set_reason(struct override *o, void *member,
                                    const char *value)
{
    size_t n = strlen(value);

    (void)o;
    if (n == 0 || n > REASON_MAX)
        return "expected a text of 1 to 200 octets";
    for (size_t i = 0; i < n; i++)
        if (value[i] < ' ' || value[i] > '~')
            return "expected printable ASCII: the text goes into SMTP replies";
    return entry_set_text(member, value);
}

static const char *entry_set_enabled(struct override *o, void *member,
                                     const char *value)
{
    (void)member;
    if (!str_ieq(value, "TRUE") && !str_ieq(value, "FALSE"))
        return "expected TRUE or FALSE";
    o->enabled = str_ieq(value, "TRUE");
    return NULL;
}

static const char *entry_set_time(struct override *o, void *member,
                                  const char *value)
{
    (void)o;
    if (gentime_parse(value, member))
        return NULL;
    return "expected a generalizedTime such as 20261231235900Z";
}

#define O(field) offsetof(struct override, field)

static const struct attribute {
    const char *name;
    bool multi;
    entry_set *set;
    size_t member;
} attributes[] = {
    {"mxhopKey", true, entry_set_key, O(keys)},
    {"mxhopExchange", true, entry_set_pattern, O(exchanges)},
    {"mxhopMode", false, entry_set_mode, O(mode)},
    {"mxhopHop", true, entry_set_hop, O(hops)},
    {"mxhopExclude", true, entry_set_pattern, O(excludes)},
    {"mxhopTransport", false, entry_set_transport, O(transport)},
    {"mxhopGroup", false, entry_set_group, O(group)},
    {"mxhopReason", false, entry_set_reason, O(reason)},
    {"mxhopEnabled", false, entry_set_enabled, O(enabled)},
    {"mxhopNotBefore", false, entry_set_time, O(not_before_s)},
    {"mxhopNotAfter", false, entry_set_time, O(not_after_s)},
};

#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

/* Somebody who writes our attributes means our class, and mail would go
   elsewhere without a word. */
static enum entry_verdict entry_judge_class(const struct raw_entry *raw,
                                            size_t *line_r,
                                            struct mxhop_error *err)
{
    static const char name[] = "mxhopOverride";
    const struct raw_value *ours = NULL, *class = NULL;

    for (size_t i = 0; i < raw->n_values; i++) {
        const struct raw_value *v = &raw->values[i];

        if (strncasecmp(v->attribute, "mxhop", 5) == 0 && ours == NULL)
            ours = v;
        if (!str_ieq(v->attribute, "objectClass"))
            continue;
        if (v->len == strlen(name) && strncasecmp(v->bytes, name, v->len) == 0)
            return ENTRY_OK;
        if (class == NULL ||
            (v->len >= 5 && strncasecmp(v->bytes, name, 5) == 0))
            class = v; /* a misspelt one, before top and others */
    }
    if (ours == NULL)
        return ENTRY_OTHER;
    *line_r = class != NULL ? class->line : raw->line;
    err_set(err, MXHOP_ERR_SYNTAX,
            "objectClass: the entry has %s, but not the class mxhopOverride; "
            "expected \"objectClass: mxhopOverride\"",
            ours->attribute);
    return ENTRY_INVALID;
}

enum entry_verdict entry_complain(const struct raw_value *v, const char *why,
                                  size_t *line_r, struct mxhop_error *err)
{
    size_t n = v->len;

    if (n > 80)
        for (n = 80; n > 76 && (v->bytes[n] & 0xc0) == 0x80;)
            n--; /* no part of a character */
    *line_r = v->line;
    err_set_utf8(err, MXHOP_ERR_SYNTAX, "%s: \"%.*s\"%s: %s",
                 v->from != NULL ? v->from : v->attribute, (int)n, v->bytes,
                 n < v->len ? "..." : "", why);
    return ENTRY_INVALID;
}

static enum entry_verdict entry_take_value(const struct raw_value *v,
                                           unsigned *seen, struct override *o,
                                           size_t *line_r,
                                           struct mxhop_error *err)
{
    char text[VALUE_MAX + 1];
    const char *why;
    size_t i = 0;

    while (i < N_ATTRIBUTES && !str_ieq(attributes[i].name, v->attribute))
        i++;
    if (i == N_ATTRIBUTES) {
        if (strncasecmp(v->attribute, "mxhop", 5) != 0)
            return ENTRY_OK; /* cn, description, operational attributes */
        return entry_complain(v, "no such attribute; see mxhop_table(5)",
                              line_r, err);
    }
    if (v->len > VALUE_MAX)
        return entry_complain(v, "the value is longer than 4096 octets", line_r,
                              err);
    if (memchr(v->bytes, '\0', v->len) != NULL)
        return entry_complain(v, "the value holds a NUL byte", line_r, err);
    if (!attributes[i].multi && (*seen & (1u << i)) != 0)
        return entry_complain(v, "the attribute takes one value only", line_r,
                              err);
    *seen |= 1u << i;
    memcpy(text, v->bytes, v->len);
    text[v->len] = '\0';
    why = attributes[i].set(o, (char *)o + attributes[i].member, text);
    if (why == no_memory) {
        err_nomem(err);
        return ENTRY_MEMORY;
    }
    return why == NULL ? ENTRY_OK : entry_complain(v, why, line_r, err);
}

/* What one entry may not be, or nobody's changes would get into the table, or a
   lookup would take seconds. NULL, or what is wrong. */
static const char *entry_is_too_large(const struct override *o, const char *dn)
{
    static const char *const too_many[] = {
        "mxhopKey: the entry has more than 65536 values",
        "mxhopExchange: the entry has more than 65536 values",
        "mxhopExclude: the entry has more than 65536 values"};
    const struct strlist *lists[] = {&o->keys, &o->exchanges, &o->excludes};
    size_t octets = strlen(dn);

    if (o->n_hops > OVTABLE_HOPS_MAX)
        return "mxhopHop: the entry has more than 1000 hops";
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (lists[i]->n > OVTABLE_VALUES_MAX)
            return too_many[i];
        for (size_t k = 0; k < lists[i]->n; k++)
            octets += sizeof(uint32_t) + strlen(lists[i]->v[k]);
    }
    return octets > OVTABLE_ENTRY_MAX
               ? "mxhopKey: the entry is larger than 3 MiB; make it several"
               : NULL;
}

/* What the attributes must be together. NULL, or what is wrong. */
static const char *entry_judge(const struct override *o, const char *dn)
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
    if (*dn == '\0')
        return "the entry has no name";
    return entry_is_too_large(o, dn);
}

/* The line of the attribute that a text of entry_judge() begins with; else of
   the entry. */
static size_t entry_line(const struct raw_entry *raw, const char *why)
{
    for (size_t i = 0; i < raw->n_values; i++) {
        size_t n = strlen(raw->values[i].attribute);

        if (strncasecmp(raw->values[i].attribute, why, n) == 0 && why[n] == ':')
            return raw->values[i].line;
    }
    return raw->line;
}

enum entry_verdict entry_parse(const struct raw_entry *raw,
                               struct override *o_r, size_t *line_r,
                               struct mxhop_error *err)
{
    enum entry_verdict verdict = entry_judge_class(raw, line_r, err);
    unsigned seen = 0;
    const char *why;

    *o_r = (struct override){.mode = OVERRIDE_REPLACE, .enabled = true};
    for (size_t i = 0; verdict == ENTRY_OK && i < raw->n_values; i++)
        verdict = entry_take_value(&raw->values[i], &seen, o_r, line_r, err);
    if (verdict == ENTRY_OK && (why = entry_judge(o_r, raw->dn)) != NULL) {
        err_set(err, MXHOP_ERR_SYNTAX, "%s", why);
        *line_r = entry_line(raw, why);
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
