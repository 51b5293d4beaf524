/* dns/breaker: a server and its breaker on a clock of our own. */

#include <stdlib.h>
#include <string.h>
#include "support/suite.h"
#include "dns/breaker.h"

#define BEGIN_MS 100000u

static struct breaker b;
static uint64_t now_ms;
static unsigned probes; /* sent so far */

static void setup(void)
{
    now_ms = BEGIN_MS;
    probes = 0;
    breaker_init(&b, now_ms);
}

/* Let time pass as the exchange does: sleep until breaker_next_ms(), tick,
   send the probe that is wanted. answers: the server replies at once. */
static void pass(uint64_t ms, bool answers)
{
    uint64_t end_ms = now_ms + ms;

    while (breaker_next_ms(&b) <= end_ms) {
        if (breaker_next_ms(&b) > now_ms)
            now_ms = breaker_next_ms(&b);
        breaker_tick(&b, now_ms);
        if (breaker_wants_probe(&b, now_ms)) {
            breaker_probed(&b, now_ms);
            probes++;
            if (answers)
                breaker_heard(&b, now_ms);
        }
        /* Else the exchange would be busy with nothing. */
        ck_assert_uint_gt(breaker_next_ms(&b), now_ms);
    }
    now_ms = end_ms;
}

static void silence(void)
{
    breaker_silent(&b, now_ms);
}

START_TEST(starts_closed_and_asks_for_nothing)
{
    ck_assert_int_eq(b.state, BREAKER_CLOSED);
    ck_assert_uint_eq(b.since_ms, BEGIN_MS);
    ck_assert(!breaker_wants_probe(&b, BEGIN_MS + 1000000));
    ck_assert(breaker_next_ms(&b) == UINT64_MAX);
    breaker_tick(&b, BEGIN_MS + 1000000);
    ck_assert_int_eq(b.state, BREAKER_CLOSED);
}
END_TEST

/* heard_ago_ms: before the first silence, 0: never. opens_ms: after it, if
   probes go unanswered. */
static const struct {
    uint64_t heard_ago_ms, opens_ms;
} openings[] = {
    {0, BREAKER_PROBE_WAIT_MS},
    {1, BREAKER_QUIET_MS - 1},
    {400, BREAKER_QUIET_MS - 400},
    {BREAKER_QUIET_MS - BREAKER_PROBE_WAIT_MS, BREAKER_PROBE_WAIT_MS},
    {BREAKER_QUIET_MS, BREAKER_PROBE_WAIT_MS},
    {60000, BREAKER_PROBE_WAIT_MS}, /* nobody asked it for a minute */
};

START_TEST(opens_when_probe_and_quiet_time_are_over)
{
    if (openings[_i].heard_ago_ms > 0)
        breaker_heard(&b, now_ms - openings[_i].heard_ago_ms);
    silence();
    ck_assert_int_eq(b.state, BREAKER_SUSPECT);
    ck_assert(breaker_wants_probe(&b, now_ms));
    pass(openings[_i].opens_ms - 1, false);
    ck_assert_int_eq(b.state, BREAKER_SUSPECT);
    ck_assert_uint_ge(probes, 2); /* one may get lost */
    ck_assert_uint_eq(b.opened, 0);
    pass(1, false);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    ck_assert_uint_eq(b.since_ms, now_ms);
    ck_assert_uint_eq(b.opened, 1);
}
END_TEST

/* However long it takes until the probe can be sent. */
START_TEST(does_not_open_without_a_probe)
{
    silence();
    for (int i = 0; i < 100; i++) {
        now_ms += BREAKER_QUIET_MS;
        silence();
        breaker_tick(&b, now_ms);
        ck_assert_int_eq(b.state, BREAKER_SUSPECT);
    }
    breaker_probed(&b, now_ms);
    breaker_tick(&b, now_ms + BREAKER_PROBE_WAIT_MS - 1);
    ck_assert_int_eq(b.state, BREAKER_SUSPECT);
    breaker_tick(&b, now_ms + BREAKER_PROBE_WAIT_MS);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
}
END_TEST

START_TEST(anything_heard_closes)
{
    for (uint64_t after_ms = 0; after_ms < 10000; after_ms += 250) {
        setup();
        silence();
        pass(after_ms, false);
        ck_assert_int_ne(b.state, BREAKER_CLOSED);
        breaker_heard(&b, now_ms);
        ck_assert_int_eq(b.state, BREAKER_CLOSED);
        ck_assert_uint_eq(b.since_ms, now_ms);
        ck_assert_uint_eq(b.heard_ms, now_ms);
        ck_assert(breaker_next_ms(&b) == UINT64_MAX);
    }
}
END_TEST

START_TEST(open_probes_once_a_second_until_answered)
{
    silence();
    pass(BREAKER_PROBE_WAIT_MS, false);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    probes = 0;
    pass(60000, false);
    ck_assert_uint_ge(probes, 60000 / BREAKER_PROBE_EVERY_MS - 1);
    ck_assert_uint_le(probes, 60000 / BREAKER_PROBE_EVERY_MS + 1);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    ck_assert_uint_eq(b.opened, 1);
    pass(BREAKER_PROBE_EVERY_MS, true);
    ck_assert_int_eq(b.state, BREAKER_CLOSED);
}
END_TEST

/* Strangers send us to silent names all the time, and nothing is asked that
   the server answers but the probe. */
START_TEST(silent_names_alone_do_not_open)
{
    for (int i = 0; i < 1000; i++) {
        silence();
        pass(25, true);
        ck_assert_int_ne(b.state, BREAKER_OPEN);
    }
    ck_assert_uint_eq(b.opened, 0);
    ck_assert_uint_le(probes, 1 + 1000 * 25 / BREAKER_PROBE_AGAIN_MS);
}
END_TEST

/* The probe may well be what does not come through: any datagram in the last
   five seconds is enough. */
START_TEST(other_answers_keep_it_from_opening)
{
    for (int i = 0; i < 100; i++) {
        breaker_heard(&b, now_ms);
        silence();
        pass(BREAKER_QUIET_MS - 1, false);
        ck_assert_int_eq(b.state, BREAKER_SUSPECT);
    }
    pass(1, false);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
}
END_TEST

START_TEST(opens_again)
{
    for (unsigned i = 1; i <= 3; i++) {
        silence();
        pass(10 * BREAKER_QUIET_MS, false);
        ck_assert_int_eq(b.state, BREAKER_OPEN);
        silence(); /* changes nothing any more */
        ck_assert_int_eq(b.state, BREAKER_OPEN);
        ck_assert_uint_eq(b.opened, i);
        breaker_heard(&b, now_ms);
    }
}
END_TEST

START_TEST(assumed_open)
{
    breaker_assume_open(&b, now_ms);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    ck_assert(breaker_wants_probe(&b, now_ms)); /* perhaps it is over */
    breaker_assume_open(&b, now_ms + 10);
    ck_assert_uint_eq(b.since_ms, now_ms);
    ck_assert_uint_eq(b.opened, 1);

    breaker_heard(&b, now_ms);
    breaker_assume_open(&b, now_ms + BREAKER_QUIET_MS - 1);
    ck_assert_int_eq(b.state, BREAKER_CLOSED);
    breaker_assume_open(&b, now_ms + BREAKER_QUIET_MS);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
}
END_TEST

/* What somebody else said is no knowledge; probes that went unanswered are. */
START_TEST(sure_of_what_was_probed)
{
    ck_assert(!breaker_is_sure(&b, now_ms));
    breaker_assume_open(&b, now_ms);
    ck_assert(!breaker_is_sure(&b, now_ms + 60000));
    pass(BREAKER_PROBE_WAIT_MS - 1, false);
    ck_assert(!breaker_is_sure(&b, now_ms));
    pass(1, false);
    ck_assert(breaker_is_sure(&b, now_ms));
    breaker_heard(&b, now_ms);
    ck_assert(!breaker_is_sure(&b, now_ms + 60000));
    silence();
    pass(BREAKER_QUIET_MS + BREAKER_PROBE_WAIT_MS, false);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    ck_assert(breaker_is_sure(&b, now_ms));
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(breaker_state_name(BREAKER_CLOSED), "closed");
    ck_assert_str_eq(breaker_state_name(BREAKER_SUSPECT), "suspect");
    ck_assert_str_eq(breaker_state_name(BREAKER_OPEN), "open");
    ck_assert_str_eq(breaker_state_name((enum breaker_state)200), "unknown");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("breaker");
    TCase *t = tcase_create("breaker");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, starts_closed_and_asks_for_nothing);
    tcase_add_loop_test(t, opens_when_probe_and_quiet_time_are_over, 0,
                        sizeof(openings) / sizeof(openings[0]));
    tcase_add_test(t, does_not_open_without_a_probe);
    tcase_add_test(t, anything_heard_closes);
    tcase_add_test(t, open_probes_once_a_second_until_answered);
    tcase_add_test(t, silent_names_alone_do_not_open);
    tcase_add_test(t, other_answers_keep_it_from_opening);
    tcase_add_test(t, opens_again);
    tcase_add_test(t, assumed_open);
    tcase_add_test(t, sure_of_what_was_probed);
    tcase_add_test(t, names);
    suite_add_tcase(s, t);
    return suite_run(s);
}
