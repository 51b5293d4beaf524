/* The DNS cache: what is worth keeping, how it is written, listed and
   forgotten. */

#include "cache_fixture.h"

/* ---- what is worth keeping ---- */

/* The rank of the only entry of its kind. */
static uint64_t rank_of(enum kv_kind kind)
{
    for (size_t i = 0; i < fake->n; i++)
        if (kv_kind_of(fake->entry[i].key) == kind)
            return cache_rank(fake->entry[i].key,
                              (struct kv_value){fake->entry[i].value,
                                                fake->entry[i].len});
    ck_abort_msg("no entry of kind %d", kind);
}

START_TEST(once_then_used)
{
    static const enum kv_kind kinds[] = {KV_DOMAIN, KV_SITE, KV_HOST};
    uint64_t before[COUNT(kinds)];

    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    put(MX_HOSTS, false, 60, T0);
    ck_assert(get(T0, NULL).once);
    ck_assert(get(T0 + 60000, NULL).once); /* stale */
    for (size_t i = 0; i < COUNT(kinds); i++)
        before[i] = rank_of(kinds[i]);
    cache_touch(cache, EXAMPLE);
    cache_touch(cache, EXAMPLE);
    ck_assert_uint_eq(cache_pending(cache), 1);
    flush();
    ck_assert(!get(T0, NULL).once);
    for (size_t i = 0; i < COUNT(kinds); i++)
        ck_assert_uint_gt(rank_of(kinds[i]), before[i]);
    put(MX_FAILURE, false, 0, T0);
    ck_assert(!get(T0, NULL).once);
    put(MX_HOSTS, false, 60, T0 + 60000); /* a refresh keeps it */
    ck_assert(!get(T0 + 60000, NULL).once);
    put(MX_NXDOMAIN, false, 60, T0);
    ck_assert(!get(T0, NULL).once); /* negative: no use to touch it */
    put(MX_HOSTS, false, 60, T0);
    ck_assert(get(T0, NULL).once);
}
END_TEST

START_TEST(refreshed_is_not_used)
{
    uint64_t rank;

    put(MX_HOSTS, false, 60, T0);
    put(MX_HOSTS, false, 60, T0 + 1000);
    ck_assert(get(T0 + 1000, NULL).once);
    rank = rank_of(KV_SITE);
    put(MX_HOSTS, false, 60, T0 + 2000); /* nor is its set */
    ck_assert_uint_eq(rank_of(KV_SITE), rank);
    put_name("other.example", MX_HOSTS, 60, T0 + 2000);
    ck_assert_uint_gt(rank_of(KV_SITE), rank);
    ck_assert(get(T0 + 2000, NULL).once);
}
END_TEST

START_TEST(shared_set_makes_hosts_used)
{
    uint64_t rank;

    put(MX_HOSTS, false, 60, T0);
    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    rank = rank_of(KV_HOST);
    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    ck_assert_uint_eq(rank_of(KV_HOST), rank);
    put_name("other.example", MX_HOSTS, 60, T0);
    ck_assert_uint_gt(rank_of(KV_HOST), rank);
}
END_TEST

START_TEST(host_needed_again_is_used)
{
    uint64_t rank;

    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    put_host("mx.example.com", ADDR_NONE, ADDR_SOME, T0 + 29999);
    rank = rank_of(KV_HOST);
    put_host("mx.example.com", ADDR_SOME, ADDR_SOME, T0 + 60000);
    ck_assert_uint_gt(rank_of(KV_HOST), rank + 1000000);
    put_host("mx.example.com", ADDR_NONE, ADDR_NONE, T0 + 60000);
    ck_assert_uint_lt(rank_of(KV_HOST), rank);
}
END_TEST

/* Made again because two lookups came at a time, or for the time after. */
START_TEST(route_made_again)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cache_route r = {.expires_ms = T0};
    uint64_t once, used;

    put(MX_HOSTS, false, 60, T0 + 100000);
    cache_put_route(cache, &s, &r);
    flush();
    once = rank_of(KV_ROUTE);
    ck_assert_uint_lt(once, rank_of(KV_DOMAIN));
    cache_put_route(cache, &s, &r);
    flush();
    ck_assert_uint_eq(rank_of(KV_ROUTE), once);
    r.expires_ms++;
    cache_put_route(cache, &s, &r);
    flush();
    used = rank_of(KV_ROUTE);
    ck_assert_uint_gt(used, rank_of(KV_DOMAIN));
    r.expires_ms--; /* a process that was slow to write it */
    cache_put_route(cache, &s, &r);
    flush();
    ck_assert_uint_gt(rank_of(KV_ROUTE), rank_of(KV_DOMAIN));
    mxset_free(&s);
}
END_TEST

START_TEST(touch_of_nothing)
{
    cache_touch(cache, EXAMPLE);
    flush();
    ck_assert_uint_eq(fake->n, 0);
    put(MX_NXDOMAIN, false, 60, T0);
    fake->puts = 0;
    cache_touch(cache, EXAMPLE);
    flush();
    ck_assert_uint_eq(fake->puts, 0);
}
END_TEST

/* From what goes first to what stays longest; later in a row: younger. */
START_TEST(ranks)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cache_server server = {.address = "192.0.2.1", .reported_ms = 1};
    uint64_t rank[8], none = 0;
    size_t n = 0;

    put(MX_FAILURE, false, 0, T0 + 5000);
    rank[n++] = rank_of(KV_DOMAIN);
    put(MX_NXDOMAIN, false, 60, T0 + 6000);
    rank[n++] = rank_of(KV_DOMAIN);
    cache_forget(cache, NULL, &(bool){false});
    put_route("text", &s, MADE_OF); /* expires at T0 + 50000 */
    rank[n++] = rank_of(KV_ROUTE);
    put(MX_HOSTS, false, 60, T0 + 1000);
    rank[n++] = rank_of(KV_DOMAIN);
    put(MX_HOSTS, false, 60, T0 + 2000);
    rank[n++] = rank_of(KV_DOMAIN);
    cache_touch(cache, EXAMPLE);
    flush();
    rank[n++] = rank_of(KV_DOMAIN);
    put(MX_HOSTS, false, 60, T0 + 3000);
    rank[n++] = rank_of(KV_DOMAIN);
    cache_put_server(cache, &server);
    flush();
    rank[n++] = rank_of(KV_SERVER);
    for (size_t i = 1; i < n; i++)
        ck_assert_msg(rank[i - 1] < rank[i], "rank %zu", i);
    ck_assert_uint_eq(cache_rank(kv_key(KV_DOMAIN, 1),
                                 (struct kv_value){(unsigned char *)&none, 3}),
                      0);
    mxset_free(&s);
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
    ck_assert_uint_eq(stats_at(T0).entries[KV_DOMAIN], 10);
    ck_assert_uint_eq(stats_at(T0).entries[KV_SITE], 1);
    cache_get_domain(view, "d7.example", T0, &got);
    ck_assert_uint_eq(got.ttl_s, 67); /* a domain's own */
    mxset_free(&got);
    s.mx[0].preference = 5;
    cache_put_domain(cache, "d0.example", T0, &s);
    s.secure = true;
    cache_put_domain(cache, "d1.example", T0, &s);
    flush();
    ck_assert_uint_eq(stats_at(T0).entries[KV_SITE], 3);
    mxset_free(&s);
}
END_TEST

/* ---- writing ---- */

START_TEST(refused_is_dropped)
{
    bool *const knobs[] = {&fake->refuse_write, &fake->refuse_commit};
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");

    for (size_t i = 0; i < COUNT(knobs); i++) {
        *knobs[i] = true;
        cache_put_domain(cache, EXAMPLE, T0, &s);
        cache_touch(cache, EXAMPLE);
        ck_assert_uint_eq(cache_pending(cache), 2);
        ck_assert(!cache_flush(cache, 0));
        *knobs[i] = false;
        ck_assert_uint_eq(cache_pending(cache), 0);
        flush();
        ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    }
    fake->refuse_write = true;
    ck_assert(cache_flush(cache, 0)); /* nothing to be written */
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
    fake->transactions = 0;
    flush();
    ck_assert_uint_gt(fake->transactions, 2); /* others get their turn */
    ck_assert_uint_le(fake->most_puts, 1100);
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
    char name[32];

    put(MX_HOSTS, false, 60, T0);
    put_name("other.example", MX_HOSTS, 60, T0); /* the set is used now */
    fake->puts = 0;
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "d%d.example", i);
        put_name(name, MX_HOSTS, 60, T0);
    }
    ck_assert_uint_eq(fake->puts, 5);
    put(MX_HOSTS, false, 60, T0 + 3600 * 1000); /* but once an hour it is */
    ck_assert_uint_eq(fake->puts, 7);
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
    ck_assert_uint_eq(stats_at(T0).entries[KV_SERVER], 1);
    fake->collide = ~0u;
    fake->entry[0].key = kv_key(KV_SERVER, 0);
    ck_assert(!cache_get_server(view, "192.0.2.2", &got));
    fake->entry[0].value[0]++;
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
    ck_assert_uint_eq(st.entries[KV_DOMAIN], 6);
    ck_assert_uint_eq(st.entries[KV_SITE], 3);
    ck_assert_uint_eq(st.entries[KV_HOST], 1);
    ck_assert_uint_eq(st.kv.entries, fake->n);
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
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};
    struct hostaddrs a;
    bool found = true;

    ck_assert(cache_forget(cache, EXAMPLE, &found) && !found);
    put(MX_HOSTS, false, 60, T0);
    put_name("other.example", MX_NULL, 60, T0);
    put_host("mx.example.com", ADDR_SOME, ADDR_NONE, T0);
    put_host("mx.other.example", ADDR_SOME, ADDR_NONE, T0);
    put_route("text", &s, MADE_OF);
    cache_put_domain(cache, EXAMPLE, T0, &s); /* not to come back */
    fake->refuse_write = true;
    ck_assert(!cache_forget(cache, EXAMPLE, &found));
    fake->refuse_write = false;
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
    put(MX_HOSTS, false, 60, T0);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

START_TEST(forget_everything)
{
    bool found = true;

    ck_assert(cache_forget(cache, NULL, &found) && !found);
    put(MX_HOSTS, false, 60, T0);
    fake->refuse_write = true;
    ck_assert(!cache_forget(cache, NULL, &found) && !found);
    fake->refuse_write = false;
    ck_assert(cache_forget(cache, NULL, &found) && found);
    ck_assert_uint_eq(fake->n, 0);
}
END_TEST

/* Over the backend of a process of its own, which is small and evicts. */
START_TEST(flood_of_strangers)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct mxhop_error err;
    struct cached_route r;
    struct buf b = {0};
    struct kv *kv;
    char name[32], host[32];

    teardown();
    ck_assert_int_eq(kv_memory_open(&kv, 256 * 1024, cache_rank, &err),
                     MXHOP_OK);
    ck_assert_int_eq(cache_open(&cache, kv, &policy, &err), MXHOP_OK);
    view = cache_view_open(cache);
    put(MX_HOSTS, false, 60, T0);
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
    put_route("text", &s, MADE_OF);
    ck_assert_uint_lt(stats_at(T0).entries[KV_DOMAIN], 10000);
    ck_assert_int_eq(get(T0 + 1000, NULL).verdict, CACHE_FRESH);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    mxset_free(&s);
    buf_free(&b);
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
    tcase_add_test(t, route_made_again);
    tcase_add_test(t, touch_of_nothing);
    tcase_add_test(t, ranks);
    tcase_add_test(t, one_set_for_many_domains);
    tcase_add_test(t, refused_is_dropped);
    tcase_add_test(t, queue_is_bounded);
    tcase_add_test(t, queue_is_bounded_in_bytes);
    tcase_add_test(t, unchanged_set_is_not_written_again);
    tcase_add_test(t, servers);
    tcase_add_test(t, lists);
    tcase_add_test(t, statistics);
    tcase_add_test(t, forget_one);
    tcase_add_test(t, forget_everything);
    tcase_add_test(t, flood_of_strangers);
    return run_tests(s);
}
