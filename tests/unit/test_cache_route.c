/* The DNS cache: finished answers, and threads that use it. */

#include "support/suite.h"
#include "cache_fixture.h"

/* ---- finished answers ---- */

static const struct {
    uint64_t made_of;
    int64_t now_s, after_ms;
    bool found;
} routes[] = {
    {MADE_OF, 1000, 0, true},       {MADE_OF, 1999, 0, true},
    {MADE_OF, 999, 0, false},       {MADE_OF, 2000, 0, false},
    {MADE_OF, -1, 0, false},        {MADE_OF + 1, 1000, 0, false},
    {MADE_OF, 1000, 49999, true},   {MADE_OF, 1000, 50000, false},
    {MADE_OF, 1000, -20000, false}, /* another boot */
};

START_TEST(route)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};

    buf_puts(&b, "from before");
    put(MX_HOSTS, false, 60, T0);
    put_route(EXAMPLE, "[mx.example.com]", &s, MADE_OF);
    ck_assert_uint_eq(stats_at(T0).routes, 1);
    ck_assert(cache_get_route(view, EXAMPLE, routes[_i].made_of,
                              (uint64_t)((int64_t)T0 + routes[_i].after_ms),
                              routes[_i].now_s, &r, &b) == routes[_i].found);
    if (routes[_i].found) {
        ck_assert_str_eq(b.data, "[mx.example.com]");
        ck_assert(r.has_text && !r.refresh_due && r.once);
    } else {
        ck_assert_uint_eq(b.len, 0);
    }
    ck_assert(
        !cache_get_route(view, "other.example", MADE_OF, T0, 1500, &r, &b));
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

START_TEST(route_of_a_domain)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cache_route put_r = {.now_ms = T0,
                                .made_of = MADE_OF,
                                .expires_ms = UINT64_MAX,
                                .from_s = INT64_MIN,
                                .until_s = INT64_MAX};
    struct cached_route r;
    struct buf b = {0};

    put(MX_HOSTS, false, 60, T0);
    put_name("two.example", MX_HOSTS, 300, T0);
    cache_put_route(cache, EXAMPLE, &s, &put_r); /* no words for it, no end */
    flush();
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 0, &r, &b));
    ck_assert(!r.has_text);
    ck_assert_str_eq(b.data, "");
    ck_assert(!cache_get_route(view, "two.example", MADE_OF, T0, 0, &r, &b));
    /* Not without a fresh answer of DNS. */
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0 + 59999, 0, &r, &b));
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0 + 60000, 0, &r, &b));
    cache_touch(cache, EXAMPLE);
    flush();
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 0, &r, &b));
    ck_assert(!r.once);
    put(MX_NULL, false, 60, T0);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 0, &r, &b));
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

START_TEST(overridden)
{
    struct cache_route put_r = {.made_of = MADE_OF,
                                .expires_ms = T0 + 50000,
                                .from_s = 1000,
                                .until_s = 2000,
                                .text = "[o.example]"};
    struct cached_route r;
    struct buf b = {0};
    char key[64 + 1 + 255 + 1];

    cache_put_overridden(cache, "user@example.com", &put_r);
    memset(key, 'x', sizeof(key));
    key[64] = '@';
    key[sizeof(key) - 1] = '\0'; /* too long: nothing is kept */
    cache_put_overridden(cache, key, &put_r);
    key[sizeof(key) - 2] = '\0';
    cache_put_overridden(cache, key, &put_r);
    flush();
    ck_assert(
        cache_get_overridden(view, "user@example.com", routes[_i].made_of,
                             (uint64_t)((int64_t)T0 + routes[_i].after_ms),
                             routes[_i].now_s, &r, &b) ==
        (routes[_i].found || routes[_i].after_ms < -10000));
    ck_assert(!cache_get_overridden(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert(
        !cache_get_route(view, "user@example.com", MADE_OF, T0, 1500, &r, &b));
    ck_assert(cache_get_overridden(view, key, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "[o.example]");
    ck_assert(r.has_text && !r.refresh_due && !r.once);
    put_r.text = NULL;
    cache_put_overridden(cache, key, &put_r);
    flush();
    ck_assert(cache_get_overridden(view, key, MADE_OF, T0, 1500, &r, &b));
    ck_assert(!r.has_text && b.len == 0);
    buf_free(&b);
}
END_TEST

START_TEST(route_near_the_end)
{
    struct mxset s = make_set(MX_HOSTS, 50, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};

    reopen_with_prefetch();
    put(MX_HOSTS, false, 50, T0);
    put_route(EXAMPLE, "text", &s, MADE_OF);
    ck_assert(
        cache_get_route(view, EXAMPLE, MADE_OF, T0 + 45001, 1500, &r, &b));
    ck_assert(r.refresh_due);
    cache_note_refresh(cache, EXAMPLE, T0 + 45001);
    flush();
    ck_assert(
        cache_get_route(view, EXAMPLE, MADE_OF, T0 + 45002, 1500, &r, &b));
    ck_assert(!r.refresh_due);
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

START_TEST(hot_path_allocates_nothing)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};
    bool found, hit;

    put(MX_HOSTS, false, 60, T0);
    put_route(EXAMPLE, "text", &s, MADE_OF);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    failmalloc_at(1);
    found = cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b);
    cache_touch(cache, EXAMPLE);
    hit = failmalloc_hit();
    failmalloc_at(0);
    ck_assert(found && !hit);
    flush();
    ck_assert(!get(T0, NULL).once);
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

/* Also where the answer was learnt again, or asking failed, but not where the
   set is another. */
START_TEST(route_stays_with_domain)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};

    put(MX_HOSTS, false, 60, T0);
    put_route(EXAMPLE, "text", &s, MADE_OF);
    put(MX_FAILURE, false, 0, T0);
    cache_note_refresh(cache, EXAMPLE, T0);
    cache_touch(cache, EXAMPLE);
    flush();
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    put(MX_HOSTS, false, 60, T0);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "text");
    ck_assert(!r.once);
    put_route(EXAMPLE, "newer", &s, MADE_OF + 1); /* replaces it */
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF + 1, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "newer");
    put(MX_NULL, false, 60, T0);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF + 1, T0, 1500, &r, &b));
    put(MX_HOSTS, false, 60, T0);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF + 1, T0, 1500, &r, &b));
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

/* What is not printable, or too long, or was made for a domain that is not
   there or has another set by now, is not kept. */
START_TEST(routes_that_are_not_kept)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct mxset other = make_set(MX_HOSTS, 60, "mx.other.example");
    char text[RECORD_TEXT_MAX + 2];
    struct cached_route r;
    struct buf b = {0};

    memset(text, 'x', sizeof(text));
    text[RECORD_TEXT_MAX + 1] = '\0';
    put(MX_HOSTS, false, 60, T0);
    put_route(EXAMPLE, "other", &other, MADE_OF);
    put_route(EXAMPLE, "two\nlines", &s, MADE_OF);
    put_route(EXAMPLE, "f\xc3\xbcr", &s, MADE_OF);
    put_route(EXAMPLE, text, &s, MADE_OF);
    put_route("none.example", "none", &s, MADE_OF);
    ck_assert_uint_eq(stats_at(T0).routes, 0);
    text[RECORD_TEXT_MAX] = '\0';
    put_route(EXAMPLE, text, &s, MADE_OF);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, text);
    mxset_free(&s);
    mxset_free(&other);
    buf_free(&b);
}
END_TEST

/* ---- threads ---- */

#define ROUNDS 2000

static void name_of_round(char name[32], int i)
{
    snprintf(name, 32, "d%d.example", i % 50);
}

/* As the worker's thread does: claims, answers, flushes. */
static void *work(void *ctx)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com"), got;
    struct hostaddrs a = addrs(ADDR_SOME, ADDR_NONE);
    struct cache_route r = {.now_ms = T0,
                            .made_of = MADE_OF,
                            .expires_ms = T0 + 50000,
                            .until_s = 2000,
                            .text = "text"};
    struct cache_view *v = cache_view_open(cache);
    char name[32];
    const char *names = name;
    bool granted;

    (void)ctx;
    for (int i = 0; i < ROUNDS; i++) {
        name_of_round(name, i);
        cache_claim(cache, &names, 1, T0, &granted);
        cache_put_domain(cache, name, T0, &s);
        cache_put_route(cache, name, &s, &r);
        cache_put_host(cache, "mx.example.com", T0, &a);
        cache_flush(cache, 20);
        cache_get_domain(v, name, T0, &got);
        mxset_free(&got);
    }
    cache_view_close(&v);
    mxset_free(&s);
    return NULL;
}

START_TEST(threads)
{
    struct cached_route r;
    struct buf b = {0};
    pthread_t thread[2];
    char name[32];
    size_t found = 0;

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, work, NULL), 0);
    for (int i = 0; i < 10 * ROUNDS; i++) {
        name_of_round(name, i);
        cache_touch(cache, name);
        cache_pending(cache);
        if (!cache_get_route(view, name, MADE_OF, T0, 1500, &r, &b))
            continue;
        ck_assert_str_eq(b.data, "text");
        found++;
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    flush();
    for (int i = 0; i < 50; i++) {
        name_of_round(name, i);
        found += cache_get_route(view, name, MADE_OF, T0, 1500, &r, &b);
    }
    ck_assert_uint_ge(found, 50);
    buf_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache_route");
    TCase *t = cache_case(s), *crew = cache_case(s);

    tcase_add_loop_test(t, route, 0, COUNT(routes));
    tcase_add_test(t, route_of_a_domain);
    tcase_add_loop_test(t, overridden, 0, COUNT(routes));
    tcase_add_test(t, route_near_the_end);
    tcase_add_test(t, hot_path_allocates_nothing);
    tcase_add_test(t, route_stays_with_domain);
    tcase_add_test(t, routes_that_are_not_kept);
    tcase_set_tags(crew, "threads");
    tcase_add_test(crew, threads);
    return suite_run(s);
}
