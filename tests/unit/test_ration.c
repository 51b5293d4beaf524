/* The ration of waiting: at most a share of any ten seconds. */

#include <check.h>
#include <stdlib.h>
#include "dns/ration.h"

static const struct {
    uint32_t share, spent_ms, want_ms, allowed_ms;
    uint64_t spent_at_ms, now_ms;
} cases[] = {
    /* share spent  want  allow  spent_at  now */
    {10, 0, 200, 200, 0, 0},             /* nothing spent yet */
    {10, 0, 5000, 1000, 0, 50000},       /* the whole ration at most */
    {10, 900, 200, 100, 50000, 50100},   /* what is left of it */
    {10, 1000, 200, 0, 50000, 50100},    /* used up */
    {10, 1000, 200, 0, 50000, 59999},    /* still inside ten seconds */
    {10, 1000, 200, 0, 50999, 60998},    /* whatever the part of a second */
    {10, 1000, 200, 200, 50000, 61000},  /* over */
    {10, 5000, 200, 0, 50000, 50100},    /* overdrawn */
    {10, 1000, 200, 200, 50000, 950000}, /* long ago */
    {0, 0, 200, 0, 0, 50000},            /* no waiting at all */
    {100, 9999, 200, 200, 50000, 50001}, /* no ration */
    {400, 9999, 200, 200, 50000, 50001}, /* more than all is all */
    {99, 9900, 200, 0, 50000, 50001},
    {10, UINT32_MAX, 1, 0, 50000, 50001},
};

START_TEST(allows_what_is_left)
{
    struct ration r;

    ration_init(&r, cases[_i].share);
    if (cases[_i].spent_ms > 0)
        ration_spend(&r, cases[_i].spent_at_ms, cases[_i].spent_ms);
    ck_assert_uint_eq(ration_allow(&r, cases[_i].now_ms, cases[_i].want_ms),
                      cases[_i].allowed_ms);
}
END_TEST

START_TEST(spending_adds_up_without_overflow)
{
    struct ration r;

    ration_init(&r, 10);
    ration_spend(&r, 70000, UINT32_MAX);
    ration_spend(&r, 70001, UINT32_MAX);
    ck_assert_uint_eq(ration_allow(&r, 70002, 1), 0);
}
END_TEST

/* A greedy caller, with lookups of changing lengths, never gets more than its
   share of any window, and gets a good part of it. */
START_TEST(no_window_exceeds_the_share)
{
    enum { END_MS = 120000 };
    static uint8_t waiting[END_MS + 1000];
    struct ration r;
    uint32_t sum = 0, most = 0;

    ration_init(&r, 10);
    for (uint64_t now = 0; now < END_MS;) {
        uint32_t got = ration_allow(&r, now, (uint32_t)(37 + now % 181));

        for (uint32_t i = 0; i < got; i++)
            waiting[now + i] = 1;
        now += got;
        if (got > 0)
            ration_spend(&r, now, got);
        now += 1 + now % 7;
    }
    for (size_t t = 0; t < END_MS; t++) {
        sum += waiting[t];
        sum -= t >= RATION_SPAN_MS ? waiting[t - RATION_SPAN_MS] : 0;
        most = sum > most ? sum : most;
    }
    ck_assert_uint_le(most, RATION_SPAN_MS / 10);
    ck_assert_uint_ge(most, RATION_SPAN_MS / 20);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ration");
    TCase *t = tcase_create("ration");
    SRunner *r;
    int failed;

    tcase_add_loop_test(t, allows_what_is_left, 0,
                        sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(t, spending_adds_up_without_overflow);
    tcase_add_test(t, no_window_exceeds_the_share);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
