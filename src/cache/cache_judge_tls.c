/*
 * cache_judge_tls - what the cache knows about TLS is worth at a given time
 *
 * A domain's _mta-sts and a host's TLSA records stand in the record of the
 * domain, or host, each with an end and failures of its own: they come by other
 * queries than the rest, and with other times to live.
 */

#include "cache/cache_int.h"

#include <string.h>

/* ---- _mta-sts ---- */

/* What has ended is used as a stale MX set is. But of a domain that may have
   got a policy since that is believed for a while only. */
bool judge_sts(const struct cache_policy *p, const struct domain_record *r,
               uint64_t now_ms, struct sts_record *sts_r)
{
    struct timing t = {r->sts.state != STS_TXT_UNKNOWN,
                       r->sts.stored_ms,
                       r->sts.ttl_s,
                       p->stale_max_s,
                       p->prefetch_percent,
                       r->f.refresh_ms,
                       &r->sts.failure};
    struct cache_entry_state s;
    bool known, believed;

    *sts_r = (struct sts_record){0};
    if ((r->f.flags & DOMAIN_STS) == 0)
        return false;
    s = judge_timing(&t, now_ms, &known);
    if (s.verdict == CACHE_MISS)
        return false;
    sts_r->state = STS_TXT_FAILED;
    sts_r->ttl_s = s.ttl_s;
    if (s.verdict == CACHE_FAILING)
        return false;
    sts_r->state = r->sts.state;
    memcpy(sts_r->id, r->sts_id, r->sts.id_len);
    believed = s.verdict == CACHE_FRESH ||
               s.stale_s < judge_stale_limit_s(p, sts_r->state == STS_TXT_NONE);
    if (believed && sts_r->ttl_s == 0)
        sts_r->ttl_s = 1;
    return believed && s.refresh_due;
}

bool judge_update_sts(const struct cache_policy *p, struct domain_record *r,
                      const struct sts_record *sts, uint64_t now_ms)
{
    size_t id_len = strnlen(sts->id, STS_ID_MAX);
    struct domain_sts *s = &r->sts;
    bool same;

    if ((r->f.flags & DOMAIN_STS) == 0)
        *s = (struct domain_sts){0};
    r->f.flags |= DOMAIN_STS;
    if (sts->state == STS_TXT_FAILED) {
        judge_note_failure(&s->failure, now_ms);
        return false;
    }
    same = s->state == sts->state && s->id_len == id_len &&
           memcmp(r->sts_id, sts->id, id_len) == 0;
    *s = (struct domain_sts){
        .stored_ms = now_ms,
        .ttl_s = judge_clamp_ttl_s(p, sts->ttl_s, sts->state == STS_TXT_NONE),
        .state = (uint8_t)sts->state,
        .id_len = (uint8_t)id_len};
    memcpy(r->sts_id, sts->id, id_len);
    return !same;
}

/* ---- TLSA ---- */

/* Records are of use where an address is known that is signed, or a CNAME's.
   What is not known of the addresses is asked for first. */
void judge_tlsa(const struct cache_policy *p, const struct host_record *r,
                unsigned families, uint64_t now_ms, struct hostaddrs *a,
                struct cache_entry_state *sum)
{
    const struct host_tlsa *h = &r->tlsa;
    struct timing t = {
        h->state != TLSA_UNKNOWN, h->stored_ms,    h->ttl_s,   p->stale_max_s,
        p->prefetch_percent,      r->f.refresh_ms, &h->failure};
    struct cache_entry_state one;
    bool known;

    hostaddrs_settle_tlsa(a, families);
    if (a->tlsa.state != TLSA_UNKNOWN ||
        hostaddrs_state(a, families) != ADDR_SOME) {
        if (a->tlsa.state != TLSA_UNKNOWN || sum->known == families)
            sum->known |= HOST_TLSA;
        return;
    }
    one = judge_timing(&t, now_ms, &known);
    if (known)
        sum->known |= HOST_TLSA;
    sum->refresh_due = sum->refresh_due || one.refresh_due ||
                       (one.verdict == CACHE_MISS && now_ms >= r->f.refresh_ms);
    if (one.verdict == CACHE_MISS)
        return;
    a->tlsa.state = TLSA_FAILED;
    a->tlsa.ttl_s = one.ttl_s;
    if (one.verdict == CACHE_FAILING)
        return;
    a->tlsa.state = h->state;
    a->tlsa.trust_anchor = h->trust_anchor != 0;
}

void judge_update_tlsa(const struct cache_policy *p, struct host_tlsa *h,
                       const struct tlsa *tlsa, uint64_t now_ms)
{
    if (tlsa->state == TLSA_FAILED)
        judge_note_failure(&h->failure, now_ms);
    if (tlsa->state == TLSA_FAILED || tlsa->state == TLSA_UNKNOWN)
        return;
    *h = (struct host_tlsa){
        .stored_ms = now_ms,
        .ttl_s = judge_clamp_ttl_s(p, tlsa->ttl_s, tlsa->state == TLSA_NONE),
        .state = tlsa->state,
        .trust_anchor = tlsa->state == TLSA_USABLE && tlsa->trust_anchor};
}
