/* The DNS cache among records that are damaged, or were written by somebody
   hostile, and allocations that fail: a miss, never a wrong answer. */

#include "support/suite.h"
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

/* A record as if the table had been made so: every octet altered, cut at every
   place, and with one more. `look` says what is wrong with what comes of it. */
static void batter(enum cache_kind kind, const char *name,
                   void (*look)(bool cut))
{
    struct live_value value;
    unsigned char whole[1024], bytes[1025];
    size_t len;

    ck_assert(raw_get(kind, name, &value));
    ck_assert_uint_le(value.len, sizeof(whole));
    len = value.len;
    memcpy(whole, value.data, len);
    for (size_t i = 0; i < len; i++)
        for (unsigned bit = 1; bit < 256; bit *= 2) {
            memcpy(bytes, whole, len);
            bytes[i] ^= (unsigned char)bit;
            raw_put(kind, name, bytes, len);
            look(false);
        }
    for (size_t n = 0; n < len; n++) {
        raw_put(kind, name, whole, n);
        look(true);
    }
    memcpy(bytes, whole, len);
    bytes[len] = 0;
    raw_put(kind, name, bytes, len + 1);
    look(true);
    raw_put(kind, name, whole, len);
}

static void look_at_domain(bool cut)
{
    struct cache_entry_state st = get(T0, NULL);
    struct cached_route r;
    struct buf b = {0};

    ck_assert(!cut || st.verdict == CACHE_MISS);
    if (cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b)) {
        ck_assert(!cut);
        ck_assert(record_is_printable(b.data, b.len));
    }
    stats_at(T0);
    buf_free(&b);
}

/* The check of a table's record finds damage; here it is right, so that a text
   may be another, but never one with control characters. */
START_TEST(domain_damaged)
{
    put(MX_HOSTS, false, 60, T0);
    batter(CACHE_DOMAIN, EXAMPLE, look_at_domain);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
}
END_TEST

static void look_at_failure(bool cut)
{
    struct mxset s;
    struct cache_entry_state st = cache_get_domain(view, EXAMPLE, T0, &s);

    ck_assert(!cut || st.verdict == CACHE_MISS);
    if (s.failure != NULL)
        ck_assert(record_is_printable(s.failure, strlen(s.failure)));
    mxset_free(&s);
}

START_TEST(failure_damaged)
{
    put(MX_FAILURE, false, 0, T0);
    batter(CACHE_DOMAIN, EXAMPLE, look_at_failure);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FAILING);
}
END_TEST

static void look_at_route(bool cut)
{
    struct cached_route r;
    struct buf b = {0};

    (void)cut; /* a text that is cut is another text */
    if (cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b))
        ck_assert(record_is_printable(b.data, b.len));
    if (cache_get_overridden(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b))
        ck_assert(record_is_printable(b.data, b.len));
    buf_free(&b);
}

START_TEST(route_damaged)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cache_route r = {.made_of = MADE_OF,
                            .expires_ms = T0 + 1,
                            .until_s = 2000,
                            .text = "[mx.example.com], [two.example.com]"};

    put(MX_HOSTS, false, 60, T0);
    put_route(EXAMPLE, r.text, &s, MADE_OF);
    cache_put_overridden(cache, EXAMPLE, &r);
    flush();
    batter(CACHE_DOMAIN, EXAMPLE, look_at_route);
    batter(CACHE_OVERRIDDEN, EXAMPLE, look_at_route);
    mxset_free(&s);
}
END_TEST

static void look_at_host(bool cut)
{
    struct hostaddrs a;
    struct cache_entry_state st = cache_get_host(view, "mx", BOTH, T0, &a);

    ck_assert(!cut || st.verdict == CACHE_MISS);
    for (int f = 0; f < FAMILIES; f++) {
        ck_assert_uint_le(a.n[f], ADDRS_MAX);
        ck_assert_uint_le(a.state[f], ADDR_FAILED);
    }
}

START_TEST(host_damaged)
{
    put_host("mx", ADDR_SOME, ADDR_SOME, T0);
    batter(CACHE_HOST, "mx", look_at_host);
}
END_TEST

/* Names with other letters are another set; none has a control character. */
START_TEST(site_damaged)
{
    struct mxset s = make_set(MX_HOSTS, 60, "mx.example.com"), got;
    struct only site;
    unsigned char bytes[64];

    put(MX_HOSTS, false, 60, T0);
    get_only(CACHE_SITE, &site);
    ck_assert_uint_lt(site.value.len, sizeof(bytes));
    for (size_t i = 0; i < site.value.len; i++)
        for (unsigned bit = 1; bit < 256; bit *= 2) {
            memcpy(bytes, site.bytes, site.value.len);
            bytes[i] ^= (unsigned char)bit;
            ck_assert(live_begin(cache->live, 0));
            live_put(cache->live, site.key, site.key_len, bytes, site.value.len,
                     LIVE_USED, UINT32_MAX);
            ck_assert(live_end(cache->live));
            cache_get_domain(view, EXAMPLE, T0, &got);
            for (size_t k = 0; k < got.n_mx; k++)
                ck_assert(record_is_printable(got.mx[k].host,
                                              strlen(got.mx[k].host)));
            mxset_free(&got);
        }
    put_name("heals.example", MX_HOSTS, 60, T0);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
    mxset_free(&s);
}
END_TEST

START_TEST(heals)
{
    raw_put(CACHE_DOMAIN, EXAMPLE, "junk", 4);
    raw_put(CACHE_HOST, "mx", "junk", 4);
    put(MX_HOSTS, false, 60, T0);
    put_host("mx", ADDR_SOME, ADDR_NONE, T0);
    look_at_host(false);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
}
END_TEST

static bool see_nothing(void *ctx, const char *domain,
                        const struct cache_entry_state *state,
                        const struct mxset *set)
{
    (void)ctx, (void)domain, (void)state, (void)set;
    ck_abort_msg("listed");
}

static bool see_no_server(void *ctx, const struct cache_server *s)
{
    (void)ctx, (void)s;
    ck_abort_msg("listed");
}

/* Keys of no kind, and names that are none. */
START_TEST(strange_keys)
{
    static const char *const names[] = {"\033[2J", "a\nb", "\xff"};
    struct cache_server s = {.state = 1};
    struct live_value value;
    unsigned char bytes[1024];
    bool found;

    put(MX_HOSTS, false, 60, T0);
    ck_assert(raw_get(CACHE_DOMAIN, EXAMPLE, &value));
    memcpy(bytes, value.data, value.len);
    for (size_t i = 0; i < COUNT(names); i++) {
        raw_put(CACHE_DOMAIN, names[i], bytes, value.len);
        raw_put(CACHE_SERVER, names[i], &s, sizeof(s));
        raw_put(CACHE_OVERRIDDEN, names[i], bytes, value.len);
        raw_put((enum cache_kind)'?', names[i], bytes, value.len);
    }
    ck_assert(cache_forget(cache, EXAMPLE, &found) && found);
    cache_list(view, T0, see_nothing, NULL);
    cache_list_servers(view, see_no_server, NULL);
    ck_assert_uint_eq(stats_at(T0).servers, COUNT(names));
}
END_TEST

START_TEST(set_is_gone)
{
    struct cached_route r;
    struct only site;
    struct buf b = {0};
    const char *name = EXAMPLE;
    bool granted;

    reopen_shared();
    put(MX_HOSTS, false, 60, T0);
    get_only(CACHE_SITE, &site);
    ck_assert(live_begin(cache->live, 0));
    live_del(cache->live, site.key, site.key_len);
    ck_assert(live_end(cache->live));
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_MISS);
    ck_assert(!cache_get_route(view, EXAMPLE, MADE_OF, T0, 0, &r, &b));
    cache_claim(cache, &name, 1, T0, &granted);
    ck_assert(granted && get(T0, NULL).claimed);
    put(MX_HOSTS, false, 60, T0);
    ck_assert_int_eq(get(T0, NULL).verdict, CACHE_FRESH);
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

    reopen_shared();

    memset(name, 'a', sizeof(name));
    for (size_t n = sizeof(name) - 1;; n = LIVE_KEY_MAX - 1) {
        name[n] = '\0';
        cache_put_domain(cache, name, T0, &s);
        cache_put_host(cache, name, T0, &a);
        cache_note_refresh(cache, name, T0);
        cache_note_host_refresh(cache, name, T0);
        cache_touch(cache, name);
        cache_claim(cache, &names, 1, T0, &granted);
        flush();
        if (n == LIVE_KEY_MAX - 1)
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

/* That it failed counts, whatever the reason looks like. */
START_TEST(failure_with_a_strange_reason)
{
    struct mxset s = {.outcome = MX_FAILURE, .failure = (char *)"\033[2J"};
    struct mxset got;

    cache_put_domain(cache, EXAMPLE, T0, &s);
    flush();
    ck_assert_int_eq(cache_get_domain(view, EXAMPLE, T0, &got).verdict,
                     CACHE_FAILING);
    ck_assert_str_eq(got.failure, "");
    mxset_free(&got);
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
    ck_assert_uint_eq(stats_at(T0).domains + stats_at(T0).sites, 0);
    mxset_free(&full);
}
END_TEST

/* The best hundred, or as many of them as there is room for. */
static const struct {
    const char *format;
    size_t least, most;
} large[] = {{"mx%d.example.com", 100, 100}, {"%0900d", 20, 40}};

START_TEST(large_set_keeps_the_best)
{
    struct mxset s = {.outcome = MX_HOSTS, .ttl_s = 60}, got;
    struct cached_route r;
    struct buf b = {0};
    char host[1000];

    for (int i = 0; i < 200; i++) {
        snprintf(host, sizeof(host), large[_i].format, i);
        ck_assert(mxset_add(&s, host, (uint16_t)(1000 - i)));
    }
    ck_assert(mxset_add(&s, "mx.example.com", 1));
    cache_put_domain(cache, EXAMPLE, T0, &s);
    flush();
    ck_assert_int_eq(cache_get_domain(view, EXAMPLE, T0, &got).verdict,
                     CACHE_FRESH);
    ck_assert_uint_ge(got.n_mx, large[_i].least);
    ck_assert_uint_le(got.n_mx, large[_i].most);
    ck_assert_str_eq(got.mx[0].host, "mx.example.com");
    ck_assert_str_eq(got.mx[1].host, s.mx[199].host);
    put_route(EXAMPLE, "one", &s, MADE_OF); /* it is the same set */
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    put_route(EXAMPLE, "two", &got, MADE_OF);
    ck_assert(cache_get_route(view, EXAMPLE, MADE_OF, T0, 1500, &r, &b));
    ck_assert_str_eq(b.data, "two");
    mxset_free(&s);
    mxset_free(&got);
    buf_free(&b);
}
END_TEST

/* ---- memory ---- */

START_TEST(no_memory)
{
    struct mxset fail = {.outcome = MX_FAILURE, .failure = (char *)"SERVFAIL"};
    struct mxset hosts = make_set(MX_HOSTS, 60, "mx.example.com");
    struct cache_route answer = {.expires_ms = T0 + 1, .text = "text"};
    const char *cold = "cold.example";

    reopen_shared();
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
        cache_put_route(cache, EXAMPLE, &hosts, &answer);
        cache_put_overridden(cache, "o.example", &answer);
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
    struct live *t;
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
    ck_assert_int_eq(live_open_memory(&t, 1 << 20, &err), MXHOP_OK);
    failmalloc_at(1);
    s = cache_open(&c, t, &policy, &err);
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
    tcase_add_test(t, domain_damaged);
    tcase_add_test(t, failure_damaged);
    tcase_add_test(t, route_damaged);
    tcase_add_test(t, host_damaged);
    tcase_add_test(t, site_damaged);
    tcase_add_test(t, heals);
    tcase_add_test(t, strange_keys);
    tcase_add_test(t, set_is_gone);
    tcase_add_test(t, names_too_long);
    tcase_add_test(t, failure_with_a_strange_reason);
    tcase_add_test(t, contradictions_are_not_kept);
    tcase_add_loop_test(t, large_set_keeps_the_best, 0, COUNT(large));
    tcase_add_test(t, no_memory);
    tcase_add_test(t, no_memory_to_read_a_failure);
    tcase_add_test(t, open_no_memory);
    tcase_add_test(t, closed_with_things_pending);
    return suite_run(s);
}
