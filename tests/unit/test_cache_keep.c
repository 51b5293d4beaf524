/* The DNS cache: what is worth keeping, how it is written, listed and
   forgotten. */

#include "support/suite.h"
#include "cache_fixture.h"

/* ---- what is worth keeping ---- */

START_TEST(once_then_used)
{
    struct only site;

    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    put(MX_HOSTS, false, 60, T0);
    ck_assert(get(T0, NULL).once);
    ck_assert(get(T0 + 60000, NULL).once); /* stale */
    get_only(CACHE_SITE, &site);
    ck_assert_int_eq(site.value.worth, LIVE_ONCE);
    ck_assert_int_eq(worth_of(CACHE_HOST, "mx.example.com"), LIVE_ONCE);
    cache_touch(cache, EXAMPLE);
    cache_touch(cache, EXAMPLE);
    ck_assert_uint_eq(cache_pending(cache), 1);
    flush();
    ck_assert(!get(T0, NULL).once);
    get_only(CACHE_SITE, &site);
    ck_assert_int_eq(site.value.worth, LIVE_USED);
    ck_assert_int_eq(worth_of(CACHE_HOST, "mx.example.com"), LIVE_USED);
    put(MX_FAILURE, false, 0, T0);
    ck_assert(!get(T0, NULL).once);
    put(MX_HOSTS, false, 60, T0 + 60000); /* a refresh keeps it */
    ck_assert(!get(T0 + 60000, NULL).once);
    put(MX_NXDOMAIN, false, 60, T0);
    ck_assert(!get(T0, NULL).once); /* negative: no use to touch it */
    ck_assert_int_eq(worth_of(CACHE_DOMAIN, EXAMPLE), LIVE_NEGATIVE);
    put(MX_HOSTS, false, 60, T0);
    ck_assert(get(T0, NULL).once);
}
END_TEST

START_TEST(refreshed_is_not_used)
{
    struct only site;

    put(MX_HOSTS, false, 60, T0);
    put(MX_HOSTS, false, 60, T0 + 1000);
    ck_assert(get(T0 + 1000, NULL).once);
    get_only(CACHE_SITE, &site);
    ck_assert_int_eq(site.value.worth, LIVE_ONCE); /* nor is its set */
    put_name("other.example", MX_HOSTS, 60, T0 + 2000);
    get_only(CACHE_SITE, &site);
    ck_assert_int_eq(site.value.worth, LIVE_USED);
    ck_assert(get(T0 + 2000, NULL).once);
}
END_TEST

START_TEST(shared_set_makes_hosts_used)
{
    put(MX_HOSTS, false, 60, T0);
    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    ck_assert_int_eq(worth_of(CACHE_HOST, "mx.example.com"), LIVE_ONCE);
    put_name("other.example", MX_HOSTS, 60, T0);
    ck_assert_int_eq(worth_of(CACHE_HOST, "mx.example.com"), LIVE_USED);
}
END_TEST

START_TEST(host_needed_again_is_used)
{
    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    put_host("mx.example.com", ADDR_NONE, ADDR_SOME, T0 + 29999);
    ck_assert_int_eq(worth_of(CACHE_HOST, "mx.example.com"), LIVE_ONCE);
    put_host("mx.example.com", ADDR_SOME, ADDR_SOME, T0 + 60000);
    ck_assert_int_eq(worth_of(CACHE_HOST, "mx.example.com"), LIVE_USED);
    put_host("mx.example.com", ADDR_NONE, ADDR_NONE, T0 + 60000);
    ck_assert_int_eq(worth_of(CACHE_HOST, "mx.example.com"), LIVE_NEGATIVE);
}
END_TEST

/* Made again because two lookups came at a time, or for the time after. */
START_TEST(overridden_made_again)
{
    struct cache_route r = {.expires_ms = T0, .text = "text"};

    for (int i = 0; i < 2; i++) {
        cache_put_overridden(cache, EXAMPLE, &r);
        flush();
        ck_assert_int_eq(worth_of(CACHE_OVERRIDDEN, EXAMPLE), LIVE_ONCE);
    }
    for (int i = 0; i < 2; i++) {
        r.expires_ms = T0 + 1 - (uint64_t)i; /* one was slow to write it */
        cache_put_overridden(cache, EXAMPLE, &r);
        flush();
        ck_assert_int_eq(worth_of(CACHE_OVERRIDDEN, EXAMPLE), LIVE_USED);
    }
}
END_TEST

START_TEST(touch_of_nothing)
{
    struct live_value value;

    cache_touch(cache, EXAMPLE);
    flush();
    ck_assert(!raw_get(CACHE_DOMAIN, EXAMPLE, &value));
    put(MX_NXDOMAIN, false, 60, T0);
    cache_touch(cache, EXAMPLE);
    flush();
    ck_assert_int_eq(worth_of(CACHE_DOMAIN, EXAMPLE), LIVE_NEGATIVE);
}
END_TEST

/* From when on nobody wants a record: the table makes room of it first. */
static const struct {
    enum mx_outcome outcome;
    uint32_t ttl_s, after_s;
} ends[] = {
    {MX_HOSTS, 60, 60 + 259200},
    {MX_NULL, 60, 60},
    {MX_NXDOMAIN, 60, 60},
    {MX_FAILURE, 0, 5 + 600}, /* the row is remembered */
};

START_TEST(dead_when_nobody_wants_it)
{
    uint32_t want = (uint32_t)(T0 / 1000) + ends[_i].after_s;
    struct live_value value;

    put(ends[_i].outcome, false, ends[_i].ttl_s, T0);
    ck_assert(raw_get(CACHE_DOMAIN, EXAMPLE, &value));
    ck_assert_uint_ge(value.dead_s, want);
    ck_assert_uint_le(value.dead_s, want + 1);
}
END_TEST

START_TEST(hosts_are_dead_with_the_last_family)
{
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_NONE);
    uint32_t want = (uint32_t)(T0 / 1000) + 600 + 259200;
    struct live_value value;

    a.ttl_s[FAMILY_V4] = 600;
    cache_put_host(cache, "mx", T0, &a);
    flush();
    ck_assert(raw_get(CACHE_HOST, "mx", &value));
    ck_assert_uint_ge(value.dead_s, want);
    ck_assert_uint_le(value.dead_s, want + 1);
}
END_TEST

START_TEST(one_set_for_many_domains)
{
    struct mxset s = {.outcome = MX_HOSTS, .ttl_s = 60}, got;
    char name[32];

    ck_assert(mxset_add(&s, "mx1.example.net", 10));
    ck_assert(mxset_add(&s, "mx2.example.net", 10));
    for (int i = 0; i < 10; i++) {
        char *host = s.mx[0].host;

        snprintf(name, sizeof(name), "d%d.example", i);
        s.ttl_s = 60 + (uint32_t)i;
        s.mx[0].host = s.mx[1].host; /* in the order of that day */
        s.mx[1].host = host;
        cache_put_domain(cache, name, T0, &s);
    }
    flush();
    ck_assert_uint_eq(stats_at(T0).domains, 10);
    ck_assert_uint_eq(stats_at(T0).sites, 1);
    cache_get_domain(view, "d7.example", T0, &got);
    ck_assert_uint_eq(got.ttl_s, 67); /* a domain's own */
    mxset_free(&got);
    s.mx[0].preference = 5;
    cache_put_domain(cache, "d0.example", T0, &s);
    s.secure = true;
    cache_put_domain(cache, "d1.example", T0, &s);
    flush();
    ck_assert_uint_eq(stats_at(T0).sites, 3);
    mxset_free(&s);
}
END_TEST

/* ---- writing ---- */

START_TEST(refused_stays_queued)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct live *other;

    reopen_shared();
    other = open_shared_table();
    ck_assert(live_begin(other, 0));
    cache_put_domain(cache, EXAMPLE, T0, &s);
    cache_touch(cache, EXAMPLE);
    ck_assert_uint_eq(cache_pending(cache), 2);
    for (int i = 0; i < 2; i++) {
        ck_assert(!cache_flush(cache, 0));
        ck_assert_uint_eq(cache_pending(cache), 2);
    }
    live_end(other);
    flush();
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
    ck_assert(!get(T0, NULL).once);
    ck_assert(live_begin(other, 0));
    ck_assert(cache_flush(cache, 0)); /* nothing to be written */
    live_end(other);
    live_close(&other);
    mxset_free(&s);
}
END_TEST

START_TEST(queue_is_bounded)
{
    char name[32];
    struct mxset s = {.outcome = MX_NULL, .ttl_s = 60};

    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "d%d.example", i);
        cache_put_domain(cache, name, T0, &s);
    }
    ck_assert_uint_ge(cache_pending(cache), 1000);
    ck_assert_uint_lt(cache_pending(cache), 10000);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "d%d.example", i);
        cache_touch(cache, name);
    }
    ck_assert_uint_lt(cache_pending(cache), 10000);
    flush();
    ck_assert_int_eq(get_name("d0.example", T0, NULL).verdict, CACHE_FRESH);
    ck_assert_int_eq(get_name("d999.example", T0, NULL).verdict, CACHE_FRESH);
}
END_TEST

START_TEST(queue_is_bounded_in_bytes)
{
    struct mxset s = {.outcome = MX_HOSTS, .ttl_s = 60};
    char host[256];

    for (int i = 0; i < 200; i++) {
        snprintf(host, sizeof(host), "%0250d", i);
        ck_assert(mxset_add(&s, host, 10));
    }
    for (int i = 0; i < 1000; i++)
        cache_put_domain(cache, EXAMPLE, T0, &s);
    ck_assert_uint_lt(cache_pending(cache), 200);
    mxset_free(&s);
}
END_TEST

START_TEST(unchanged_set_is_not_written_again)
{
    struct only before, after;

    put(MX_HOSTS, false, 60, T0);
    put_name("other.example", MX_HOSTS, 60, T0); /* the set is used now */
    get_only(CACHE_SITE, &before);
    put_name("one.example", MX_HOSTS, 60, T0);
    put(MX_HOSTS, false, 60, T0 + 3000 * 1000);
    get_only(CACHE_SITE, &after);
    ck_assert_uint_eq(before.value.dead_s, after.value.dead_s);
    put(MX_HOSTS, false, 60, T0 + 3700 * 1000); /* but once an hour it is */
    get_only(CACHE_SITE, &after);
    ck_assert_uint_gt(after.value.dead_s, before.value.dead_s + 3600);
}
END_TEST

/* ---- name servers, lists ---- */

START_TEST(servers)
{
    struct cache_server s = {.address = "192.0.2.1",
                             .state = 2,
                             .since_ms = 1000,
                             .reported_ms = 2000,
                             .pid = 77,
                             .opened = 3};
    struct cache_server got;

    ck_assert(!cache_get_server(view, "192.0.2.1", &got));
    cache_put_server(cache, &s);
    flush();
    ck_assert(cache_get_server(view, "192.0.2.1", &got));
    ck_assert_str_eq(got.address, s.address);
    ck_assert_uint_eq(got.state, 2);
    ck_assert_uint_eq(got.since_ms, 1000);
    ck_assert_uint_eq(got.reported_ms, 2000);
    ck_assert_uint_eq(got.pid, 77);
    ck_assert_uint_eq(got.opened, 3);
    ck_assert(!cache_get_server(view, "192.0.2.2", &got));
    s.state = 0;
    cache_put_server(cache, &s);
    flush();
    ck_assert(cache_get_server(view, "192.0.2.1", &got));
    ck_assert_uint_eq(got.state, 0);
    ck_assert_uint_eq(stats_at(T0).servers, 1);
    raw_put(CACHE_SERVER, "192.0.2.1", &got, sizeof(got) - 1);
    ck_assert(!cache_get_server(view, "192.0.2.1", &got));
}
END_TEST

struct seen {
    size_t n, stop_at, fresh, failing;
};

static bool see(void *ctx, const char *domain,
                const struct cache_entry_state *state, const struct mxset *set)
{
    struct seen *seen = ctx;
    struct mxset again;

    seen->n++;
    seen->fresh += state->verdict == CACHE_FRESH;
    seen->failing += state->verdict == CACHE_FAILING;
    ck_assert_int_eq(set->outcome == MX_FAILURE,
                     state->verdict == CACHE_FAILING);
    /* The view is free for other use meanwhile. */
    ck_assert_int_eq(cache_get_domain(view, domain, T0, &again).verdict,
                     state->verdict);
    mxset_free(&again);
    return seen->n != seen->stop_at;
}

static bool see_server(void *ctx, const struct cache_server *s)
{
    struct seen *seen = ctx;

    ck_assert(strncmp(s->address, "192.0.2.", 8) == 0);
    return ++seen->n != seen->stop_at;
}

START_TEST(lists)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cache_server server = {.address = "192.0.2.1"};
    struct seen all = {0}, some = {.stop_at = 1500}, none = {0};
    char name[32];

    cache_list(view, T0, see, &none);
    ck_assert_uint_eq(none.n, 0);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "d%d.example", i);
        cache_put_domain(cache, name, T0, &s);
        if (i % 1000 == 0)
            flush();
    }
    flush();
    put_name("failing.example", MX_FAILURE, 0, T0);
    put_name("over.example", MX_NULL, 30, T0 - 5000000);
    for (; server.address[8] <= '3'; server.address[8]++)
        cache_put_server(cache, &server);
    flush();
    cache_list(view, T0, see, &all);
    ck_assert_uint_eq(all.n, 3001);
    ck_assert_uint_eq(all.fresh, 3000);
    ck_assert_uint_eq(all.failing, 1);
    cache_list(view, T0, see, &some);
    ck_assert_uint_eq(some.n, 1500);
    cache_list_servers(view, see_server, &none);
    ck_assert_uint_eq(none.n, 3);
    none = (struct seen){.stop_at = 2};
    cache_list_servers(view, see_server, &none);
    ck_assert_uint_eq(none.n, 2);
    mxset_free(&s);
}
END_TEST

START_TEST(statistics)
{
    struct cache_stats st;
    const char *cold = "cold.example";
    bool granted;

    reopen_shared();
    put(MX_HOSTS, false, 60, T0);
    put_name("used.example", MX_HOSTS, 60, T0);
    cache_touch(cache, "used.example");
    flush();
    put_name("failing.example", MX_FAILURE, 0, T0);
    put_name("none.example", MX_NXDOMAIN, 60, T0);
    put_name("null.example", MX_NULL, 30, T0);
    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    cache_claim(cache, &cold, 1, T0, &granted);
    st = stats_at(T0);
    ck_assert_uint_eq(st.domains, 6);
    ck_assert_uint_eq(st.sites, 3);
    ck_assert_uint_eq(st.hosts, 1);
    ck_assert_uint_gt(st.live.used_bytes, 0);
    ck_assert_uint_ge(st.live.file_bytes, st.live.used_bytes);
    ck_assert_uint_eq(st.fresh, 4);
    ck_assert_uint_eq(st.stale, 0);
    ck_assert_uint_eq(st.failing, 1);
    ck_assert_uint_eq(st.negative, 1);
    ck_assert_uint_eq(st.once, 2);
    st = stats_at(T0 + 60000);
    ck_assert_uint_eq(st.stale, 2);
    ck_assert_uint_eq(st.fresh, 0);
}
END_TEST

START_TEST(forget_one)
{
    static const char *const keys[] = {EXAMPLE, "user@example.com",
                                       "sub.example.com", "xexample.com"};
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cache_route answer = {
        .expires_ms = T0 + 1, .until_s = 2000, .text = "text"};
    struct cached_route r;
    struct buf b = {0};
    struct hostaddrs a;
    struct live *other;
    bool found = true;

    reopen_shared();
    other = open_shared_table();
    ck_assert(cache_forget(cache, EXAMPLE, &found) && !found);
    put(MX_HOSTS, false, 60, T0);
    put_name("other.example", MX_NULL, 60, T0);
    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    put_host("mx.other.example", ADDR_SOME, ADDR_NONE, T0);
    put_route(EXAMPLE, "text", &s, MADE_OF);
    for (size_t i = 0; i < COUNT(keys); i++)
        cache_put_overridden(cache, keys[i], &answer);
    cache_put_domain(cache, EXAMPLE, T0, &s); /* not to come back */
    ck_assert(live_begin(other, 0));
    ck_assert(!cache_forget(cache, EXAMPLE, &found) && !found);
    live_end(other);
    cache_put_domain(cache, EXAMPLE, T0, &s);
    ck_assert(cache_forget(cache, EXAMPLE, &found) && found);
    flush();
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    ck_assert_int_eq(
        cache_get_host(view, "mx.example.com", BOTH, T0, &a).verdict,
        CACHE_MISS);
    ck_assert_int_eq(
        cache_get_host(view, "mx.other.example", BOTH, T0, &a).verdict,
        CACHE_FRESH);
    ck_assert_int_eq(get_name("other.example", T0, NULL).verdict, CACHE_FRESH);
    for (size_t i = 0; i < COUNT(keys); i++)
        ck_assert_int_eq(
            cache_get_overridden(view, keys[i], 0, T0, 1500, &r, &b), i >= 2);
    put(MX_HOSTS, false, 60, T0);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    live_close(&other);
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

START_TEST(forget_everything)
{
    struct live *other;

    reopen_shared();
    other = open_shared_table();
    ck_assert(cache_clear(cache));
    put(MX_HOSTS, false, 60, T0);
    ck_assert(live_begin(other, 0));
    ck_assert(!cache_clear(cache));
    live_end(other);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
    ck_assert(cache_clear(cache));
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    ck_assert_uint_eq(stats_at(T0).domains, 0);
    ck_assert_uint_eq(stats_at(T0).sites, 0);
    live_close(&other);
}
END_TEST

/* Over a table that is small and evicts. */
START_TEST(flood_of_strangers)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct mxhop_error err;
    struct cached_route r;
    struct buf b = {0};
    struct live *t;
    char name[32], host[32];

    teardown();
    ck_assert_int_eq(live_open_memory(&t, 1024 * 1024, &err), MXHOP_OK);
    open_over(t, &policy);
    put(MX_HOSTS, false, 60, T0);
    put_route(EXAMPLE, "text", &s, MADE_OF);
    cache_touch(cache, EXAMPLE);
    flush();
    for (int i = 0; i < 20000; i++) {
        struct mxset other;

        snprintf(name, sizeof(name), "d%d.example", i);
        snprintf(host, sizeof(host), "mx.d%d.example", i);
        other = make_set(i % 3 == 0 ? MX_NXDOMAIN : MX_HOSTS, 60, host);
        cache_put_domain(cache, name, T0 + 1000, &other);
        mxset_free(&other);
        if (i % 500 == 499)
            flush();
    }
    ck_assert_uint_lt(stats_at(T0).domains, 10000);
    ck_assert_int_eq(get(T0 + 1000, NULL).verdict, CACHE_FRESH);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

/* Text included; what is shared counts little. */
START_TEST(a_domain_takes_300_octets)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx1.provider.example");
    struct cache_stats st;
    char name[32];

    ck_assert(mxset_add(&s, "mx2.provider.example", 20));
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "d%d.bench.test", i);
        cache_put_domain(cache, name, T0, &s);
        put_route(name, ":[mx1.provider.example], [mx2.provider.example]", &s,
                  MADE_OF);
    }
    st = stats_at(T0);
    ck_assert_uint_eq(st.routes, 2000);
    ck_assert_uint_le(st.live.used_bytes / 2000, 300);
    mxset_free(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache_keep");
    TCase *t = cache_case(s);

    tcase_add_test(t, once_then_used);
    tcase_add_test(t, refreshed_is_not_used);
    tcase_add_test(t, shared_set_makes_hosts_used);
    tcase_add_test(t, host_needed_again_is_used);
    tcase_add_test(t, overridden_made_again);
    tcase_add_test(t, touch_of_nothing);
    tcase_add_loop_test(t, dead_when_nobody_wants_it, 0, COUNT(ends));
    tcase_add_test(t, hosts_are_dead_with_the_last_family);
    tcase_add_test(t, one_set_for_many_domains);
    tcase_add_test(t, refused_stays_queued);
    tcase_add_test(t, queue_is_bounded);
    tcase_add_test(t, queue_is_bounded_in_bytes);
    tcase_add_test(t, unchanged_set_is_not_written_again);
    tcase_add_test(t, servers);
    tcase_add_test(t, lists);
    tcase_add_test(t, statistics);
    tcase_add_test(t, forget_one);
    tcase_add_test(t, forget_everything);
    tcase_add_test(t, flood_of_strangers);
    tcase_add_test(t, a_domain_takes_300_octets);
    return suite_run(s);
}
