/* Names in normal form, and what an MTA asks. */

#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "model/key.h"

#define L63 "abcdefghijklmnopqrstuvwxyz0123456789-_abcdefghijklmnopqrstuvwxy"
#define N253                                       \
    L63 "." L63 "." L63 "." /* 192, and 61 more */ \
        "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"
#define L64 L63 "a"

static const struct {
    const char *in, *want; /* want NULL: refused */
} names[] = {
    {"example.com", "example.com"},
    {"EXAMPLE.Com.", "example.com"},
    {"localhost", "localhost"},
    {"_dmarc._tcp.Example", "_dmarc._tcp.example"},
    {"a-b.c", "a-b.c"},
    {"1.2.3.4.example", "1.2.3.4.example"},
    {"3com.3com", "3com.3com"},
    {"xn--bcher-kva.example", "xn--bcher-kva.example"},
    {"XN--99999999.example", "xn--99999999.example"},
    {"b\xc3\xbc"
     "cher.example",
     "xn--bcher-kva.example"},
    {"B\xc3\x9c"
     "CHER.Example.",
     "xn--bcher-kva.example"},
    {"fa\xc3\x9f.de", "xn--fa-hia.de"}, /* not fass.de: non-transitional */
    {"_x.b\xc3\xbc"
     "cher.de",
     "_x.xn--bcher-kva.de"},
    {"b\xc3\xbc"
     "cher\xe3\x80\x82"
     "de",
     "xn--bcher-kva.de"},                  /* full stop */
    {"\xef\xbc\xa1.example", "a.example"}, /* full-width A */
    {L63 ".example", L63 ".example"},
    {N253, N253},
    {N253 ".", N253},
    {"", NULL},
    {".", NULL},
    {"..", NULL},
    {"a..b", NULL},
    {".a", NULL},
    {"a.b..", NULL},
    {"a b", NULL},
    {" a", NULL},
    {"a,b", NULL},
    {"a:25", NULL},
    {"[a]", NULL},
    {"a/b", NULL},
    {"a\\.b", NULL},
    {"$a", NULL},
    {"*", NULL},
    {"a\nb", NULL},
    {"a\x7f", NULL},
    {"192.0.2.1", NULL},
    {"192.0.2.1.", NULL},
    {"example.123", NULL},
    {"1", NULL},
    {"2001:db8::1", NULL},
    {L64 ".example", NULL},
    {"a" N253, NULL},
    {"b\xfc"
     "cher.example",
     NULL},                                     /* Latin-1 */
    {"b\xc3", NULL},                            /* cut */
    {"\xc0\xae.example", NULL},                 /* overlong dot */
    {"\xed\xa0\x80.example", NULL},             /* surrogate */
    {"example.\xef\xbc\x91\xef\xbc\x92", NULL}, /* full-width digits */
    {"\xef\xbc\x8c.example", NULL},             /* full-width comma */
    {"a\xe2\x80\xae"
     "b.example",
     NULL}, /* right-to-left override */
};

START_TEST(test_names)
{
    char out[NAME_MAX_TEXT + 1];
    const char *wrong = name_normalise(names[_i].in, out);

    ck_assert_msg((wrong == NULL) == (names[_i].want != NULL), "%s: %s",
                  names[_i].in, wrong != NULL ? wrong : out);
    ck_assert_str_eq(out, names[_i].want != NULL ? names[_i].want : "");
}
END_TEST

START_TEST(test_every_byte)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyz0123456789-_"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char out[NAME_MAX_TEXT + 1], in[] = "a?b.example";

    for (int c = 1; c < 256; c++) {
        bool good = strchr(ok, c) != NULL || c == '.';

        in[1] = (char)c;
        ck_assert_msg((name_normalise(in, out) == NULL) == good, "byte %d", c);
    }
}
END_TEST

START_TEST(test_any_length)
{
    char out[NAME_MAX_TEXT + 1], *in = malloc(100001);
    static const char fill[] = {'a', '.', '@', '\xc3', ' '};

    for (size_t f = 0; f < sizeof(fill); f++)
        for (size_t n = 200; n <= 100000; n = n < 1100 ? n + 1 : n * 9) {
            struct key key;

            memset(in, fill[f], n);
            in[n] = '\0';
            ck_assert_ptr_nonnull(name_normalise(in, out));
            key_parse(in, &key);
            ck_assert_int_eq(key.kind, KEY_NONE);
        }
    free(in);
}
END_TEST

static const struct {
    const char *in;
    enum key_kind kind;
    const char *domain, *recipient;
} keys[] = {
    {"Example.COM.", KEY_DOMAIN, "example.com", ""},
    {"User+Ext@Example.COM", KEY_RECIPIENT, "example.com",
     "user+ext@example.com"},
    {"a@b@c.example", KEY_RECIPIENT, "c.example", "a@b@c.example"},
    {"\"a b\"@c.example", KEY_RECIPIENT, "c.example", "\"a b\"@c.example"},
    {"\xc3\xbc@b\xc3\xbc"
     "cher.example",
     KEY_RECIPIENT, "xn--bcher-kva.example", "\xc3\xbc@xn--bcher-kva.example"},
    {L63 "1@c.example", KEY_RECIPIENT, "c.example", L63 "1@c.example"},
    {"x@" N253, KEY_RECIPIENT, N253, "x@" N253},
    {L63 "12@c.example", KEY_NONE, "", ""},
    {"", KEY_NONE, "", ""},
    {"*", KEY_NONE, "", ""},
    {".example.com", KEY_NONE, "", ""},
    {"user@.example.com", KEY_NONE, "", ""},
    {"[192.0.2.1]", KEY_NONE, "", ""},
    {"user@[192.0.2.1]", KEY_NONE, "", ""},
    {"user@[IPv6:2001:db8::1]", KEY_NONE, "", ""},
    {"192.0.2.1", KEY_NONE, "", ""},
    {"user@192.0.2.1", KEY_NONE, "", ""},
    {"@example.com", KEY_NONE, "", ""},
    {"user@", KEY_NONE, "", ""},
    {"@", KEY_NONE, "", ""},
    {"a\x01@example.com", KEY_NONE, "", ""},
    {"a\x7f@example.com", KEY_NONE, "", ""},
    {"a\n@example.com", KEY_NONE, "", ""},
    {"user@exa mple.com", KEY_NONE, "", ""},
    {"example..com", KEY_NONE, "", ""},
};

START_TEST(test_keys)
{
    struct key key;

    memset(&key, 'x', sizeof(key));
    key_parse(keys[_i].in, &key);
    ck_assert_msg(key.kind == keys[_i].kind, "%s", keys[_i].in);
    ck_assert_str_eq(key.domain, keys[_i].domain);
    ck_assert_str_eq(key.recipient, keys[_i].recipient);
    ck_assert_int_eq(key.why != NULL, key.kind == KEY_NONE);
}
END_TEST

/* Whatever passes is in normal form, and stays as it is when asked again. */
START_TEST(test_random)
{
    static const char alphabet[] = "aZ0.-_@ \xc3\xbc\x01*[]:xn-";
    char in[300];

    srand(1);
    for (int i = 0; i < 20000; i++) {
        struct key key, again;
        size_t n = (size_t)(rand() % (i % 10 ? 12 : 299));

        for (size_t j = 0; j < n; j++)
            in[j] = i % 3 ? alphabet[(size_t)rand() % (sizeof(alphabet) - 1)]
                          : (char)(1 + rand() % 255);
        in[n] = '\0';
        key_parse(in, &key);
        if (key.kind == KEY_NONE)
            continue;
        key_parse(key.kind == KEY_DOMAIN ? key.domain : key.recipient, &again);
        ck_assert_int_eq(again.kind, key.kind);
        ck_assert_str_eq(again.domain, key.domain);
        ck_assert_str_eq(again.recipient, key.recipient);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("key");
    TCase *t = tcase_create("key");

    suite_add_tcase(s, t);
    tcase_add_loop_test(t, test_names, 0, sizeof(names) / sizeof(names[0]));
    tcase_add_loop_test(t, test_keys, 0, sizeof(keys) / sizeof(keys[0]));
    tcase_add_test(t, test_every_byte);
    tcase_add_test(t, test_any_length);
    tcase_add_test(t, test_random);
    return suite_run(s);
}
