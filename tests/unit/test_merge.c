/* merge: which candidates come from the MX set and the override, and where. */

#include "route_fixture.h"
#include "support/failmalloc.h"

/* tier/preference/rank host, of every candidate in the order they came. */
static char *places(const struct candidates *l)
{
    struct buf out = {0};

    for (size_t i = 0; i < l->n; i++) {
        const struct candidate *c = &l->v[i];

        buf_printf(&out, "%s%u/%u/%u %s", i > 0 ? " " : "", c->tier,
                   c->preference, c->rank, c->host);
        if (c->port != 0)
            buf_printf(&out, ":%u", c->port);
        if (c->is_mx)
            buf_puts(&out, "!");
    }
    return buf_detach(&out);
}

static const struct {
    enum override_mode mode;
    const char *hops, *want;
} modes[] = {
    {OVERRIDE_REPLACE, "[r1.test]:587,20 [192.0.2.9]",
     "1/0/0 r1.test:587 1/20/0 192.0.2.9"},
    {OVERRIDE_PREPEND, "[r1.test]",
     "0/0/0 r1.test 1/10/0 a.test 1/20/0 b.test"},
    {OVERRIDE_APPEND, "5 [r1.test]",
     "2/5/0 r1.test 1/10/0 a.test 1/20/0 b.test"},
    {OVERRIDE_MERGE, "15 [r1.test]",
     "1/15/0 r1.test 1/10/0 a.test 1/20/0 b.test"},
    {OVERRIDE_EXCLUDE, "", "1/10/0 a.test 1/20/0 b.test"},
    {OVERRIDE_PASS, "[r1.test]", ""},
    {OVERRIDE_REJECT, "[r1.test]", ""},
    {OVERRIDE_DEFER, "[r1.test]", ""},
};

START_TEST(places_by_mode)
{
    struct rules rules = fixture_rules();
    struct override o = fixture_override(modes[_i].mode, modes[_i].hops);
    struct mxset set = fixture_set("10 a.test,20 b.test");
    struct decide_input in = {
        .rules = &rules, .domain = "d.test", .override = &o, .set = &set};
    struct candidates l = {0};
    char *text;

    ck_assert(merge_candidates(&in, &l));
    text = places(&l);
    ck_assert_str_eq(text, modes[_i].want);
    for (size_t i = 0; i < l.n; i++) {
        ck_assert_int_eq(l.v[i].drop, DROP_NO);
        ck_assert_str_eq(l.v[i].source, l.v[i].is_dns ? "dns" : DN);
    }
    free(text);
    free(l.v);
    override_free(&o);
    mxset_free(&set);
}
END_TEST

static const enum mx_outcome failed[] = {MX_NULL, MX_NXDOMAIN, MX_FAILURE};

START_TEST(own_hops_alone_where_the_set_has_no_hosts)
{
    struct rules rules = fixture_rules();
    struct mxset set = {.outcome = failed[_i % 3]};

    for (int mode = 0; mode < OVERRIDE_MODES; mode++) {
        struct override o = fixture_override(mode, "[r1.test]");
        struct decide_input in = {.rules = &rules,
                                  .domain = "d.test",
                                  .override = &o,
                                  .set = _i == 3 ? NULL : &set,
                                  .cold = _i == 3};
        struct candidates l = {0};

        ck_assert(merge_candidates(&in, &l));
        ck_assert_uint_eq(l.n,
                          mode < OVERRIDE_PASS && mode != OVERRIDE_EXCLUDE);
        free(l.v);
        override_free(&o);
    }
}
END_TEST

START_TEST(no_override)
{
    struct rules rules = fixture_rules();
    struct mxset set = fixture_set("10 a.test=192.0.2.1");
    struct decide_input in = {.rules = &rules, .domain = "d.test", .set = &set};
    struct candidates l = {0};

    ck_assert(merge_candidates(&in, &l));
    ck_assert_uint_eq(l.n, 1);
    ck_assert(l.v[0].is_dns && !l.v[0].is_mx && !l.v[0].is_address);
    ck_assert_ptr_eq(l.v[0].addrs, &set.mx[0].addrs);
    ck_assert_ptr_null(l.v[0].via);
    free(l.v);
    mxset_free(&set);
}
END_TEST

static const struct {
    const char *set; /* NULL: not spliced */
    enum mx_outcome outcome;
    const char *want;
    enum drop drop;
} splices[] = {
    {NULL, MX_HOSTS, "1/7/0 p.test:26!", DROP_NAME_NOT_KNOWN},
    {"10 a.p.test,10 b.p.test,30 c.p.test", MX_HOSTS,
     "1/7/0 a.p.test:26 1/7/0 b.p.test:26 1/7/1 c.p.test:26", DROP_NO},
    {"", MX_NULL, "1/7/0 p.test:26!", DROP_NULL_MX},
    {"", MX_NXDOMAIN, "1/7/0 p.test:26!", DROP_NO_DOMAIN},
    {"", MX_FAILURE, "1/7/0 p.test:26!", DROP_NAME_NOT_KNOWN},
};

START_TEST(bare_name_is_its_mx_set)
{
    struct rules rules = fixture_rules();
    struct override o = fixture_override(OVERRIDE_REPLACE, "7 p.test:26");
    struct hop_facts facts = {0};
    struct decide_input in = {
        .rules = &rules, .domain = "d.test", .override = &o, .facts = &facts};
    struct candidates l = {0};
    char *text;

    if (splices[_i].set != NULL) {
        facts.spliced = true;
        facts.set = fixture_set(splices[_i].set);
        facts.set.outcome = splices[_i].outcome;
    }
    ck_assert(merge_candidates(&in, &l));
    text = places(&l);
    ck_assert_str_eq(text, splices[_i].want);
    for (size_t i = 0; i < l.n; i++) {
        ck_assert_int_eq(l.v[i].drop, splices[_i].drop);
        ck_assert_str_eq(l.v[i].source, DN);
        ck_assert(!l.v[i].is_dns);
        ck_assert_int_eq(l.v[i].via != NULL, !l.v[i].is_mx);
    }
    free(text);
    free(l.v);
    override_free(&o);
    mxset_free(&facts.set);
}
END_TEST

START_TEST(bare_name_without_facts_is_left_out)
{
    struct rules rules = fixture_rules();
    struct override o = fixture_override(OVERRIDE_REPLACE, "p.test,[h.test]");
    struct decide_input in = {
        .rules = &rules, .domain = "d.test", .override = &o};
    struct candidates l = {0};

    ck_assert(merge_candidates(&in, &l));
    ck_assert_uint_eq(l.n, 2);
    ck_assert_int_eq(l.v[0].drop, DROP_NAME_NOT_KNOWN);
    ck_assert_int_eq(l.v[1].drop, DROP_NO);
    ck_assert_ptr_null(l.v[1].addrs);
    free(l.v);
    override_free(&o);
}
END_TEST

START_TEST(survives_allocation_failure)
{
    struct rules rules = fixture_rules();
    struct override o = fixture_override(OVERRIDE_MERGE, "[h1.test],p.test");
    struct mxset set = {0};
    struct hop_facts facts[2] = {{0}};
    struct decide_input in = {.rules = &rules,
                              .domain = "d.test",
                              .override = &o,
                              .facts = facts,
                              .set = &set};
    bool hit;
    unsigned n = 1;

    facts[1].spliced = true;
    for (int i = 0; i < 20; i++) {
        fixture_mx(&set, 10, "a.test", "unknown");
        fixture_mx(&facts[1].set, 10, "b.test", "unknown");
    }
    do {
        struct candidates l = {0};
        bool ok;

        failmalloc_at(n++);
        ok = merge_candidates(&in, &l);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(ok, !hit);
        ck_assert(!ok || l.n == 41);
        free(l.v);
    } while (hit);
    ck_assert_uint_gt(n, 3);
    override_free(&o);
    mxset_free(&set);
    mxset_free(&facts[1].set);
}
END_TEST

#define LOOP(t, table) \
    tcase_add_loop_test(tc, t, 0, sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *s = suite_create("merge");
    TCase *tc = tcase_create("merge");

    LOOP(places_by_mode, modes);
    tcase_add_loop_test(tc, own_hops_alone_where_the_set_has_no_hosts, 0, 4);
    tcase_add_test(tc, no_override);
    LOOP(bare_name_is_its_mx_set, splices);
    tcase_add_test(tc, bare_name_without_facts_is_left_out);
    tcase_add_test(tc, survives_allocation_failure);
    suite_add_tcase(s, tc);
    return fixture_run(s);
}
