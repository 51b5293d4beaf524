/* The ration of waiting: at most a share of any ten seconds. */

#include <string.h>
#include <stdlib.h>
#include "support/suite.h"
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
        ration_spend(&r, cases[_i].spent_at_ms, cases[_i].spent_ms, false);
    ck_assert_uint_eq(ration_allow(&r, cases[_i].now_ms, cases[_i].want_ms,
                                   false),
                      cases[_i].allowed_ms);
}
END_TEST

START_TEST(spending_adds_up_without_overflow)
{
    struct ration r;

    ration_init(&r, 10);
    ration_spend(&r, 70000, UINT32_MAX, true);
    ration_spend(&r, 70001, UINT32_MAX, true);
    ck_assert_uint_eq(ration_allow(&r, 70002, 1, false), 0);
    ck_assert_uint_eq(ration_allow(&r, 70002, 1, true), 0);
}
END_TEST

/* At 50,000 ms, after waits at 45,000 ms; the share is 10 %. */
static const struct {
    uint32_t spent_ms, spent_first_ms, want_ms, allowed_first_ms, allowed_ms;
} first_cases[] = {
    {0, 0, 5000, 250, 1000},  /* half of the half */
    {0, 0, 200, 200, 200},    /* no more than wanted */
    {0, 250, 5000, 125, 750}, /* half of what is left of it */
    {0, 499, 5000, 0, 501},
    {0, 500, 5000, 0, 500},   /* the half is used up; others have theirs */
    {0, 800, 5000, 0, 200},   /* overdrawn */
    {400, 0, 5000, 250, 600}, /* others' waits leave it alone */
    {700, 100, 5000, 200, 200},
    {900, 0, 5000, 100, 100}, /* but together they have the share */
    {1000, 0, 5000, 0, 0},
};

START_TEST(first_seen_names_wait_least)
{
    struct ration r;

    ration_init(&r, 10);
    ration_spend(&r, 45000, first_cases[_i].spent_ms, false);
    ration_spend(&r, 45000, first_cases[_i].spent_first_ms, true);
    ck_assert_uint_eq(ration_allow(&r, 50000, first_cases[_i].want_ms, true),
                      first_cases[_i].allowed_first_ms);
    ck_assert_uint_eq(ration_allow(&r, 50000, first_cases[_i].want_ms, false),
                      first_cases[_i].allowed_ms);
    ck_assert_uint_eq(ration_allow(&r, 56000, 5000, true), 250); /* over */
    ration_init(&r, 100);
    ration_spend(&r, 45000, 9000, true);
    ck_assert_uint_eq(ration_allow(&r, 50000, 200, true), 200);
}
END_TEST

/* Greedy callers, with lookups of changing lengths, never get more than their
   share of any window, and get a good part of it: strangers half of the share,
   alone or among others. */
static const struct {
    unsigned first_every; /* which lookups are for first-seen names */
    uint32_t at_most_ms, at_least_ms, first_at_most_ms;
} greedy[] = {
    {1000000, 1000, 500, 0},
    {1, 500, 400, 500},
    {2, 1000, 500, 500},
};

/* The most in any span of what is marked so (or with any mark). */
static uint32_t most_in_span(const uint8_t *waiting, size_t n, int mark)
{
    uint32_t sum = 0, most = 0;

    for (size_t t = 0; t < n; t++) {
        sum += mark == 0 ? waiting[t] != 0 : waiting[t] == mark;
        if (t >= RATION_SPAN_MS)
            sum -= mark == 0 ? waiting[t - RATION_SPAN_MS] != 0
                             : waiting[t - RATION_SPAN_MS] == mark;
        most = sum > most ? sum : most;
    }
    return most;
}

START_TEST(no_window_exceeds_the_share)
{
    enum { END_MS = 120000 };
    static uint8_t waiting[END_MS + 1000];
    struct ration r;

    memset(waiting, 0, sizeof(waiting)); /* without fork it is the last one's */
    ration_init(&r, 10);
    for (uint64_t now = 0, i = 1; now < END_MS; i++) {
        bool first = i % greedy[_i].first_every == 0;
        uint32_t got = ration_allow(&r, now, (uint32_t)(37 + now % 181), first);

        for (uint32_t t = 0; t < got; t++)
            waiting[now + t] = first ? 2 : 1;
        now += got;
        if (got > 0)
            ration_spend(&r, now, got, first);
        now += 1 + now % 7;
    }
    ck_assert_uint_le(most_in_span(waiting, END_MS, 0), greedy[_i].at_most_ms);
    ck_assert_uint_ge(most_in_span(waiting, END_MS, 0), greedy[_i].at_least_ms);
    ck_assert_uint_le(most_in_span(waiting, END_MS, 2),
                      greedy[_i].first_at_most_ms);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ration");
    TCase *t = tcase_create("ration");

    tcase_add_loop_test(t, allows_what_is_left, 0,
                        sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(t, spending_adds_up_without_overflow);
    tcase_add_loop_test(t, first_seen_names_wait_least, 0,
                        sizeof(first_cases) / sizeof(first_cases[0]));
    tcase_add_loop_test(t, no_window_exceeds_the_share, 0,
                        sizeof(greedy) / sizeof(greedy[0]));
    suite_add_tcase(s, t);
    return suite_run(s);
}
