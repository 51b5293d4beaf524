/* match: keys and exchanges under which overrides stand, host patterns. */

#include "route/match.h"

#include "route_fixture.h"
#include "support/failmalloc.h"

static void assert_list(struct strlist *l, const char *want)
{
    struct buf out = {0};
    char *text;

    for (size_t i = 0; i < l->n; i++)
        buf_printf(&out, "%s%s", i > 0 ? " " : "", l->v[i]);
    text = buf_detach(&out);
    ck_assert_str_eq(text, want);
    free(text);
    strlist_free(l);
}

static const struct {
    const char *key, *want;
} keys[] = {
    {"a.b.example", "a.b.example .b.example .example *"},
    {"A.B.Example.", "a.b.example .b.example .example *"},
    {"example", "example *"},
    {"User@A.example", "user@a.example"},
    {"*", ""},
    {".example", ""},
    {"", ""},
    {"[192.0.2.1]", ""},
};

START_TEST(keys_most_specific_first)
{
    struct key key;
    struct strlist l;

    key_parse(keys[_i].key, &key);
    ck_assert(match_keys(&key, &l));
    assert_list(&l, keys[_i].want);
}
END_TEST

static const struct {
    const char *set, *want;
} exchanges[] = {
    {"10 mx.example.net", "mx.example.net .example.net .net"},
    {"10 mx.example.net,20 backup.example.org",
     "mx.example.net .example.net .net"},
    {"10 b.test,10 aa.test", "aa.test b.test .test"},
    {"10 aa.test,10 b.test", "aa.test b.test .test"},
    {"10 b.x.test,10 a.x.test", "a.x.test b.x.test .x.test .test"},
    {"10 bad host.test,10 ok.test", "ok.test .test"},
    {"10 host", "host"},
};

START_TEST(exchanges_longest_first)
{
    struct mxset set = fixture_set(exchanges[_i].set);
    struct strlist l;

    ck_assert(match_exchanges(&set, false, &l));
    assert_list(&l, exchanges[_i].want);
    mxset_free(&set);
}
END_TEST

START_TEST(exchanges_of_nothing)
{
    struct mxset set = {.outcome = MX_FAILURE};
    struct strlist l;

    ck_assert(match_exchanges(&set, false, &l));
    assert_list(&l, "");
}
END_TEST

/* What is to be excluded may be at any preference. */
START_TEST(exchanges_of_any_preference)
{
    struct mxset set = fixture_set("10 mx.a.test,20 mx.b.test");
    struct strlist l;

    ck_assert(match_exchanges(&set, true, &l));
    ck_assert_uint_eq(l.n, 5);
    ck_assert_str_eq(l.v[0], "mx.a.test");
    ck_assert_str_eq(l.v[1], "mx.b.test");
    ck_assert_str_eq(l.v[4], ".test");
    strlist_free(&l);
    ck_assert(match_exchanges(&set, false, &l));
    ck_assert_uint_eq(l.n, 3);
    strlist_free(&l);
    mxset_free(&set);
}
END_TEST

START_TEST(exchanges_are_bounded)
{
    struct mxset set = {0};
    struct strlist l;
    char host[64];

    for (int i = 0; i < 600; i++) {
        snprintf(host, sizeof(host), "h%d.a.b.c.d.e.f.g.test", i);
        fixture_mx(&set, 10, host, "unknown");
    }
    ck_assert(match_exchanges(&set, false, &l));
    ck_assert_uint_le(l.n, 100 + 8);
    strlist_free(&l);
    mxset_free(&set);
}
END_TEST

static const struct {
    const char *pattern, *host;
    bool want;
} hosts[] = {
    {"mx.example.net", "mx.example.net", true},
    {"mx.example.net", "MX.Example.NET", true},
    {"mx.example.net", "amx.example.net", false},
    {"mx.example.net", "a.mx.example.net", false},
    {".example.net", "mx.example.net", true},
    {".example.net", "a.b.EXAMPLE.net", true},
    {".example.net", "example.net", false},
    {".example.net", "badexample.net", false},
    {".example.net", ".example.net", false},
    {"", "", false},
    {".", "a.", false},
    {"*", "a", false},
};

START_TEST(host_patterns)
{
    ck_assert_int_eq(match_host(hosts[_i].pattern, hosts[_i].host),
                     hosts[_i].want);
}
END_TEST

START_TEST(host_lists)
{
    char long_list[600];

    memset(long_list, 'a', sizeof(long_list) - 1);
    long_list[sizeof(long_list) - 1] = '\0';
    ck_assert(match_host_list(".google.com, .googlemail.com", "a.google.com"));
    ck_assert(match_host_list(".x\t.googlemail.com", "b.googlemail.com"));
    ck_assert(!match_host_list(".google.com", "google.com"));
    ck_assert(!match_host_list("", "google.com"));
    ck_assert(!match_host_list(" , ", "google.com"));
    ck_assert(!match_host_list(long_list, "google.com"));
}
END_TEST

START_TEST(survives_allocation_failure)
{
    struct mxset set = fixture_set("10 a.b.test,10 c.d.test");
    struct strlist l;
    struct key key;
    bool hit;

    key_parse("a.b.c.example", &key);
    for (unsigned n = 1, done = 0; !done; n++) {
        failmalloc_at(n);
        bool ok = match_keys(&key, &l);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(ok, !hit);
        ck_assert(ok || l.n == 0);
        strlist_free(&l);
        done = !hit;
    }
    for (unsigned n = 1, done = 0; !done; n++) {
        failmalloc_at(n);
        bool ok = match_exchanges(&set, false, &l);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(ok, !hit);
        ck_assert(ok || l.n == 0);
        strlist_free(&l);
        done = !hit;
    }
    mxset_free(&set);
}
END_TEST

#define LOOP(t, table) \
    tcase_add_loop_test(tc, t, 0, sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *s = suite_create("match");
    TCase *tc = tcase_create("match");

    LOOP(keys_most_specific_first, keys);
    LOOP(exchanges_longest_first, exchanges);
    tcase_add_test(tc, exchanges_of_nothing);
    tcase_add_test(tc, exchanges_of_any_preference);
    tcase_add_test(tc, exchanges_are_bounded);
    LOOP(host_patterns, hosts);
    tcase_add_test(tc, host_lists);
    tcase_add_test(tc, survives_allocation_failure);
    suite_add_tcase(s, tc);
    return fixture_run(s);
}
