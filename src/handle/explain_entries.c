/*
 * explain_entries - the entries that could concern a key, and why most do not
 *
 * Disabled entries stand under no key in the table, so all of it is read: a
 * trace may take that long. In order of precedence: by recipient, by domain, by
 * parent, `*`; then by MX host.
 */

#include "handle/explain.h"
#include "route/match.h"
#include "util/clock.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

const char *const entry_state_words[] = {
    [ENTRY_APPLIES] = "applies", [ENTRY_DISABLED] = "disabled",
    [ENTRY_PENDING] = "pending", [ENTRY_PAST] = "past",
    [ENTRY_BEATEN] = "beaten",   [ENTRY_IDLE] = "idle",
    [ENTRY_LOCAL] = "local",     [ENTRY_UNUSED] = "unused",
};

struct entries_search {
    const struct lookup *l;
    struct strlist keys; /* most specific first */
    struct explained_entries *found;
    bool memory;
};

static bool entries_add_keys(struct entries_search *s)
{
    const struct lookup *l = s->l;
    const char *at = NULL;
    struct key key = l->key, asked;

    key_parse(l->asked, &asked);
    if (asked.kind == KEY_RECIPIENT && !strlist_add(&s->keys, asked.recipient))
        return false;
    if (key.kind == KEY_RECIPIENT || l->fell_through) {
        if (key.recipient[0] != '\0' && !strlist_add(&s->keys, key.recipient))
            return false;
        key.kind = KEY_DOMAIN;
    }
    while ((at = match_next_key(&key, at)) != NULL)
        if (!strlist_add(&s->keys, at))
            return false;
    return true;
}

/* The place among the keys, and the text, under which an entry fits. */
static const char *entries_fit(const struct entries_search *s,
                               const struct override *o, size_t *order_r,
                               bool *by_exchange_r)
{
    const struct mxset *set = &s->l->set;

    *by_exchange_r = false;
    for (size_t i = 0; i < s->keys.n; i++)
        for (size_t j = 0; j < o->keys.n; j++)
            if (strcmp(s->keys.v[i], o->keys.v[j]) == 0) {
                *order_r = i;
                return s->keys.v[i];
            }
    *by_exchange_r = true;
    for (size_t j = 0; s->l->asked_dns && j < o->exchanges.n; j++)
        for (size_t i = 0; i < set->n_mx; i++)
            if (match_host(o->exchanges.v[j], set->mx[i].host)) {
                *order_r =
                    s->keys.n + NAME_MAX_TEXT - strlen(o->exchanges.v[j]);
                return o->exchanges.v[j];
            }
    return NULL;
}

static bool entries_applies(const struct lookup *l, const struct override *o)
{
    for (size_t i = 0; i < l->n_also; i++)
        if (strcmp(o->dn, l->also[i].dn) == 0)
            return true;
    return l->override.dn != NULL && strcmp(o->dn, l->override.dn) == 0;
}

static enum entry_state entries_state(const struct lookup *l,
                                      const struct override *o)
{
    if (!o->enabled)
        return ENTRY_DISABLED;
    if (o->not_before_s > l->now_s)
        return ENTRY_PENDING;
    if (!override_active(o, l->now_s))
        return ENTRY_PAST;
    if (entries_applies(l, o))
        return ENTRY_APPLIES;
    if (l->idle != NULL && strcmp(o->dn, l->idle) == 0)
        return ENTRY_IDLE;
    if (l->override.dn != NULL)
        return ENTRY_BEATEN;
    return l->local == MXHOP_LOCAL_NO ? ENTRY_UNUSED : ENTRY_LOCAL;
}

static bool entries_take(void *ctx, struct override *o)
{
    struct entries_search *s = ctx;
    struct explained_entries *e = s->found;
    struct explained_entry x = {0};
    const char *under = entries_fit(s, o, &x.order, &x.by_exchange);

    if (under == NULL)
        return true;
    x.mode = o->mode;
    x.state = entries_state(s->l, o);
    x.not_before_s = o->not_before_s;
    x.not_after_s = o->not_after_s;
    x.dn = strdup(o->dn);
    x.under = strdup(under);
    if (x.dn != NULL && x.under != NULL &&
        vec_room(&e->v, e->n, &e->cap, sizeof(x))) {
        e->v[e->n++] = x;
        return true;
    }
    free(x.dn);
    free(x.under);
    s->memory = false;
    return false;
}

static int entries_compare(const void *a, const void *b)
{
    const struct explained_entry *x = a, *y = b;

    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return strcmp(x->dn, y->dn);
}

bool explain_entries(const struct lookup *l, struct explained_entries *e_r)
{
    struct entries_search s = {.l = l, .found = e_r, .memory = true};
    struct ovtable *table;

    *e_r = (struct explained_entries){0};
    table = l->table == TABLE_OK && l->key.kind != KEY_NONE
                ? table_now(l->mx, clock_boot_ms())
                : NULL;
    if (table == NULL)
        return true;
    /* Damage is for lookups to find: here it only means fewer entries. */
    if (!entries_add_keys(&s) ||
        ovtable_walk(table, entries_take, &s, NULL) == MXHOP_ERR_MEMORY)
        s.memory = false;
    strlist_free(&s.keys);
    if (e_r->n > 0)
        qsort(e_r->v, e_r->n, sizeof(*e_r->v), entries_compare);
    return s.memory;
}

void explain_entries_free(struct explained_entries *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->v[i].dn);
        free(e->v[i].under);
    }
    free(e->v);
    *e = (struct explained_entries){0};
}
