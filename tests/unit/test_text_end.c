/*
 * test_text_end - finished answers are not used past their end: the TTL of
 * what they were made from, the window of an override; and what has not ended
 * stays
 */

#include "support/suite.h"
#include "text_fixture.h"

/* Without prefetch and without stale answers the end of the TTL shows. */
static void check_asked_again(const char *key, const char *question)
{
    struct mxhop *mx;
    size_t before;

    configure("prefetch = 0\nstale_max = 0\n");
    mx = open_handle();
    text_of(mx, key);
    usleep(100000);
    text_of(mx, key);
    before = minidns_count(&dns, question);
    usleep(2100000);
    text_of(mx, key);
    ck_assert_uint_gt(minidns_count(&dns, question), before);
    mxhop_close(&mx);
}

START_TEST(ends_with_the_ttl_of_the_mx_set)
{
    check_asked_again("short.example", "short.example 15");
}
END_TEST

START_TEST(ends_with_the_ttl_of_an_address)
{
    check_asked_again("brief.example", "brief-mx.example 1");
}
END_TEST

/* However long the zone says that there is none. */
START_TEST(ends_with_the_lack_of_an_address)
{
    struct mxhop *mx;

    configure("negative_ttl_max = 1s\nstale_max = 0\n");
    mx = open_handle();
    ck_assert_str_eq(text_of(mx, "half.example"), ":[mx1.example]");
    usleep(2100000);
    text_of(mx, "half.example");
    usleep(200000);
    ck_assert_uint_eq(minidns_count(&dns, "bare.example 1"), 2);
    mxhop_close(&mx);
}
END_TEST

static const struct {
    const char *entry, *question;
} splices[] = {
    {ENTRY("mxhopExchange: mx1.example\nmxhopHop: 1 spliced.example\n"),
     "spliced.example 15"},
    {ENTRY("mxhopExchange: mx1.example\nmxhopHop: 1 closed.example\n"
           "mxhopHop: 2 [192.0.2.7]\n"),
     "closed.example 15"},
};

/* What an override by exchange has spliced in ends, too. */
START_TEST(ends_with_a_spliced_set)
{
    struct mxhop *mx = open_with_overrides(splices[_i].entry);
    size_t before;

    for (int i = 0; i < 3; i++) {
        text_of(mx, "a.example");
        usleep(100000);
    }
    before = minidns_count(&dns, splices[_i].question);
    ck_assert_uint_ge(before, 1);
    usleep(2000000);
    text_of(mx, "a.example");
    usleep(200000);
    ck_assert_uint_gt(minidns_count(&dns, splices[_i].question), before);
    mxhop_close(&mx);
}
END_TEST

/* ---- overrides ---- */

/* From two seconds on, for two: by key, and by exchange, where the finished
   answer has to end with the window. */
START_TEST(windows_open_and_close)
{
    struct mxhop *mx = open_with_overrides(
        _i == 0 ? ENTRY("mxhopKey: a.example\nmxhopHop: 1 [192.0.2.5]\n"
                        "mxhopNotBefore: %s\nmxhopNotAfter: %s\n")
                : ENTRY("mxhopExchange: mx1.example\nmxhopHop: 1 [192.0.2.5]\n"
                        "mxhopNotBefore: %s\nmxhopNotAfter: %s\n"));

    ck_assert_str_eq(text_of(mx, "a.example"), ":[mx1.example], [mx2.example]");
    ck_assert(answer_becomes(mx, "a.example", ":[192.0.2.5]"));
    ck_assert(answer_becomes(mx, "a.example", ":[mx1.example], [mx2.example]"));
    ck_assert_uint_eq(minidns_count(&dns, "a.example 15"), 1);
    mxhop_close(&mx);
}
END_TEST

/* A year back or ahead: no TTL is longer or shorter for it, and a window is
   open when the new time is in it. It is asked twice, for the kept answer. */
START_TEST(a_clock_that_is_set)
{
    const time_t year = 365 * 86400, begun = 10; /* with the window */
    struct mxhop *mx = open_with_overrides(
        ENTRY("mxhopKey: b.example\nmxhopHop: [192.0.2.5]\n"
              "mxhopNotAfter: 29990101000000Z\nmxhopNotBefore: %s\n"));
    size_t before;

    clock_step_s = begun;
    ck_assert(becomes_free(mx, "a.example", ":[mx1.example], [mx2.example]"));
    ck_assert_str_eq(text_of(mx, "b.example"), ":[192.0.2.5]");
    for (int i = 1; i <= 4; i++) {
        clock_step_s = i % 2 == 0 ? begun : _i == 0 ? -year : year;
        for (int k = 0; k < 2; k++) {
            ck_assert_str_eq(text_of(mx, "a.example"),
                             ":[mx1.example], [mx2.example]");
            ck_assert_str_eq(text_of(mx, "b.example"),
                             clock_step_s < 0 ? ":[mx1.example], [mx2.example]"
                                              : ":[192.0.2.5]");
            usleep(50000);
        }
    }
    ck_assert_uint_eq(minidns_count(&dns, "a.example 15"), 1);
    ck_assert_uint_le(minidns_count(&dns, "b.example 15"), 1);
    text_of(mx, "short.example");
    clock_step_s = _i == 0 ? -year : year;
    usleep(1100000); /* a TTL of a second ends all the same */
    before = minidns_count(&dns, "short.example 15");
    text_of(mx, "short.example");
    usleep(200000);
    ck_assert_uint_gt(minidns_count(&dns, "short.example 15"), before);
    clock_step_s = 0;
    mxhop_close(&mx);
}
END_TEST

/* A change elsewhere in the table cools nothing. */
static const struct {
    const char *general, *answer;
} general[] = {
    {"", ":[mx1.example], [mx2.example]"},
    {"mxhopKey: *\nmxhopHop: [192.0.2.5]\n", ":[192.0.2.5]"},
    {"mxhopKey: *\nmxhopMode: append\nmxhopHop: [192.0.2.5]\n",
     ":[mx1.example], [mx2.example], [192.0.2.5]"},
    {"mxhopExchange: mx1.example\nmxhopHop: [192.0.2.5]\n", ":[192.0.2.5]"},
};

static const char *set_with_other(const char *entry, const char *host)
{
    static char text[512];

    snprintf(text, sizeof(text),
             "dn: cn=o,dc=x\nobjectClass: mxhopOverride\ncn: o\n"
             "mxhopKey: other.example\nmxhopHop: [%s]\n\n"
             "%s%s\n",
             host,
             entry[0] != '\0'
                 ? "dn: cn=g,dc=x\nobjectClass: mxhopOverride\ncn: g\n"
                 : "",
             entry);
    return text;
}

START_TEST(changes_elsewhere_cool_nothing)
{
    const char *entry = general[_i].general;
    struct mxhop *mx = open_with_overrides(set_with_other(entry, "192.0.2.8"));

    ck_assert(becomes_free(mx, "a.example", general[_i].answer));
    for (int i = 0; i < 3; i++) {
        char host[32], want[40];

        snprintf(host, sizeof(host), "192.0.2.%d", 10 + i);
        snprintf(want, sizeof(want), ":[%s]", host);
        refresh_elsewhere(set_with_other(entry, host));
        ck_assert(answer_becomes(mx, "other.example", want));
        usleep(50000); /* the worker writes that down */
        ck_assert(is_free(mx, "a.example", general[_i].answer));
    }
    ck_assert_uint_le(minidns_count(&dns, "a.example 15"), 1);
    mxhop_close(&mx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text_end");
    TCase *timed = tcase_create("their end");
    TCase *elsewhere = tcase_create("changes elsewhere");

    tcase_add_checked_fixture(timed, set_up, tear_down);
    tcase_set_timeout(timed, 120);
    tcase_add_test(timed, ends_with_the_ttl_of_the_mx_set);
    tcase_add_test(timed, ends_with_the_ttl_of_an_address);
    tcase_add_test(timed, ends_with_the_lack_of_an_address);
    tcase_add_loop_test(timed, ends_with_a_spliced_set, 0, 2);
    tcase_add_loop_test(timed, windows_open_and_close, 0, 2);
    tcase_add_loop_test(timed, a_clock_that_is_set, 0, 2);
    suite_add_tcase(s, timed);
    tcase_add_checked_fixture(elsewhere, set_up, tear_down);
    tcase_set_timeout(elsewhere, 60);
    tcase_add_loop_test(elsewhere, changes_elsewhere_cool_nothing, 0,
                        sizeof(general) / sizeof(general[0]));
    suite_add_tcase(s, elsewhere);
    return suite_run(s);
}
