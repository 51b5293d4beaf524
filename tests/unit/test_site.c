/* model/site: the same text for all domains with the same hosts. */

#include <stdlib.h>
#include <string.h>
#include "support/suite.h"
#include "model/site.h"
#include "support/failmalloc.h"

/* hosts: "PREF NAME" words, ends with NULL. */
static const struct {
    const char *hosts[6];
    const char *text;
} sites[] = {
    {{"10 b.example", "10 a.example", "5 c.example"},
     "5 c.example\n10 a.example\n10 b.example\n"},
    {{"10 a.example", "5 c.example", "10 b.example", "10 a.example"},
     "5 c.example\n10 a.example\n10 b.example\n"},
    {{"20 a.example", "10 a.example"}, "10 a.example\n20 a.example\n"},
    {{"0 odd\\032name"}, "0 odd\\032name\n"},
    {{"65535 two\nlines"}, "65535 two\n"},
    {{NULL}, ""},
};
#define N_SITES (int)(sizeof(sites) / sizeof(sites[0]))

static void make_set(struct mxset *set, const char *const *hosts)
{
    *set = (struct mxset){.outcome = MX_HOSTS};
    for (; *hosts != NULL; hosts++) {
        char *name;
        unsigned long preference = strtoul(*hosts, &name, 10);

        ck_assert(mxset_add(set, name + 1, (uint16_t)preference));
    }
}

START_TEST(text)
{
    struct buf out = {0};
    struct mxset set;

    make_set(&set, sites[_i].hosts);
    buf_puts(&out, "");
    site_text(&set, &out);
    ck_assert(!out.failed);
    ck_assert_str_eq(out.data, sites[_i].text);
    buf_free(&out);
    mxset_free(&set);
}
END_TEST

START_TEST(only_hosts_are_a_site)
{
    struct buf out = {0};
    struct mxset set;

    make_set(&set, sites[0].hosts);
    set.outcome = MX_FAILURE;
    site_text(&set, &out);
    ck_assert_uint_eq(out.len, 0);
    mxset_free(&set);
}
END_TEST

START_TEST(lines)
{
    static const struct {
        unsigned preference;
        const char *host;
    } want[] = {{5, "c.example"}, {10, "a.example"}, {10, "b.example"}};
    const char *at = sites[0].text, *host;
    unsigned preference, n = 0;
    size_t len;

    while ((at = site_next(at, &preference, &host, &len)) != NULL) {
        ck_assert_uint_lt(n, 3);
        ck_assert_uint_eq(preference, want[n].preference);
        ck_assert_uint_eq(len, strlen(want[n].host));
        ck_assert_int_eq(memcmp(host, want[n].host, len), 0);
        n++;
    }
    ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(out_of_memory)
{
    struct mxset set;
    bool hit = true;

    make_set(&set, sites[0].hosts);
    for (unsigned n = 1; hit; n++) {
        struct buf out = {0};

        failmalloc_at(n);
        site_text(&set, &out);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(out.failed, hit);
        buf_free(&out);
    }
    mxset_free(&set);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("site");
    TCase *t = tcase_create("site");

    tcase_add_loop_test(t, text, 0, N_SITES);
    tcase_add_test(t, only_hosts_are_a_site);
    tcase_add_test(t, lines);
    tcase_add_test(t, out_of_memory);
    suite_add_tcase(s, t);
    return suite_run(s);
}
