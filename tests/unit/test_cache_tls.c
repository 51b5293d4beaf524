/* The DNS cache: what it keeps of _mta-sts, _smtp._tls and TLSA records, each
   with an end of its own. */

#include "support/suite.h"
#include "cache_fixture.h"

#define STALE_MS (259200000ull) /* stale_max */
#define ALL      (BOTH | HOST_TLSA)

/* ---- _mta-sts ---- */

static struct domain_txt text(enum txt_state state, const char *id,
                              uint32_t ttl_s)
{
    struct domain_txt r = {.state = state, .ttl_s = ttl_s};

    strcpy(r.id, id);
    return r;
}

static void put_sts(enum txt_state state, const char *id, uint32_t ttl_s,
                    uint64_t now_ms)
{
    struct domain_txt r = text(state, id, ttl_s);

    cache_put_txt(cache, EXAMPLE, TLS_TXT_STS, now_ms, &r);
    flush();
}

static struct domain_txt sts_at(uint64_t now_ms)
{
    struct mxset s;
    struct domain_txt r;

    cache_get_domain(view, EXAMPLE, now_ms, &s);
    r = s.sts;
    mxset_free(&s);
    return r;
}

static void assert_sts(uint64_t now_ms, enum txt_state state, const char *id,
                       uint32_t ttl_s)
{
    struct domain_txt r = sts_at(now_ms);

    ck_assert_int_eq(r.state, state);
    ck_assert_str_eq(r.id, id);
    ck_assert_uint_eq(r.ttl_s, ttl_s);
}

START_TEST(sts_has_an_end)
{
    put(MX_HOSTS, false, 3600, T0);
    assert_sts(T0, TXT_UNKNOWN, "", 0);
    put_sts(TXT_FOUND, "20160831", 100, T0);
    assert_sts(T0, TXT_FOUND, "20160831", 100);
    assert_sts(T0 + 90000, TXT_FOUND, "20160831", 10);
    ck_assert(!get(T0 + 90000, NULL).refresh_due);
    /* Past it, it is used while it is asked for anew. */
    assert_sts(T0 + 100000, TXT_FOUND, "20160831", 1);
    ck_assert_int_eq(get(T0 + 100000, NULL).verdict, CACHE_FRESH);
    ck_assert(get(T0 + 100000, NULL).refresh_due);
    put_sts(TXT_FOUND, "2", 100, T0 + 100000);
    assert_sts(T0 + 100000, TXT_FOUND, "2", 100);
    ck_assert(!get(T0 + 100000, NULL).refresh_due);
    put(MX_HOSTS, false, 3600, T0 + 150000); /* the MX set was asked for */
    assert_sts(T0 + 150000, TXT_FOUND, "2", 50);
}
END_TEST

/* Beside the other text, and with its own time. */
START_TEST(reports_have_an_end_of_their_own)
{
    struct domain_txt rpt = text(TXT_FOUND, "TLSRPTv1", 200);
    struct mxset s;

    put(MX_HOSTS, false, 3600, T0);
    cache_put_txt(cache, EXAMPLE, TLS_TXT_RPT, T0, &rpt);
    put_sts(TXT_NONE, "", 100, T0);
    put(MX_HOSTS, false, 3600, T0 + 10000); /* the MX set was asked for */
    assert_sts(T0 + 50000, TXT_NONE, "", 50);
    cache_get_domain(view, EXAMPLE, T0 + 150000, &s);
    ck_assert_int_eq(s.rpt.state, TXT_FOUND);
    ck_assert_uint_eq(s.rpt.ttl_s, 50);
    mxset_free(&s);
    put_sts(TXT_FOUND, "1", 1000, T0 + 150000);
    ck_assert(!get(T0 + 199000, NULL).refresh_due);
    ck_assert(get(T0 + 200000, NULL).refresh_due);
    rpt.state = TXT_FAILED;
    cache_put_txt(cache, EXAMPLE, TLS_TXT_RPT, T0 + 200000, &rpt);
    flush();
    cache_get_domain(view, EXAMPLE, T0 + 201000, &s);
    ck_assert_int_eq(s.rpt.state, TXT_FOUND); /* what was there stays */
    ck_assert_int_eq(s.sts.state, TXT_FOUND);
    mxset_free(&s);
}
END_TEST

/* That there is no policy is believed for negative_ttl_max longer, then asked
   for first; and in an outage as long as the MX set is used. */
START_TEST(sts_none)
{
    put(MX_HOSTS, false, 7200, T0);
    put_sts(TXT_NONE, "", 3600, T0); /* negative_ttl_max holds */
    assert_sts(T0, TXT_NONE, "", 900);
    assert_sts(T0 + 899000, TXT_NONE, "", 1);
    assert_sts(T0 + 1799000, TXT_NONE, "", 1);
    ck_assert(get(T0 + 1799000, NULL).refresh_due);
    assert_sts(T0 + 1801000, TXT_NONE, "", 0);
    ck_assert(!get(T0 + 1801000, NULL).refresh_due);
    ck_assert_int_eq(get(T0 + 7200000, NULL).verdict, CACHE_STALE);
    assert_sts(T0 + 7200000, TXT_NONE, "", 0);
    assert_sts(T0 + 900000 + STALE_MS - 1, TXT_NONE, "", 0);
    assert_sts(T0 + 900000 + STALE_MS, TXT_UNKNOWN, "", 0);
    put_sts(TXT_NONE, "", 1, T0); /* ttl_min holds */
    assert_sts(T0, TXT_NONE, "", 30);
}
END_TEST

START_TEST(sts_failures)
{
    static const unsigned wait_s[] = {5, 10, 20, 40, 80, 160, 300, 300};
    uint64_t now_ms = T0;

    put(MX_HOSTS, false, 86400, T0);
    for (size_t i = 0; i < COUNT(wait_s); i++) {
        put_sts(TXT_FAILED, "", 0, now_ms);
        put_sts(TXT_FAILED, "", 0, now_ms); /* the same one */
        assert_sts(now_ms, TXT_FAILED, "", wait_s[i]);
        now_ms += wait_s[i] * 1000;
        assert_sts(now_ms, TXT_UNKNOWN, "", 0);
        ck_assert_int_eq(get(now_ms, NULL).verdict, CACHE_FRESH);
    }
    put_sts(TXT_FOUND, "1", 60, now_ms); /* ends the row */
    put_sts(TXT_FAILED, "", 0, now_ms + 1000);
    assert_sts(now_ms + 1000, TXT_FOUND, "1", 59);
    put_sts(TXT_FAILED, "", 0, now_ms + 60000); /* the answer stays */
    assert_sts(now_ms + 60000, TXT_FOUND, "1", 10);
    ck_assert(!get(now_ms + 60000, NULL).refresh_due);
    ck_assert(get(now_ms + 70000, NULL).refresh_due);
}
END_TEST

/* A text that comes before the MX set, or without one, is no answer. */
START_TEST(sts_before_mx)
{
    struct cache_entry_state st;
    enum mx_outcome outcome;

    put_sts(TXT_FOUND, "1", 60, T0);
    st = get(T0, NULL);
    ck_assert_int_eq(st.verdict, CACHE_MISS);
    ck_assert(!st.claimed && !st.failed_before);
    assert_sts(T0, TXT_UNKNOWN, "", 0); /* nothing is said of a miss */
    put(MX_HOSTS, false, 60, T0);
    assert_sts(T0, TXT_FOUND, "1", 60);
    put(MX_FAILURE, false, 0, T0 + STALE_MS + 60000); /* none left */
    ck_assert_int_eq(get(T0 + STALE_MS + 60000, &outcome).verdict,
                     CACHE_FAILING);
    ck_assert_int_eq(outcome, MX_FAILURE);
    put_sts(TXT_FOUND, "2", 60, T0 + STALE_MS + 60000);
    assert_sts(T0 + STALE_MS + 60000, TXT_FOUND, "2", 60);
    put(MX_NXDOMAIN, false, 60, T0 + STALE_MS + 70000);
    assert_sts(T0 + STALE_MS + 70000, TXT_FOUND, "2", 50);
}
END_TEST

/* Who is to ask: a text near its end is a reason as an MX set is. */
START_TEST(sts_claimed)
{
    static const char *const names[] = {EXAMPLE};
    bool granted;

    reopen_shared();
    put_sts(TXT_FOUND, "1", 60, T0);
    cache_claim(cache, names, 1, T0, &granted); /* cold */
    ck_assert(granted);
    ck_assert(get(T0, NULL).claimed);
    put_sts(TXT_FOUND, "2", 60, T0); /* by whoever asks */
    ck_assert(get(T0, NULL).claimed);
    cache_claim(cache, names, 1, T0, &granted);
    ck_assert(!granted);
    put(MX_HOSTS, false, 3600, T0);
    cache_claim(cache, names, 1, T0 + 59000, &granted);
    ck_assert(!granted);
    cache_claim(cache, names, 1, T0 + 60000, &granted);
    ck_assert(granted);
    assert_sts(T0 + 60000, TXT_FOUND, "2", 30); /* the other one sees to it */
    ck_assert(!get(T0 + 60000, NULL).refresh_due);
    cache_claim(cache, names, 1, T0 + 60001, &granted);
    ck_assert(!granted);
}
END_TEST

START_TEST(sts_prefetch)
{
    reopen_with_prefetch();
    put(MX_HOSTS, false, 3600, T0);
    put_sts(TXT_FOUND, "1", 100, T0);
    ck_assert(!get(T0 + 90000, NULL).refresh_due);
    ck_assert(get(T0 + 90001, NULL).refresh_due);
    cache_note_refresh(cache, EXAMPLE, T0 + 90001);
    flush();
    ck_assert(!get(T0 + 95000, NULL).refresh_due);
    assert_sts(T0 + 95000, TXT_FOUND, "1", 5);
}
END_TEST

static bool has_route(uint64_t now_ms)
{
    struct cached_route r;
    struct buf b = {0};
    bool has = cache_get_route(view, EXAMPLE, MADE_OF, now_ms, 1500, &r, &b);

    buf_free(&b);
    return has;
}

/* A finished answer was made of what the text said. */
START_TEST(sts_ends_routes)
{
    struct mxset s = make_set(MX_HOSTS, 3600, "mx.example.com");

    put(MX_HOSTS, false, 3600, T0);
    put_sts(TXT_FOUND, "1", 100, T0);
    put_route(EXAMPLE, "[mx.example.com]", &s, MADE_OF);
    ck_assert(has_route(T0));
    put_sts(TXT_FOUND, "1", 100, T0 + 1);
    put_sts(TXT_FAILED, "", 0, T0 + 2);
    put(MX_HOSTS, false, 3600, T0 + 3);
    ck_assert(has_route(T0 + 3));
    put_sts(TXT_FOUND, "2", 100, T0 + 4);
    ck_assert(!has_route(T0 + 4));
    put_route(EXAMPLE, "[mx.example.com]", &s, MADE_OF);
    put_sts(TXT_NONE, "", 100, T0 + 5);
    ck_assert(!has_route(T0 + 5));
    assert_sts(T0 + 5, TXT_NONE, "", 100);
    mxset_free(&s);
}
END_TEST

/* Domains of which nothing is asked take no more room than before, and what is
   no domain does not stay for its text. */
START_TEST(sts_room)
{
    struct live_value with, without;

    put(MX_HOSTS, false, 60, T0);
    ck_assert(raw_get(CACHE_DOMAIN, EXAMPLE, &without));
    ck_assert_uint_eq(without.len, sizeof(struct domain_fixed));
    put(MX_NXDOMAIN, false, 60, T0);
    ck_assert(raw_get(CACHE_DOMAIN, EXAMPLE, &without));
    put_sts(TXT_NONE, "", 60, T0);
    ck_assert(raw_get(CACHE_DOMAIN, EXAMPLE, &with));
    ck_assert_int_eq(with.worth, LIVE_NEGATIVE);
    ck_assert_uint_eq(with.dead_s, without.dead_s);
}
END_TEST

/* ---- TLSA ---- */

static void put_tlsa(enum tlsa_state state, bool ta, uint32_t ttl_s,
                     uint64_t now_ms)
{
    struct hostaddrs a = {
        .tlsa = {.state = (uint8_t)state, .trust_anchor = ta, .ttl_s = ttl_s}};

    cache_put_host(cache, "mx", now_ms, &a);
    flush();
}

static struct cache_entry_state host_at(uint64_t now_ms, unsigned wanted,
                                        struct hostaddrs *a)
{
    return cache_get_host(view, "mx", wanted, now_ms, a);
}

START_TEST(tlsa_has_an_end)
{
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_NONE);
    struct cache_entry_state st;

    a.ttl_s[FAMILY_V4] = a.ttl_s[FAMILY_V6] = 3600;
    cache_put_host(cache, "mx", T0, &a);
    flush();
    st = host_at(T0, ALL, &a);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert_uint_eq(st.known, BOTH);
    ck_assert(st.refresh_due);
    ck_assert_int_eq(a.tlsa.state, TLSA_UNKNOWN);
    ck_assert(!host_at(T0, BOTH, &a).refresh_due); /* where nobody wants it */

    put_tlsa(TLSA_USABLE, true, 100, T0);
    st = host_at(T0, ALL, &a);
    ck_assert_uint_eq(st.known, ALL);
    ck_assert_uint_eq(st.ttl_s, 3600); /* of the addresses */
    ck_assert(!st.refresh_due);
    ck_assert_int_eq(a.tlsa.state, TLSA_USABLE);
    ck_assert(a.tlsa.trust_anchor);
    ck_assert_uint_eq(a.tlsa.ttl_s, 100);
    host_at(T0, BOTH, &a);
    ck_assert_int_eq(a.tlsa.state, TLSA_UNKNOWN);

    st = host_at(T0 + 100000, ALL, &a); /* used, and to be asked for */
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    ck_assert_uint_eq(st.known, BOTH);
    ck_assert(st.refresh_due);
    ck_assert_int_eq(a.tlsa.state, TLSA_USABLE);
    ck_assert_uint_eq(a.tlsa.ttl_s, 0);

    put_tlsa(TLSA_FAILED, false, 0, T0 + 100000); /* the answer stays */
    st = host_at(T0 + 100000, ALL, &a);
    ck_assert_uint_eq(st.known, ALL);
    ck_assert_int_eq(a.tlsa.state, TLSA_USABLE);
    ck_assert_uint_eq(a.tlsa.ttl_s, 5);
    put_tlsa(TLSA_NONE, false, 3600, T0 + 100000);
    host_at(T0 + 100000, ALL, &a);
    ck_assert_int_eq(a.tlsa.state, TLSA_NONE);
    ck_assert(!a.tlsa.trust_anchor);
    ck_assert_uint_eq(a.tlsa.ttl_s, 900);
    ck_assert_int_eq(a.state[FAMILY_V4], ADDR_SOME); /* nothing else changed */
}
END_TEST

START_TEST(tlsa_failed)
{
    struct hostaddrs a;
    struct cache_entry_state st;

    put_host("mx", ADDR_SOME, ADDR_NONE, T0);
    put_tlsa(TLSA_FAILED, false, 0, T0);
    st = host_at(T0, ALL, &a);
    ck_assert_uint_eq(st.known, ALL);
    ck_assert(!st.refresh_due);
    ck_assert_int_eq(a.tlsa.state, TLSA_FAILED);
    st = host_at(T0 + 5000, ALL, &a);
    ck_assert_uint_eq(st.known, BOTH);
    ck_assert(st.refresh_due);
    ck_assert_int_eq(a.tlsa.state, TLSA_UNKNOWN);
    put_tlsa(TLSA_UNUSABLE, false, 60, T0 + 5000);
    host_at(T0 + 5000, ALL, &a);
    ck_assert_int_eq(a.tlsa.state, TLSA_UNUSABLE);
}
END_TEST

/* Where addresses are not signed, or there are none, nothing is to be asked. */
START_TEST(tlsa_of_others)
{
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_NONE);
    struct cache_entry_state st;

    a.secure = false;
    cache_put_host(cache, "mx", T0, &a);
    put_tlsa(TLSA_USABLE, false, 60, T0); /* of better times */
    st = host_at(T0, ALL, &a);
    ck_assert_uint_eq(st.known, ALL);
    ck_assert_int_eq(a.tlsa.state, TLSA_NONE);
    ck_assert_uint_eq(a.tlsa.ttl_s, 60);
    put_host("mx", ADDR_NONE, ADDR_NONE, T0);
    st = host_at(T0, ALL, &a);
    ck_assert_uint_eq(st.known, ALL);
    ck_assert_int_eq(a.tlsa.state, TLSA_NONE);

    st = cache_get_host(view, "new", ALL, T0, &a); /* addresses come first */
    ck_assert_int_eq(st.verdict, CACHE_MISS);
    ck_assert_uint_eq(st.known, 0);
    ck_assert_int_eq(a.tlsa.state, TLSA_UNKNOWN);
    put_host("new", ADDR_FAILED, ADDR_FAILED, T0);
    st = cache_get_host(view, "new", ALL, T0, &a);
    ck_assert_uint_eq(st.known, ALL); /* no use to ask yet */
    ck_assert_int_eq(a.tlsa.state, TLSA_UNKNOWN);
}
END_TEST

/* A CNAME may be signed where what it leads to is not. */
START_TEST(tlsa_of_aliases)
{
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_NONE);
    struct cache_entry_state st;

    a.secure = false;
    a.alias = true;
    cache_put_host(cache, "mx", T0, &a);
    flush();
    st = host_at(T0, ALL, &a);
    ck_assert(a.alias && !a.secure);
    ck_assert_uint_eq(st.known, BOTH);
    put_tlsa(TLSA_USABLE, false, 60, T0);
    st = host_at(T0, ALL, &a);
    ck_assert_uint_eq(st.known, ALL);
    ck_assert_int_eq(a.tlsa.state, TLSA_USABLE);
}
END_TEST

START_TEST(tlsa_room)
{
    struct live_value v;

    put_host("mx", ADDR_SOME, ADDR_NONE, T0);
    ck_assert(raw_get(CACHE_HOST, "mx", &v));
    ck_assert_uint_eq(v.len, sizeof(struct host_fixed) + 4);
    put_tlsa(TLSA_USABLE, false, 60, T0);
    ck_assert(raw_get(CACHE_HOST, "mx", &v));
    ck_assert_uint_eq(v.len,
                      sizeof(struct host_fixed) + 4 + sizeof(struct host_tlsa));
}
END_TEST

/* ---- records that are not to be believed ---- */

/* Every octet altered: nothing but letters and digits comes out of it, and a
   time from the future makes it a miss. */
START_TEST(damaged)
{
    struct live_value value;
    unsigned char whole[512], bytes[512];
    struct hostaddrs a;
    size_t len;

    put(MX_HOSTS, false, 60, T0);
    put_sts(TXT_FOUND, "20160831", 60, T0);
    ck_assert(raw_get(CACHE_DOMAIN, EXAMPLE, &value));
    len = value.len;
    ck_assert_uint_le(len, sizeof(whole));
    memcpy(whole, value.data, len);
    for (size_t i = 0; i < len * 8; i++) {
        struct domain_txt r;

        memcpy(bytes, whole, len);
        bytes[i / 8] ^= (unsigned char)(1 << i % 8);
        raw_put(CACHE_DOMAIN, EXAMPLE, bytes, len);
        r = sts_at(T0);
        ck_assert(r.state <= TXT_FAILED);
        ck_assert_int_eq(r.state == TXT_FOUND,
                         sts_id_is_valid(r.id, strlen(r.id)));
    }
    for (size_t n = 0; n < len; n++) {
        raw_put(CACHE_DOMAIN, EXAMPLE, whole, n);
        ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    }

    put_host("mx", ADDR_SOME, ADDR_NONE, T0);
    put_tlsa(TLSA_USABLE, true, 60, T0);
    ck_assert(raw_get(CACHE_HOST, "mx", &value));
    len = value.len;
    memcpy(whole, value.data, len);
    for (size_t i = 0; i < len * 8; i++) {
        memcpy(bytes, whole, len);
        bytes[i / 8] ^= (unsigned char)(1 << i % 8);
        raw_put(CACHE_HOST, "mx", bytes, len);
        host_at(T0, ALL, &a);
        ck_assert_uint_le(a.tlsa.state, TLSA_FAILED);
        ck_assert(!a.tlsa.trust_anchor || a.tlsa.state == TLSA_USABLE);
    }
}
END_TEST

START_TEST(from_the_future)
{
    struct hostaddrs a;

    put(MX_HOSTS, false, 60, T0);
    put_sts(TXT_FOUND, "1", 60, T0 + 20000);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    put_host("mx", ADDR_SOME, ADDR_NONE, T0);
    ck_assert_int_eq(host_at(T0, BOTH, &a).verdict, CACHE_FRESH);
    put_tlsa(TLSA_USABLE, true, 60, T0 + 20000);
    ck_assert_int_eq(host_at(T0, BOTH, &a).verdict, CACHE_MISS);
}
END_TEST

START_TEST(out_of_memory)
{
    bool hit = true;

    put(MX_HOSTS, false, 60, T0);
    for (unsigned n = 1; hit; n++) {
        struct domain_txt r = text(TXT_FOUND, "1", 60);

        failmalloc_at(n);
        cache_put_txt(cache, EXAMPLE, TLS_TXT_STS, T0, &r);
        cache_flush(cache, 0);
        hit = failmalloc_hit();
        failmalloc_at(0);
        cache_flush(cache, 0);
        ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
    }
    assert_sts(T0, TXT_FOUND, "1", 60);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache_tls");
    TCase *t = cache_case(s);

    tcase_add_test(t, sts_has_an_end);
    tcase_add_test(t, sts_none);
    tcase_add_test(t, reports_have_an_end_of_their_own);
    tcase_add_test(t, sts_failures);
    tcase_add_test(t, sts_before_mx);
    tcase_add_test(t, sts_claimed);
    tcase_add_test(t, sts_prefetch);
    tcase_add_test(t, sts_ends_routes);
    tcase_add_test(t, sts_room);
    tcase_add_test(t, tlsa_has_an_end);
    tcase_add_test(t, tlsa_failed);
    tcase_add_test(t, tlsa_of_others);
    tcase_add_test(t, tlsa_of_aliases);
    tcase_add_test(t, tlsa_room);
    tcase_add_test(t, damaged);
    tcase_add_test(t, from_the_future);
    tcase_add_test(t, out_of_memory);
    return suite_run(s);
}
