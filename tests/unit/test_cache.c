/* The policy of the DNS cache: TTLs, stale, failures, per family. */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/cache.h"
#include "store/kv.h"
#include "support/failmalloc.h"

#define T0 1000000u /* ms */

static const struct cache_policy policy = {
    .ttl_min_s = 30,
    .ttl_max_s = 86400,
    .negative_ttl_max_s = 900,
    .stale_max_s = 259200,
};

static struct cache *cache;
static struct kv *backend;

static void setup(void)
{
    struct mxhop_error err;

    ck_assert_int_eq(kv_memory_open(&backend, 1 << 20, &err), MXHOP_OK);
    ck_assert_int_eq(cache_open(&cache, backend, &policy, &err), MXHOP_OK);
}

static void teardown(void)
{
    cache_close(&cache);
    ck_assert_ptr_null(cache);
}

static void put(enum mx_outcome outcome, bool implicit, uint32_t ttl_s,
                uint64_t now_ms)
{
    struct mxset s = {.outcome = outcome,
                      .implicit = implicit,
                      .ttl_s = ttl_s,
                      .secure = true};

    if (outcome == MX_HOSTS)
        ck_assert(mxset_add(&s, "mx.example.com", 10));
    if (outcome == MX_FAILURE)
        s.failure = strdup("SERVFAIL");
    cache_put_domain(cache, "example.com", now_ms, &s);
    mxset_free(&s);
}

static struct cache_entry_state get(uint64_t now_ms, enum mx_outcome *o)
{
    struct mxset s;
    struct cache_entry_state st =
        cache_get_domain(cache, "example.com", now_ms, &s);

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

static const struct {
    enum mx_outcome outcome;
    bool implicit;
    uint32_t ttl_s, fresh_s, stale_s;
} lives[] = {
    {MX_HOSTS, false, 300, 300, 259200},
    {MX_HOSTS, false, 1, 30, 259200},
    {MX_HOSTS, false, UINT32_MAX, 86400, 259200},
    {MX_HOSTS, true, 86400, 900, 259200},
    /* What may bounce mail is never used stale. */
    {MX_NULL, false, 3600, 3600, 0},
    {MX_NXDOMAIN, false, 3600, 900, 0},
    {MX_NXDOMAIN, false, 0, 30, 0},
};

START_TEST(life)
{
    uint64_t end = T0 + lives[_i].fresh_s * 1000ull;
    uint64_t over = end + lives[_i].stale_s * 1000ull;
    struct cache_entry_state st;
    enum mx_outcome o;

    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    put(lives[_i].outcome, lives[_i].implicit, lives[_i].ttl_s, T0);
    st = get(T0, &o);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert_int_eq(o, lives[_i].outcome);
    ck_assert_uint_eq(st.ttl_s, lives[_i].fresh_s);
    ck_assert(!st.refresh_due);
    ck_assert_int_eq(get(end - 1, NULL).verdict, CACHE_FRESH);
    if (over > end) {
        st = get(end, &o);
        ck_assert_int_eq(st.verdict, CACHE_STALE);
        ck_assert_int_eq(o, lives[_i].outcome);
        ck_assert(st.refresh_due);
        st = get(over - 1, NULL);
        ck_assert_int_eq(st.verdict, CACHE_STALE);
        ck_assert_uint_eq(st.stale_s, lives[_i].stale_s - 1);
    }
    ck_assert_int_eq(get(over, NULL).verdict, CACHE_MISS);
}
END_TEST

START_TEST(failures_back_off)
{
    static const uint32_t waits[] = {5, 10, 20, 40, 80, 160, 300, 300};
    uint64_t now = T0;
    struct cache_entry_state st;
    enum mx_outcome o;

    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        put(MX_FAILURE, false, 0, now);
        st = get(now, &o);
        ck_assert_int_eq(st.verdict, CACHE_FAILING);
        ck_assert_int_eq(o, MX_FAILURE);
        ck_assert_uint_eq(st.ttl_s, waits[i]);
        now += waits[i] * 1000ull;
        ck_assert_int_eq(get(now - 1, NULL).verdict, CACHE_FAILING);
        ck_assert_int_eq(get(now, NULL).verdict, CACHE_MISS);
    }
    put(MX_HOSTS, false, 60, now);
    ck_assert_int_eq(get(now, NULL).verdict, CACHE_FRESH);
    now += (60 + policy.stale_max_s) * 1000ull;
    put(MX_FAILURE, false, 0, now);
    ck_assert_uint_eq(get(now, NULL).ttl_s, 5);
}
END_TEST

START_TEST(failure_beside_answer)
{
    uint64_t end = T0 + 60000;
    struct cache_entry_state st;

    put(MX_HOSTS, false, 60, T0);
    put(MX_FAILURE, false, 0, T0 + 1000);
    ck_assert_int_eq(get(T0 + 1000, NULL).verdict, CACHE_FRESH);
    put(MX_FAILURE, false, 0, end);
    st = get(end, NULL);
    ck_assert_int_eq(st.verdict, CACHE_STALE);
    ck_assert(!st.refresh_due);
    ck_assert_uint_eq(st.ttl_s, 10);
    ck_assert(get(end + 10000, NULL).refresh_due);
    put(MX_NXDOMAIN, false, 60, end + 10000); /* an answer replaces */
    ck_assert_int_eq(get(end + 10000, NULL).verdict, CACHE_FRESH);
}
END_TEST

START_TEST(refresh_noted)
{
    uint64_t end = T0 + 60000;
    struct cache_entry_state st;

    cache_note_refresh(cache, "example.com", T0);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    put(MX_HOSTS, false, 60, T0);
    ck_assert(get(end, NULL).refresh_due);
    cache_note_refresh(cache, "example.com", end);
    st = get(end + 1, NULL);
    ck_assert(!st.refresh_due);
    ck_assert_uint_eq(st.ttl_s, 30);
    ck_assert(get(end + 30000, NULL).refresh_due);
}
END_TEST

START_TEST(other_boot_and_damage)
{
    put(MX_HOSTS, false, 60, T0);
    ck_assert_int_eq(get(T0 - 5000, NULL).verdict, CACHE_FRESH);
    ck_assert_int_eq(get(T0 - 20000, NULL).verdict, CACHE_MISS);
    backend->ops->put(backend, "dexample.com", 12, "junk", 4, KV_POSITIVE);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    put(MX_HOSTS, false, 60, T0);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
}
END_TEST

START_TEST(names_too_long)
{
    char name[2000];
    struct mxset s = {.outcome = MX_NULL, .ttl_s = 60}, got;
    struct hostaddrs a = {0};

    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    cache_put_domain(cache, name, T0, &s);
    cache_put_host(cache, name, T0, &a);
    cache_note_refresh(cache, name, T0);
    ck_assert_int_eq(cache_get_domain(cache, name, T0, &got).verdict,
                     CACHE_MISS);
    ck_assert_int_eq(cache_get_host(cache, name, 3, T0, &a).verdict,
                     CACHE_MISS);
}
END_TEST

static struct hostaddrs addrs(enum addr_state v4, enum addr_state v6)
{
    struct hostaddrs a = {.secure = true, .ttl_s = 60};

    a.state[FAMILY_V4] = (uint8_t)v4;
    a.state[FAMILY_V6] = (uint8_t)v6;
    a.n[FAMILY_V4] = v4 == ADDR_SOME;
    a.n[FAMILY_V6] = v6 == ADDR_SOME;
    a.v4[0].s_addr = 0x010200c0;
    a.v6[0].s6_addr[15] = 1;
    return a;
}

#define BOTH (FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6))

START_TEST(hosts_by_family)
{
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_UNKNOWN), got;
    struct cache_entry_state st;

    cache_put_host(cache, "mx", T0, &a);
    st = cache_get_host(cache, "mx", FAMILY_BIT(FAMILY_V4), T0, &got);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert_uint_eq(got.v4[0].s_addr, 0x010200c0);
    ck_assert(got.secure);
    ck_assert_int_eq(cache_get_host(cache, "mx", BOTH, T0, &got).verdict,
                     CACHE_MISS);
    ck_assert_int_eq(got.state[FAMILY_V4], ADDR_SOME);
    ck_assert_int_eq(got.state[FAMILY_V6], ADDR_UNKNOWN);
    a = addrs(ADDR_UNKNOWN, ADDR_FAILED);
    cache_put_host(cache, "mx", T0, &a);
    ck_assert_int_eq(cache_get_host(cache, "mx", BOTH, T0, &got).verdict,
                     CACHE_FAILING);
    ck_assert_int_eq(got.state[FAMILY_V6], ADDR_FAILED);
    ck_assert_int_eq(hostaddrs_state(&got, BOTH), ADDR_SOME);
    a = addrs(ADDR_FAILED, ADDR_NONE); /* v4 stays */
    cache_put_host(cache, "mx", T0 + 5000, &a);
    ck_assert_int_eq(cache_get_host(cache, "mx", BOTH, T0 + 5000, &got).verdict,
                     CACHE_FRESH);
    ck_assert_int_eq(got.state[FAMILY_V4], ADDR_SOME);
    ck_assert_int_eq(got.state[FAMILY_V6], ADDR_NONE);
    st = cache_get_host(cache, "mx", BOTH, T0 + 60000, &got);
    ck_assert_int_eq(st.verdict, CACHE_STALE);
    ck_assert(st.refresh_due);
    st = cache_get_host(cache, "mx", BOTH, T0 + 60001, &got);
    ck_assert_int_eq(st.verdict, CACHE_STALE);
    ck_assert(!st.refresh_due);
    ck_assert_int_eq(cache_get_host(cache, "mx", 0, T0, &got).verdict,
                     CACHE_MISS);
}
END_TEST

START_TEST(no_memory)
{
    struct mxset fail = {.outcome = MX_FAILURE, .failure = (char *)"SERVFAIL"};

    for (unsigned n = 1;; n++) {
        struct cache_entry_state st;
        struct hostaddrs a = addrs(ADDR_SOME, ADDR_NONE);
        struct mxset s;
        bool hit;

        put(MX_HOSTS, false, 60, T0);
        failmalloc_at(n);
        cache_put_domain(cache, "example.com", T0, &fail);
        cache_put_host(cache, "mx", T0, &a);
        st = cache_get_domain(cache, "example.com", T0, &s);
        cache_get_host(cache, "mx", BOTH, T0, &a);
        mxset_free(&s);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert(st.verdict == CACHE_FRESH || st.verdict == CACHE_MISS);
        ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
        if (!hit)
            break;
    }
}
END_TEST

START_TEST(open_no_memory)
{
    struct mxhop_error err;
    struct cache *c;
    struct kv *kv;
    enum mxhop_status s;

    ck_assert_int_eq(kv_memory_open(&kv, 1 << 20, &err), MXHOP_OK);
    failmalloc_at(1);
    s = cache_open(&c, kv, &policy, &err);
    failmalloc_at(0);
    ck_assert_int_eq(s, MXHOP_ERR_MEMORY);
    ck_assert_ptr_null(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache");
    TCase *t = tcase_create("cache");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, life, 0, sizeof(lives) / sizeof(lives[0]));
    tcase_add_test(t, failures_back_off);
    tcase_add_test(t, failure_beside_answer);
    tcase_add_test(t, refresh_noted);
    tcase_add_test(t, other_boot_and_damage);
    tcase_add_test(t, names_too_long);
    tcase_add_test(t, hosts_by_family);
    tcase_add_test(t, no_memory);
    tcase_add_test(t, open_no_memory);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
