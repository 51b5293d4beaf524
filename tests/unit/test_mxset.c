/* MX sets as plain values. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "model/mxset.h"
#include "support/failmalloc.h"

START_TEST(test_state)
{
    static const struct {
        uint8_t v4, v6;
        unsigned families;
        enum addr_state want;
    } rows[] = {
        {ADDR_SOME, ADDR_NONE, 3, ADDR_SOME},
        {ADDR_NONE, ADDR_SOME, 3, ADDR_SOME},
        {ADDR_NONE, ADDR_SOME, 1, ADDR_NONE},
        {ADDR_FAILED, ADDR_SOME, 1, ADDR_FAILED},
        {ADDR_FAILED, ADDR_SOME, 3, ADDR_SOME},
        {ADDR_UNKNOWN, ADDR_FAILED, 3, ADDR_FAILED},
        {ADDR_NONE, ADDR_FAILED, 3, ADDR_FAILED},
        {ADDR_NONE, ADDR_UNKNOWN, 3, ADDR_UNKNOWN},
        {ADDR_NONE, ADDR_NONE, 3, ADDR_NONE},
        {ADDR_SOME, ADDR_SOME, 0, ADDR_NONE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hostaddrs a = {.state = {rows[i].v4, rows[i].v6}};

        ck_assert_int_eq(hostaddrs_state(&a, rows[i].families), rows[i].want);
    }
}
END_TEST

START_TEST(test_tlsa_of_signed_addresses)
{
    static const struct {
        enum addr_state v4, v6;
        bool secure, alias, settled;
    } rows[] = {
        {ADDR_SOME, ADDR_SOME, true, false, false},
        {ADDR_SOME, ADDR_NONE, false, false, true},
        {ADDR_SOME, ADDR_NONE, false, true, false},
        {ADDR_NONE, ADDR_NONE, true, true, true},
        {ADDR_SOME, ADDR_FAILED, true, false, false},
        {ADDR_NONE, ADDR_FAILED, true, false, false},
        {ADDR_UNKNOWN, ADDR_UNKNOWN, false, false, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hostaddrs a = {.state = {rows[i].v4, rows[i].v6},
                              .secure = rows[i].secure,
                              .alias = rows[i].alias,
                              .ttl_s = {70, 60},
                              .tlsa = {TLSA_USABLE, true, 5}};

        hostaddrs_settle_tlsa(&a, 3);
        ck_assert_int_eq(a.tlsa.state,
                         rows[i].settled ? TLSA_NONE : TLSA_USABLE);
        ck_assert_int_eq(a.tlsa.trust_anchor, !rows[i].settled);
        ck_assert_uint_eq(a.tlsa.ttl_s,
                          rows[i].settled ? hostaddrs_ttl_s(&a, 3) : 5);
    }
}
END_TEST

static void check_sorted(const struct mxset *s)
{
    for (size_t i = 1; i < s->n_mx; i++) {
        const struct mx *a = &s->mx[i - 1], *b = &s->mx[i];

        ck_assert_uint_le(a->preference, b->preference);
        if (a->preference == b->preference) /* as received */
            ck_assert_int_lt(atoi(a->host), atoi(b->host));
    }
}

START_TEST(test_sort_is_stable)
{
    srand(1);
    for (int round = 0; round < 400; round++) {
        struct mxset s = {0};
        int n = rand() % 60, span = 1 + rand() % 40;
        unsigned sum = 0;
        char host[16];

        for (int i = 0; i < n; i++) {
            snprintf(host, sizeof(host), "%d", i);
            ck_assert(mxset_add(&s, host, (uint16_t)(rand() % span)));
        }
        mxset_sort(&s);
        check_sorted(&s);
        for (int i = 0; i < n; i++)
            sum += (unsigned)atoi(s.mx[i].host);
        ck_assert_uint_eq(sum, (unsigned)(n * (n - 1) / 2));
        mxset_free(&s);
    }
}
END_TEST

START_TEST(test_sort_a_thousand_backwards)
{
    struct mxset s = {0};
    char host[16];

    for (int i = 0; i < 1024; i++) {
        snprintf(host, sizeof(host), "%d", i);
        ck_assert(mxset_add(&s, host, (uint16_t)(65535 - i)));
    }
    mxset_sort(&s);
    check_sorted(&s);
    ck_assert_uint_eq(s.mx[0].preference, 65535 - 1023);
    mxset_free(&s);
    mxset_sort(&s);
    ck_assert_uint_eq(s.n_mx, 0);
}
END_TEST

static bool fill(struct mxset *s)
{
    s->failure = strdup("SERVFAIL from 192.0.2.53");
    return s->failure != NULL && mxset_add(s, "b.example", 20) &&
           mxset_add(s, "a.example", 10);
}

START_TEST(test_copy_is_deep)
{
    struct mxset a = {.outcome = MX_HOSTS, .ttl_s = 300, .secure = true}, b;

    ck_assert(fill(&a));
    a.mx[1].addrs.state[FAMILY_V6] = ADDR_NONE;
    ck_assert(mxset_copy(&b, &a));
    mxset_free(&a);
    ck_assert_ptr_null(a.mx);
    ck_assert_str_eq(b.mx[0].host, "b.example");
    ck_assert_str_eq(b.failure, "SERVFAIL from 192.0.2.53");
    ck_assert_uint_eq(b.ttl_s, 300);
    ck_assert_int_eq(b.mx[1].addrs.state[FAMILY_V6], ADDR_NONE);
    ck_assert(b.secure && b.outcome == MX_HOSTS);
    ck_assert(mxset_add(&b, "c.example", 5)); /* a copy can grow */
    ck_assert_uint_eq(b.n_mx, 3);
    mxset_free(&b);
}
END_TEST

START_TEST(test_copy_of_nothing)
{
    struct mxset a = {.outcome = MX_NULL}, b;

    ck_assert(mxset_copy(&b, &a));
    ck_assert(b.outcome == MX_NULL && b.mx == NULL && b.failure == NULL);
    mxset_free(&b);
}
END_TEST

START_TEST(test_memory)
{
    for (unsigned n = 1;; n++) {
        struct mxset a = {0}, b = {0};
        bool ok, hit;

        failmalloc_at(n);
        ok = fill(&a) && mxset_copy(&b, &a);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(ok, !hit);
        ck_assert(ok || b.mx == NULL);
        mxset_free(&a);
        mxset_free(&b);
        if (!hit)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mxset");
    TCase *t = tcase_create("mxset");

    suite_add_tcase(s, t);
    tcase_add_test(t, test_state);
    tcase_add_test(t, test_tlsa_of_signed_addresses);
    tcase_add_test(t, test_sort_is_stable);
    tcase_add_test(t, test_sort_a_thousand_backwards);
    tcase_add_test(t, test_copy_is_deep);
    tcase_add_test(t, test_copy_of_nothing);
    tcase_add_test(t, test_memory);
    return suite_run(s);
}
