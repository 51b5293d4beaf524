/*
 * decide - the decision about one key
 *
 * Runs the steps: candidates (merge.c), which may be tried (clean.c), in which
 * order (order.c), at most max_hops of them; or, where there is nothing to
 * try, what the configuration wants then (outcome.c). Nothing here asks DNS,
 * reads a clock or keeps state: what is not in the input does not count.
 *
 * Ownership: the decision owns its array of candidates and nothing else; every
 * text in it is static or belongs to the input.
 */

#include "route/steps.h"

#include <stdlib.h>

#include "route/address.h"
#include "route/match.h"

const char *drop_text(enum drop drop)
{
    static const char *const texts[] = {
        [DROP_NO] = "kept",
        [DROP_EXCLUDED] = "excluded by the override",
        [DROP_BAD_NAME] = "not a host name",
        [DROP_LOOKS_LIKE_ADDRESS] = "an address where a name must stand",
        [DROP_DUPLICATE] = "already in the list",
        [DROP_NO_ADDRESS] = "has no address",
        [DROP_BOGUS] = "every address is in bogus_networks",
        [DROP_SELF] = "this system itself",
        [DROP_BEHIND_SELF] = "not preferred to this system itself",
        [DROP_NOT_KNOWN] = "address not known yet",
        [DROP_BEHIND_UNKNOWN] = "behind one whose address is not known yet",
        [DROP_UNRESOLVED] = "the lookup of its address failed",
        [DROP_STS] = "not in the domain's MTA-STS policy",
        [DROP_NO_CLASS] = "the MTA does not know class MTA-STS (mxhop_tls)",
        [DROP_POLICY_UNKNOWN] = "the domain's MTA-STS policy is not known yet",
        [DROP_CLASS_UNKNOWN] = "whether it has TLSA records is not known now",
        [DROP_NAME_NOT_KNOWN] = "its MX records are not known yet",
        [DROP_UNEXAMINED] = "beyond the 31 exchanges that are examined",
        [DROP_LIMIT] = "beyond max_hops",
        [DROP_NULL_MX] = "accepts no mail (null MX)",
        [DROP_NO_DOMAIN] = "does not exist",
    };

    return texts[drop];
}

bool candidate_same_group(const struct candidate *a, const struct candidate *b)
{
    return a->tier == b->tier && a->preference == b->preference &&
           a->rank == b->rank;
}

/* The list is in order. Which hosts of a set beyond the first that
   decide_pick() gives have an address is not known, and is not asked for. */
static void decide_drop_unexamined(struct candidates *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        struct candidate *c = &list->v[i];

        if (!c->is_dns || !clean_is_hostname(c->host) ||
            clean_looks_like_address(c->host))
            continue;
        if (++n > EXAMINE_MAX && c->drop == DROP_NO)
            c->drop = DROP_UNEXAMINED;
    }
}

/* The list is in order, kept ones first. */
static size_t decide_limit(struct candidates *list, uint32_t max_hops)
{
    size_t kept = 0;

    for (; kept < list->n && list->v[kept].drop == DROP_NO; kept++)
        if (kept >= max_hops)
            break;
    for (size_t i = kept; i < list->n; i++)
        if (list->v[i].drop == DROP_NO)
            list->v[i].drop = DROP_LIMIT;
    return kept;
}

/* A last element without an address makes Postfix bounce with 5.4.4 although
   earlier ones were only down. Where addresses are being learnt, one that is
   not known yet does not end a list that has a known one; the next lookup, a
   moment later, has it in its place. For a list that an override made there is
   the stopper. */
static size_t decide_shed_tail(const struct decide_input *in,
                               struct candidates *list, size_t kept)
{
    size_t end = kept;

    if (!in->learning)
        return kept;
    while (end > 0 && !address_known(&list->v[end - 1], in->rules->families))
        end--;
    if (end == 0)
        return kept;
    for (size_t i = end; i < kept; i++)
        list->v[i].drop = DROP_NOT_KNOWN;
    return end;
}

/* A host of an override that is not known yet may be this system, and smtp(8)
   would bounce the mail (5.4.6). It is not tried, and none behind it is in its
   place: the next lookup, a moment later, has it. */
static size_t decide_end_at_unknown(const struct decide_input *in,
                                    struct candidates *list, size_t kept)
{
    size_t end = 0;

    while (end < kept && !address_is_due(&list->v[end], in->rules->families))
        end++;
    for (size_t i = end; i < kept; i++)
        list->v[i].drop = address_is_due(&list->v[i], in->rules->families)
                              ? DROP_NOT_KNOWN
                              : DROP_BEHIND_UNKNOWN;
    return end;
}

static bool decide_needs_stopper(const struct decide_input *in,
                                 const struct decision *d)
{
    return in->override != NULL &&
           !address_sure(&d->c[d->n_kept - 1], in->rules->families);
}

/* Whether one of the best hosts is on a list of hosts that take one domain at
   a time. */
static bool decide_best_is_listed(const struct decision *d, const char *list)
{
    for (size_t i = 0; i < d->n_kept; i++) {
        if (!candidate_same_group(&d->c[0], &d->c[i]))
            return false;
        if (match_host_list(list, d->c[i].host))
            return true;
    }
    return false;
}

static bool decide_by_domain(const struct decide_input *in,
                             const struct decision *d)
{
    if (in->override != NULL && in->override->group != OVERRIDE_GROUP_UNSET)
        return in->override->group == OVERRIDE_GROUP_DOMAIN;
    return in->rules->group == GROUP_DOMAIN ||
           decide_best_is_listed(d, in->rules->single_domain_sites);
}

/* Every MX set that was asked for was authenticated. */
static bool decide_sets_secure(const struct decide_input *in)
{
    if (in->cold || (in->set != NULL && !in->set->secure))
        return false;
    for (size_t i = 0; in->override != NULL && i < in->override->n_hops; i++)
        if (in->override->hops[i].kind == HOP_MX &&
            (in->facts == NULL || !in->facts[i].spliced ||
             !in->facts[i].set.secure))
            return false;
    return true;
}

/* Every DNS answer in the route was, and there was one. */
static bool decide_secure(const struct decide_input *in,
                          const struct decision *d)
{
    size_t names = 0;

    for (size_t i = 0; i < d->n_kept; i++) {
        const struct candidate *c = &d->c[i];

        if (c->is_address)
            continue;
        if (c->addrs == NULL || !c->addrs->secure)
            return false;
        names++;
    }
    return names > 0 && decide_sets_secure(in);
}

static const char *decide_transport(const struct decide_input *in)
{
    if (in->override != NULL && in->override->transport != NULL)
        return in->override->transport;
    return in->rules->transport;
}

static const char *decide_route_text(const struct decide_input *in)
{
    static const char *const texts[OVERRIDE_MODES] = {
        [OVERRIDE_REPLACE] = "the override replaces the MX set",
        [OVERRIDE_PREPEND] = "the override goes before the MX set",
        [OVERRIDE_APPEND] = "the override goes after the MX set",
        [OVERRIDE_EXCLUDE] = "MX set without what the override excludes",
        [OVERRIDE_MERGE] = "the override is merged into the MX set",
    };

    if (in->override != NULL)
        return texts[in->override->mode];
    return in->set->implicit ? "no MX record, the domain's own address"
                             : "MX records";
}

/* The set was wanted and has no hosts. */
static bool decide_set_fails(const struct decide_input *in)
{
    if (in->override != NULL && override_is_final(in->override))
        return false;
    return in->set == NULL || in->set->outcome != MX_HOSTS;
}

static void decide_describe(const struct decide_input *in, struct decision *d)
{
    if (decide_set_fails(in))
        outcome_reason(d, "%s: the override's own hops alone",
                       outcome_set_text(in));
    else
        outcome_reason(d, "%s", decide_route_text(in));
}

/* The transport of an override goes for the domain's own hosts, too, where
   those are what it leaves mail to; that of the configuration is for lists. */
static void decide_transport_of_pass(const struct decide_input *in,
                                     struct decision *d)
{
    if (d->disposition == MXHOP_PASS &&
        (in->override == NULL || in->override->transport == NULL))
        d->transport = "";
}

static void decide_settle(const struct decide_input *in, struct decision *d)
{
    const char *visible =
        outcome_is_overridden(in) ? NULL : tlsclass_why_pass(in, d);

    if (visible != NULL) {
        d->disposition = MXHOP_PASS;
        outcome_reason(d, "Domain %s must be seen: %s", in->domain, visible);
        return;
    }
    if (d->n_kept == 0) {
        outcome_of_nothing(in, d);
        return;
    }
    d->disposition = MXHOP_ROUTE;
    d->by_domain = decide_by_domain(in, d);
    d->secure = decide_secure(in, d);
    d->stopper = decide_needs_stopper(in, d);
    decide_describe(in, d);
}

bool decide(const struct decide_input *in, struct decision *d_r)
{
    struct candidates list = {0};

    *d_r = (struct decision){
        .status = "",
        .transport = decide_transport(in),
        .slot_left_s = UINT32_MAX,
    };
    if (in->override != NULL && in->override->mode >= OVERRIDE_PASS) {
        outcome_of_override(in, d_r);
        decide_transport_of_pass(in, d_r);
        return true;
    }
    if (!merge_candidates(in, &list)) {
        free(list.v);
        *d_r = (struct decision){0};
        return false;
    }
    if (list.n > 0)
        d_r->slot_left_s = order_slot(in, &list).left_s;
    if (list.n > EXAMINE_MAX) {
        order_candidates(in, &list);
        decide_drop_unexamined(&list);
    }
    clean_candidates(in, &list);
    order_candidates(in, &list);
    d_r->n_kept = decide_limit(&list, in->rules->max_hops);
    d_r->n_kept = in->override != NULL
                      ? decide_end_at_unknown(in, &list, d_r->n_kept)
                      : decide_shed_tail(in, &list, d_r->n_kept);
    d_r->n_kept = tlsclass_assign(in, &list, d_r->n_kept);
    d_r->c = list.v;
    d_r->n = list.n;
    decide_settle(in, d_r);
    decide_transport_of_pass(in, d_r);
    return true;
}

void decision_free(struct decision *d)
{
    free(d->c);
    *d = (struct decision){0};
}
