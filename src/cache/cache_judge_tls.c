/*
 * cache_judge_tls - what the cache knows about TLS is worth at a given time
 *
 * A domain's texts and a host's TLSA records stand in the record of the domain,
 * or host, each with an end and failures of its own: they come by other
 * queries than the rest, and with other times to live.
 */

#include "cache/cache_int.h"

#include <string.h>

/* ---- _mta-sts, _smtp._tls ---- */

/* What has ended is used as a stale MX set is. But of a domain that may have
   got a policy since that is believed for a while only. */
bool judge_txt(const struct cache_policy *p, const struct domain_record *r,
               enum tls_txt which, uint64_t now_ms, struct domain_txt *txt_r)
{
    const struct txt_fixed *f = &r->txt[which].f;
    struct timing t = {
        f->state != TXT_UNKNOWN, f->stored_ms,    f->ttl_s,   p->stale_max_s,
        p->prefetch_percent,     r->f.refresh_ms, &f->failure};
    struct cache_entry_state s;
    bool known, believed;

    *txt_r = (struct domain_txt){0};
    if ((r->f.flags & DOMAIN_TXT(which)) == 0)
        return false;
    s = judge_timing(&t, now_ms, &known);
    if (s.verdict == CACHE_MISS)
        return false;
    txt_r->state = TXT_FAILED;
    txt_r->ttl_s = s.ttl_s;
    if (s.verdict == CACHE_FAILING)
        return false;
    txt_r->state = f->state;
    memcpy(txt_r->id, r->txt[which].id, f->id_len);
    believed = s.verdict == CACHE_FRESH ||
               s.stale_s < judge_stale_limit_s(p, txt_r->state == TXT_NONE);
    if (believed && txt_r->ttl_s == 0)
        txt_r->ttl_s = 1;
    return believed && s.refresh_due;
}

bool judge_update_txt(const struct cache_policy *p, struct domain_record *r,
                      enum tls_txt which, const struct domain_txt *txt,
                      uint64_t now_ms)
{
    size_t id_len = strnlen(txt->id, STS_ID_MAX);
    struct txt_fixed *f = &r->txt[which].f;
    char *id = r->txt[which].id;
    bool same;

    if ((r->f.flags & DOMAIN_TXT(which)) == 0)
        *f = (struct txt_fixed){0};
    r->f.flags |= (uint16_t)DOMAIN_TXT(which);
    if (txt->state == TXT_FAILED) {
        judge_note_failure(&f->failure, now_ms);
        return false;
    }
    same = f->state == txt->state && f->id_len == id_len &&
           memcmp(id, txt->id, id_len) == 0;
    *f = (struct txt_fixed){.stored_ms = now_ms,
                            .ttl_s = judge_clamp_ttl_s(p, txt->ttl_s,
                                                       txt->state == TXT_NONE),
                            .state = (uint8_t)txt->state,
                            .id_len = (uint8_t)id_len};
    memcpy(id, txt->id, id_len);
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
