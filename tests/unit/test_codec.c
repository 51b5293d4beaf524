/* Records: what was written is read back; cut or altered ones are bad. */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/codec.h"
#include "overrides/codec.h"
#include "support/failmalloc.h"

static struct chars chars(const char *text)
{
    return (struct chars){text, strlen(text)};
}

static struct domain_record plain_domain(void)
{
    return (struct domain_record){.name = chars("a-domain.example.com"),
                                  .worth = WORTH_ONCE,
                                  .written_ms = 1000,
                                  .has_answer = true,
                                  .has_hosts = true,
                                  .stored_ms = 1000,
                                  .ttl_s = 60,
                                  .site = {0x0123456789abcdef, 0x76543210}};
}

/* With all that need not be there. */
static struct domain_record sample_domain(void)
{
    struct domain_record r = plain_domain();

    r.refresh_ms = 2000;
    r.claim = true;
    r.stored_ms = 900;
    r.failure = (struct failure_note){2, 11000};
    r.failure_text = chars("SERVFAIL from 192.0.2.1");
    r.first = true;
    r.route = (struct chars){"any\0thing", 9};
    return r;
}

static struct host_record plain_host(void)
{
    struct host_record r = {.name = chars("a-host99.example.com"),
                            .worth = WORTH_USED,
                            .written_ms = 5000};

    r.family[FAMILY_V4] = (struct host_family){
        .state = ADDR_SOME, .n = 1, .ttl_s = 60, .stored_ms = 5000};
    r.v4[0].s_addr = 0x010200c0;
    return r;
}

static struct host_record sample_host(void)
{
    struct host_record r = plain_host();

    r.refresh_ms = 6000;
    r.family[FAMILY_V4].failure = (struct failure_note){1, 7000};
    r.family[FAMILY_V6] = (struct host_family){
        .state = ADDR_SOME, .n = 2, .secure = true, .stored_ms = 4000};
    r.v6[1].s6_addr[0] = 0x20;
    return r;
}

static struct mxset sample_set(void)
{
    struct mxset s = {.outcome = MX_HOSTS, .secure = true, .ttl_s = 60};

    ck_assert(mxset_add(&s, "mx1.example.com", 10));
    ck_assert(mxset_add(&s, "mx2.example.com", 20));
    return s;
}

static struct route_record sample_route(void)
{
    return (struct route_record){.worth = WORTH_ONCE,
                                 .check = 7,
                                 .made_of = 0x1122334455667788,
                                 .expires_ms = 61000,
                                 .from_s = 1700000000,
                                 .until_s = 1700000600,
                                 .has_text = true,
                                 .text = chars("[mx1.example.com]")};
}

static struct override sample_override(void)
{
    struct override o = {.mode = OVERRIDE_PREPEND,
                         .enabled = true,
                         .group = OVERRIDE_GROUP_SITE,
                         .not_after_s = 77};
    struct hopspec hop = {
        .kind = HOP_HOST, .has_preference = true, .preference = 5, .port = 587};

    strcpy(hop.host, "relay.example.net");
    o.dn = strdup("cn=one,dc=example");
    o.transport = strdup("smtp");
    ck_assert(strlist_add(&o.keys, "example.com"));
    ck_assert(strlist_add(&o.exchanges, ".example.net"));
    ck_assert(strlist_add(&o.excludes, "old.example.net"));
    ck_assert(override_add_hop(&o, &hop));
    return o;
}

static void assert_chars(struct chars a, struct chars b)
{
    ck_assert_uint_eq(a.len, b.len);
    if (a.len > 0)
        ck_assert_mem_eq(a.at, b.at, a.len);
}

static void assert_domain(const struct domain_record *a,
                          const struct domain_record *b)
{
    assert_chars(a->name, b->name);
    ck_assert_uint_eq(a->worth, b->worth);
    ck_assert_uint_eq(a->written_ms, b->written_ms);
    ck_assert_uint_eq(a->refresh_ms, b->refresh_ms);
    ck_assert_int_eq(a->claim, b->claim);
    ck_assert_uint_eq(a->failure.count, b->failure.count);
    ck_assert_uint_eq(a->failure.retry_ms, b->failure.retry_ms);
    assert_chars(a->failure_text, b->failure_text);
    ck_assert_int_eq(a->has_answer, b->has_answer);
    ck_assert_int_eq(a->has_hosts, b->has_hosts);
    ck_assert_uint_eq(a->stored_ms, b->stored_ms);
    ck_assert_uint_eq(a->ttl_s, b->ttl_s);
    ck_assert_uint_eq(a->site.hash, b->site.hash);
    ck_assert_uint_eq(a->site.check, b->site.check);
    ck_assert_int_eq(a->first, b->first);
    assert_chars(a->route, b->route);
}

START_TEST(domain_roundtrip)
{
    struct domain_record r[] = {
        plain_domain(),
        sample_domain(),
        {.name = chars("x"),
         .written_ms = (1ull << 40) - 1,
         .claim = true,
         .refresh_ms = 5},
        {.name = chars("x"), .failure = {255, 7}},
    };

    for (size_t i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
        struct domain_record back;
        struct buf b = {0};

        ck_assert(domain_record_encode(&b, &r[i]));
        ck_assert(domain_record_decode(b.data, b.len, &back));
        assert_domain(&r[i], &back);
        buf_free(&b);
    }
}
END_TEST

START_TEST(host_roundtrip)
{
    struct host_record r[] = {
        plain_host(), sample_host(), {.name = chars("x")}};

    for (size_t i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
        struct host_record back;
        struct buf b = {0};

        ck_assert(host_record_encode(&b, &r[i]));
        ck_assert(host_record_decode(b.data, b.len, &back));
        assert_chars(r[i].name, back.name);
        ck_assert_uint_eq(back.worth, r[i].worth);
        ck_assert_uint_eq(back.written_ms, r[i].written_ms);
        ck_assert_uint_eq(back.refresh_ms, r[i].refresh_ms);
        for (int f = 0; f < FAMILIES; f++) {
            const struct host_family *x = &r[i].family[f];
            const struct host_family *y = &back.family[f];

            ck_assert_uint_eq(x->state, y->state);
            ck_assert_uint_eq(x->n, y->n);
            ck_assert_int_eq(x->secure, y->secure);
            ck_assert_uint_eq(x->stored_ms, y->stored_ms);
            ck_assert_uint_eq(x->ttl_s, y->ttl_s);
            ck_assert_uint_eq(x->failure.count, y->failure.count);
            ck_assert_uint_eq(x->failure.retry_ms, y->failure.retry_ms);
        }
        ck_assert_mem_eq(r[i].v4, back.v4, sizeof(back.v4));
        ck_assert_mem_eq(r[i].v6, back.v6, sizeof(back.v6));
        buf_free(&b);
    }
}
END_TEST

/* A million domains have to fit (docs/performance.md). */
START_TEST(sizes)
{
    struct domain_record d = plain_domain();
    struct host_record h = plain_host();
    struct route_record r = sample_route();
    struct mxset set = sample_set();
    struct buf b = {0};

    ck_assert(domain_record_encode(&b, &d));
    ck_assert_uint_le(b.len, 56);
    buf_reset(&b);
    ck_assert(host_record_encode(&b, &h));
    ck_assert_uint_le(b.len, 56);
    buf_reset(&b);
    ck_assert(route_record_encode(&b, &r));
    ck_assert_uint_le(b.len - r.text.len, 36);
    ck_assert(site_content_encode(&b, &set, 65536));
    ck_assert_uint_le(SITE_RECORD_HEAD + b.len, 8 + 2 * (3 + 15));
    mxset_free(&set);
    buf_free(&b);
}
END_TEST

START_TEST(site_roundtrip)
{
    struct mxset set = sample_set(), back;
    struct buf content = {0}, b = {0};
    struct site_record r, got;
    struct chars host;
    char name[600];
    size_t at = 0;

    memset(name, 'x', sizeof(name));
    for (size_t n = 253; n <= 256; n++) { /* lengths of one octet, of three */
        name[n] = '\0';
        ck_assert(mxset_add(&set, name, (uint16_t)(n + 65000)));
        name[n] = 'x';
    }
    ck_assert(site_content_encode(&content, &set, 65536));
    r = (struct site_record){WORTH_USED, 77, (unsigned char *)content.data,
                             content.len};
    ck_assert(site_record_encode(&b, &r));
    ck_assert(site_record_decode(b.data, b.len, &got));
    ck_assert_uint_eq(got.worth, WORTH_USED);
    ck_assert_uint_eq(got.written_ms, 77);
    ck_assert_uint_eq(got.content_len, content.len);
    ck_assert_mem_eq(got.content, content.data, content.len);
    ck_assert_int_eq(site_content_decode(got.content, got.content_len, &back),
                     CODEC_OK);
    ck_assert(back.secure && !back.implicit && !back.dot_ignored);
    ck_assert_uint_eq(back.n_mx, set.n_mx);
    for (size_t i = 0; i < set.n_mx; i++) {
        ck_assert_str_eq(back.mx[i].host, set.mx[i].host);
        ck_assert_uint_eq(back.mx[i].preference, set.mx[i].preference);
        ck_assert(site_content_next(got.content, got.content_len, &at, &host));
        assert_chars(host, chars(set.mx[i].host));
    }
    ck_assert(!site_content_next(got.content, got.content_len, &at, &host));
    mxset_free(&set);
    mxset_free(&back);
    buf_free(&content);
    buf_free(&b);
}
END_TEST

START_TEST(site_too_large_keeps_the_best)
{
    struct mxset set = sample_set(), back;
    struct buf b = {0};
    char host[64];

    for (int i = 0; i < 500; i++) {
        snprintf(host, sizeof(host), "host%d.example.com", i);
        ck_assert(mxset_add(&set, host, 30));
    }
    ck_assert(site_content_encode(&b, &set, 2000));
    ck_assert_uint_le(b.len, 2000);
    ck_assert_int_eq(site_content_decode(b.data, b.len, &back), CODEC_OK);
    ck_assert_uint_gt(back.n_mx, 40);
    ck_assert_uint_lt(back.n_mx, 502);
    ck_assert_str_eq(back.mx[0].host, "mx1.example.com");
    mxset_free(&back);
    ck_assert(!site_content_encode(&b, &set, 10)); /* no room for any */
    mxset_free(&set);
    buf_free(&b);
}
END_TEST

START_TEST(route_roundtrip)
{
    struct route_record r = sample_route(), back;
    struct buf b = {0};

    ck_assert(route_record_encode(&b, &r));
    ck_assert(route_record_decode(b.data, b.len, &back));
    ck_assert_uint_eq(back.check, 7);
    ck_assert_uint_eq(back.made_of, r.made_of);
    ck_assert_uint_eq(back.expires_ms, 61000);
    ck_assert_int_eq(back.from_s, r.from_s);
    ck_assert_int_eq(back.until_s, r.until_s);
    ck_assert(back.has_text && !back.by_domain);
    assert_chars(back.text, r.text);
    r.from_s = INT64_MIN; /* narrowed, never widened */
    r.until_s = INT64_MAX;
    buf_reset(&b);
    ck_assert(route_record_encode(&b, &r));
    ck_assert(route_record_decode(b.data, b.len, &back));
    ck_assert_int_eq(back.from_s, 0);
    ck_assert_int_eq(back.until_s, 0xffffffffffff);
    r.text.len = 70000;
    ck_assert(!route_record_encode(&b, &r));
    buf_free(&b);
}
END_TEST

START_TEST(names_that_do_not_fit)
{
    struct domain_record d = plain_domain();
    struct host_record h = plain_host();
    struct server_record s = {.address = {"", 0}};
    struct buf b = {0};

    for (size_t n = 0; n <= 256; n += 256) {
        d.name.len = h.name.len = s.address.len = n;
        ck_assert(!domain_record_encode(&b, &d));
        ck_assert(!host_record_encode(&b, &h));
        ck_assert(!server_record_encode(&b, &s));
    }
    buf_free(&b);
}
END_TEST

/* Every cut, one octet too many, every octet altered: never a crash, and a
   cut is always bad. */
static void batter(const struct buf *b,
                   enum codec_status (*decode)(const void *, size_t))
{
    char *copy = malloc(b->len + 1);

    for (size_t n = 0; n < b->len; n++) {
        char *exact = malloc(n > 0 ? n : 1);

        memcpy(exact, b->data, n);
        ck_assert_int_eq(decode(exact, n), CODEC_BAD);
        free(exact);
    }
    memcpy(copy, b->data, b->len);
    copy[b->len] = 0;
    ck_assert_int_eq(decode(copy, b->len + 1), CODEC_BAD);
    for (size_t i = 0; i < b->len; i++)
        for (unsigned x = 1; x < 256; x = x * 2 + 1) {
            copy[i] = (char)(b->data[i] ^ (char)x);
            decode(copy, b->len);
            copy[i] = b->data[i];
        }
    copy[0] = 99;
    ck_assert_int_eq(decode(copy, b->len), CODEC_BAD);
    free(copy);
}

static enum codec_status try_domain(const void *p, size_t n)
{
    struct domain_record r;

    return domain_record_decode(p, n, &r) ? CODEC_OK : CODEC_BAD;
}

static enum codec_status try_host(const void *p, size_t n)
{
    struct host_record r;

    return host_record_decode(p, n, &r) ? CODEC_OK : CODEC_BAD;
}

static enum codec_status try_route(const void *p, size_t n)
{
    struct route_record r;

    return route_record_decode(p, n, &r) ? CODEC_OK : CODEC_BAD;
}

static enum codec_status try_server(const void *p, size_t n)
{
    struct server_record r;

    return server_record_decode(p, n, &r) ? CODEC_OK : CODEC_BAD;
}

static enum codec_status try_override(const void *p, size_t n)
{
    struct override o;
    enum codec_status s = override_decode(p, n, &o);

    if (s != CODEC_OK)
        ck_assert(o.dn == NULL && o.hops == NULL && o.keys.n == 0);
    override_free(&o);
    return s;
}

static enum codec_status try_meta(const void *p, size_t n)
{
    struct table_meta m;

    return table_meta_decode(p, n, &m);
}

START_TEST(damaged)
{
    struct domain_record d = sample_domain();
    struct host_record h = sample_host();
    struct route_record r = sample_route();
    struct server_record server = {.address = chars("192.0.2.1")};
    struct override o = sample_override();
    struct table_meta m = {.entries = 3, .source = "ldif:/x"};
    struct buf b = {0};

    ck_assert(domain_record_encode(&b, &d));
    batter(&b, try_domain);
    buf_reset(&b);
    ck_assert(host_record_encode(&b, &h));
    batter(&b, try_host);
    buf_reset(&b);
    ck_assert(route_record_encode(&b, &r));
    batter(&b, try_route);
    buf_reset(&b);
    ck_assert(server_record_encode(&b, &server));
    batter(&b, try_server);
    buf_reset(&b);
    ck_assert(override_encode(&b, &o));
    batter(&b, try_override);
    buf_reset(&b);
    ck_assert(table_meta_encode(&b, &m));
    batter(&b, try_meta);
    buf_free(&b);
    override_free(&o);
}
END_TEST

/* The octets of a set are verified by their hash; still, none may crash. */
START_TEST(damaged_site)
{
    static const struct {
        size_t len;
        const char *bytes;
    } bad[] = {
        {0, ""},
        {1, "\0"},                 /* hosts, but none */
        {1, "\3"},                 /* a failure */
        {1, "\x21"},               /* an unknown flag */
        {5, "\1\0\1\1x"},          /* null MX with a host */
        {5, "\0\0\1\2x"},          /* cut */
        {4, "\0\0\1\xff"},         /* cut in a length */
        {6, "\0\0\1\xff\xff\xff"}, /* cut after it */
        {6, "\0\0\1\2x\0"},        /* NUL in a name */
    };
    struct mxset set;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *exact = malloc(bad[i].len + 1);

        memcpy(exact, bad[i].bytes, bad[i].len);
        exact = realloc(exact, bad[i].len > 0 ? bad[i].len : 1);
        ck_assert_msg(site_content_decode(exact, bad[i].len, &set) == CODEC_BAD,
                      "%zu", i);
        ck_assert(set.mx == NULL && set.n_mx == 0);
        free(exact);
    }
}
END_TEST

START_TEST(override_roundtrip)
{
    struct override o = sample_override(), back;
    struct buf b = {0}, again = {0};

    ck_assert(override_encode(&b, &o));
    ck_assert_int_eq(override_decode(b.data, b.len, &back), CODEC_OK);
    ck_assert(override_encode(&again, &back));
    ck_assert_uint_eq(b.len, again.len);
    ck_assert_mem_eq(b.data, again.data, b.len);
    ck_assert_str_eq(back.hops[0].host, "relay.example.net");
    ck_assert_uint_eq(back.hops[0].port, 587);
    ck_assert_ptr_null(back.reason);
    override_free(&o);
    override_free(&back);
    buf_free(&b);
    buf_free(&again);
}
END_TEST

START_TEST(no_memory)
{
    struct override o = sample_override(), o2;
    struct mxset set = sample_set(), set2;
    struct buf b = {0}, c = {0};

    ck_assert(site_content_encode(&b, &set, 65536) && override_encode(&c, &o));
    for (unsigned n = 1;; n++) {
        enum codec_status s;
        bool hit;

        failmalloc_at(n);
        s = site_content_decode(b.data, b.len, &set2);
        if (s == CODEC_OK) {
            s = override_decode(c.data, c.len, &o2);
            mxset_free(&set2);
            override_free(&o2);
        }
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(s, hit ? CODEC_MEMORY : CODEC_OK);
        if (!hit)
            break;
    }
    buf_free(&b);
    buf_free(&c);
    mxset_free(&set);
    override_free(&o);
}
END_TEST

START_TEST(no_memory_to_encode)
{
    struct mxset set = sample_set();

    for (unsigned n = 1;; n++) {
        struct buf b = {0};
        bool hit, encoded;

        failmalloc_at(n);
        encoded = site_content_encode(&b, &set, 65536);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(encoded, !hit);
        buf_free(&b);
        if (!hit)
            break;
    }
    mxset_free(&set);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("codec");
    TCase *t = tcase_create("codec");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, domain_roundtrip);
    tcase_add_test(t, host_roundtrip);
    tcase_add_test(t, sizes);
    tcase_add_test(t, site_roundtrip);
    tcase_add_test(t, site_too_large_keeps_the_best);
    tcase_add_test(t, route_roundtrip);
    tcase_add_test(t, names_that_do_not_fit);
    tcase_add_test(t, damaged);
    tcase_add_test(t, damaged_site);
    tcase_add_test(t, override_roundtrip);
    tcase_add_test(t, no_memory);
    tcase_add_test(t, no_memory_to_encode);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
