/* The policy of the DNS cache: TTLs, stale, failures, prefetch, per family;
   claims. */

#include "support/suite.h"
#include "cache_fixture.h"

/* ---- what an answer is worth, and for how long ---- */

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
    ck_assert(!get(end - 1, NULL).refresh_due);
    if (over > end) {
        st = get(end, &o);
        ck_assert_int_eq(st.verdict, CACHE_STALE);
        ck_assert_int_eq(o, lives[_i].outcome);
        ck_assert(st.refresh_due);
        st = get(over - 1, NULL);
        ck_assert_int_eq(st.verdict, CACHE_STALE);
        ck_assert_uint_eq(st.stale_s, lives[_i].stale_s - 1);
    }
    st = get(over, NULL);
    ck_assert_int_eq(st.verdict, CACHE_MISS);
    ck_assert(!st.failed_before && !st.claimed && !st.once);
}
END_TEST

START_TEST(set_is_kept_whole)
{
    struct mxset s = {.outcome = MX_HOSTS, .ttl_s = 60, .dot_ignored = true};
    struct mxset got;

    ck_assert(mxset_add(&s, "b.example.com", 20));
    ck_assert(mxset_add(&s, "c.example.com", 10));
    ck_assert(mxset_add(&s, "a.example.com", 20));
    cache_put_domain(cache, EXAMPLE, T0, &s);
    flush();
    ck_assert_int_eq(cache_get_domain(view, EXAMPLE, T0, &got).verdict,
                     CACHE_FRESH);
    ck_assert(got.dot_ignored && !got.secure && !got.implicit);
    ck_assert_uint_eq(got.ttl_s, 60);
    ck_assert_uint_eq(got.n_mx, 3);
    ck_assert_str_eq(got.mx[0].host, "c.example.com");
    ck_assert_uint_eq(got.mx[0].preference, 10);
    ck_assert_str_eq(got.mx[1].host, "a.example.com");
    ck_assert_str_eq(got.mx[2].host, "b.example.com");
    ck_assert_int_eq(got.mx[0].addrs.state[FAMILY_V4], ADDR_UNKNOWN);
    mxset_free(&got);
    mxset_free(&s);
}
END_TEST

START_TEST(failures_back_off)
{
    static const uint32_t waits[] = {5, 10, 20, 40, 80, 160, 300, 300};
    uint64_t now = T0;
    struct cache_entry_state st;
    enum mx_outcome o;

    for (size_t i = 0; i < COUNT(waits); i++) {
        put(MX_FAILURE, false, 0, now);
        st = get(now, &o);
        ck_assert_int_eq(st.verdict, CACHE_FAILING);
        ck_assert_int_eq(o, MX_FAILURE);
        ck_assert_uint_eq(st.ttl_s, waits[i]);
        now += waits[i] * 1000ull;
        ck_assert_int_eq(get(now - 1, NULL).verdict, CACHE_FAILING);
        st = get(now, NULL);
        ck_assert_int_eq(st.verdict, CACHE_MISS);
        ck_assert(st.failed_before);
    }
    put(MX_HOSTS, false, 60, now);
    ck_assert_int_eq(get(now, NULL).verdict, CACHE_FRESH);
    now += (60 + policy.stale_max_s) * 1000ull;
    ck_assert(!get(now, NULL).failed_before);
    put(MX_FAILURE, false, 0, now);
    ck_assert_uint_eq(get(now, NULL).ttl_s, 5);
}
END_TEST

/* Processes that ask for a silent name at the same time fail together: that is
   one failure, or it would cost them five minutes at once. */
START_TEST(failures_at_the_same_time)
{
    for (uint64_t ms = 0; ms < 8; ms++)
        put(MX_FAILURE, false, 0, T0 + ms);
    ck_assert_int_eq(get(T0 + 4999, NULL).verdict, CACHE_FAILING);
    ck_assert_int_eq(get(T0 + 5100, NULL).verdict, CACHE_MISS);
}
END_TEST

START_TEST(endless_failures)
{
    uint64_t now = T0;

    for (int i = 0; i < 300; i++, now += 300000)
        put(MX_FAILURE, false, 0, now);
    ck_assert_uint_eq(get(now - 300000, NULL).ttl_s, 300);
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
    ck_assert(st.failed_before);
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

    cache_note_refresh(cache, EXAMPLE, T0);
    flush();
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    ck_assert(!get(T0, NULL).claimed);
    put(MX_HOSTS, false, 60, T0);
    ck_assert(get(end, NULL).refresh_due);
    cache_note_refresh(cache, EXAMPLE, end);
    ck_assert(get(end + 1, NULL).refresh_due); /* not yet written */
    flush();
    st = get(end + 1, NULL);
    ck_assert(!st.refresh_due);
    ck_assert_uint_eq(st.ttl_s, 30);
    put(MX_FAILURE, false, 0, end + 2000); /* does not bring it forward */
    ck_assert(!get(end + 29999, NULL).refresh_due);
    ck_assert(get(end + 30000, NULL).refresh_due);
}
END_TEST

START_TEST(prefetch)
{
    uint64_t near = T0 + 270001;

    reopen_with_prefetch();
    put(MX_HOSTS, false, 300, T0);
    ck_assert(!get(T0 + 270000, NULL).refresh_due);
    ck_assert_int_eq(get(near, NULL).verdict, CACHE_FRESH);
    ck_assert(get(near, NULL).refresh_due);
    cache_note_refresh(cache, EXAMPLE, near);
    flush();
    ck_assert_int_eq(get(near, NULL).verdict, CACHE_FRESH);
    ck_assert(!get(T0 + 299999, NULL).refresh_due);
    ck_assert_int_eq(get(T0 + 300000, NULL).verdict, CACHE_STALE);
    ck_assert(!get(near + 29999, NULL).refresh_due);
    ck_assert(get(near + 30000, NULL).refresh_due);
    put(MX_HOSTS, false, 1, T0); /* of the clamped TTL */
    ck_assert(!get(T0 + 27000, NULL).refresh_due);
    put(MX_FAILURE, false, 0, T0 + 27001);
    ck_assert(!get(T0 + 27002, NULL).refresh_due);
}
END_TEST

/* ---- hosts ---- */

static struct cache_entry_state get_host(unsigned families, uint64_t now_ms,
                                         struct hostaddrs *got)
{
    return cache_get_host(view, "mx", families, now_ms, got);
}

START_TEST(hosts_by_family)
{
    struct hostaddrs got;
    struct cache_entry_state st;

    ck_assert_int_eq(get_host(BOTH, T0, &got).verdict, CACHE_MISS);
    put_host("mx", ADDR_SOME, ADDR_UNKNOWN, T0);
    st = get_host(FAMILY_BIT(FAMILY_V4), T0, &got);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert(!st.refresh_due);
    ck_assert_uint_eq(st.known, FAMILY_BIT(FAMILY_V4));
    ck_assert_uint_eq(got.v4[0].s_addr, V4_ONE);
    ck_assert(got.secure);
    ck_assert_int_eq(get_host(FAMILY_BIT(FAMILY_V6), T0, &got).verdict,
                     CACHE_MISS);
    st = get_host(BOTH, T0, &got); /* usable, but more could be known */
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert(st.refresh_due);
    ck_assert_uint_eq(st.known, FAMILY_BIT(FAMILY_V4));
    ck_assert_int_eq(got.state[FAMILY_V4], ADDR_SOME);
    ck_assert_int_eq(got.state[FAMILY_V6], ADDR_UNKNOWN);
    put_host("mx", ADDR_UNKNOWN, ADDR_FAILED, T0);
    st = get_host(BOTH, T0, &got);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert(!st.refresh_due);
    ck_assert_uint_eq(st.known, BOTH); /* no use to ask yet */
    ck_assert_int_eq(got.state[FAMILY_V6], ADDR_FAILED);
    ck_assert_int_eq(hostaddrs_state(&got, BOTH), ADDR_SOME);
    ck_assert(get_host(BOTH, T0 + 5000, &got).refresh_due);
    put_host("mx", ADDR_FAILED, ADDR_NONE, T0 + 5000); /* v4 stays */
    st = get_host(BOTH, T0 + 5000, &got);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert_uint_eq(st.ttl_s, 55);
    ck_assert_int_eq(got.state[FAMILY_V4], ADDR_SOME);
    ck_assert_int_eq(got.state[FAMILY_V6], ADDR_NONE);
    st = get_host(BOTH, T0 + 60000, &got);
    ck_assert_int_eq(st.verdict, CACHE_STALE);
    ck_assert(st.refresh_due);
    ck_assert_uint_eq(st.known, FAMILY_BIT(FAMILY_V6));
    st = get_host(BOTH, T0 + 60000, &got);
    ck_assert(st.refresh_due); /* reading notes nothing */
    cache_note_host_refresh(cache, "mx", T0 + 60000);
    flush();
    st = get_host(BOTH, T0 + 60001, &got);
    ck_assert_int_eq(st.verdict, CACHE_STALE);
    ck_assert(!st.refresh_due);
    ck_assert_int_eq(get_host(0, T0, &got).verdict, CACHE_MISS);
}
END_TEST

/* A day of IPv4, and "no IPv6" for a minute: the host is never cold. */
START_TEST(each_family_has_its_end)
{
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_NONE), got;
    static const uint64_t later_s[] = {60, 959, 960, 80000};
    struct cache_entry_state st;

    a.ttl_s[FAMILY_V4] = 86400;
    cache_put_host(cache, "mx", T0, &a);
    flush();
    for (size_t i = 0; i < COUNT(later_s); i++) {
        st = get_host(BOTH, T0 + later_s[i] * 1000, &got);
        ck_assert_int_eq(st.verdict, CACHE_FRESH);
        ck_assert_uint_eq(st.ttl_s, 86400 - later_s[i]);
        ck_assert(st.refresh_due);
        ck_assert_uint_eq(st.known, FAMILY_BIT(FAMILY_V4));
        ck_assert_uint_eq(hostaddrs_ttl_s(&got, BOTH), 86400 - later_s[i]);
        ck_assert_uint_eq(got.v4[0].s_addr, V4_ONE);
    }
    /* Once in 30 s. */
    cache_note_host_refresh(cache, "mx", T0 + 80000000);
    flush();
    ck_assert(!get_host(BOTH, T0 + 80029999, &got).refresh_due);
    ck_assert(get_host(BOTH, T0 + 80030000, &got).refresh_due);
    a = addrs(ADDR_UNKNOWN, ADDR_FAILED); /* does not bring it forward */
    cache_put_host(cache, "mx", T0 + 80001000, &a);
    flush();
    ck_assert(!get_host(BOTH, T0 + 80029999, &got).refresh_due);
    ck_assert(get_host(BOTH, T0 + 80030000, &got).refresh_due);
    /* What is learnt of one family does not make the other younger. */
    a = addrs(ADDR_UNKNOWN, ADDR_NONE);
    cache_put_host(cache, "mx", T0 + 80010000, &a);
    flush();
    st = get_host(BOTH, T0 + 80010000, &got);
    ck_assert_uint_eq(st.ttl_s, 6390);
    ck_assert(!st.refresh_due);
    ck_assert_uint_eq(st.known, BOTH);
    ck_assert_int_eq(get_host(BOTH, T0 + 86400000, &got).verdict, CACHE_STALE);
}
END_TEST

/* Both have addresses: it is usable to the end of the one that lasts. */
START_TEST(a_stale_family_beside_a_fresh_one)
{
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_SOME), got;
    struct cache_entry_state st;

    a.ttl_s[FAMILY_V6] = 3600;
    cache_put_host(cache, "mx", T0, &a);
    flush();
    st = get_host(BOTH, T0, &got);
    ck_assert_uint_eq(st.ttl_s, 60);
    ck_assert_uint_eq(hostaddrs_ttl_s(&got, BOTH), 60);
    st = get_host(BOTH, T0 + 100000, &got);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert(st.refresh_due);
    ck_assert_uint_eq(st.ttl_s, 3500);
    ck_assert_int_eq(got.state[FAMILY_V4], ADDR_SOME);
    ck_assert_uint_eq(hostaddrs_ttl_s(&got, BOTH), 3500);
    /* Nothing is fresh without an address. */
    put_host("mx", ADDR_NONE, ADDR_NONE, T0 + 100000);
    st = get_host(BOTH, T0 + 100000, &got);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert_uint_eq(hostaddrs_ttl_s(&got, BOTH), 60);
    ck_assert_int_eq(get_host(BOTH, T0 + 160000, &got).verdict, CACHE_STALE);
}
END_TEST

START_TEST(host_with_many_addresses)
{
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_SOME), got;

    for (int i = 0; i < ADDRS_MAX; i++) {
        a.v4[i].s_addr = (uint32_t)i;
        a.v6[i].s6_addr[15] = (uint8_t)i;
    }
    a.n[FAMILY_V4] = ADDRS_MAX + 4; /* more than there is room for */
    a.n[FAMILY_V6] = ADDRS_MAX;
    cache_put_host(cache, "mx", T0, &a);
    flush();
    cache_get_host(view, "mx", BOTH, T0, &got);
    ck_assert_uint_eq(got.n[FAMILY_V4], ADDRS_MAX);
    ck_assert_mem_eq(got.v4, a.v4, sizeof(a.v4));
    ck_assert_mem_eq(got.v6, a.v6, sizeof(a.v6));
}
END_TEST

START_TEST(host_prefetch)
{
    struct cache_entry_state st;
    struct hostaddrs got;

    reopen_with_prefetch();
    cache_note_host_refresh(cache, "mx", T0); /* of nothing */
    put_host("mx", ADDR_SOME, ADDR_NONE, T0);
    st = cache_get_host(view, "mx", BOTH, T0 + 54000, &got);
    ck_assert(!st.refresh_due);
    st = cache_get_host(view, "mx", BOTH, T0 + 54001, &got);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert(st.refresh_due);
    cache_note_host_refresh(cache, "mx", T0 + 54001);
    flush();
    st = cache_get_host(view, "mx", BOTH, T0 + 54002, &got);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert(!st.refresh_due);
}
END_TEST

/* ---- claims ---- */

static bool claim(uint64_t now_ms)
{
    const char *name = EXAMPLE;
    bool granted = false;

    cache_claim(cache, &name, 1, now_ms, &granted);
    return granted;
}

START_TEST(claim_of_a_cold_name)
{
    struct cache_entry_state st;

    reopen_shared();
    ck_assert(claim(T0));
    st = get(T0 + 1, NULL);
    ck_assert_int_eq(st.verdict, CACHE_MISS);
    ck_assert(st.claimed && !st.once && !st.failed_before);
    ck_assert(!claim(T0 + 1999));
    ck_assert(!get(T0 + 2000, NULL).claimed); /* whoever it was is gone */
    ck_assert(claim(T0 + 2000));
    put(MX_HOSTS, false, 60, T0 + 2100); /* ends it */
    ck_assert_int_eq(get(T0 + 2100, NULL).verdict, CACHE_FRESH);
    ck_assert(!claim(T0 + 2100));
    ck_assert_int_eq(get(T0 + 2100, NULL).verdict, CACHE_FRESH);
}
END_TEST

START_TEST(claim_ended_by_failure)
{
    reopen_shared();
    ck_assert(claim(T0));
    put(MX_FAILURE, false, 0, T0 + 100);
    ck_assert_int_eq(get(T0 + 100, NULL).verdict, CACHE_FAILING);
    ck_assert(!claim(T0 + 100)); /* known by now: it fails */
    ck_assert(!get(T0 + 5100, NULL).claimed);
    ck_assert(claim(T0 + 5100));
    ck_assert(get(T0 + 5101, NULL).claimed);
    ck_assert(get(T0 + 5101, NULL).failed_before);
    put(MX_FAILURE, false, 0, T0 + 5200); /* the row goes on */
    ck_assert_uint_eq(get(T0 + 5200, NULL).ttl_s, 10);
}
END_TEST

START_TEST(claim_of_what_is_known)
{
    uint64_t end = T0 + 60000;

    reopen_shared();
    put(MX_HOSTS, false, 60, T0);
    ck_assert(claim(end)); /* stale and due */
    ck_assert(!claim(end + 1));
    ck_assert_int_eq(get(end + 1, NULL).verdict, CACHE_STALE);
    ck_assert(!get(end + 1, NULL).refresh_due);
    ck_assert(claim(end + 30000));
    put(MX_NULL, false, 60, end + 30000);
    ck_assert(claim(end + 90000)); /* never stale: as good as cold */
    ck_assert(get(end + 90001, NULL).claimed);
}
END_TEST

START_TEST(claims_of_many)
{
    static const char *const names[] = {"a.example", "b.example", "c.example",
                                        "d.example"};
    bool granted[4];

    reopen_shared();
    put_name("b.example", MX_HOSTS, 60, T0);
    cache_claim(cache, names + 2, 1, T0, granted);
    cache_claim(cache, names, 4, T0 + 1, granted);
    ck_assert(granted[0] && !granted[1] && !granted[2] && granted[3]);
    cache_claim(cache, names, 0, T0 + 1, granted);
}
END_TEST

/* What stands in the record stays. */
START_TEST(claim_keeps_the_answer)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};

    reopen_shared();
    cache->policy.prefetch_percent = 100;
    put(MX_HOSTS, false, 60, T0);
    put_route(EXAMPLE, "text", &s, MADE_OF);
    put(MX_FAILURE, false, 0, T0);
    ck_assert(claim(T0 + 5000));
    ck_assert(!claim(T0 + 5000));
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "text");
    ck_assert(!r.refresh_due);
    ck_assert(get(T0 + 5000, NULL).failed_before);
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

START_TEST(claims_without_others)
{
    struct live *other;

    ck_assert(claim(T0) && claim(T0)); /* there is nobody else */
    ck_assert(!get(T0, NULL).claimed);
    reopen_shared();
    other = open_shared_table();
    ck_assert(live_begin(other, 0));
    ck_assert(claim(T0) && claim(T0));
    live_end(other);
    ck_assert(!get(T0, NULL).claimed);
    live_close(&other);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache");
    TCase *t = cache_case(s);

    tcase_add_loop_test(t, life, 0, COUNT(lives));
    tcase_add_test(t, set_is_kept_whole);
    tcase_add_test(t, failures_back_off);
    tcase_add_test(t, failures_at_the_same_time);
    tcase_add_test(t, endless_failures);
    tcase_add_test(t, failure_beside_answer);
    tcase_add_test(t, refresh_noted);
    tcase_add_test(t, prefetch);
    tcase_add_test(t, hosts_by_family);
    tcase_add_test(t, each_family_has_its_end);
    tcase_add_test(t, a_stale_family_beside_a_fresh_one);
    tcase_add_test(t, host_with_many_addresses);
    tcase_add_test(t, host_prefetch);
    tcase_add_test(t, claim_of_a_cold_name);
    tcase_add_test(t, claim_ended_by_failure);
    tcase_add_test(t, claim_of_what_is_known);
    tcase_add_test(t, claims_of_many);
    tcase_add_test(t, claim_keeps_the_answer);
    tcase_add_test(t, claims_without_others);
    return suite_run(s);
}
