/*
 * keep - what a lookup leaves behind for the next one
 *
 * A finished answer, with everything that it was made from: until when DNS,
 * time slot and override windows let it hold, and a hash of the rest. It is
 * kept in the cache with the domain, or where an override has a say about the
 * key, by key. Whatever was not known, or holds for this moment only, is not
 * kept.
 */

#include "handle/handle.h"
#include "util/clock.h"

#include <string.h>

/* How long the addresses in a decision hold; 0: they are not all known. What
   DNS said just now is not clamped yet. */
static uint32_t keep_addresses_ttl_s(const struct lookup *l)
{
    const struct decision *d = &l->decision;
    uint32_t ttl_s = UINT32_MAX;

    for (size_t i = 0; i < d->n; i++) {
        const struct candidate *c = &d->c[i];
        enum addr_state state =
            c->addrs == NULL ? ADDR_UNKNOWN
                             : hostaddrs_state(c->addrs, l->mx->rules.families);

        if (c->is_address || c->drop == DROP_LIMIT)
            continue;
        if (state == ADDR_SOME || state == ADDR_NONE)
            ttl_s = min_u32(ttl_s,
                            hostaddrs_ttl_s(c->addrs, l->mx->rules.families));
        else if (c->drop == DROP_NO || c->drop == DROP_NOT_KNOWN ||
                 c->drop == DROP_UNRESOLVED)
            return 0;
        if (state == ADDR_NONE)
            ttl_s = min_u32(ttl_s, l->mx->conf.negative_ttl_max_s);
    }
    return ttl_s;
}

/* Another name's MX set in it has a TTL, or a failure, of its own. */
static bool keep_has_spliced(const struct override *o)
{
    for (size_t i = 0; i < o->n_hops; i++)
        if (o->hops[i].kind == HOP_MX)
            return true;
    return false;
}

/* Nothing in it was a guess, or a failure that may end at any time. */
static bool keep_is_settled(const struct lookup *l)
{
    return !l->cold && !l->vague && tls_is_settled(l) &&
           l->cache_state != MXHOP_CACHE_STALE &&
           (!l->asked_dns || l->set.outcome != MX_FAILURE) &&
           (l->override.dn == NULL || !keep_has_spliced(&l->override));
}

/* What overrides made of a domain's MX set is made again when that is due to be
   refreshed, so that it stays warm. */
static uint32_t keep_until_refresh_s(const struct lookup *l)
{
    uint32_t left_s =
        l->entry.verdict == CACHE_FRESH ? l->entry.ttl_s : l->set.ttl_s;
    uint32_t near_s =
        (uint32_t)((uint64_t)l->set.ttl_s * l->mx->conf.prefetch_percent / 100);

    return left_s > near_s + CACHE_STALE_REFRESH_S ? left_s - near_s
                                                   : CACHE_STALE_REFRESH_S;
}

void keep_text(const struct lookup *l, enum mxhop_format format, enum keep by,
               const char *text)
{
    struct mxhop *mx = l->mx;
    uint32_t ttl_s = min_u32(keep_addresses_ttl_s(l), l->ttl_s);
    uint64_t now_ms = clock_boot_ms();
    struct cache_route r = {
        .now_ms = now_ms,
        .made_of = text_made_of(mx, &l->info, format, by, l->tls.made_of),
        .from_s = l->now_s,
        .until_s = l->edge_s,
        .text = text,
    };

    if (by == KEEP_NOT || ttl_s == 0 || l->disposition == MXHOP_DEFER ||
        !keep_is_settled(l))
        return;
    if (by != KEEP_BY_DOMAIN && l->asked_dns)
        ttl_s = min_u32(ttl_s, keep_until_refresh_s(l));
    r.expires_ms = now_ms + (uint64_t)ttl_s * 1000;
    if (l->decision.slot_left_s != UINT32_MAX &&
        l->now_s + l->decision.slot_left_s < r.until_s)
        r.until_s = l->now_s + l->decision.slot_left_s;
    /* In the meantime there may be another table, or list of local domains. */
    if ((by == KEEP_BY_LOCAL) != (l->local != MXHOP_LOCAL_NO))
        return;
    if (by == KEEP_BY_STAR && l->override.dn != NULL && !l->by_exchange &&
        strcmp(l->matched, "*") != 0)
        return;
    if (by != KEEP_BY_DOMAIN && l->table == TABLE_OK)
        cache_put_overridden(mx->store.cache, key_text(&l->key), &r);
    if (by == KEEP_BY_DOMAIN && l->asked_dns &&
        (l->override.dn == NULL || l->by_exchange))
        cache_put_route(mx->store.cache, l->key.domain, &l->set, &r);
}
