/* The DNS cache: finished answers, and threads that use it. */

#include "cache_fixture.h"
#include "cache/cache_memo.h"

/* ---- finished answers ---- */

static const struct {
    uint64_t made_of;
    int64_t now_s;
    uint64_t now_ms;
    bool found;
} routes[] = {
    {MADE_OF, 1000, T0, true},          {MADE_OF, 1999, T0, true},
    {MADE_OF, 999, T0, false},          {MADE_OF, 2000, T0, false},
    {MADE_OF, -1, T0, false},           {MADE_OF + 1, 1000, T0, false},
    {MADE_OF, 1000, T0 + 49999, true},  {MADE_OF, 1000, T0 + 50000, false},
    {MADE_OF, 1000, T0 - 20000, false}, /* another boot */
};

START_TEST(route)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r = {.by_domain = true};
    struct buf b = {0};

    buf_puts(&b, "from before");
    put(MX_HOSTS, false, 60, T0);
    put_route("[mx.example.com]", &s, MADE_OF);
    ck_assert(cache_get_route(view, EXAMPLE, routes[_i].made_of,
                              routes[_i].now_ms, routes[_i].now_s, &r,
                              &b) == routes[_i].found);
    if (routes[_i].found) {
        ck_assert_str_eq(b.data, "[mx.example.com]");
        ck_assert(r.has_text && !r.by_domain && !r.refresh_due && r.once);
    } else {
        ck_assert_uint_eq(b.len, 0);
    }
    ck_assert(
        !cache_get_route(view, "other.example", MADE_OF, T0, 1500, &r, &b));
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

START_TEST(route_is_the_sites)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct mxset other = make_set(MX_HOSTS, 60, "mx.other.example");
    struct cache_route put_r = {.made_of = MADE_OF,
                                .expires_ms = UINT64_MAX,
                                .from_s = INT64_MIN,
                                .until_s = INT64_MAX,
                                .by_domain = true};
    struct cached_route r;
    struct buf b = {0};

    put(MX_HOSTS, false, 60, T0);
    put_name("two.example", MX_HOSTS, 300, T0);
    cache_put_domain(cache, "other.example", T0, &other);
    cache_put_route(cache, &s, &put_r); /* no words for it, no end */
    flush();
    ck_assert(cache_get_route(view, "two.example", MADE_OF, T0, 0, &r, &b));
    ck_assert(!r.has_text && r.by_domain);
    ck_assert_str_eq(b.data, "");
    ck_assert(!cache_get_route(view, "other.example", MADE_OF, T0, 0, &r, &b));
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
    mxset_free(&other);
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
    put_route("text", &s, MADE_OF);
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

/* What was read a moment ago is read from memory, but not for long: else
   `mxhop cache flush` would not show. */
START_TEST(route_is_remembered_for_some_seconds)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};
    bool found;

    put(MX_HOSTS, false, 60, T0);
    put_route("text", &s, MADE_OF);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert(cache_forget(cache, EXAMPLE, &found));
    ck_assert(found);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    put(MX_HOSTS, false, 60, T0);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "text");
    /* It ends with the answer, and belongs to what it was made of. */
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 2000, &r, &b));
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 999, &r, &b));
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF + 1, T0, 1500, &r, &b));
    ck_assert(
        !cache_get_route(view, EXAMPLE, MADE_OF, T0 + 5000, 1500, &r, &b));
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

static void renew_view(void)
{
    cache_view_close(&view);
    view = cache_view_open(cache);
    ck_assert_ptr_nonnull(view);
}

/* Whatever is damaged in it: no answer, or the text as it was. */
START_TEST(route_damaged)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct fake_entry *e;
    struct cached_route r;
    struct buf b = {0};
    size_t len;

    put(MX_HOSTS, false, 60, T0);
    put_route("text", &s, MADE_OF);
    e = &fake->entry[2];
    ck_assert_int_eq(kv_kind_of(e->key), KV_ROUTE);
    len = e->len;
    for (e->len = 0; e->len < len; e->len++)
        ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    for (size_t i = 0; i < len - 4; i++) {
        e->value[i] ^= 0xff;
        if (cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b))
            ck_assert_str_eq(b.data, "text");
        e->value[i] ^= 0xff;
        renew_view(); /* it remembers */
    }
    e->value[len - 1] = '\0';
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
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
    put_route("text", &s, MADE_OF);
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

/* ---- finished answers that are kept with a domain ---- */

static void put_route_of(const char *domain, const char *text,
                         const struct mxset *set, uint64_t made_of)
{
    struct cache_route r = {.domain = domain,
                            .now_ms = T0,
                            .made_of = made_of,
                            .expires_ms = T0 + 50000,
                            .from_s = 1000,
                            .until_s = 2000,
                            .text = text};

    cache_put_route(cache, set, &r);
    flush();
}

/* How many entries of its own finished answers have. */
static size_t route_entries(void)
{
    size_t n = 0;

    for (size_t i = 0; i < fake->n; i++)
        n += kv_kind_of(fake->entry[i].key) == KV_ROUTE;
    return n;
}

START_TEST(route_with_domain)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};

    put(MX_HOSTS, false, 60, T0);
    put_route_of(EXAMPLE, "text", &s, MADE_OF);
    ck_assert_uint_eq(route_entries(), 0);
    ck_assert_uint_eq(stats_at(T0).entries[KV_ROUTE], 1);
    ck_assert(cache_get_route(view, EXAMPLE, routes[_i].made_of,
                              routes[_i].now_ms, routes[_i].now_s, &r,
                              &b) == routes[_i].found);
    if (routes[_i].found)
        ck_assert_str_eq(b.data, "text");
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
    put_route_of(EXAMPLE, "text", &s, MADE_OF);
    put(MX_FAILURE, false, 0, T0);
    cache_note_refresh(cache, EXAMPLE, T0);
    cache_touch(cache, EXAMPLE);
    flush();
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    put(MX_HOSTS, false, 60, T0);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "text");
    ck_assert(!r.once);
    put_route_of(EXAMPLE, "newer", &s, MADE_OF);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "newer");
    put(MX_NULL, false, 60, T0);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    put(MX_HOSTS, false, 60, T0);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

/* Two configurations use one cache: neither pushes out what the other made. */
START_TEST(routes_of_two_configurations)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};

    put(MX_HOSTS, false, 60, T0);
    put_route_of(EXAMPLE, "one", &s, MADE_OF);
    put_route_of(EXAMPLE, "two", &s, MADE_OF + 1);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "one");
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF + 1, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "two");
    ck_assert_uint_eq(route_entries(), 1);
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

/* What a set is shared for is kept once; so is what is too long for a domain's
   record, and what was made for a domain that has another set by now. */
START_TEST(routes_with_the_set)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct mxset other = make_set(MX_HOSTS, 60, "mx.other.example");
    char text[RECORD_ROUTE_MAX + 1];
    struct cached_route r;
    struct buf b = {0};

    memset(text, 'x', sizeof(text));
    text[RECORD_ROUTE_MAX] = '\0';
    put(MX_HOSTS, false, 60, T0);
    put_name("two.example", MX_HOSTS, 60, T0);
    put_route_of("two.example", "text", &s, MADE_OF);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "text");
    ck_assert_uint_eq(route_entries(), 1);
    put_route_of(EXAMPLE, text, &s, MADE_OF + 1);
    ck_assert_uint_eq(route_entries(), 2);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF + 1, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, text);
    put_route_of(EXAMPLE, "other", &other, MADE_OF);
    ck_assert_uint_eq(route_entries(), 3);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "text");
    put_route_of("none.example", "none", &other, MADE_OF + 2);
    ck_assert_uint_eq(route_entries(), 4);
    mxset_free(&s);
    mxset_free(&other);
    buf_free(&b);
}
END_TEST

/* Whatever is damaged in it: no answer, or the text as it was. */
START_TEST(route_with_domain_damaged)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct fake_entry *e;
    struct cached_route r;
    struct buf b = {0};

    put(MX_HOSTS, false, 60, T0);
    put_route_of(EXAMPLE, "text", &s, MADE_OF);
    e = &fake->entry[0];
    while (kv_kind_of(e->key) != KV_DOMAIN)
        e++;
    for (size_t i = 0; i < e->len - 4; i++)
        for (int bit = 0; bit < 8; bit++) {
            e->value[i] ^= (unsigned char)(1 << bit);
            if (cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b))
                ck_assert(!r.has_text || strcmp(b.data, "text") == 0);
            e->value[i] ^= (unsigned char)(1 << bit);
        }
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

/* ---- the memory of a view ---- */

/* More sets than it has room for: no answer is another's. */
START_TEST(memo_of_many_sets)
{
    enum { SETS = 70000 };
    struct memo *m = memo_open();
    struct route_record r = {.made_of = MADE_OF,
                             .expires_ms = UINT64_MAX,
                             .until_s = 2000,
                             .has_text = true},
                        got;
    size_t found = 0;
    char text[32];

    ck_assert_ptr_nonnull(m);
    for (uint64_t i = 0; i < SETS; i++) {
        struct site_id id = {i * 0x9E3779B97F4A7C15u, (uint32_t)i};

        ck_assert(!memo_get(m, id, MADE_OF, T0, 1500, &got));
        snprintf(text, sizeof(text), "%d", (int)i);
        r.text = (struct chars){text, strlen(text)};
        memo_put(m, id, T0, &r);
        if (i < 50000)
            ck_assert(memo_get(m, id, MADE_OF, T0, 1500, &got));
    }
    for (uint64_t i = 0; i < SETS; i++) {
        struct site_id id = {i * 0x9E3779B97F4A7C15u, (uint32_t)i};

        if (!memo_get(m, id, MADE_OF, T0, 1500, &got))
            continue;
        found++;
        snprintf(text, sizeof(text), "%d", (int)i);
        ck_assert_uint_eq(got.text.len, strlen(text));
        ck_assert_mem_eq(got.text.at, text, got.text.len);
        id.check++;
        ck_assert(!memo_get(m, id, MADE_OF, T0, 1500, &got));
    }
    ck_assert_uint_gt(found, 50000);
    ck_assert_uint_lt(found, 65536);
    /* Of other rules: the old ones are gone. */
    r.made_of++;
    memo_put(m, (struct site_id){1, 1}, T0, &r);
    ck_assert(!memo_get(m, (struct site_id){1, 1}, MADE_OF, T0, 1500, &got));
    ck_assert(memo_get(m, (struct site_id){1, 1}, MADE_OF + 1, T0, 1500, &got));
    memo_close(m);
}
END_TEST

/* Without memory it remembers less, and nothing wrong. */
START_TEST(memo_without_memory)
{
    struct route_record r = {.expires_ms = UINT64_MAX, .until_s = 2000}, got;
    struct site_id id = {1, 1};

    for (unsigned n = 1; n <= 2; n++) {
        struct memo *m;

        failmalloc_at(n);
        m = memo_open();
        memo_put(m, id, T0, &r);
        failmalloc_at(0);
        ck_assert(!memo_get(m, id, 0, T0, 1500, &got));
        memo_close(m);
    }
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
    struct cache_view *v = cache_view_open(cache);
    char name[32];
    const char *names = name;
    bool granted;

    (void)ctx;
    for (int i = 0; i < ROUNDS; i++) {
        name_of_round(name, i);
        cache_claim(cache, &names, 1, T0, &granted);
        cache_put_domain(cache, name, T0, &s);
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
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cached_route r;
    struct buf b = {0};
    pthread_t thread[2];
    char name[32];
    size_t found = 0;

    put_route("text", &s, MADE_OF);
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
    mxset_free(&s);
    buf_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache_route");
    TCase *t = cache_case(s), *crew = cache_case(s);

    tcase_add_loop_test(t, route, 0, COUNT(routes));
    tcase_add_test(t, route_is_the_sites);
    tcase_add_test(t, route_near_the_end);
    tcase_add_test(t, route_is_remembered_for_some_seconds);
    tcase_add_test(t, route_damaged);
    tcase_add_test(t, hot_path_allocates_nothing);
    tcase_add_loop_test(t, route_with_domain, 0, COUNT(routes));
    tcase_add_test(t, route_stays_with_domain);
    tcase_add_test(t, routes_of_two_configurations);
    tcase_add_test(t, routes_with_the_set);
    tcase_add_test(t, route_with_domain_damaged);
    tcase_add_test(t, memo_of_many_sets);
    tcase_add_test(t, memo_without_memory);
    tcase_set_tags(crew, "threads");
    tcase_add_test(crew, threads);
    return run_tests(s);
}
