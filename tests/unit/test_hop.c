/* Hops as administrators write them. */

#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "model/hop.h"

static const struct {
    const char *in, *want; /* want: as formatted */
    enum hop_kind kind;
    const char *host;
    int preference; /* -1: none */
    unsigned port;
} good[] = {
    {"[relay.example.com]:587", "[relay.example.com]:587", HOP_HOST,
     "relay.example.com", -1, 587},
    {"[Relay.Example.COM.]", "[relay.example.com]", HOP_HOST,
     "relay.example.com", -1, 0},
    {"10 [relay.example.com]", "10 [relay.example.com]", HOP_HOST,
     "relay.example.com", 10, 0},
    {"0 a.example", "0 a.example", HOP_MX, "a.example", 0, 0},
    {" 65535 \t a.example:65535 ", "65535 a.example:65535", HOP_MX, "a.example",
     65535, 65535},
    {"example.com", "example.com", HOP_MX, "example.com", -1, 0},
    {"example.com:25", "example.com:25", HOP_MX, "example.com", -1, 25},
    {"[192.0.2.1]", "[192.0.2.1]", HOP_ADDRESS, "192.0.2.1", -1, 0},
    {"[192.0.2.1]:1", "[192.0.2.1]:1", HOP_ADDRESS, "192.0.2.1", -1, 1},
    {"[IPv6:2001:DB8:0::1]", "[IPv6:2001:db8::1]", HOP_ADDRESS, "2001:db8::1",
     -1, 0},
    {"7 [ipv6:2001:db8::1]:2525", "7 [IPv6:2001:db8::1]:2525", HOP_ADDRESS,
     "2001:db8::1", 7, 2525},
    {"[2001:db8::1]", "[IPv6:2001:db8::1]", HOP_ADDRESS, "2001:db8::1", -1, 0},
    {"[b\xc3\xbc"
     "cher.example]",
     "[xn--bcher-kva.example]", HOP_HOST, "xn--bcher-kva.example", -1, 0},
    {"b\xc3\xbc"
     "cher.example:587",
     "xn--bcher-kva.example:587", HOP_MX, "xn--bcher-kva.example", -1, 587},
};

START_TEST(test_good)
{
    struct hopspec hop, again;
    char text[HOP_TEXT_MAX];

    ck_assert_pstr_eq(hop_parse(good[_i].in, &hop), NULL);
    ck_assert_int_eq(hop.kind, good[_i].kind);
    ck_assert_str_eq(hop.host, good[_i].host);
    ck_assert_int_eq(hop.has_preference ? hop.preference : -1,
                     good[_i].preference);
    ck_assert_uint_eq(hop.port, good[_i].port);
    hop_format(&hop, text);
    ck_assert_str_eq(text, good[_i].want);
    ck_assert_pstr_eq(hop_parse(text, &again), NULL);
    ck_assert_mem_eq(&hop, &again, sizeof(hop));
}
END_TEST

static const struct {
    const char *in, *says;
} bad[] = {
    {"", "empty"},
    {"  ", "empty"},
    {"192.0.2.1", "brackets"},
    {"192.0.2.1:25", "brackets"},
    {"10 192.0.2.1", "brackets"},
    {"2001:db8::1", "brackets"},
    {"::1", "brackets"},
    {"IPv6:2001:db8::1", "brackets"},
    {"192.0.2.300", "IPv4"},
    {"[192.0.2.300]", "IPv4"},
    {"[192.0.2]", "IPv4"},
    {"10", "IPv4"},
    {"[a.example", "`]`"},
    {"[a.example]25", "after"},
    {"[a.example]:", "port"},
    {"[a.example]:0", "port"},
    {"[a.example]:65536", "port"},
    {"[a.example]:99999", "port"},
    {"[a.example]:100000000000000000000025", "port"},
    {"[a.example]:smtp", "port"},
    {"[a.example]:+25", "port"},
    {"[a.example]:0x19", "port"},
    {"[a.example]:25:26", "port"},
    {"[a.example]:025", "write [host]:25"}, /* TLS classes */
    {"[a.example]:0025", "write [host]:25"},
    {"[a.example]:25 ", NULL}, /* white space at the end is not an error */
    {"a.example:", "port"},
    {"a.example:-1", "port"},
    {"a:b:c", "port"},
    {"-1 a.example", "preference"},
    {"65536 a.example", "preference"},
    {"1.5 a.example", "preference"},
    {"a.example b.example", "preference"},
    {"10 a.example b.example", "letters"},
    {"10 20 a.example", "letters"},
    {"[]", "empty"},
    {"[]:25", "empty"},
    {"[[a]]", "after"},
    {"[a,b.example]", "letters"},
    {"[a\\b.example]", "letters"},
    {"[$x]", "letters"},
    {"a\x01.example", "letters"},
    {"[a\xff.example]", "UTF-8"},
    {"[IPv6:]", "IPv6"},
    {"[IPv6:192.0.2.1]", "IPv6"},
    {"[fe80::1%eth0]", "IPv6"},
    {"[2001:db8::zz]", "IPv6"},
    {"*", "letters"},
    {".example.com", "label"},
};

START_TEST(test_bad)
{
    struct hopspec hop, zero = {0};
    const char *wrong = hop_parse(bad[_i].in, &hop);

    if (bad[_i].says == NULL) {
        ck_assert_pstr_eq(wrong, NULL);
        return;
    }
    ck_assert_msg(wrong != NULL, "%s passed", bad[_i].in);
    ck_assert_msg(strstr(wrong, bad[_i].says) != NULL, "%s: %s", bad[_i].in,
                  wrong);
    ck_assert_mem_eq(&hop, &zero, sizeof(hop));
}
END_TEST

START_TEST(test_long)
{
    char *in = malloc(5001);
    struct hopspec hop;

    for (size_t n = 250; n <= 5000; n += n < 1100 ? 1 : 1300)
        for (int bracket = 0; bracket < 2; bracket++) {
            memset(in, 'a', n);
            in[n] = '\0';
            if (bracket) {
                in[0] = '[';
                in[n - 1] = ']';
            }
            ck_assert_ptr_nonnull(hop_parse(in, &hop));
        }
    free(in);
}
END_TEST

START_TEST(test_longest_text_fits)
{
    struct hopspec hop = {.kind = HOP_HOST,
                          .has_preference = true,
                          .preference = 65535,
                          .port = 65535};
    char text[HOP_TEXT_MAX];

    memset(hop.host, 'a', NAME_MAX_TEXT);
    hop_format(&hop, text);
    ck_assert_uint_eq(strlen(text), 6 + 2 + NAME_MAX_TEXT + 6);
}
END_TEST

START_TEST(test_random)
{
    static const char alphabet[] = "a1.:[] 0IPv6\xc3\xbc-\t";
    char in[40];

    srand(1);
    for (int i = 0; i < 50000; i++) {
        struct hopspec hop, again;
        char text[HOP_TEXT_MAX];
        size_t n = (size_t)(rand() % 39);

        for (size_t j = 0; j < n; j++)
            in[j] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
        in[n] = '\0';
        if (hop_parse(in, &hop) != NULL)
            continue;
        hop_format(&hop, text);
        ck_assert_pstr_eq(hop_parse(text, &again), NULL);
        ck_assert_mem_eq(&hop, &again, sizeof(hop));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hop");
    TCase *t = tcase_create("hop");

    suite_add_tcase(s, t);
    tcase_add_loop_test(t, test_good, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(t, test_bad, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(t, test_long);
    tcase_add_test(t, test_longest_text_fits);
    tcase_add_test(t, test_random);
    return suite_run(s);
}
