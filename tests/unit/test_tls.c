/* model/tls: which texts at _mta-sts say that there is a policy. */

#include <stdlib.h>
#include <string.h>
#include "support/suite.h"
#include "model/tls.h"

#define ID32 "abcdefghijklmnopqrstuvwxyz012345"

static const struct {
    const char *texts[3];
    const char *id; /* NULL: none that counts */
} cases[] = {
    {{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
    {{"v=STSv1; id=1"}, "1"},
    {{"v=STSv1;id=1;"}, "1"},
    {{"v=STSv1 ;\tid=1 ; "}, "1"},
    {{"v=STSv1; id=" ID32 ";"}, ID32},
    {{"v=STSv1; id=a; ext-1.x_y=!<>~; more=1"}, "a"},
    {{"v=STSv1; ext=1; id=a"}, "a"},
    {{"v=STSv1; id=a; id=b"}, "a"},
    {{"v=STSv1; id=" ID32 "6;"}, NULL},
    {{"v=STSv1; id=2019-01-01"}, NULL},
    {{"v=STSv1; id=\xc3\xa4"}, NULL},
    {{"v=STSv1; id="}, NULL},
    {{"v=STSv1; id"}, NULL},
    {{"v=STSv1; id=a b"}, NULL},
    {{"v=STSv1; id=a=b"}, NULL},
    {{"v=STSv1; id=a "}, NULL},
    {{"v=STSv1; id = a"}, NULL},
    {{"v=STSv1; ID=a"}, NULL},
    {{"v=STSv1; id=a; -x=1"}, NULL},
    {{"v=STSv1; id=a;;"}, NULL},
    {{"v=STSv1; id=a; x=\x7f"}, NULL},
    {{"v=STSv1; " ID32 "6=1; id=a"}, NULL},
    {{"v=STSv1;"}, NULL},
    {{"v=STSv1"}, NULL},
    {{"v=STSv2; id=a"}, NULL},
    {{"v=stsv1; id=a"}, NULL},
    {{" v=STSv1; id=a"}, NULL},
    {{"v=STSv10; id=a"}, NULL},
    {{""}, NULL},
    {{NULL}, NULL},
    /* Others may put their texts at the same name. */
    {{"something else", "v=STSv1; id=a", "v=STSv2; id=b"}, "a"},
    {{"v=STSv1; id=a", "v=STSv1; id=a"}, NULL},
    {{"v=STSv1; id=a", "v=STSv1; id=b", "v=STSv1; id=c"}, NULL},
    {{"v=STSv1; id=a", "v=STSv1; bad"}, NULL},
    {{"v=STSv1; bad", "v=STSv1; id=a"}, NULL},
};
#define N_CASES (int)(sizeof(cases) / sizeof(cases[0]))

START_TEST(judged)
{
    struct domain_txt r = {.state = TXT_NONE, .ttl_s = 77};
    unsigned n = 0;

    for (int i = 0; i < 3 && cases[_i].texts[i] != NULL; i++) {
        size_t len = strlen(cases[_i].texts[i]);
        char *exact = malloc(len > 0 ? len : 1); /* a read too far is seen */

        memcpy(exact, cases[_i].texts[i], len);
        sts_txt_judge(&r, &n, exact, len);
        free(exact);
    }
    ck_assert_int_eq(r.state, cases[_i].id != NULL ? TXT_FOUND : TXT_NONE);
    ck_assert_str_eq(r.id, cases[_i].id != NULL ? cases[_i].id : "");
    ck_assert_uint_eq(r.ttl_s, 77);
}
END_TEST

/* A NUL is an octet like others: no text that counts has one. */
START_TEST(nul_inside)
{
    static const char text[] = "v=STSv1; id=a\0b";
    struct domain_txt r = {.state = TXT_NONE};
    unsigned n = 0;

    sts_txt_judge(&r, &n, text, sizeof(text) - 1);
    ck_assert_int_eq(r.state, TXT_NONE);
    n = 0;
    sts_txt_judge(&r, &n, "v=STSv1; a\0=1; id=1", 19);
    ck_assert_int_eq(r.state, TXT_NONE);
}
END_TEST

/* A text of this version is enough: which of them count the MTA knows. */
START_TEST(reports)
{
    static const struct {
        const char *text;
        enum txt_state state;
    } rows[] = {
        {"v=TLSRPTv1;rua=mailto:a@b.test", TXT_FOUND},
        {"v=TLSRPTv1 ; nonsense", TXT_FOUND},
        {"V=tlsrptv1", TXT_FOUND},
        {"v=TLSRPTv", TXT_NONE},
        {" v=TLSRPTv1", TXT_NONE},
        {"v=STSv1; id=1", TXT_NONE},
        {"", TXT_NONE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct domain_txt r = {.state = TXT_NONE, .ttl_s = 77};
        size_t len = strlen(rows[i].text);
        char *exact = malloc(len > 0 ? len : 1);

        memcpy(exact, rows[i].text, len);
        rpt_txt_judge(&r, exact, len);
        rpt_txt_judge(&r, "something else", 14);
        free(exact);
        ck_assert_int_eq(r.state, rows[i].state);
        ck_assert_str_eq(r.id, r.state == TXT_FOUND ? "TLSRPTv1" : "");
        ck_assert_uint_eq(r.ttl_s, 77);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tls");
    TCase *t = tcase_create("tls");

    tcase_add_loop_test(t, judged, 0, N_CASES);
    tcase_add_test(t, nul_inside);
    tcase_add_test(t, reports);
    suite_add_tcase(s, t);
    return suite_run(s);
}
