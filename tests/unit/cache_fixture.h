/* A cache over a fake backend, and short words for its use. For the tests of
   the cache; each is one program. */

#ifndef UNIT_CACHE_FIXTURE_H
#define UNIT_CACHE_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_kv.h"
#include "cache/cache.h"
#include "support/failmalloc.h"

#define T0       1000000u /* ms */
#define EXAMPLE  "example.com"
#define MADE_OF  0x1234567890u
#define V4_ONE   0x010200c0
#define BOTH     (FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct cache_policy policy = {
    .ttl_min_s = 30,
    .ttl_max_s = 86400,
    .negative_ttl_max_s = 900,
    .stale_max_s = 259200,
};

static struct cache *cache;
static struct cache_view *view;
static struct fake_kv *fake;

static inline void open_with(const struct cache_policy *p)
{
    struct mxhop_error err;

    fake = fake_kv_open();
    ck_assert_int_eq(cache_open(&cache, &fake->kv, p, &err), MXHOP_OK);
    view = cache_view_open(cache);
    ck_assert_ptr_nonnull(view);
}

static inline void setup(void)
{
    open_with(&policy);
}

static inline void teardown(void)
{
    cache_view_close(&view);
    ck_assert_ptr_null(view);
    cache_close(&cache);
    ck_assert_ptr_null(cache);
}

/* As setup, with prefetch in the last 10 % of the TTL. */
static inline void reopen_with_prefetch(void)
{
    struct cache_policy p = policy;

    teardown();
    p.prefetch_percent = 10;
    open_with(&p);
}

static inline void flush(void)
{
    ck_assert(cache_flush(cache, 0));
    ck_assert_uint_eq(cache_pending(cache), 0);
}

static inline struct mxset make_set(enum mx_outcome outcome, uint32_t ttl_s,
                                    const char *host)
{
    struct mxset s = {.outcome = outcome, .ttl_s = ttl_s, .secure = true};

    if (outcome == MX_HOSTS)
        ck_assert(mxset_add(&s, host, 10));
    if (outcome == MX_FAILURE)
        s.failure = strdup("SERVFAIL");
    return s;
}

static inline void put_name(const char *name, enum mx_outcome outcome,
                            uint32_t ttl_s, uint64_t now_ms)
{
    struct mxset s = make_set(outcome, ttl_s, "mx.example.com");

    cache_put_domain(cache, name, now_ms, &s);
    mxset_free(&s);
    flush();
}

static inline void put(enum mx_outcome outcome, bool implicit, uint32_t ttl_s,
                       uint64_t now_ms)
{
    struct mxset s = make_set(outcome, ttl_s, "mx.example.com");

    s.implicit = implicit;
    cache_put_domain(cache, EXAMPLE, now_ms, &s);
    mxset_free(&s);
    flush();
}

static inline struct cache_entry_state
get_name(const char *name, uint64_t now_ms, enum mx_outcome *o)
{
    struct mxset s;
    struct cache_entry_state st = cache_get_domain(view, name, now_ms, &s);

    if (o != NULL)
        *o = s.outcome;
    if (st.verdict == CACHE_MISS)
        ck_assert(s.mx == NULL && s.failure == NULL);
    else if (s.outcome == MX_HOSTS)
        ck_assert_str_eq(s.mx[0].host, "mx.example.com");
    else if (s.outcome == MX_FAILURE)
        ck_assert_str_eq(s.failure, "SERVFAIL");
    mxset_free(&s);
    return st;
}

static inline struct cache_entry_state get(uint64_t now_ms, enum mx_outcome *o)
{
    return get_name(EXAMPLE, now_ms, o);
}

static inline struct cache_stats stats_at(uint64_t now_ms)
{
    struct cache_stats s;

    cache_stats(view, now_ms, &s);
    return s;
}

static inline struct hostaddrs addrs(enum addr_state v4, enum addr_state v6)
{
    struct hostaddrs a = {.secure = true, .ttl_s = 60};

    a.state[FAMILY_V4] = (uint8_t)v4;
    a.state[FAMILY_V6] = (uint8_t)v6;
    a.n[FAMILY_V4] = v4 == ADDR_SOME;
    a.n[FAMILY_V6] = v6 == ADDR_SOME;
    a.v4[0].s_addr = V4_ONE;
    a.v6[0].s6_addr[15] = 1;
    return a;
}

static inline void put_host(const char *host, enum addr_state v4,
                            enum addr_state v6, uint64_t now_ms)
{
    struct hostaddrs a = addrs(v4, v6);

    cache_put_host(cache, host, now_ms, &a);
    flush();
}

static inline void put_route(const char *text, const struct mxset *set,
                             uint64_t made_of)
{
    struct cache_route r = {.made_of = made_of,
                            .expires_ms = T0 + 50000,
                            .from_s = 1000,
                            .until_s = 2000,
                            .text = text};

    cache_put_route(cache, set, &r);
    flush();
}

static inline int run_tests(Suite *s)
{
    SRunner *r = srunner_create(s);
    int failed;

    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* A case in which each test begins with an empty cache. */
static inline TCase *cache_case(Suite *s)
{
    TCase *t = tcase_create("cache");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return t;
}

#endif
