/*
 * find - which overrides apply to a key (docs/design.md 4.3, 4.5)
 *
 * By key one applies, the most specific that is active. By exchange one applies
 * that is no exclude, and every exclude that excludes a host of the MX set.
 * l->edge_s becomes the next second in which this may be otherwise.
 *
 * Errors are those of the override table, with the reason in l->table_err, and
 * MXHOP_ERR_MEMORY. What was found belongs to the lookup.
 */

#include "handle/handle.h"
#include "route/match.h"

#include <stdlib.h>
#include <string.h>

/* The entries under one key, for find_take_*(). */
struct find_under {
    struct lookup *l;
    const char *key;
    bool failed; /* out of memory */
};

static bool find_take_first(void *ctx, struct override *o)
{
    const struct find_under *u = ctx;

    u->l->override = *o;
    *o = (struct override){0};
    return false;
}

static bool find_take_but_exclude(void *ctx, struct override *o)
{
    return o->mode == OVERRIDE_EXCLUDE || find_take_first(ctx, o);
}

static bool find_excludes_some(const struct override *o,
                               const struct mxset *set)
{
    for (size_t i = 0; i < set->n_mx; i++)
        if (decide_excludes(o, set->mx[i].host))
            return true;
    return false;
}

/* All that exclude a host of the set: one entry may stand under several keys.
 */
static bool find_take_excludes(void *ctx, struct override *o)
{
    struct find_under *u = ctx;
    struct lookup *l = u->l;
    struct override *also;

    if (o->mode != OVERRIDE_EXCLUDE || !find_excludes_some(o, &l->set))
        return true;
    for (size_t i = 0; i < l->n_also; i++)
        if (strcmp(l->also[i].dn, o->dn) == 0)
            return true;
    also = realloc(l->also, (l->n_also + 1) * sizeof(*also));
    if (also == NULL ||
        (l->matched == NULL && (l->matched = strdup(u->key)) == NULL)) {
        l->also = also != NULL ? also : l->also;
        u->failed = true;
        return false;
    }
    l->also = also;
    also[l->n_also++] = *o;
    *o = (struct override){0};
    return true;
}

/* Under the keys in turn; `first`: until there is an override. What stands
   under those before it may be the one to apply after its next edge. */
static enum mxhop_status find_among(struct lookup *l, struct ovtable *table,
                                    enum ovtable_index by,
                                    const struct strlist *keys, bool first,
                                    bool (*take)(void *, struct override *))
{
    for (size_t i = 0; i < keys->n; i++) {
        struct find_under u = {l, keys->v[i], false};
        enum mxhop_status status =
            ovtable_active(table, by, u.key, l->now_s, &l->edge_s, take, &u,
                           &l->table_err);

        if (status != MXHOP_OK || u.failed)
            return u.failed ? MXHOP_ERR_MEMORY : status;
        if (!first || l->override.dn == NULL)
            continue;
        l->by_exchange = by == OVTABLE_BY_EXCHANGE;
        l->matched = strdup(u.key);
        return l->matched != NULL ? MXHOP_OK : MXHOP_ERR_MEMORY;
    }
    return MXHOP_OK;
}

enum mxhop_status find_by_key(struct lookup *l, struct ovtable *table)
{
    struct strlist keys = {0};
    enum mxhop_status status = MXHOP_ERR_MEMORY;
    bool ok = l->local != MXHOP_LOCAL_NO ? strlist_add(&keys, key_text(&l->key))
                                         : match_keys(&l->key, &keys);

    if (ok)
        status =
            find_among(l, table, OVTABLE_BY_KEY, &keys, true, find_take_first);
    strlist_free(&keys);
    return status;
}

void find_forget(struct lookup *l)
{
    for (size_t i = 0; l->facts != NULL && i < l->override.n_hops; i++)
        mxset_free(&l->facts[i].set);
    free(l->facts);
    l->facts = NULL;
    override_free(&l->override);
    free(l->matched);
    l->matched = NULL;
}

/* `pass` would leave the domain to hosts that others exclude: their say counts,
   and its transport. */
static void find_exclude_before_pass(struct lookup *l)
{
    struct override pass = l->override;

    if (l->n_also == 0 || (pass.dn != NULL && pass.mode != OVERRIDE_PASS))
        return;
    l->override = l->also[0];
    if (pass.transport != NULL) {
        free(l->override.transport);
        l->override.transport = pass.transport;
        pass.transport = NULL;
    }
    override_free(&pass);
    l->n_also--;
    memmove(l->also, l->also + 1, l->n_also * sizeof(*l->also));
    l->by_exchange = true;
}

enum mxhop_status find_by_exchange(struct lookup *l, struct ovtable *table)
{
    struct strlist best = {0}, all = {0};
    struct override star = l->override;
    char *matched = l->matched;
    enum mxhop_status status = MXHOP_ERR_MEMORY;

    if (l->set.outcome != MX_HOSTS ||
        (star.dn != NULL && strcmp(matched, "*") != 0))
        return MXHOP_OK;
    l->override = (struct override){0};
    l->matched = NULL;
    if (match_exchanges(&l->set, false, &best) &&
        match_exchanges(&l->set, true, &all))
        status = find_among(l, table, OVTABLE_BY_EXCHANGE, &best, true,
                            find_take_but_exclude);
    if (status == MXHOP_OK)
        status = find_among(l, table, OVTABLE_BY_EXCHANGE, &all, false,
                            find_take_excludes);
    /* Beside what stands under `*` excludes hold as beside any other entry. */
    if (l->override.dn == NULL) {
        l->override = star;
        star = (struct override){0};
    }
    if (status == MXHOP_OK)
        find_exclude_before_pass(l);
    if (!l->by_exchange) {
        free(l->matched);
        l->matched = matched;
        matched = NULL;
    }
    free(matched);
    override_free(&star);
    strlist_free(&best);
    strlist_free(&all);
    return status;
}

/* An exclude of hosts that this domain does not have changes nothing. */
void find_forget_idle(struct lookup *l)
{
    if (l->override.dn == NULL || l->override.mode != OVERRIDE_EXCLUDE ||
        l->cold || l->set.outcome == MX_FAILURE ||
        find_excludes_some(&l->override, &l->set))
        return;
    free(l->idle);
    l->idle = l->override.dn;
    l->override.dn = NULL;
    find_forget(l);
}
