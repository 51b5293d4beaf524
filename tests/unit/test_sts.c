/* MTA-STS: the text of policies, TXT records, matching, time. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "policy/sts.h"
#include "support/failmalloc.h"

#define N(rows) (sizeof(rows) / sizeof((rows)[0]))
#define V       "version: STSv1\n"
#define E       V "mode: enforce\n"
#define A       "max_age: 86400\n"
#define MX      "mx: mx.a.test\n"

/* ---- policies ---- */

/* What is kept, as "mode max_age mx ..."; NULL: refused, with words of why. */
static const struct {
    const char *text, *kept, *why;
} policies[] = {
    {E MX A, "enforce 86400 mx.a.test", NULL},
    {"version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmax_age: 5\r\n",
     "enforce 60 mx.a.test", NULL},
    {V "mode:testing\nmx:*.a.test\nmx: B.test.\nmax_age:0",
     "testing 60 *.a.test b.test", NULL},
    {V "mode: none\n" A, "none 86400", NULL},
    {"max_age: 7\nmx: a.test\nmode: ENFORCE\nVersion: STSv1\n",
     "enforce 60 a.test", NULL},
    {E MX A "more: than known\nand_more: \xc3\xa4\n", "enforce 86400 mx.a.test",
     NULL},
    {E MX A "\n \n", "enforce 86400 mx.a.test", NULL},
    {E MX MX A, "enforce 86400 mx.a.test", NULL},
    {E "mode: none\n" MX A "max_age: 1\n", "enforce 86400 mx.a.test", NULL},
    {E MX "max_age: 61\n", "enforce 61 mx.a.test", NULL},
    {E MX "max_age: 31557600\n", "enforce 31557600 mx.a.test", NULL},
    {E MX "max_age: 9999999999\n", "enforce 31557600 mx.a.test", NULL},
    {E MX "mx: 192.0.2.1\nmx: [192.0.2.1]\nmx: 2001:db8::1\n" A,
     "enforce 86400 mx.a.test", NULL},
    {E MX "mx: *\nmx: a.*.test\nmx: *a.test\nmx: *.*.test\nmx:\nmx: a b\n" A,
     "enforce 86400 mx.a.test", NULL},
    {E MX "mx: m\xc3\xbc.test\n" A, "enforce 86400 mx.a.test", NULL},
    {"", NULL, "no version"},
    {"mode: enforce\n" MX A, NULL, "no version"},
    {"version: STSv2\nmode: enforce\n" MX A, NULL, "version is not"},
    {"version: stsv1\nmode: enforce\n" MX A, NULL, "version is not"},
    {"\xef\xbb\xbf" E MX A, NULL, "no version"},
    {V MX A, NULL, "no mode"},
    {V "mode: strict\n" MX A, NULL, "mode is not"},
    {E MX, NULL, "no max_age"},
    {E MX "max_age:\n", NULL, "max_age is not"},
    {E MX "max_age: 12345678901\n", NULL, "max_age is not"},
    {E MX "max_age: -1\n", NULL, "max_age is not"},
    {E MX "max_age: 1d\n", NULL, "max_age is not"},
    {E A, NULL, "no mx"},
    {V "mode: testing\n" A, NULL, "no mx"},
    {E "mx: 192.0.2.1\n" A, NULL, "no mx"},
    {"<html>\n" E MX A, NULL, "not `name: value'"},
    {E MX A "x: \x01\n", NULL, "octets"},
    {E MX A "x: \x7f\n", NULL, "octets"},
    {E MX A "x: \xff\n", NULL, "octets"},
    {E MX A "x: \xc3", NULL, "octets"},
    {E "mx: mx.a\r.test\n" A, NULL, "octets"},
    {E MX A "\r", NULL, "octets"},
};

static void say(const struct sts_policy *p, char *out, size_t room)
{
    int n = snprintf(out, room, "%s %u", sts_mode_word(p->mode), p->max_age_s);

    for (size_t i = 0; i < p->n_mx; i++)
        n += snprintf(out + n, room - (size_t)n, " %s", p->mx[i]);
}

START_TEST(policy)
{
    const char *text = policies[_i].text;
    struct sts_policy p;
    char kept[512];
    const char *why = sts_parse(text, strlen(text), &p);

    if (policies[_i].kept != NULL) {
        ck_assert_pstr_eq(why, NULL);
        say(&p, kept, sizeof(kept));
        ck_assert_str_eq(kept, policies[_i].kept);
    } else {
        ck_assert_ptr_nonnull(why);
        ck_assert_msg(strstr(why, policies[_i].why) != NULL, "%s", why);
        ck_assert_ptr_null(p.mx);
    }
    sts_policy_free(&p);
}
END_TEST

START_TEST(policy_with_nul)
{
    static const char text[] = E MX A "x: \0\n";
    struct sts_policy p;

    ck_assert_ptr_nonnull(sts_parse(text, sizeof(text) - 1, &p));
}
END_TEST

/* At the limit it is read, beyond it is refused; of the patterns some count. */
START_TEST(policy_is_bounded)
{
    char *text = malloc(STS_TEXT_MAX + 2);
    size_t n = (size_t)sprintf(text, E A);
    struct sts_policy p;

    for (int i = 0; i < 3 * STS_MX_MAX; i++)
        n += (size_t)sprintf(text + n, "mx: mx%d.a.test\n", i);
    memset(text + n, '\n', STS_TEXT_MAX + 1 - n);
    ck_assert_pstr_eq(sts_parse(text, STS_TEXT_MAX, &p), NULL);
    ck_assert_uint_eq(p.n_mx, STS_MX_MAX);
    sts_policy_free(&p);
    ck_assert_ptr_nonnull(sts_parse(text, STS_TEXT_MAX + 1, &p));
    free(text);
}
END_TEST

START_TEST(policy_without_memory)
{
    static const char text[] = E MX "mx: *.b.test\n" A;
    bool hit = true;

    for (unsigned n = 1; hit; n++) {
        struct sts_policy p;
        const char *why;

        failmalloc_at(n);
        why = sts_parse(text, sizeof(text) - 1, &p);
        hit = failmalloc_hit();
        failmalloc_at(0);
        if (hit)
            ck_assert_str_eq(why, "out of memory");
        else
            ck_assert_ptr_null(why);
        sts_policy_free(&p);
    }
}
END_TEST

/* ---- matching, time ---- */

static const struct {
    const char *pattern, *host;
    bool matches;
} matches[] = {
    {"mx.a.test", "mx.a.test", true},   {"mx.a.test", "MX.A.test", true},
    {"mx.a.test", "mx2.a.test", false}, {"mx.a.test", "a.test", false},
    {"*.a.test", "mx.a.test", true},    {"*.a.test", "a.test", false},
    {"*.a.test", "x.mx.a.test", false}, {"*.a.test", ".a.test", false},
    {"*.a.test", "mx.a.test.b", false}, {"*.a.test", "mxa.test", false},
    {"*.a.test", "*.a.test", true},     {"*.test", "a.test", true},
    {"mx.a.test", "mx.a.test.", false}, {"*.a.test", "", false},
};

START_TEST(match)
{
    struct sts_policy p = {0};

    ck_assert(sts_policy_add(&p, "other.test"));
    ck_assert(sts_policy_add(&p, matches[_i].pattern));
    ck_assert_int_eq(sts_matches(&p, matches[_i].host), matches[_i].matches);
    sts_policy_free(&p);
}
END_TEST

START_TEST(time_of_a_policy)
{
    struct sts_policy p = {.fetched_s = 100000, .expires_s = 200000};

    ck_assert(sts_in_force(&p, 100000));
    ck_assert(sts_in_force(&p, 199999));
    ck_assert(!sts_in_force(&p, 200000));
    ck_assert(sts_in_force(&p, 99900));
    ck_assert(!sts_in_force(&p, 90000));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sts");
    TCase *t = tcase_create("sts");

    tcase_add_loop_test(t, policy, 0, N(policies));
    tcase_add_test(t, policy_with_nul);
    tcase_add_test(t, policy_is_bounded);
    tcase_add_test(t, policy_without_memory);
    tcase_add_loop_test(t, match, 0, N(matches));
    tcase_add_test(t, time_of_a_policy);
    suite_add_tcase(s, t);
    return suite_run(s);
}
