/* Records: what was written is read back; cut or altered ones are bad. */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/codec.h"
#include "support/failmalloc.h"

static struct domain_record sample_domain(void)
{
    struct domain_record r = {.written_ms = 1000,
                              .refresh_ms = 2000,
                              .has_answer = true,
                              .stored_ms = 900,
                              .expires_ms = 61000};

    r.failure.count = 2;
    r.failure.retry_ms = 11000;
    r.failure_text = strdup("SERVFAIL from 192.0.2.1");
    r.answer.outcome = MX_HOSTS;
    r.answer.secure = true;
    r.answer.ttl_s = 60;
    ck_assert(mxset_add(&r.answer, "mx1.example.com", 10));
    ck_assert(mxset_add(&r.answer, "mx2.example.com", 20));
    return r;
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

START_TEST(domain_roundtrip)
{
    struct domain_record r = sample_domain(), back;
    struct buf b = {0};

    ck_assert(domain_record_encode(&b, &r, 65536));
    ck_assert_int_eq(domain_record_decode(b.data, b.len, &back), CODEC_OK);
    ck_assert_uint_eq(back.written_ms, 1000);
    ck_assert_uint_eq(back.refresh_ms, 2000);
    ck_assert_uint_eq(back.failure.count, 2);
    ck_assert_uint_eq(back.failure.retry_ms, 11000);
    ck_assert_str_eq(back.failure_text, r.failure_text);
    ck_assert_uint_eq(back.answer.n_mx, 2);
    ck_assert_str_eq(back.answer.mx[1].host, "mx2.example.com");
    ck_assert_uint_eq(back.answer.mx[1].preference, 20);
    ck_assert(back.answer.secure && !back.answer.implicit);
    domain_record_free(&back);
    domain_record_free(&r);
    buf_free(&b);
}
END_TEST

START_TEST(domain_too_large_keeps_the_best)
{
    struct domain_record r = sample_domain(), back;
    struct buf b = {0};
    char host[64];

    for (int i = 0; i < 500; i++) {
        snprintf(host, sizeof(host), "host%d.example.com", i);
        ck_assert(mxset_add(&r.answer, host, 30));
    }
    ck_assert(domain_record_encode(&b, &r, 2000));
    ck_assert_uint_le(b.len, 2000);
    ck_assert_int_eq(domain_record_decode(b.data, b.len, &back), CODEC_OK);
    ck_assert_uint_gt(back.answer.n_mx, 40);
    ck_assert_uint_lt(back.answer.n_mx, 502);
    ck_assert_str_eq(back.answer.mx[0].host, "mx1.example.com");
    domain_record_free(&back);
    domain_record_free(&r);
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
    enum codec_status s = domain_record_decode(p, n, &r);

    domain_record_free(&r);
    return s;
}

static enum codec_status try_host(const void *p, size_t n)
{
    struct host_record r;

    return host_record_decode(p, n, &r);
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
    struct host_record h = {.written_ms = 5};
    struct override o = sample_override();
    struct table_meta m = {.version = 3, .source = "ldif:/x"};
    struct buf b = {0};

    ck_assert(domain_record_encode(&b, &d, 65536));
    batter(&b, try_domain);
    buf_reset(&b);
    h.family[FAMILY_V4].state = ADDR_SOME;
    h.family[FAMILY_V4].n = 2;
    ck_assert(host_record_encode(&b, &h));
    batter(&b, try_host);
    buf_reset(&b);
    ck_assert(override_encode(&b, &o));
    batter(&b, try_override);
    buf_reset(&b);
    ck_assert(table_meta_encode(&b, &m));
    batter(&b, try_meta);
    buf_free(&b);
    domain_record_free(&d);
    override_free(&o);
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
    struct domain_record d = sample_domain(), d2;
    struct override o = sample_override(), o2;
    struct buf b = {0}, c = {0};

    ck_assert(domain_record_encode(&b, &d, 65536) && override_encode(&c, &o));
    for (unsigned n = 1;; n++) {
        enum codec_status s;
        bool hit;

        failmalloc_at(n);
        s = domain_record_decode(b.data, b.len, &d2);
        if (s == CODEC_OK) {
            s = override_decode(c.data, c.len, &o2);
            domain_record_free(&d2);
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
    domain_record_free(&d);
    override_free(&o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("codec");
    TCase *t = tcase_create("codec");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, domain_roundtrip);
    tcase_add_test(t, domain_too_large_keeps_the_best);
    tcase_add_test(t, damaged);
    tcase_add_test(t, override_roundtrip);
    tcase_add_test(t, no_memory);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
