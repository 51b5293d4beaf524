/*
 * cache_record - what a cache record is worth at a given time
 *
 * The arithmetic of the cache, without lock, backend or clock. Remaining times
 * of fresh answers are rounded down (an answer holds at least that long),
 * times until the next attempt are rounded up (then it may be made).
 */

#include "cache/cache_record.h"

#include <string.h>

static bool record_plausible(uint64_t written_ms, uint64_t refresh_ms,
                             uint64_t now_ms)
{
    return written_ms <= now_ms + CACHE_CLOCK_SLACK_MS &&
           (refresh_ms == 0 ||
            refresh_ms <= written_ms + CACHE_STALE_REFRESH_S * 1000);
}

static bool failure_plausible(const struct failure_note *f, uint64_t written_ms)
{
    return f->count == 0 ||
           f->retry_ms <= written_ms + CACHE_FAILURE_MAX_S * 1000;
}

bool domain_plausible(const struct domain_record *r, uint64_t now_ms)
{
    return record_plausible(r->written_ms, r->refresh_ms, now_ms) &&
           failure_plausible(&r->failure, r->written_ms) &&
           (!r->has_answer || r->stored_ms <= r->written_ms);
}

void domain_drop_answer(struct domain_record *r)
{
    r->has_answer = r->has_hosts = r->first = false;
    r->route = (struct chars){0};
}

bool host_plausible(const struct host_record *r, uint64_t now_ms)
{
    if (!record_plausible(r->written_ms, r->refresh_ms, now_ms))
        return false;
    for (int f = 0; f < FAMILIES; f++) {
        const struct host_family *h = &r->family[f];

        if (!failure_plausible(&h->failure, r->written_ms))
            return false;
        if (h->state != ADDR_UNKNOWN && h->stored_ms > r->written_ms)
            return false;
    }
    return true;
}

uint32_t clamp_ttl_s(const struct cache_policy *p, uint32_t ttl_s,
                     bool negative)
{
    uint32_t max_s = p->ttl_max_s;

    if (negative && p->negative_ttl_max_s < max_s)
        max_s = p->negative_ttl_max_s;
    if (ttl_s < p->ttl_min_s)
        ttl_s = p->ttl_min_s;
    return ttl_s < max_s ? ttl_s : max_s;
}

static uint32_t stale_limit_s(const struct cache_policy *p, bool negative)
{
    if (negative && p->negative_ttl_max_s < p->stale_max_s)
        return p->negative_ttl_max_s;
    return p->stale_max_s;
}

void failure_note(struct failure_note *f, uint64_t now_ms)
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
static uint32_t seconds_until(uint64_t t_ms, uint64_t now_ms)
{
    return t_ms > now_ms ? (uint32_t)((t_ms - now_ms + 999) / 1000) : 0;
}

struct timing {
    bool has_answer;
    uint64_t stored_ms;
    uint32_t ttl_s, stale_max_s, prefetch_percent;
    uint64_t refresh_ms;
    bool claim;
    const struct failure_note *failure;
};

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct cache_entry_state timing_judge(const struct timing *t,
                                             uint64_t now_ms)
{
    uint64_t retry_ms = t->failure->count > 0 ? t->failure->retry_ms : 0;
    uint64_t due_ms = later(retry_ms, t->refresh_ms);
    uint64_t ttl_ms = (uint64_t)t->ttl_s * 1000;
    uint64_t expires_ms = t->stored_ms + ttl_ms;
    struct cache_entry_state s = {.failed_before = t->failure->count > 0};

    if (t->has_answer && now_ms < expires_ms) {
        uint64_t left_ms = expires_ms - now_ms;

        s.verdict = CACHE_FRESH;
        s.ttl_s = (uint32_t)(left_ms / 1000);
        s.refresh_due =
            left_ms * 100 < ttl_ms * t->prefetch_percent && now_ms >= due_ms;
        return s;
    }
    if (t->has_answer &&
        now_ms - expires_ms < (uint64_t)t->stale_max_s * 1000) {
        s.verdict = CACHE_STALE;
        s.stale_s = (uint32_t)((now_ms - expires_ms) / 1000);
        s.refresh_due = now_ms >= due_ms;
        s.ttl_s = seconds_until(due_ms, now_ms);
        return s;
    }
    if (now_ms < retry_ms) {
        s.verdict = CACHE_FAILING;
        s.ttl_s = seconds_until(retry_ms, now_ms);
    } else {
        s.claimed = t->claim && now_ms < t->refresh_ms;
    }
    return s;
}

/* Null MX and NXDOMAIN may be rejected, and only what DNS says now may bounce
   mail: the domain may have got mail hosts since. */
struct cache_entry_state domain_judge(const struct cache_policy *p,
                                      const struct domain_record *r,
                                      uint64_t now_ms)
{
    struct timing t = {r->has_answer,
                       r->stored_ms,
                       r->ttl_s,
                       r->has_hosts ? stale_limit_s(p, false) : 0,
                       p->prefetch_percent,
                       r->refresh_ms,
                       r->claim,
                       &r->failure};
    struct cache_entry_state s = timing_judge(&t, now_ms);

    s.once = r->worth == WORTH_ONCE &&
             (s.verdict == CACHE_FRESH || s.verdict == CACHE_STALE);
    return s;
}

/* ---- hosts ---- */

static void family_fill(const struct host_record *r, int f,
                        enum cache_verdict verdict, struct hostaddrs *a)
{
    const struct host_family *h = &r->family[f];

    if (verdict == CACHE_FAILING) {
        a->state[f] = ADDR_FAILED;
        a->secure = false;
        return;
    }
    if (verdict == CACHE_MISS) {
        a->secure = false;
        return;
    }
    a->state[f] = h->state;
    a->n[f] = h->n;
    a->secure = a->secure && h->secure;
    if (f == FAMILY_V4)
        memcpy(a->v4, r->v4, sizeof(a->v4));
    else
        memcpy(a->v6, r->v6, sizeof(a->v6));
}

/* Of two families: a miss tells most, then what can be refreshed. */
static enum cache_verdict join_verdict(enum cache_verdict a,
                                       enum cache_verdict b)
{
    static const int telling[] = {[CACHE_MISS] = 3,
                                  [CACHE_STALE] = 2,
                                  [CACHE_FAILING] = 1,
                                  [CACHE_FRESH] = 0};

    return telling[a] >= telling[b] ? a : b;
}

static void join(struct cache_entry_state *sum,
                 const struct cache_entry_state *one)
{
    sum->verdict = join_verdict(sum->verdict, one->verdict);
    sum->refresh_due = sum->refresh_due || one->refresh_due;
    sum->failed_before = sum->failed_before || one->failed_before;
    if (one->ttl_s < sum->ttl_s)
        sum->ttl_s = one->ttl_s;
    if (one->stale_s > sum->stale_s)
        sum->stale_s = one->stale_s;
}

struct cache_entry_state host_judge(const struct cache_policy *p,
                                    const struct host_record *r,
                                    unsigned families, uint64_t now_ms,
                                    struct hostaddrs *addrs_r)
{
    struct cache_entry_state sum = {.verdict = CACHE_FRESH,
                                    .ttl_s = UINT32_MAX};

    memset(addrs_r, 0, sizeof(*addrs_r));
    addrs_r->secure = true;
    for (int f = 0; f < FAMILIES; f++) {
        const struct host_family *h = &r->family[f];
        struct timing t = {h->state != ADDR_UNKNOWN,
                           h->stored_ms,
                           h->ttl_s,
                           stale_limit_s(p, h->state == ADDR_NONE),
                           p->prefetch_percent,
                           r->refresh_ms,
                           false,
                           &h->failure};
        struct cache_entry_state one;

        if ((families & FAMILY_BIT(f)) == 0)
            continue;
        one = timing_judge(&t, now_ms);
        family_fill(r, f, one.verdict, addrs_r);
        join(&sum, &one);
    }
    if (sum.ttl_s == UINT32_MAX) { /* no family was asked about */
        sum = (struct cache_entry_state){0};
        addrs_r->secure = false;
    }
    addrs_r->ttl_s = sum.ttl_s;
    return sum;
}

/* ---- hosts, when something was learnt ---- */

static bool has_address(const struct host_record *r)
{
    return r->family[FAMILY_V4].state == ADDR_SOME ||
           r->family[FAMILY_V6].state == ADDR_SOME;
}

/* Nobody asks for a host's addresses again unless somebody needs them again. */
static uint8_t host_worth(const struct host_record *r, uint64_t before_ms,
                          uint64_t now_ms)
{
    if (!has_address(r))
        return WORTH_NEGATIVE;
    if (r->worth == WORTH_ONCE &&
        now_ms >= before_ms + CACHE_STALE_REFRESH_S * 1000)
        return WORTH_USED;
    return r->worth == WORTH_USED ? WORTH_USED : WORTH_ONCE;
}

/* Nothing was learnt where addresses and state contradict each other. */
static void family_update(const struct cache_policy *p, struct host_family *h,
                          const struct hostaddrs *addrs, int f, uint64_t now_ms)
{
    uint8_t state = addrs->state[f];
    bool negative = state == ADDR_NONE;

    if (state == ADDR_FAILED)
        failure_note(&h->failure, now_ms);
    if (negative == (addrs->n[f] > 0) ||
        (state != ADDR_SOME && state != ADDR_NONE))
        return;
    memset(h, 0, sizeof(*h));
    h->n = addrs->n[f] < ADDRS_MAX ? addrs->n[f] : ADDRS_MAX;
    h->state = state;
    h->secure = addrs->secure;
    h->stored_ms = now_ms;
    h->ttl_s = clamp_ttl_s(p, addrs->ttl_s, negative);
}

void host_update(const struct cache_policy *p, struct host_record *r,
                 const struct hostaddrs *addrs, uint64_t now_ms)
{
    uint64_t before_ms = r->written_ms;

    r->written_ms = later(r->written_ms, now_ms);
    r->refresh_ms = 0;
    for (int f = 0; f < FAMILIES; f++)
        family_update(p, &r->family[f], addrs, f, now_ms);
    if (addrs->state[FAMILY_V4] == ADDR_SOME && addrs->n[FAMILY_V4] > 0)
        memcpy(r->v4, addrs->v4, sizeof(r->v4));
    if (addrs->state[FAMILY_V6] == ADDR_SOME && addrs->n[FAMILY_V6] > 0)
        memcpy(r->v6, addrs->v6, sizeof(r->v6));
    r->worth = host_worth(r, before_ms, now_ms);
}
