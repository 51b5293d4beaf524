/* Replies: the texts at _mta-sts.DOMAIN, and TLSA records. */

#include <stdlib.h>

#include "support/suite.h"
#include "unit/wire_build.h"
#include "dns/reply.h"

#define ID     0x1234
#define AD     0x81a0u
#define NO_AD  0x8180u
#define STS    "v=STSv1; id=1"
#define T_NAME "_25._tcp.mx.example"

static struct build m;
static struct question q;
static char last[WIRE_NAME_TEXT];

static void ask(const char *name, uint16_t type, unsigned flags)
{
    q = (struct question){.id = ID, .type = type};
    strcpy(q.name, name);
    start(&m, ID, flags, name, type);
}

/* A copy of exactly len octets, so that ASan sees any read behind them. */
static uint8_t *exact(size_t len)
{
    uint8_t *copy = malloc(len != 0 ? len : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, m.b, len);
    return copy;
}

static enum records_status read_sts(size_t len, struct domain_txt *sts)
{
    uint8_t *copy = exact(len);
    enum records_status status = RECORDS_BAD;

    if (reply_judge(copy, len, &q, NULL) == REPLY_ANSWER)
        status = reply_txt(copy, len, &q, TLS_TXT_STS, sts, last);
    free(copy);
    return status;
}

static enum records_status read_tlsa(size_t len, struct tlsa *tlsa,
                                     bool *secure)
{
    uint8_t *copy = exact(len);
    enum records_status status = RECORDS_BAD;

    if (reply_judge(copy, len, &q, NULL) == REPLY_ANSWER)
        status = reply_tlsa(copy, len, &q, tlsa, secure, last);
    free(copy);
    return status;
}

/* In strings of `piece` octets. */
static void rr_txt(const char *owner, uint32_t ttl, const char *text,
                   size_t piece)
{
    size_t at = rr_start(&m, AT_AN, owner, WIRE_TYPE_TXT, ttl);
    size_t len = strlen(text);

    for (size_t n; len > 0; len -= n, text += n) {
        n = len < piece ? len : piece;
        put8(&m, (unsigned)n);
        for (size_t i = 0; i < n; i++)
            put8(&m, (unsigned char)text[i]);
    }
    rr_end(&m, at);
}

static void rr_tlsa(unsigned usage, unsigned selector, unsigned matching,
                    size_t len)
{
    size_t at = rr_start(&m, AT_AN, T_NAME, WIRE_TYPE_TLSA, 70);

    put8(&m, usage);
    put8(&m, selector);
    put8(&m, matching);
    while (len-- > 0)
        put8(&m, 0xaa);
    rr_end(&m, at);
}

START_TEST(sts)
{
    struct domain_txt r = {.ttl_s = 400}, before = r;

    ask("_mta-sts.example.com", WIRE_TYPE_TXT, NO_AD);
    rr_cname(&m, "_mta-sts.example.com", 500, "sts.provider");
    rr_txt("sts.provider", 300, STS ";", 255);
    rr_txt("sts.provider", 200, "something else", 255);
    rr_txt("_mta-sts.example.com", 1, STS, 255); /* not at the chain's end */
    for (size_t len = 0; len < m.len; len++)
        ck_assert_int_eq(read_sts(len, &r), RECORDS_BAD);
    ck_assert_mem_eq(&r, &before, sizeof(r));
    ck_assert_int_eq(read_sts(m.len, &r), RECORDS_SOME);
    ck_assert_int_eq(r.state, TXT_FOUND);
    ck_assert_str_eq(r.id, "1");
    ck_assert_uint_eq(r.ttl_s, 200);
    ck_assert_str_eq(last, "sts.provider");
}
END_TEST

START_TEST(sts_none)
{
    static const unsigned flags[] = {0x8180, 0x8183};
    struct domain_txt r;

    for (int i = 0; i < 2; i++) {
        r = (struct domain_txt){.ttl_s = UINT32_MAX};
        ask("_mta-sts.example.com", WIRE_TYPE_TXT, flags[i]);
        rr_soa(&m, "com", 200, 100);
        ck_assert_int_eq(read_sts(m.len, &r),
                         i == 0 ? RECORDS_NODATA : RECORDS_NXDOMAIN);
        ck_assert_int_eq(r.state, TXT_NONE);
        ck_assert_uint_eq(r.ttl_s, 100);
    }
    r = (struct domain_txt){.ttl_s = UINT32_MAX};
    ask("_mta-sts.example.com", WIRE_TYPE_TXT, NO_AD);
    rr_cname(&m, "_mta-sts.example.com", 50, "sts.provider");
    ck_assert_int_eq(read_sts(m.len, &r), RECORDS_PARTIAL);
    ck_assert_int_eq(r.state, TXT_UNKNOWN);
    ck_assert_uint_eq(r.ttl_s, 50);
    ck_assert_str_eq(last, "sts.provider");

    ask("_mta-sts.example.com", WIRE_TYPE_TXT, NO_AD);
    rr_txt("_mta-sts.example.com", 60, STS, 255);
    rr_txt("_mta-sts.example.com", 60, STS, 255);
    ck_assert_int_eq(read_sts(m.len, &r), RECORDS_SOME);
    ck_assert_int_eq(r.state, TXT_NONE);
}
END_TEST

/* Strings are one text, however it is cut, up to WIRE_TXT_MAX octets. */
START_TEST(sts_strings)
{
    static const size_t pieces[] = {1, 3, 7, 255};
    char text[WIRE_TXT_MAX + 300];

    for (size_t p = 0; p < 4; p++)
        for (size_t len = 254; len < sizeof(text); len++) {
            struct domain_txt r = {.ttl_s = 60};

            if (len > 260 && (len < WIRE_TXT_MAX - 2 || p == 0))
                continue;
            memset(text, 'x', len);
            memcpy(text, STS "; x=", strlen(STS "; x="));
            text[len] = '\0';
            ask("_mta-sts.example.com", WIRE_TYPE_TXT, NO_AD);
            rr_txt("_mta-sts.example.com", 60, text, pieces[p]);
            ck_assert_int_eq(read_sts(m.len, &r), RECORDS_SOME);
            ck_assert_int_eq(r.state,
                             len <= WIRE_TXT_MAX ? TXT_FOUND : TXT_NONE);
        }
}
END_TEST

/* Usage, selector, matching type, octets: RFC 7672 3.1. */
static const struct {
    unsigned v[3];
    size_t len;
    enum tlsa_state state;
} tlsas[] = {
    {{3, 1, 1}, 32, TLSA_USABLE},   {{3, 0, 1}, 32, TLSA_USABLE},
    {{3, 1, 2}, 64, TLSA_USABLE},   {{2, 0, 1}, 32, TLSA_USABLE},
    {{2, 1, 2}, 64, TLSA_USABLE},   {{3, 1, 0}, 900, TLSA_WHOLE},
    {{3, 0, 0}, 32, TLSA_WHOLE},    {{2, 0, 0}, 1, TLSA_WHOLE},
    {{2, 1, 0}, 64, TLSA_WHOLE},    {{0, 0, 1}, 32, TLSA_UNUSABLE},
    {{1, 1, 1}, 32, TLSA_UNUSABLE}, {{0, 0, 0}, 900, TLSA_UNUSABLE},
    {{4, 1, 1}, 32, TLSA_UNUSABLE}, {{255, 1, 1}, 32, TLSA_UNUSABLE},
    {{3, 2, 1}, 32, TLSA_UNUSABLE}, {{3, 2, 0}, 32, TLSA_UNUSABLE},
    {{3, 1, 3}, 32, TLSA_UNUSABLE}, {{3, 1, 1}, 31, TLSA_UNUSABLE},
    {{3, 1, 1}, 33, TLSA_UNUSABLE}, {{3, 1, 1}, 0, TLSA_UNUSABLE},
    {{3, 1, 2}, 32, TLSA_UNUSABLE}, {{2, 1, 1}, 64, TLSA_UNUSABLE},
    {{3, 0, 0}, 0, TLSA_UNUSABLE},  {{2, 255, 255}, 32, TLSA_UNUSABLE},
};
#define N_TLSAS (int)(sizeof(tlsas) / sizeof(tlsas[0]))

START_TEST(tlsa)
{
    const unsigned *v = tlsas[_i].v;
    struct tlsa t = {.ttl_s = 400};
    bool secure = true;

    ask(T_NAME, WIRE_TYPE_TLSA, AD);
    rr_tlsa(v[0], v[1], v[2], tlsas[_i].len);
    ck_assert_int_eq(read_tlsa(m.len, &t, &secure), RECORDS_SOME);
    ck_assert_int_eq(t.state, tlsas[_i].state);
    ck_assert_int_eq(t.trust_anchor, t.state == TLSA_USABLE && v[0] == 2);
    ck_assert_uint_eq(t.ttl_s, 70);

    /* One that is of use is enough, whichever it is. A whole certificate
       of an authority beside it may be what the server's is of. */
    rr_tlsa(3, 1, 1, 32);
    rr_tlsa(1, 1, 1, 32);
    for (size_t len = 0; len < m.len; len++)
        ck_assert_int_eq(read_tlsa(len, &t, &secure), RECORDS_BAD);
    ck_assert_int_eq(read_tlsa(m.len, &t, &secure), RECORDS_SOME);
    ck_assert_int_eq(t.state, TLSA_USABLE);
    ck_assert_int_eq(t.trust_anchor,
                     tlsas[_i].state != TLSA_UNUSABLE && v[0] == 2);
    ck_assert(secure);
}
END_TEST

/* What is not signed, in any of the replies, is as if it were not there. */
START_TEST(tlsa_unsigned)
{
    struct tlsa t = {.ttl_s = UINT32_MAX};
    bool secure = true;

    ask(T_NAME, WIRE_TYPE_TLSA, NO_AD);
    rr_tlsa(2, 1, 1, 32);
    ck_assert_int_eq(read_tlsa(m.len, &t, &secure), RECORDS_SOME);
    ck_assert_int_eq(t.state, TLSA_NONE);
    ck_assert(!t.trust_anchor);
    ck_assert(!secure);
    ask(T_NAME, WIRE_TYPE_TLSA, AD);
    rr_tlsa(3, 1, 1, 32);
    ck_assert_int_eq(read_tlsa(m.len, &t, &secure), RECORDS_SOME);
    ck_assert_int_eq(t.state, TLSA_NONE);
}
END_TEST

START_TEST(tlsa_none)
{
    struct tlsa t = {.ttl_s = UINT32_MAX};
    bool secure = true;

    ask(T_NAME, WIRE_TYPE_TLSA, AD);
    rr_cname(&m, T_NAME, 500, "tlsa.provider");
    ck_assert_int_eq(read_tlsa(m.len, &t, &secure), RECORDS_PARTIAL);
    ck_assert_int_eq(t.state, TLSA_UNKNOWN);
    ck_assert_str_eq(last, "tlsa.provider");
    ask(T_NAME, WIRE_TYPE_TLSA, 0x81a3);
    rr_soa(&m, "example", 200, 100);
    ck_assert_int_eq(read_tlsa(m.len, &t, &secure), RECORDS_NXDOMAIN);
    ck_assert_int_eq(t.state, TLSA_NONE);
    ck_assert_uint_eq(t.ttl_s, 100);
    ck_assert(secure);
}
END_TEST

/* Data that ends before it should, beside records that are good. */
START_TEST(cut_data)
{
    static const uint8_t octets[] = {3, 'a', 'b'};
    struct domain_txt r = {.ttl_s = 60};
    struct tlsa t = {.ttl_s = 60};
    bool secure = true;

    for (size_t n = 0; n <= sizeof(octets); n++) {
        size_t at;

        ask("_mta-sts.example.com", WIRE_TYPE_TXT, NO_AD);
        rr_txt("_mta-sts.example.com", 60, STS, 255);
        at = rr_start(&m, AT_AN, "_mta-sts.example.com", WIRE_TYPE_TXT, 60);
        for (size_t i = 0; i < n; i++)
            put8(&m, octets[i]);
        rr_end(&m, at);
        ck_assert_int_eq(read_sts(m.len, &r),
                         n == 0 ? RECORDS_SOME : RECORDS_BAD);
        ask(T_NAME, WIRE_TYPE_TLSA, AD);
        rr_tlsa(3, 1, 1, 32);
        at = rr_start(&m, AT_AN, T_NAME, WIRE_TYPE_TLSA, 60);
        for (size_t i = 0; i < n; i++)
            put8(&m, octets[i]);
        rr_end(&m, at);
        ck_assert_int_eq(read_tlsa(m.len, &t, &secure),
                         n == 3 ? RECORDS_SOME : RECORDS_BAD);
    }
}
END_TEST

START_TEST(wrong_type_asked)
{
    struct domain_txt r = {0};
    struct tlsa t = {0};
    bool secure = true;

    ask(T_NAME, WIRE_TYPE_TLSA, AD);
    rr_tlsa(3, 1, 1, 32);
    ck_assert_int_eq(read_sts(m.len, &r), RECORDS_BAD);
    ask("_mta-sts.example.com", WIRE_TYPE_TXT, NO_AD);
    rr_txt("_mta-sts.example.com", 60, STS, 255);
    ck_assert_int_eq(read_tlsa(m.len, &t, &secure), RECORDS_BAD);
    ck_assert_int_eq(r.state, TXT_UNKNOWN);
    ck_assert_int_eq(t.state, TLSA_UNKNOWN);
    ck_assert(secure);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reply_tls");
    TCase *t = tcase_create("reply_tls");

    tcase_add_test(t, sts);
    tcase_add_test(t, sts_none);
    tcase_add_test(t, sts_strings);
    tcase_add_loop_test(t, tlsa, 0, N_TLSAS);
    tcase_add_test(t, tlsa_unsigned);
    tcase_add_test(t, tlsa_none);
    tcase_add_test(t, cut_data);
    tcase_add_test(t, wrong_type_asked);
    suite_add_tcase(s, t);
    return suite_run(s);
}
