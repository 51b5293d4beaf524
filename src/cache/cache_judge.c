/*
 * cache_judge - what a cache record is worth at a given time
 *
 * The arithmetic of the cache, without lock, table or clock; what it keeps
 * about TLS is judged in cache_judge_tls.c. Remaining times of fresh answers
 * are rounded down (an answer holds at least that long), times until the next
 * attempt are rounded up (then it may be made).
 */

#include "cache/cache_int.h"

#include <string.h>

static bool judge_record_plausible(uint64_t written_ms, uint64_t refresh_ms,
                                   uint64_t now_ms)
{
    return written_ms <= now_ms + CACHE_CLOCK_SLACK_MS &&
           (refresh_ms == 0 ||
            refresh_ms <= written_ms + CACHE_STALE_REFRESH_S * 1000);
}

static bool judge_failure_plausible(const struct failure_note *f,
                                    uint64_t written_ms)
{
    return f->count == 0 ||
           f->retry_ms <= written_ms + CACHE_FAILURE_MAX_S * 1000;
}

bool judge_domain_plausible(const struct domain_record *r, uint64_t now_ms)
{
    const struct domain_fixed *f = &r->f;

    if (!judge_record_plausible(f->written_ms, f->refresh_ms, now_ms) ||
        !judge_failure_plausible(&f->failure, f->written_ms) ||
        ((f->flags & DOMAIN_ANSWER) != 0 && f->stored_ms > f->written_ms))
        return false;
    for (int i = 0; i < TLS_TXTS; i++) {
        const struct txt_fixed *t = &r->txt[i].f;

        if ((f->flags & DOMAIN_TXT(i)) != 0 &&
            (!judge_failure_plausible(&t->failure, f->written_ms) ||
             t->stored_ms > f->written_ms))
            return false;
    }
    return true;
}

bool judge_host_plausible(const struct host_record *r, uint64_t now_ms)
{
    const struct host_fixed *f = &r->f;

    if (!judge_record_plausible(f->written_ms, f->refresh_ms, now_ms))
        return false;
    for (int i = 0; i < FAMILIES; i++) {
        const struct host_family *h = &f->family[i];

        if (!judge_failure_plausible(&h->failure, f->written_ms) ||
            (h->state != ADDR_UNKNOWN && h->stored_ms > f->written_ms))
            return false;
    }
    return judge_failure_plausible(&r->tlsa.failure, f->written_ms) &&
           r->tlsa.stored_ms <= f->written_ms;
}

uint32_t judge_clamp_ttl_s(const struct cache_policy *p, uint32_t ttl_s,
                           bool negative)
{
    uint32_t max_s = p->ttl_max_s;

    if (negative && p->negative_ttl_max_s < max_s)
        max_s = p->negative_ttl_max_s;
    if (ttl_s < p->ttl_min_s)
        ttl_s = p->ttl_min_s;
    return ttl_s < max_s ? ttl_s : max_s;
}

uint32_t judge_stale_limit_s(const struct cache_policy *p, bool negative)
{
    if (negative && p->negative_ttl_max_s < p->stale_max_s)
        return p->negative_ttl_max_s;
    return p->stale_max_s;
}

void judge_note_failure(struct failure_note *f, uint64_t now_ms)
{
    uint64_t wait_s = CACHE_FAILURE_FIRST_S;

    if (f->count > 0 && now_ms < f->retry_ms)
        return; /* somebody asked at the same time: it is the same failure */
    for (uint32_t i = 0; i < f->count && wait_s < CACHE_FAILURE_MAX_S; i++)
        wait_s *= 2;
    if (wait_s > CACHE_FAILURE_MAX_S)
        wait_s = CACHE_FAILURE_MAX_S;
    if (f->count < UINT8_MAX)
        f->count++;
    f->retry_ms = now_ms + wait_s * 1000;
}

/* Rounded up, 0 if t_ms is not in the future. */
static uint32_t judge_seconds_until(uint64_t t_ms, uint64_t now_ms)
{
    return t_ms > now_ms ? (uint32_t)((t_ms - now_ms + 999) / 1000) : 0;
}

struct cache_entry_state judge_timing(const struct timing *t, uint64_t now_ms,
                                      bool *known_r)
{
    uint64_t retry_ms = t->failure->count > 0 ? t->failure->retry_ms : 0;
    uint64_t due_ms = cache_later(retry_ms, t->refresh_ms);
    uint64_t ttl_ms = (uint64_t)t->ttl_s * 1000;
    uint64_t expires_ms = t->stored_ms + ttl_ms;
    struct cache_entry_state s = {.failed_before = t->failure->count > 0};
    bool near_end = true;

    if (t->has_answer && now_ms < expires_ms) {
        uint64_t left_ms = expires_ms - now_ms;

        near_end = left_ms * 100 < ttl_ms * t->prefetch_percent;
        s.verdict = CACHE_FRESH;
        s.ttl_s = (uint32_t)(left_ms / 1000);
        s.refresh_due = near_end && now_ms >= due_ms;
    } else if (t->has_answer &&
               now_ms - expires_ms < (uint64_t)t->stale_max_s * 1000) {
        s.verdict = CACHE_STALE;
        s.stale_s = (uint32_t)((now_ms - expires_ms) / 1000);
        s.refresh_due = now_ms >= due_ms;
        s.ttl_s = judge_seconds_until(due_ms, now_ms);
    } else if (now_ms < retry_ms) {
        s.verdict = CACHE_FAILING;
        s.ttl_s = judge_seconds_until(retry_ms, now_ms);
    }
    *known_r = !near_end || now_ms < retry_ms;
    return s;
}

/* Null MX and NXDOMAIN may be rejected, and only what DNS says now may bounce
   mail: the domain may have got mail hosts since. */
struct cache_entry_state judge_domain(const struct cache_policy *p,
                                      const struct domain_record *r,
                                      enum live_worth worth, uint64_t now_ms)
{
    const struct domain_fixed *f = &r->f;
    struct timing t = {(f->flags & DOMAIN_ANSWER) != 0,
                       f->stored_ms,
                       f->ttl_s,
                       (f->flags & DOMAIN_HOSTS) != 0 ? p->stale_max_s : 0,
                       p->prefetch_percent,
                       f->refresh_ms,
                       &f->failure};
    struct domain_txt txt;
    bool known;
    struct cache_entry_state s = judge_timing(&t, now_ms, &known);

    s.once = worth == LIVE_ONCE &&
             (s.verdict == CACHE_FRESH || s.verdict == CACHE_STALE);
    s.claimed = s.verdict == CACHE_MISS && (f->flags & DOMAIN_CLAIM) != 0 &&
                now_ms < f->refresh_ms;
    for (int i = 0; s.verdict == CACHE_FRESH && i < TLS_TXTS; i++)
        if (judge_txt(p, r, (enum tls_txt)i, now_ms, &txt))
            s.refresh_due = true;
    return s;
}

/* In seconds, for the table: rounded up. */
static uint32_t judge_dead_s(uint64_t t_ms)
{
    return t_ms / 1000 < UINT32_MAX ? (uint32_t)(t_ms / 1000) + 1 : UINT32_MAX;
}

/* How often something failed is remembered beyond the next attempt. */
static uint64_t judge_failure_dead_ms(const struct failure_note *f)
{
    return f->count > 0 ? f->retry_ms + 2000 * CACHE_FAILURE_MAX_S : 0;
}

uint32_t judge_domain_dead_s(const struct cache_policy *p,
                             const struct domain_record *r)
{
    const struct domain_fixed *f = &r->f;
    uint64_t dead_ms =
        cache_later(judge_failure_dead_ms(&f->failure), f->refresh_ms);
    uint64_t stale_s = (f->flags & DOMAIN_HOSTS) != 0 ? p->stale_max_s : 0;

    if ((f->flags & DOMAIN_ANSWER) != 0)
        dead_ms =
            cache_later(dead_ms, f->stored_ms + (f->ttl_s + stale_s) * 1000);
    for (int i = 0; i < TLS_TXTS; i++) {
        const struct txt_fixed *t = &r->txt[i].f;

        if ((f->flags & DOMAIN_TXT(i)) == 0)
            continue;
        dead_ms = cache_later(dead_ms, judge_failure_dead_ms(&t->failure));
        dead_ms =
            cache_later(dead_ms, t->stored_ms + (t->ttl_s + stale_s) * 1000);
    }
    return judge_dead_s(dead_ms);
}

uint32_t judge_host_dead_s(const struct cache_policy *p,
                           const struct host_fixed *f)
{
    uint64_t dead_ms = 0;

    for (int i = 0; i < FAMILIES; i++) {
        const struct host_family *h = &f->family[i];
        uint64_t use_s =
            (uint64_t)h->ttl_s + judge_stale_limit_s(p, h->state == ADDR_NONE);

        dead_ms = cache_later(dead_ms, judge_failure_dead_ms(&h->failure));
        if (h->state != ADDR_UNKNOWN)
            dead_ms = cache_later(dead_ms, h->stored_ms + use_s * 1000);
    }
    return judge_dead_s(dead_ms);
}

uint32_t judge_route_dead_s(const struct route_fixed *f)
{
    return judge_dead_s(f->expires_ms);
}

/* ---- hosts ---- */

static void judge_fill_family(const struct host_record *r, int f,
                              const struct cache_entry_state *st,
                              struct hostaddrs *a)
{
    const struct host_family *h = &r->f.family[f];

    a->ttl_s[f] = st->ttl_s;
    if (st->verdict == CACHE_FAILING || st->verdict == CACHE_MISS) {
        a->state[f] = st->verdict == CACHE_FAILING ? ADDR_FAILED : ADDR_UNKNOWN;
        return;
    }
    a->state[f] = h->state;
    a->n[f] = h->n;
    a->secure = a->secure && h->secure != 0;
    a->alias = a->alias || h->alias != 0;
    if (f == FAMILY_V4)
        memcpy(a->v4, r->v4, sizeof(a->v4));
    else
        memcpy(a->v6, r->v6, sizeof(a->v6));
}

/* Of two families: a miss tells most, then what can be refreshed. */
static enum cache_verdict judge_join(enum cache_verdict a, enum cache_verdict b)
{
    static const int telling[] = {[CACHE_MISS] = 3,
                                  [CACHE_STALE] = 2,
                                  [CACHE_FAILING] = 1,
                                  [CACHE_FRESH] = 0};

    return telling[a] >= telling[b] ? a : b;
}

struct cache_entry_state judge_host(const struct cache_policy *p,
                                    const struct host_record *r,
                                    unsigned families, uint64_t now_ms,
                                    struct hostaddrs *addrs_r)
{
    struct cache_entry_state sum = {.verdict = CACHE_FRESH,
                                    .ttl_s = UINT32_MAX};
    struct cache_entry_state usable = {.verdict = CACHE_MISS};
    bool tlsa = (families & HOST_TLSA) != 0, answered = false;

    memset(addrs_r, 0, sizeof(*addrs_r));
    families &= HOST_TLSA - 1;
    addrs_r->secure = families != 0;
    if (families == 0)
        return (struct cache_entry_state){0};
    for (int f = 0; f < FAMILIES; f++) {
        const struct host_family *h = &r->f.family[f];
        struct timing t = {h->state != ADDR_UNKNOWN,
                           h->stored_ms,
                           h->ttl_s,
                           judge_stale_limit_s(p, h->state == ADDR_NONE),
                           p->prefetch_percent,
                           r->f.refresh_ms,
                           &h->failure};
        struct cache_entry_state one;
        bool known;

        if ((families & FAMILY_BIT(f)) == 0)
            continue;
        one = judge_timing(&t, now_ms, &known);
        judge_fill_family(r, f, &one, addrs_r);
        if (known)
            sum.known |= FAMILY_BIT(f);
        answered = answered || addrs_r->state[f] == ADDR_SOME ||
                   addrs_r->state[f] == ADDR_NONE;
        sum.verdict = judge_join(sum.verdict, one.verdict);
        sum.failed_before = sum.failed_before || one.failed_before;
        sum.refresh_due =
            sum.refresh_due || one.refresh_due ||
            (one.verdict == CACHE_MISS && now_ms >= r->f.refresh_ms);
        if (one.ttl_s < sum.ttl_s)
            sum.ttl_s = one.ttl_s;
        if (one.stale_s > sum.stale_s)
            sum.stale_s = one.stale_s;
        if (addrs_r->state[f] == ADDR_SOME && usable.verdict != CACHE_FRESH)
            usable = one;
        else if (addrs_r->state[f] == ADDR_SOME && one.verdict == CACHE_FRESH &&
                 one.ttl_s < usable.ttl_s)
            usable.ttl_s = one.ttl_s;
    }
    addrs_r->secure = addrs_r->secure && answered;
    if (usable.verdict != CACHE_MISS) {
        sum.verdict = usable.verdict;
        sum.ttl_s = usable.ttl_s;
        sum.stale_s = usable.stale_s;
        addrs_r->stale = usable.verdict == CACHE_STALE;
    }
    if (tlsa)
        judge_tlsa(p, r, families, now_ms, addrs_r, &sum);
    if (sum.verdict == CACHE_MISS)
        sum.refresh_due = false;
    return sum;
}

/* ---- hosts, when something was learnt ---- */

bool judge_has_address(const struct host_fixed *f)
{
    return f->family[FAMILY_V4].state == ADDR_SOME ||
           f->family[FAMILY_V6].state == ADDR_SOME;
}

/* Nothing was learnt where addresses and state contradict each other. */
static void judge_update_family(const struct cache_policy *p,
                                struct host_family *h,
                                const struct hostaddrs *addrs, int f,
                                uint64_t now_ms)
{
    uint8_t state = addrs->state[f];
    bool negative = state == ADDR_NONE;

    if (state == ADDR_FAILED)
        judge_note_failure(&h->failure, now_ms);
    if (negative == (addrs->n[f] > 0) ||
        (state != ADDR_SOME && state != ADDR_NONE))
        return;
    memset(h, 0, sizeof(*h));
    h->n = addrs->n[f] < ADDRS_MAX ? addrs->n[f] : ADDRS_MAX;
    h->state = state;
    h->secure = addrs->secure;
    h->alias = addrs->alias;
    h->stored_ms = now_ms;
    h->ttl_s = judge_clamp_ttl_s(p, addrs->ttl_s[f], negative);
}

void judge_update_host(const struct cache_policy *p, struct host_record *r,
                       const struct hostaddrs *addrs, uint64_t now_ms)
{
    r->f.written_ms = cache_later(r->f.written_ms, now_ms);
    for (int f = 0; f < FAMILIES; f++) {
        if (addrs->state[f] == ADDR_SOME || addrs->state[f] == ADDR_NONE)
            r->f.refresh_ms = 0; /* a failure does not bring it forward */
        judge_update_family(p, &r->f.family[f], addrs, f, now_ms);
    }
    judge_update_tlsa(p, &r->tlsa, &addrs->tlsa, now_ms);
    if (addrs->state[FAMILY_V4] == ADDR_SOME && addrs->n[FAMILY_V4] > 0)
        memcpy(r->v4, addrs->v4, sizeof(r->v4));
    if (addrs->state[FAMILY_V6] == ADDR_SOME && addrs->n[FAMILY_V6] > 0)
        memcpy(r->v6, addrs->v6, sizeof(r->v6));
}
