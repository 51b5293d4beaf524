/* Queries, and the list of name servers. */

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "support/suite.h"
#include "dns/message.h"

static const uint8_t tail[] = {7,   'e', 'x', 'a', 'm', 'p', 'l', 'e', 3,
                               'c', 'o', 'm', 0,   0,   15,  0,   1};

static size_t build(const char *name, bool edns, bool ad, uint8_t *out)
{
    struct question q = {.id = 0xfe01, .type = WIRE_TYPE_MX};
    size_t len;

    snprintf(q.name, sizeof(q.name), "%s", name);
    len = dns_query_build(&q, edns, ad, out);
    if (len != 0)
        ck_assert_uint_eq(0xfe01, out[0] << 8 | out[1]);
    return len;
}

START_TEST(test_query)
{
    static const uint8_t plain[] = {1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    static const uint8_t opt[] = {0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};
    uint8_t out[DNS_QUERY_MAX];

    ck_assert_uint_eq(build("example.com", false, false, out), 29);
    ck_assert_mem_eq(out + 2, plain, sizeof(plain));
    ck_assert_mem_eq(out + 12, tail, sizeof(tail));
    ck_assert_uint_eq(build("example.com", true, true, out), 40);
    ck_assert_uint_eq(out[2], 1);    /* RD */
    ck_assert_uint_eq(out[3], 0x20); /* AD */
    ck_assert_uint_eq(out[11], 1);
    ck_assert_mem_eq(out + 12, tail, sizeof(tail));
    ck_assert_mem_eq(out + 29, opt, sizeof(opt));
}
END_TEST

/* What one side writes, the other recognises. */
START_TEST(test_round)
{
    static const char *const names[] = {"example.com", "a\\.b.example",
                                        ".",           "x\\000y\\255.z",
                                        "\\@\\;\\(.x", "UPPER.example"};
    uint8_t out[DNS_QUERY_MAX];
    struct question q;
    size_t len;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        q = (struct question){.type = WIRE_TYPE_AAAA};
        strcpy(q.name, names[i]);
        len = dns_query_build(&q, true, true, out);
        ck_assert_msg(len > 0, "%s", names[i]);
        ck_assert_int_eq(reply_judge(out, len, &q, NULL), REPLY_ALIEN);
        out[2] |= 0x80;
        ck_assert_msg(reply_judge(out, len, &q, NULL) == REPLY_ANSWER, "%s",
                      names[i]);
    }
}
END_TEST

START_TEST(test_names_refused)
{
    static const char *const bad[] = {"", "..", ".a", "a..b", "a\\", "a\\300"};
    uint8_t out[DNS_QUERY_MAX];
    char name[300];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_uint_eq(build(bad[i], true, true, out), 0);
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % 50 == 49 ? '.' : 'a';
    name[253] = '\0';
    ck_assert_uint_eq(build(name, true, true, out), 12 + 255 + 4 + 11);
    name[253] = 'a';
    name[254] = '\0';
    ck_assert_uint_eq(build(name, true, true, out), 0);
    memset(name, 'a', 64);
    name[64] = '\0';
    ck_assert_uint_eq(build(name, true, true, out), 0);
}
END_TEST

static const struct {
    const char *list, *texts; /* what dns_server_text() says of each */
    bool trust_ad;
} lists[] = {
    {"127.0.0.1:5353 [::1]:53", "127.0.0.1:5353 [::1]:53 ", true},
    {" 192.0.2.1,\t[2001:DB8::1] ", "192.0.2.1:53 [2001:db8::1]:53 ", false},
    {"127.8.8.8, 192.0.2.1:65535", "127.8.8.8:53 192.0.2.1:65535 ", false},
    {"[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]:53 ", true},
    {"::1", "[::1]:53 ", true},
    {"2001:db8::1 [192.0.2.1] [192.0.2.1]:54",
     "[2001:db8::1]:53 192.0.2.1:53 192.0.2.1:54 ", false},
};

START_TEST(test_lists)
{
    char texts[512] = "", one[64];
    struct dns_servers s;
    struct mxhop_error err;

    ck_assert_int_eq(dns_servers_load(&s, lists[_i].list, &err), MXHOP_OK);
    for (size_t i = 0; i < s.n; i++) {
        dns_server_text((struct sockaddr *)&s.addr[i], one);
        strcat(strcat(texts, one), " ");
    }
    ck_assert_str_eq(texts, lists[_i].texts);
    ck_assert_int_eq(s.trust_ad, lists[_i].trust_ad);
}
END_TEST

static const struct {
    const char *list, *word;
} bad_lists[] = {
    {"192.0.2.1 localhost", "\"localhost\""},
    {"192.0.2.1:", "\"192.0.2.1:\""},
    {"192.0.2.1:0", "\"192.0.2.1:0\""},
    {"192.0.2.1:65536", "\"192.0.2.1:65536\""},
    {"192.0.2.1:99999999999999999999", "99999"},
    {"192.0.2.1:+5", ":+5\""},
    {"192.0.2.1:53x", ":53x\""},
    {"192.0.2.256", "\"192.0.2.256\""},
    {"127.1", "\"127.1\""},
    {"2001:db8::1:", "\"2001:db8::1:\""},
    {"[]", "\"[]\""},
    {"[::1", "\"[::1\""},
    {"[::1]53", "\"[::1]53\""},
    {"[::1]:", "\"[::1]:\""},
    {"[fe80::1%lo]", "\"[fe80::1%lo]\""},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "aaaa\""},
    {"1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9",
     "\"1.1.1.9\""},
};

START_TEST(test_bad_lists)
{
    struct dns_servers s;
    struct mxhop_error err;

    ck_assert_int_eq(dns_servers_load(&s, bad_lists[_i].list, &err),
                     MXHOP_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, bad_lists[_i].word) != NULL, "%s", err.text);
}
END_TEST

/* Put text in the place of resolv.conf, in a mount namespace of this test's
   own process; false where that is not allowed (not root). */
static bool fake_resolv_conf(const char *text)
{
    char path[] = "/tmp/test_message.XXXXXX";
    int fd;
    bool done;

    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    done = mount(path, "/etc/resolv.conf", "none", MS_BIND, NULL) == 0;
    unlink(path);
    return done;
}

static const struct {
    const char *conf, *texts;
    bool trust_ad;
} confs[] = {
    {"nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver 192.0.2.2\n",
     "192.0.2.1:53 [2001:db8::1]:53 192.0.2.2:53 ", false},
    {"nameserver 2001:db8::1\noptions trust-ad\n", "[2001:db8::1]:53 ", true},
    {"nameserver ::1\nnameserver 127.0.0.53\n", "[::1]:53 127.0.0.53:53 ",
     true},
    {"search example\n", "127.0.0.1:53 ", true}, /* glibc's default */
};

START_TEST(test_resolv_conf)
{
    char texts[512] = "", one[64];
    struct dns_servers s;
    struct mxhop_error err;

    if (!fake_resolv_conf(confs[_i].conf))
        return;
    ck_assert_int_eq(dns_servers_load(&s, _i % 2 ? " " : NULL, &err), MXHOP_OK);
    for (size_t i = 0; i < s.n; i++) {
        dns_server_text((struct sockaddr *)&s.addr[i], one);
        strcat(strcat(texts, one), " ");
    }
    ck_assert_str_eq(texts, confs[_i].texts);
    ck_assert_int_eq(s.trust_ad, confs[_i].trust_ad);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *s = suite_create("message");
    TCase *t = tcase_create("message");

    tcase_add_test(t, test_query);
    tcase_add_test(t, test_round);
    tcase_add_test(t, test_names_refused);
    tcase_add_loop_test(t, test_lists, 0, COUNT(lists));
    tcase_add_loop_test(t, test_bad_lists, 0, COUNT(bad_lists));
    tcase_add_loop_test(t, test_resolv_conf, 0, COUNT(confs));
    suite_add_tcase(s, t);
    return suite_run(s);
}
