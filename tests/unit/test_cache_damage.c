/* The DNS cache among damaged records, colliding keys and allocations that
   fail: a miss, never a wrong answer. */

#include "cache_fixture.h"

/* ---- records that are not to be believed ---- */

START_TEST(other_boot)
{
    put(MX_HOSTS, false, 60, T0);
    ck_assert_int_eq(get(T0 - 5000, NULL).verdict, CACHE_FRESH);
    ck_assert_int_eq(get(T0 - 20000, NULL).verdict, CACHE_MISS);
    put(MX_FAILURE, false, 0, T0 - 20000); /* starts from nothing */
    ck_assert_int_eq(get(T0 - 20000, NULL).verdict, CACHE_FAILING);
}
END_TEST

/* Whatever is damaged: a miss, or the set as it was (get() compares). */
START_TEST(damage)
{
    put(MX_HOSTS, false, 60, T0);
    ck_assert_uint_eq(fake->n, 2);
    for (size_t e = 0; e < fake->n; e++)
        for (size_t i = 0; i < fake->entry[e].len; i++)
            for (unsigned bit = 1; bit < 256; bit *= 2) {
                fake->entry[e].value[i] ^= (unsigned char)bit;
                get(T0, NULL);
                fake->entry[e].value[i] ^= (unsigned char)bit;
            }
    for (size_t e = 0; e < fake->n; e++) {
        size_t len = fake->entry[e].len;

        for (fake->entry[e].len = 0; fake->entry[e].len < len;
             fake->entry[e].len++)
            ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    }
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
    fake->entry[0].value[0] ^= 1;
    put(MX_HOSTS, false, 60, T0); /* heals */
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
}
END_TEST

START_TEST(set_is_gone)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct buf b = {0};
    struct cached_route r;
    const char *name = EXAMPLE;
    bool granted;

    put(MX_HOSTS, false, 60, T0);
    fake->kv.ops->del(&fake->kv, fake->entry[1].key);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 0, &r, &b));
    cache_claim(cache, &name, 1, T0, &granted);
    ck_assert(granted && get(T0, NULL).claimed);
    put(MX_HOSTS, false, 60, T0);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

START_TEST(keys_collide)
{
    static const char *const names[] = {"one.example", "two.example"};
    static const char *const hosts[] = {"mx.one.example", "mx.two.example"};
    struct hostaddrs a = {.state = {ADDR_NONE, ADDR_NONE}, .ttl_s = 60};
    struct cached_route r;
    struct buf b = {0};

    fake->collide = ~0u;
    for (int i = 0; i < 4; i++) {
        struct mxset s = make_set(MX_HOSTS, 60, hosts[i % 2]), got;

        cache_put_domain(cache, names[i % 2], T0, &s);
        cache_put_host(cache, hosts[i % 2], T0, &a);
        flush();
        put_route(hosts[i % 2], &s, MADE_OF);
        mxset_free(&s);
        ck_assert_int_eq(cache_get_domain(view, names[i % 2], T0, &got).verdict,
                         CACHE_FRESH);
        ck_assert_str_eq(got.mx[0].host, hosts[i % 2]);
        mxset_free(&got);
        ck_assert_int_eq(
            cache_get_domain(view, names[1 - i % 2], T0, &got).verdict,
            CACHE_MISS);
        ck_assert_int_eq(
            cache_get_host(view, hosts[1 - i % 2], BOTH, T0, &a).verdict,
            CACHE_MISS);
        ck_assert(
            cache_get_route(view, names[i % 2], MADE_OF, T0, 1500, &r, &b));
        ck_assert_str_eq(b.data, hosts[i % 2]);
        ck_assert(!cache_get_route(view, names[i % 2], MADE_OF + 1, T0, 1500,
                                   &r, &b));
    }
    buf_free(&b);
}
END_TEST

START_TEST(routes_collide)
{
    struct mxset one = make_set(MX_HOSTS, 60, "mx.example.com");
    struct mxset two = make_set(MX_HOSTS, 60, "mx.two.example");
    struct cached_route r;
    struct buf b = {0};

    fake->collide = 1u << KV_ROUTE;
    cache_put_domain(cache, EXAMPLE, T0, &one);
    cache_put_domain(cache, "two.example", T0, &two);
    put_route("one", &one, MADE_OF);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert(!cache_get_route(view, "two.example", MADE_OF, T0, 1500, &r, &b));
    mxset_free(&one);
    mxset_free(&two);
    buf_free(&b);
}
END_TEST

/* Two domains whose own records are kept, but not both sets. */
START_TEST(set_of_another)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.other.example"), got;

    put(MX_HOSTS, false, 60, T0);
    cache_put_domain(cache, "other.example", T0, &s);
    flush();
    mxset_free(&s);
    ck_assert_uint_eq(fake->n, 4); /* two domains, then two sets */
    for (int i = 2; i < 4; i++) {
        unsigned char *mine = fake->entry[i].value;
        size_t len = fake->entry[i].len;

        fake->entry[i].value = fake->entry[5 - i].value;
        fake->entry[i].len = fake->entry[5 - i].len;
        get(T0, NULL);
        if (cache_get_domain(view, "other.example", T0, &got).verdict ==
            CACHE_FRESH)
            ck_assert_str_eq(got.mx[0].host, "mx.other.example");
        mxset_free(&got);
        fake->entry[i].value = mine;
        fake->entry[i].len = len;
    }
}
END_TEST

START_TEST(nothing_can_be_read)
{
    struct hostaddrs a;
    struct cached_route r;
    struct buf b = {0};
    struct cache_server s;

    put(MX_HOSTS, false, 60, T0);
    fake->refuse_read = true;
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    ck_assert_int_eq(cache_get_host(view, "mx", BOTH, T0, &a).verdict,
                     CACHE_MISS);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 0, &r, &b));
    ck_assert(!cache_get_server(view, "192.0.2.1", &s));
    ck_assert_uint_eq(stats_at(T0).entries[KV_DOMAIN], 0);
    buf_free(&b);
}
END_TEST

START_TEST(names_too_long)
{
    char name[2000];
    struct mxset s = {.outcome = MX_NULL, .ttl_s = 60}, got;
    struct hostaddrs a = {0};
    const char *names = name;
    bool found, granted = false;

    memset(name, 'a', sizeof(name));
    for (size_t n = sizeof(name) - 1;; n = 255) {
        name[n] = '\0';
        cache_put_domain(cache, name, T0, &s);
        cache_put_host(cache, name, T0, &a);
        cache_note_refresh(cache, name, T0);
        cache_note_host_refresh(cache, name, T0);
        cache_touch(cache, name);
        cache_claim(cache, &names, 1, T0, &granted);
        flush();
        if (n == 255)
            break;
        ck_assert(granted);
        ck_assert_int_eq(cache_get_domain(view, name, T0, &got).verdict,
                         CACHE_MISS);
        ck_assert_int_eq(cache_get_host(view, name, 3, T0, &a).verdict,
                         CACHE_MISS);
        ck_assert(cache_forget(cache, name, &found) && !found);
    }
    ck_assert_int_eq(cache_get_domain(view, name, T0, &got).verdict,
                     CACHE_FRESH);
    ck_assert_int_eq(cache_get_domain(view, "", T0, &got).verdict, CACHE_MISS);
}
END_TEST

START_TEST(contradictions_are_not_kept)
{
    struct mxset empty = {.outcome = MX_HOSTS, .ttl_s = 60};
    struct mxset full = make_set(MX_HOSTS, 60, "mx.example.com");

    cache_put_domain(cache, EXAMPLE, T0, &empty);
    full.outcome = MX_NXDOMAIN;
    cache_put_domain(cache, EXAMPLE, T0, &full);
    flush();
    ck_assert_uint_eq(fake->n, 0);
    mxset_free(&full);
}
END_TEST

START_TEST(large_set_keeps_the_best)
{
    struct mxset s = {.outcome = MX_HOSTS, .ttl_s = 60}, got;
    char host[1000];

    for (int i = 0; i < 200; i++) {
        snprintf(host, sizeof(host), "%0900d", i);
        ck_assert(mxset_add(&s, host, (uint16_t)(1000 - i)));
    }
    ck_assert(mxset_add(&s, "mx.example.com", 1));
    cache_put_domain(cache, EXAMPLE, T0, &s);
    flush();
    ck_assert_int_eq(cache_get_domain(view, EXAMPLE, T0, &got).verdict,
                     CACHE_FRESH);
    ck_assert_uint_gt(got.n_mx, 60);
    ck_assert_uint_lt(got.n_mx, 201);
    ck_assert_str_eq(got.mx[0].host, "mx.example.com");
    ck_assert_str_eq(got.mx[1].host, s.mx[199].host);
    put_route("text", &s, MADE_OF); /* the same set, thus the same key */
    ck_assert_uint_eq(stats_at(T0).entries[KV_ROUTE], 1);
    put_route("text", &got, MADE_OF);
    ck_assert_uint_eq(stats_at(T0).entries[KV_ROUTE], 1);
    mxset_free(&s);
    mxset_free(&got);
}
END_TEST

/* ---- memory ---- */

START_TEST(no_memory)
{
    struct mxset fail = {.outcome = MX_FAILURE, .failure = (char *)"SERVFAIL"};
    struct mxset hosts = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cache_route answer = {.expires_ms = T0 + 1, .text = "text"};
    const char *cold = "cold.example";

    for (unsigned n = 1;; n++) {
        struct cache_entry_state st;
        struct hostaddrs a = addrs(ADDR_SOME, ADDR_NONE);
        struct cache_stats stats;
        struct mxset s;
        bool hit, flag;

        put(MX_HOSTS, false, 60, T0);
        failmalloc_at(n);
        cache_put_domain(cache, EXAMPLE, T0, &fail);
        cache_put_domain(cache, "other.example", T0, &hosts);
        cache_put_host(cache, "mx", T0, &a);
        cache_put_route(cache, &hosts, &answer);
        cache_touch(cache, EXAMPLE);
        cache_flush(cache, 0);
        cache_claim(cache, &cold, 1, T0, &flag);
        st = cache_get_domain(view, EXAMPLE, T0, &s);
        cache_get_host(view, "mx", BOTH, T0, &a);
        cache_stats(view, T0, &stats);
        cache_forget(cache, cold, &flag);
        mxset_free(&s);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert(st.verdict == CACHE_FRESH || st.verdict == CACHE_MISS);
        ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
        if (!hit)
            break;
    }
    mxset_free(&hosts);
}
END_TEST

START_TEST(no_memory_to_read_a_failure)
{
    put(MX_FAILURE, false, 0, T0);
    for (unsigned n = 1;; n++) {
        struct cache_entry_state st;
        struct mxset s;
        bool hit;

        failmalloc_at(n);
        st = cache_get_domain(view, EXAMPLE, T0, &s);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(st.verdict, hit ? CACHE_MISS : CACHE_FAILING);
        mxset_free(&s);
        if (!hit)
            break;
    }
}
END_TEST

START_TEST(open_no_memory)
{
    struct mxhop_error err;
    struct cache *c;
    enum mxhop_status s;

    for (unsigned n = 1; n <= 2; n++) {
        struct cache_view *v;

        failmalloc_at(n);
        v = cache_view_open(cache);
        failmalloc_at(0);
        ck_assert_ptr_null(v);
        cache_view_close(&v);
    }
    struct fake_kv *other = fake_kv_open();

    failmalloc_at(1);
    s = cache_open(&c, &other->kv, &policy, &err);
    failmalloc_at(0);
    ck_assert_int_eq(s, MXHOP_ERR_MEMORY);
    ck_assert_ptr_null(c);
    cache_close(&c);
}
END_TEST

START_TEST(closed_with_things_pending)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");

    cache_put_domain(cache, EXAMPLE, T0, &s);
    cache_touch(cache, EXAMPLE);
    mxset_free(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache_damage");
    TCase *t = cache_case(s);

    tcase_add_test(t, other_boot);
    tcase_add_test(t, damage);
    tcase_add_test(t, set_is_gone);
    tcase_add_test(t, keys_collide);
    tcase_add_test(t, routes_collide);
    tcase_add_test(t, set_of_another);
    tcase_add_test(t, nothing_can_be_read);
    tcase_add_test(t, names_too_long);
    tcase_add_test(t, contradictions_are_not_kept);
    tcase_add_test(t, large_set_keeps_the_best);
    tcase_add_test(t, no_memory);
    tcase_add_test(t, no_memory_to_read_a_failure);
    tcase_add_test(t, open_no_memory);
    tcase_add_test(t, closed_with_things_pending);
    return run_tests(s);
}
