/* Overrides as plain values. */

#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "model/override.h"
#include "support/failmalloc.h"

static const struct {
    enum override_mode mode;
    const char *name;
    bool final;
} modes[] = {
    {OVERRIDE_REPLACE, "replace", true}, {OVERRIDE_PREPEND, "prepend", false},
    {OVERRIDE_APPEND, "append", false},  {OVERRIDE_EXCLUDE, "exclude", false},
    {OVERRIDE_MERGE, "merge", false},    {OVERRIDE_PASS, "pass", true},
    {OVERRIDE_REJECT, "reject", true},   {OVERRIDE_DEFER, "defer", true},
};

START_TEST(test_modes)
{
    enum override_mode mode;

    ck_assert_uint_eq(sizeof(modes) / sizeof(modes[0]), OVERRIDE_MODES);
    for (size_t i = 0; i < OVERRIDE_MODES; i++) {
        struct override o = {.mode = modes[i].mode};

        ck_assert_str_eq(override_mode_name(modes[i].mode), modes[i].name);
        ck_assert(override_mode_parse(modes[i].name, &mode));
        ck_assert_int_eq(mode, modes[i].mode);
        ck_assert_int_eq(override_is_final(&o), modes[i].final);
    }
    ck_assert(override_mode_parse("Prepend", &mode));
    ck_assert_int_eq(mode, OVERRIDE_PREPEND);
    ck_assert(!override_mode_parse("", &mode));
    ck_assert(!override_mode_parse("replaces", &mode));
    ck_assert_str_eq(override_mode_name(OVERRIDE_MODES), "?");
}
END_TEST

START_TEST(test_active)
{
    static const struct {
        bool enabled;
        int64_t from, to, now;
        bool active;
    } rows[] = {
        {true, 0, 0, 1000, true},       {false, 0, 0, 1000, false},
        {true, 1000, 0, 999, false},    {true, 1000, 0, 1000, true},
        {true, 0, 1000, 1000, true},    {true, 0, 1000, 1001, false},
        {true, 900, 1100, 1000, true},  {false, 900, 1100, 1000, false},
        {true, 1100, 900, 1000, false}, {true, 900, 900, 900, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct override o = {.enabled = rows[i].enabled,
                             .not_before_s = rows[i].from,
                             .not_after_s = rows[i].to};

        ck_assert_msg(override_active(&o, rows[i].now) == rows[i].active,
                      "row %zu", i);
    }
}
END_TEST

static bool fill(struct override *o)
{
    struct hopspec hop;

    if (hop_parse("10 [a.example]:587", &hop) != NULL)
        return false;
    o->dn = strdup("cn=a,dc=example");
    o->transport = strdup("relay");
    o->reason = strdup("closed");
    return o->dn != NULL && o->transport != NULL && o->reason != NULL &&
           strlist_add(&o->keys, "example.com") &&
           strlist_add(&o->keys, ".example.com") &&
           strlist_add(&o->exchanges, "mx.example") &&
           strlist_add(&o->excludes, ".bad.example") &&
           override_add_hop(o, &hop) && override_add_hop(o, &hop);
}

START_TEST(test_memory)
{
    for (unsigned n = 1;; n++) {
        struct override o = {0};
        bool ok, hit;

        failmalloc_at(n);
        ok = fill(&o);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(ok, !hit);
        if (ok) {
            ck_assert_uint_eq(o.keys.n, 2);
            ck_assert_str_eq(o.keys.v[1], ".example.com");
            ck_assert_uint_eq(o.n_hops, 2);
            ck_assert_str_eq(o.hops[1].host, "a.example");
        }
        override_free(&o);
        ck_assert(o.dn == NULL && o.n_hops == 0 && o.keys.n == 0);
        override_free(&o); /* an empty one is fine */
        if (!hit)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("override");
    TCase *t = tcase_create("override");

    suite_add_tcase(s, t);
    tcase_add_test(t, test_modes);
    tcase_add_test(t, test_active);
    tcase_add_test(t, test_memory);
    return suite_run(s);
}
