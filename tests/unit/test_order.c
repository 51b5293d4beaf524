/* order: ties by seed, slot and host; slots; which exchanges to examine. */

#include "route_fixture.h"
#include "support/failmalloc.h"

static char *order_of(const struct rules *rules, struct mxset *set,
                      const struct override *o, int64_t now_s)
{
    struct decide_input in = {.rules = rules,
                              .domain = "d.test",
                              .override = o,
                              .set = set,
                              .now_s = now_s};
    struct candidates l = {0};
    char *text;

    ck_assert(merge_candidates(&in, &l));
    order_candidates(&in, &l);
    text = fixture_text(l.v, l.n);
    free(l.v);
    return text;
}

static void assert_order(const struct rules *rules, const char *set_text,
                         enum override_mode mode, const char *hops,
                         const char *want)
{
    struct mxset set = fixture_set(set_text);
    struct override o = fixture_override(mode, hops);
    char *text = order_of(rules, &set, &o, 1000);

    ck_assert_str_eq(text, want);
    free(text);
    override_free(&o);
    mxset_free(&set);
}

START_TEST(by_tier_and_preference)
{
    struct rules r = fixture_rules();

    assert_order(&r, "30 c,10 a,20 b", OVERRIDE_EXCLUDE, "", "10 a 20 b 30 c");
    assert_order(&r, "10 a", OVERRIDE_PREPEND, "90 [p.test],80 [o.test]",
                 "80 o.test 90 p.test 10 a");
    assert_order(&r, "10 a,20 b", OVERRIDE_APPEND, "[p.test]",
                 "10 a 20 b 0 p.test");
    assert_order(&r, "10 a,20 b", OVERRIDE_MERGE, "15 [p.test]",
                 "10 a 15 p.test 20 b");
}
END_TEST

/* A spliced set stays together and in its own order within one preference. */
START_TEST(by_rank_within_a_splice)
{
    struct rules r = fixture_rules();
    struct override o =
        fixture_override(OVERRIDE_REPLACE, "5 p.test,6 [z.test]");
    struct hop_facts facts[2] = {{.spliced = true}};
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .override = &o,
                              .facts = facts,
                              .now_s = 1000};

    facts[0].set = fixture_set("10 c,20 b,30 a");
    for (r.seed = 0; r.seed < 20; r.seed++) {
        struct candidates l = {0};

        ck_assert(merge_candidates(&in, &l));
        order_candidates(&in, &l);
        assert_text(l.v, l.n, "5 c<p.test 5 b<p.test 5 a<p.test 6 z.test");
        ck_assert(!candidate_same_group(&l.v[0], &l.v[1]));
        free(l.v);
    }
    mxset_free(&facts[0].set);
    override_free(&o);
}
END_TEST

static const char *const permutations[] = {
    "10 a.test,10 b.test,10 c.test", "10 a.test,10 c.test,10 b.test",
    "10 b.test,10 a.test,10 c.test", "10 b.test,10 c.test,10 a.test",
    "10 c.test,10 a.test,10 b.test", "10 c.test,10 b.test,10 a.test",
};

START_TEST(order_of_records_does_not_matter)
{
    struct rules r = fixture_rules();

    for (r.seed = 0; r.seed < 10; r.seed++) {
        struct mxset first = fixture_set(permutations[0]);
        struct mxset other = fixture_set(permutations[_i]);
        char *want = order_of(&r, &first, NULL, 5000);
        char *text = order_of(&r, &other, NULL, 5000);

        ck_assert_str_eq(text, want);
        free(want);
        free(text);
        mxset_free(&first);
        mxset_free(&other);
    }
}
END_TEST

/* How often each of three equal hosts comes first. */
static void assert_spread(const unsigned *firsts, unsigned all)
{
    for (int i = 0; i < 3; i++)
        ck_assert_msg(firsts[i] > all / 5 && firsts[i] < all / 2,
                      "host %d is first %u times of %u", i, firsts[i], all);
}

START_TEST(seeds_spread_the_load)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set(permutations[0]);
    unsigned firsts[3] = {0};

    for (r.seed = 0; r.seed < 600; r.seed++) {
        char *text = order_of(&r, &set, NULL, 5000);

        firsts[text[3] - 'a']++;
        free(text);
    }
    assert_spread(firsts, 600);
    mxset_free(&set);
}
END_TEST

START_TEST(slots_spread_the_load)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set(permutations[0]);
    unsigned firsts[3] = {0};

    for (int64_t now = 0; now < 600 * 600; now += 600) {
        char *text = order_of(&r, &set, NULL, now);

        firsts[text[3] - 'a']++;
        free(text);
    }
    assert_spread(firsts, 600);
    mxset_free(&set);
}
END_TEST

static uint32_t slot_left_s(const struct rules *r, const struct mxset *set,
                            int64_t now_s)
{
    struct decide_input in = {
        .rules = r, .domain = "a.test", .set = set, .now_s = now_s};
    struct decision d;

    uint32_t left_s;

    ck_assert(decide(&in, &d));
    left_s = d.slot_left_s;
    decision_free(&d);
    return left_s;
}

START_TEST(stable_within_a_slot)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set(permutations[0]);
    int64_t start = 1700000000;
    unsigned changes = 0;

    for (int slot = 0; slot < 50; slot++) {
        uint32_t left = slot_left_s(&r, &set, start);
        char *first = order_of(&r, &set, NULL, start);
        char *last = order_of(&r, &set, NULL, start + left - 1);
        char *next = order_of(&r, &set, NULL, start + left);

        ck_assert_uint_ge(left, 1);
        ck_assert_uint_le(left, 600);
        ck_assert_uint_eq(slot_left_s(&r, &set, start + left - 1), 1);
        ck_assert_uint_eq(slot_left_s(&r, &set, start + left), 600);
        ck_assert_str_eq(first, last);
        changes += strcmp(first, next) != 0;
        start += left;
        free(first);
        free(last);
        free(next);
    }
    ck_assert_uint_gt(changes, 20);
    mxset_free(&set);
}
END_TEST

START_TEST(edges_differ_between_sets)
{
    struct rules r = fixture_rules();
    unsigned same = 0;
    uint32_t first = 0;

    for (int i = 0; i < 100; i++) {
        struct mxset set = {0};
        char host[32];
        uint32_t left;

        snprintf(host, sizeof(host), "mx%d.test", i);
        fixture_mx(&set, 10, host, "unknown");
        left = slot_left_s(&r, &set, 1700000000);
        if (i == 0)
            first = left;
        same += left == first;
        mxset_free(&set);
    }
    ck_assert_uint_lt(same, 10);
}
END_TEST

START_TEST(interval_zero_never_turns)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set(permutations[0]);
    char *want;

    r.rotate_interval_s = 0;
    want = order_of(&r, &set, NULL, 0);
    ck_assert_uint_eq(slot_left_s(&r, &set, 1000), UINT32_MAX);
    for (int64_t now = -1; now < 1000000; now += 9999) {
        char *text = order_of(&r, &set, NULL, now);

        ck_assert_str_eq(text, want);
        free(text);
    }
    free(want);
    mxset_free(&set);
}
END_TEST

START_TEST(a_clock_before_1970)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a.test");

    ck_assert_uint_ge(slot_left_s(&r, &set, INT64_MIN), 1);
    ck_assert_uint_ge(slot_left_s(&r, &set, INT64_MAX), 1);
    mxset_free(&set);
}
END_TEST

/* ---- decide_pick ------------------------------------------------------- */

static struct mxset many(int best, int rest)
{
    struct mxset set = {0};
    char host[32];

    for (int i = 0; i < best + rest; i++) {
        snprintf(host, sizeof(host), "mx%d.test", i);
        fixture_mx(&set, i < best ? 10 : (uint16_t)(20 + i), host, "unknown");
    }
    return set;
}

static const struct {
    int best, rest;
    size_t cap, want;
} picks[] = {
    {0, 0, 220, 0},   {2, 1, 220, 3},   {3, 100, 220, 6},  {7, 100, 220, 7},
    {10, 0, 220, 10}, {26, 9, 220, 26}, {600, 0, 220, 26}, {600, 0, 4, 4},
};

START_TEST(picks_twice_max_hops_and_the_tie)
{
    struct rules r = fixture_rules();
    struct mxset set = many(picks[_i].best, picks[_i].rest);
    uint16_t index[220];
    size_t n = decide_pick(&r, &set, 1000, index, picks[_i].cap);

    ck_assert_uint_eq(n, picks[_i].want);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_lt(index[i], set.n_mx);
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(index[i], index[j]);
    }
    mxset_free(&set);
}
END_TEST

/* What is examined are the hosts that the list will begin with. */
START_TEST(picks_in_the_order_of_the_list)
{
    struct rules r = fixture_rules();
    struct mxset set = many(40, 5);
    struct buf out = {0};
    uint16_t index[220];
    size_t n = decide_pick(&r, &set, 1000, index, 220);
    char *list = order_of(&r, &set, NULL, 1000), *text;

    for (size_t i = 0; i < n; i++)
        buf_printf(&out, "%s10 %s", i > 0 ? " " : "", set.mx[index[i]].host);
    text = buf_detach(&out);
    ck_assert_int_eq(strncmp(list, text, strlen(text)), 0);
    free(text);
    free(list);
    mxset_free(&set);
}
END_TEST

START_TEST(picks_usable_names_only)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a$b,10 192.0.2.1,20 ok.test,30 -x.test");
    uint16_t index[220];

    ck_assert_uint_eq(decide_pick(&r, &set, 0, index, 220), 1);
    ck_assert_str_eq(set.mx[index[0]].host, "ok.test");
    failmalloc_at(1);
    ck_assert_uint_eq(decide_pick(&r, &set, 0, index, 220), 0);
    failmalloc_at(0);
    mxset_free(&set);
}
END_TEST

#define LOOP(t, table) \
    tcase_add_loop_test(tc, t, 0, sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *s = suite_create("order");
    TCase *tc = tcase_create("order");

    tcase_add_test(tc, by_tier_and_preference);
    tcase_add_test(tc, by_rank_within_a_splice);
    LOOP(order_of_records_does_not_matter, permutations);
    tcase_add_test(tc, seeds_spread_the_load);
    tcase_add_test(tc, slots_spread_the_load);
    tcase_add_test(tc, stable_within_a_slot);
    tcase_add_test(tc, edges_differ_between_sets);
    tcase_add_test(tc, interval_zero_never_turns);
    tcase_add_test(tc, a_clock_before_1970);
    LOOP(picks_twice_max_hops_and_the_tie, picks);
    tcase_add_test(tc, picks_in_the_order_of_the_list);
    tcase_add_test(tc, picks_usable_names_only);
    suite_add_tcase(s, tc);
    return fixture_run(s);
}
