/*
 * merge - candidates from the MX set and the override
 *
 * The first step of decide(): every host that anybody named becomes a
 * candidate with its place in the order (tier, preference, rank). Nothing is
 * judged here, with exceptions that only this step can see: a spliced name that
 * accepts no mail, does not exist or is not known is noted as a dropped
 * candidate.
 *
 * A bare name in an override stands for that name's own MX set. Its hosts take
 * the preference of the hop and, as rank, the place of their group in their
 * own set, so that they stay together and in order. Where that MX set is not
 * known (cold, DNS failure) the name is left out: if the MTA asked for its MX
 * records itself it might find one that the override excludes, or this system,
 * and smtp(8) bounces mail that would come back here (5.4.6), wherever in the
 * list that is.
 *
 * Candidates point into the input; the list owns its array only.
 */

#include "route/steps.h"
#include "util/vec.h"

#define TIER_NONE UINT8_MAX

/* What each mode takes: its hops, at which tier, and the MX set. */
static const struct plan {
    uint8_t hop_tier;
    bool set;
} plans[OVERRIDE_MODES] = {
    [OVERRIDE_REPLACE] = {1, false},
    [OVERRIDE_PREPEND] = {0, true},
    [OVERRIDE_APPEND] = {2, true},
    [OVERRIDE_EXCLUDE] = {TIER_NONE, true},
    [OVERRIDE_MERGE] = {1, true},
    [OVERRIDE_PASS] = {TIER_NONE, false},
    [OVERRIDE_REJECT] = {TIER_NONE, false},
    [OVERRIDE_DEFER] = {TIER_NONE, false},
};

static bool merge_add(struct candidates *list, const struct candidate *c)
{
    if (!vec_room(&list->v, list->n, &list->cap, sizeof(*list->v)))
        return false;
    list->v[list->n++] = *c;
    return true;
}

static bool merge_add_set(const struct mxset *set, struct candidates *list)
{
    for (size_t i = 0; i < set->n_mx; i++) {
        const struct mx *mx = &set->mx[i];
        struct candidate c = {
            .host = mx->host,
            .source = "dns",
            .preference = mx->preference,
            .is_dns = true,
            .tier = 1,
            .addrs = &mx->addrs,
        };

        if (!merge_add(list, &c))
            return false;
    }
    return true;
}

/* Hosts of a spliced MX set; `hop` is the candidate that its name would be. */
static bool merge_add_spliced(const struct mxset *set,
                              const struct candidate *hop,
                              struct candidates *list)
{
    struct candidate c = *hop;

    c.via = hop->host;
    for (size_t i = 0; i < set->n_mx; i++) {
        const struct mx *mx = &set->mx[i];

        if (i > 0 && mx->preference != set->mx[i - 1].preference &&
            c.rank < UINT16_MAX)
            c.rank++;
        c.host = mx->host;
        c.addrs = &mx->addrs;
        if (!merge_add(list, &c))
            return false;
    }
    return true;
}

static bool merge_add_name(const struct hop_facts *facts, struct candidate *c,
                           struct candidates *list)
{
    static const enum drop drops[] = {
        [MX_HOSTS] = DROP_NO,
        [MX_NULL] = DROP_NULL_MX,
        [MX_NXDOMAIN] = DROP_NO_DOMAIN,
        [MX_FAILURE] = DROP_NAME_NOT_KNOWN,
    };
    bool known = facts != NULL && facts->spliced;

    if (known && facts->set.outcome == MX_HOSTS)
        return merge_add_spliced(&facts->set, c, list);
    c->is_mx = true;
    c->drop = drops[known ? facts->set.outcome : MX_FAILURE];
    return merge_add(list, c);
}

static bool merge_add_hops(const struct decide_input *in, uint8_t tier,
                           struct candidates *list)
{
    const struct override *o = in->override;

    for (size_t i = 0; i < o->n_hops; i++) {
        const struct hopspec *hop = &o->hops[i];
        const struct hop_facts *facts =
            in->facts != NULL ? &in->facts[i] : NULL;
        struct candidate c = {
            .host = hop->host,
            .source = o->dn,
            .port = hop->port,
            .preference = hop->preference,
            .is_address = hop->kind == HOP_ADDRESS,
            .tier = tier,
        };

        if (hop->kind == HOP_HOST && facts != NULL)
            c.addrs = &facts->addrs;
        if (hop->kind == HOP_MX ? !merge_add_name(facts, &c, list)
                                : !merge_add(list, &c))
            return false;
    }
    return true;
}

bool merge_candidates(const struct decide_input *in, struct candidates *list)
{
    struct plan plan = {TIER_NONE, true};

    if (in->override != NULL)
        plan = plans[in->override->mode];
    if (plan.hop_tier != TIER_NONE && !merge_add_hops(in, plan.hop_tier, list))
        return false;
    if (!plan.set || in->set == NULL || in->set->outcome != MX_HOSTS)
        return true;
    return merge_add_set(in->set, list);
}
