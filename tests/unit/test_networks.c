/* Address blocks. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "model/rules.h"
#include "support/failmalloc.h"

static const struct {
    const char *list, *address;
    bool in;
} rows[] = {
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.0/25", "192.0.2.127", true},
    {"192.0.2.0/25", "192.0.2.128", false},
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"[192.0.2.1]", "192.0.2.1", true},
    {"0.0.0.0/0", "203.0.113.9", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"10.0.0.0/8, 192.0.2.0/31", "192.0.2.1", true},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/32", "2001:db9::1", false},
    {"[2001:db8::]/33", "2001:db8:7fff::", true},
    {"[2001:db8::]/33", "2001:db8:8000::", false},
    {"[::1]", "::1", true},
    {"::1", "::2", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "192.0.2.1", false},
    {"127.0.0.0/8", "::ffff:127.0.0.1", true}, /* the same host */
    {"127.0.0.0/8", "::ffff:192.0.2.1", false},
    {"127.0.0.0/8", "::127.0.0.1", false},
    {"", "192.0.2.1", false},
    {" ,\t", "::1", false},
};

START_TEST(test_match)
{
    struct networks n;
    struct in_addr v4;
    struct in6_addr v6;
    const char *bad;
    size_t len;
    bool in;

    ck_assert_pstr_eq(networks_parse(rows[_i].list, &n, &bad, &len), NULL);
    if (inet_pton(AF_INET, rows[_i].address, &v4) == 1) {
        in = networks_has_v4(&n, v4);
    } else {
        ck_assert_int_eq(inet_pton(AF_INET6, rows[_i].address, &v6), 1);
        in = networks_has_v6(&n, v6);
    }
    ck_assert_msg(in == rows[_i].in, "%s in %s", rows[_i].address,
                  rows[_i].list);
    networks_free(&n);
}
END_TEST

static const struct {
    const char *list, *bad;
} wrong[] = {
    {"192.0.2.0/24 192.0.2.1/24 ::1", "192.0.2.1/24"},
    {"192.0.2.0/33", "192.0.2.0/33"},
    {"192.0.2.0/", "192.0.2.0/"},
    {"192.0.2.0/-1", "192.0.2.0/-1"},
    {"192.0.2.0/024x", "192.0.2.0/024x"},
    {"192.0.2.0/999", "192.0.2.0/999"},
    {"192.0.2.0/255", "192.0.2.0/255"},
    {"192.0.2", "192.0.2"},
    {"2001:db8::/129", "2001:db8::/129"},
    {"2001:db8::1/32", "2001:db8::1/32"},
    {"fe80::1%lo", "fe80::1%lo"},
    {"[::1", "[::1"},
    {"[2001:db8::/32]", "[2001:db8::/32]"}, /* as Postfix: [addr]/32 */
    {"[::1]x", "[::1]x"},
    {"[", "["},
    {"[]", "[]"},
    {"/8", "/8"},
    {"::1 example.com", "example.com"},
    {"!192.0.2.1", "!192.0.2.1"},
};

START_TEST(test_wrong)
{
    struct networks n;
    const char *bad, *text;
    size_t len;

    text = networks_parse(wrong[_i].list, &n, &bad, &len);
    ck_assert_msg(text != NULL, "%s passed", wrong[_i].list);
    ck_assert_uint_eq(len, strlen(wrong[_i].bad));
    ck_assert_mem_eq(bad, wrong[_i].bad, len);
    ck_assert(n.v == NULL && n.n == 0);
}
END_TEST

START_TEST(test_long_word)
{
    char word[500];
    struct networks n;
    const char *bad;
    size_t len;

    memset(word, '1', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    ck_assert_ptr_nonnull(networks_parse(word, &n, &bad, &len));
    ck_assert_uint_eq(len, sizeof(word) - 1);
}
END_TEST

START_TEST(test_memory)
{
    for (unsigned n = 1;; n++) {
        struct networks nets;
        const char *text, *bad;
        size_t len;
        bool hit;

        failmalloc_at(n);
        text = networks_parse("192.0.2.1 ::1 10.0.0.0/8", &nets, &bad, &len);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_pstr_eq(text, hit ? "out of memory" : NULL);
        ck_assert_uint_eq(nets.n, hit ? 0 : 3);
        networks_free(&nets);
        if (!hit)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("networks");
    TCase *t = tcase_create("networks");

    suite_add_tcase(s, t);
    tcase_add_loop_test(t, test_match, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(t, test_wrong, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(t, test_long_word);
    tcase_add_test(t, test_memory);
    return suite_run(s);
}
