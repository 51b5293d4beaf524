/* Records of the cache: what was written is read back; what does not fit
   together is bad. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "support/suite.h"
#include "cache/record.h"
#include "support/failmalloc.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct chars chars(const char *text)
{
    return (struct chars){text, strlen(text)};
}

static void assert_chars(struct chars a, struct chars b)
{
    ck_assert_uint_eq(a.len, b.len);
    if (a.len > 0)
        ck_assert_mem_eq(a.at, b.at, a.len);
}

START_TEST(printable)
{
    char text[40];

    for (size_t len = 0; len <= sizeof(text); len++) {
        memset(text, 'a', sizeof(text));
        ck_assert(record_is_printable(text, len));
        for (size_t i = 0; i < len; i++)
            for (int c = 0; c < 256; c++) {
                text[i] = (char)c;
                ck_assert_int_eq(record_is_printable(text, len),
                                 c >= ' ' && c <= '~');
                text[i] = 'a';
            }
    }
    ck_assert(record_is_printable(NULL, 0));
}
END_TEST

START_TEST(domain_roundtrip)
{
    struct domain_record r[] = {
        {.f = {.written_ms = 1000,
               .stored_ms = 900,
               .refresh_ms = 2000,
               .site = {{1, 2}},
               .failure = {11000, 2},
               .ttl_s = 60,
               .flags = DOMAIN_ANSWER | DOMAIN_HOSTS | DOMAIN_ROUTE},
         .failure_text = chars("SERVFAIL from 192.0.2.1"),
         .route = {.f = {.made_of = 5,
                         .expires_ms = INT64_MAX,
                         .has_text = 1,
                         .from_s = 7,
                         .until_s = UINT32_MAX},
                   .text = chars("[mx1.example.com]")}},
        {.f = {.written_ms = 1, .flags = DOMAIN_CLAIM, .refresh_ms = 2}},
        {.f = {.flags = DOMAIN_ANSWER | DOMAIN_ROUTE}},
        {.f = {.failure = {7, 255}}},
        {.f = {.flags = DOMAIN_ANSWER | DOMAIN_STS | DOMAIN_RPT | DOMAIN_ROUTE},
         .txt = {{{.stored_ms = 5, .ttl_s = 6, .state = TXT_FOUND, .id_len = 2},
                  "a1"},
                 {{.stored_ms = 7, .ttl_s = 8, .state = TXT_NONE}, ""}},
         .route = {.f = {.has_text = 1}, .text = chars("[mx1.example.com]")}},
        {.f = {.flags = DOMAIN_STS}, .txt[TLS_TXT_STS].f.state = TXT_NONE},
        {.f = {.flags = DOMAIN_RPT},
         .txt[TLS_TXT_RPT] = {{.state = TXT_FOUND, .id_len = 8}, "TLSRPTv1"}},
        {.f = {.flags = DOMAIN_STS},
         .txt[TLS_TXT_STS].f.failure = {7, 1},
         .failure_text = {NULL, 0}},
    };

    for (size_t i = 0; i < COUNT(r); i++) {
        struct domain_record back;
        struct buf b = {0};

        ck_assert(domain_record_encode(&b, &r[i]));
        ck_assert(domain_record_decode(b.data, b.len, &back));
        r[i].f.failure_len = (uint16_t)r[i].failure_text.len;
        ck_assert_mem_eq(&back.f, &r[i].f, sizeof(back.f));
        assert_chars(back.failure_text, r[i].failure_text);
        for (int t = 0; t < TLS_TXTS; t++) {
            const struct txt_record *had = &r[i].txt[t], *has = &back.txt[t];

            if ((r[i].f.flags & DOMAIN_TXT(t)) == 0)
                continue;
            ck_assert_mem_eq(&has->f, &had->f, sizeof(has->f));
            ck_assert_mem_eq(has->id, had->id, has->f.id_len);
        }
        if ((r[i].f.flags & DOMAIN_ROUTE) != 0) {
            ck_assert_mem_eq(&back.route.f, &r[i].route.f,
                             sizeof(back.route.f));
            assert_chars(back.route.text, r[i].route.text);
        }
        buf_free(&b);
    }
}
END_TEST

static const struct domain_record bad_domains[] = {
    {.f = {.flags = 0x40}},
    {.f = {.flags = DOMAIN_STS}, .txt[TLS_TXT_STS].f.state = TXT_FAILED},
    {.f = {.flags = DOMAIN_STS}, .txt[TLS_TXT_STS].f.state = TXT_FOUND},
    {.f = {.flags = DOMAIN_STS}, .txt[TLS_TXT_STS] = {{.id_len = 1}, "a"}},
    {.f = {.flags = DOMAIN_STS},
     .txt[TLS_TXT_STS] = {{.state = TXT_FOUND, .id_len = 3}, "a-b"}},
    {.f = {.flags = DOMAIN_STS | DOMAIN_RPT},
     .txt[TLS_TXT_RPT].f.state = TXT_FOUND},
    {.f = {.flags = DOMAIN_HOSTS}},
    {.f = {.flags = DOMAIN_ROUTE}},
    {.failure_text = {"x", 1}},
};

START_TEST(domains_that_contradict_themselves)
{
    struct domain_record back;
    struct buf b = {0};

    ck_assert(domain_record_encode(&b, &bad_domains[_i]));
    ck_assert(!domain_record_decode(b.data, b.len, &back));
    buf_free(&b);
}
END_TEST

START_TEST(host_roundtrip)
{
    struct host_record r = {.f = {.written_ms = 5000, .refresh_ms = 6000}};
    struct host_record back;
    struct buf b = {0};

    r.f.family[FAMILY_V4] = (struct host_family){
        .state = ADDR_SOME, .n = 1, .ttl_s = 60, .stored_ms = 5000};
    r.v4[0].s_addr = 0x010200c0;
    r.f.family[FAMILY_V6] = (struct host_family){
        .state = ADDR_SOME, .n = ADDRS_MAX, .secure = 1, .failure = {7000, 1}};
    r.v6[ADDRS_MAX - 1].s6_addr[0] = 0x20;
    ck_assert(host_record_encode(&b, &r));
    ck_assert(host_record_decode(b.data, b.len, &back));
    ck_assert_mem_eq(&back, &r, sizeof(r));
    ck_assert(!host_record_decode(b.data, b.len - 1, &back));

    buf_reset(&b);
    r.tlsa = (struct host_tlsa){
        .stored_ms = 1, .ttl_s = 2, .state = TLSA_USABLE, .trust_anchor = 1};
    ck_assert(host_record_encode(&b, &r));
    ck_assert(host_record_decode(b.data, b.len, &back));
    ck_assert_mem_eq(&back, &r, sizeof(r));
    ck_assert(!host_record_decode(b.data, b.len - 1, &back));
    buf_reset(&b);
    r.tlsa.state = TLSA_UNUSABLE; /* and an anchor */
    ck_assert(host_record_encode(&b, &r));
    ck_assert(!host_record_decode(b.data, b.len, &back));
    buf_reset(&b);
    r.tlsa = (struct host_tlsa){.state = TLSA_FAILED};
    ck_assert(host_record_encode(&b, &r));
    ck_assert(!host_record_decode(b.data, b.len, &back));
    r.tlsa = (struct host_tlsa){0};

    buf_reset(&b);
    r.f.family[FAMILY_V6].state = ADDR_NONE; /* with addresses */
    ck_assert(host_record_encode(&b, &r));
    ck_assert(!host_record_decode(b.data, b.len, &back));
    buf_free(&b);
}
END_TEST

START_TEST(route_texts)
{
    struct route_record r = {.f = {.has_text = 1}, .text = chars("text")};
    struct route_record back;
    struct buf b = {0};

    ck_assert(route_record_encode(&b, &r));
    ck_assert(route_record_decode(b.data, b.len, &back));
    b.data[b.len - 1] = '\n';
    ck_assert(!route_record_decode(b.data, b.len, &back));
    r.f.has_text = 0; /* no words, and yet some */
    ck_assert(!route_record_encode(&b, &r));
    r.f.has_text = 1;
    r.text = chars("t\xc3\xa9xt");
    ck_assert(!route_record_encode(&b, &r));
    r.text.len = RECORD_TEXT_MAX + 1;
    ck_assert(!route_record_encode(&b, &r));
    buf_free(&b);
}
END_TEST

static struct mxset sample_set(void)
{
    struct mxset s = {.outcome = MX_HOSTS, .secure = true, .ttl_s = 60};

    ck_assert(mxset_add(&s, "mx1.example.com", 10));
    ck_assert(mxset_add(&s, "mx2.example.com", 20));
    return s;
}

START_TEST(site_roundtrip)
{
    struct mxset set = sample_set(), back;
    struct buf b = {0};
    struct chars host;
    char name[600];
    size_t at = 0;

    memset(name, 'x', sizeof(name));
    for (size_t n = 255; n <= 257; n++) {
        name[n] = '\0';
        ck_assert(mxset_add(&set, name, (uint16_t)(n + 65000)));
        name[n] = 'x';
    }
    ck_assert(site_record_encode(&b, &set, 65536));
    ck_assert_int_eq(site_record_decode(b.data, b.len, &back), CODEC_OK);
    ck_assert(back.secure && !back.implicit && !back.dot_ignored);
    ck_assert_uint_eq(back.n_mx, set.n_mx);
    for (size_t i = 0; i < set.n_mx; i++) {
        ck_assert_str_eq(back.mx[i].host, set.mx[i].host);
        ck_assert_uint_eq(back.mx[i].preference, set.mx[i].preference);
        ck_assert(site_record_next(b.data, b.len, &at, &host));
        assert_chars(host, chars(set.mx[i].host));
    }
    ck_assert(!site_record_next(b.data, b.len, &at, &host));
    mxset_free(&back);
    ck_assert(site_record_encode(&b, &set, 60)); /* room for two */
    ck_assert_uint_le(b.len, 60);
    ck_assert_int_eq(site_record_decode(b.data, b.len, &back), CODEC_OK);
    ck_assert_uint_eq(back.n_mx, 2);
    ck_assert(!site_record_encode(&b, &set, 10)); /* for none */
    mxset_free(&set);
    mxset_free(&back);
    buf_free(&b);
}
END_TEST

static const struct {
    size_t len;
    const char *bytes;
} bad_sites[] = {
    {0, ""},
    {1, "\0"},              /* hosts, but none */
    {1, "\3"},              /* a failure */
    {1, "\x21"},            /* an unknown flag */
    {6, "\1\0\1\1\0x"},     /* null MX with a host */
    {6, "\0\0\1\2\0x"},     /* cut */
    {4, "\0\0\1\xff"},      /* cut in a length */
    {7, "\0\0\1\2\0x\0"},   /* NUL in a name */
    {7, "\0\0\1\2\0x\n"},   /* a line's end in a name */
    {7, "\0\0\1\2\0x\xff"}, /* eight bits in a name */
};

START_TEST(bad_site)
{
    size_t len = bad_sites[_i].len;
    char *exact = malloc(len > 0 ? len : 1);
    struct mxset set;

    memcpy(exact, bad_sites[_i].bytes, len);
    ck_assert_int_eq(site_record_decode(exact, len, &set), CODEC_BAD);
    ck_assert(set.mx == NULL && set.n_mx == 0);
    free(exact);
}
END_TEST

START_TEST(no_memory)
{
    struct mxset set = sample_set(), back;

    for (unsigned n = 1;; n++) {
        enum codec_status status = CODEC_MEMORY;
        struct buf b = {0};
        bool hit, encoded;

        failmalloc_at(n);
        encoded = site_record_encode(&b, &set, 65536);
        if (encoded)
            status = site_record_decode(b.data, b.len, &back);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(status, hit ? CODEC_MEMORY : CODEC_OK);
        buf_free(&b);
        if (hit)
            continue;
        mxset_free(&back);
        break;
    }
    mxset_free(&set);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("record");
    TCase *t = tcase_create("record");

    tcase_add_test(t, printable);
    tcase_add_test(t, domain_roundtrip);
    tcase_add_loop_test(t, domains_that_contradict_themselves, 0,
                        COUNT(bad_domains));
    tcase_add_test(t, host_roundtrip);
    tcase_add_test(t, route_texts);
    tcase_add_test(t, site_roundtrip);
    tcase_add_loop_test(t, bad_site, 0, COUNT(bad_sites));
    tcase_add_test(t, no_memory);
    suite_add_tcase(s, t);
    return suite_run(s);
}
