/* clean: what may never reach a list, who is dropped and why. */

#include "route_fixture.h"

static const struct {
    const char *name;
    bool ok;
} names[] = {
    {"mx1.example.com", true},
    {"MX1.Example.COM", true},
    {"a", true},
    {"_mx.a_b.test", true},
    {"xn--bcher-kva.test", true},
    {"1and1.test", true},
    {"a--b.test", true},
    {"", false},
    {".", false},
    {"a.", false},
    {".a", false},
    {"a..b", false},
    {"-a.test", false},
    {"a-.test", false},
    {"a.-", false},
    {"a,b.test", false},
    {"a b.test", false},
    {"a\\044b.test", false},
    {"a\\.b.test", false},
    {"${run{x}}.test", false},
    {"*.test", false},
    {"[a].test", false},
    {"a:25.test", false},
    {"a/b.test", false},
    {"a;b.test", false},
    {"a\"b.test", false},
    {"a\tb.test", false},
    {"a\nb.test", false},
    {"b\303\274cher.test", false},
    {"a\377.test", false},
    {"a\177.test", false},
};

START_TEST(host_names)
{
    ck_assert_int_eq(clean_is_hostname(names[_i].name), names[_i].ok);
}
END_TEST

/* No byte but letters, digits, `-`, `_` and the dot between labels. */
START_TEST(every_byte_in_a_name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    for (int c = 1; c < 256; c++) {
        char name[] = "mxX0.test";

        name[2] = (char)c;
        ck_assert_int_eq(clean_is_hostname(name), strchr(good, c) != NULL);
    }
}
END_TEST

START_TEST(lengths_of_a_name)
{
    char name[300];

    memset(name, 'a', sizeof(name));
    name[63] = '\0';
    ck_assert(clean_is_hostname(name));
    name[63] = 'a';
    name[64] = '\0';
    ck_assert(!clean_is_hostname(name));
    name[64] = 'a';
    for (int i = 50; i < 300; i += 50)
        name[i] = '.';
    name[253] = '\0';
    ck_assert(clean_is_hostname(name));
    name[253] = 'a';
    name[254] = '\0';
    ck_assert(!clean_is_hostname(name));
}
END_TEST

static const struct {
    const char *name;
    bool address;
} looks[] = {
    {"192.0.2.1", true},  {"1.2.3", true},       {"1", true},
    {"host.123", true},   {"2001:db8::1", true}, {"::ffff:192.0.2.1", true},
    {"0x7f000001", true}, {"0x7f.0x1", true},    {"1.2.3.4.example", false},
    {"a.1a", false},      {"4all.test", false},  {"mx.test", false},
};

START_TEST(addresses_in_place_of_names)
{
    ck_assert_int_eq(clean_looks_like_address(looks[_i].name),
                     looks[_i].address);
}
END_TEST

/* One run of clean_candidates() over an MX set and an override. */
struct run {
    struct rules rules;
    struct mxset set;
    struct override o;
    struct hop_facts facts[8];
    struct decide_input in;
    struct candidates l;
};

static struct run *run_new(const char *set, const char *hops)
{
    struct run *r = calloc(1, sizeof(*r));

    r->rules = fixture_rules();
    r->set = fixture_set(set);
    r->o = fixture_override(OVERRIDE_PREPEND, hops);
    r->in = (struct decide_input){.rules = &r->rules,
                                  .domain = "d.test",
                                  .override = &r->o,
                                  .facts = r->facts,
                                  .set = &r->set};
    fixture_networks(&r->rules.own_addresses, "127.0.0.0/8 [::1] 192.0.2.99");
    return r;
}

static void run_clean(struct run *r)
{
    ck_assert(merge_candidates(&r->in, &r->l));
    clean_candidates(&r->in, &r->l);
}

static void run_free(struct run *r)
{
    free(r->l.v);
    mxset_free(&r->set);
    for (size_t i = 0; i < 8; i++)
        mxset_free(&r->facts[i].set);
    override_free(&r->o);
    networks_free(&r->rules.own_addresses);
    networks_free(&r->rules.bogus);
    free(r);
}

static enum drop dropped(const struct run *r, const char *host)
{
    return fixture_drop(r->l.v, r->l.n, host);
}

static const struct {
    const char *set, *host;
    enum drop drop;
} dns[] = {
    {"10 a.test", "a.test", DROP_NO},
    {"10 a.test=192.0.2.1", "a.test", DROP_NO},
    {"10 a.test=2001:db8::1", "a.test", DROP_NO},
    {"10 a.test=failed", "a.test", DROP_UNRESOLVED},
    {"10 a.test=none", "a.test", DROP_NO_ADDRESS},
    {"10 a$b.test", "a$b.test", DROP_BAD_NAME},
    {"10 -a.test", "-a.test", DROP_BAD_NAME},
    {"10 192.0.2.1", "192.0.2.1", DROP_LOOKS_LIKE_ADDRESS},
    {"10 ::1", "::1", DROP_BAD_NAME},
    {"10 a.test=10.0.0.1", "a.test", DROP_BOGUS},
    {"10 a.test=10.0.0.1 192.0.2.1", "a.test", DROP_NO},
    {"10 a.test=::ffff:10.0.0.1", "a.test", DROP_BOGUS},
    {"10 a.test=2001:db8:dead::1", "a.test", DROP_BOGUS},
    {"10 ex.test=192.0.2.1", "ex.test", DROP_EXCLUDED},
    {"10 a.drop.test=192.0.2.1", "a.drop.test", DROP_EXCLUDED},
    {"10 drop.test=192.0.2.1", "drop.test", DROP_NO},
    {"10 me.test=192.0.2.1", "me.test", DROP_SELF},
    {"10 MAIL.ME.test=192.0.2.1", "MAIL.ME.test", DROP_SELF},
    {"10 alias.test=192.0.2.98 192.0.2.99", "alias.test", DROP_SELF},
    {"10 mapped.test=::ffff:192.0.2.99", "mapped.test", DROP_SELF},
    {"10 me.test=none", "me.test", DROP_SELF},
    {"10 lo.test=127.0.0.1", "lo.test", DROP_SELF},
    {"10 lo6.test=::1", "lo6.test", DROP_SELF},
    {"10 zero.test=0.0.0.0", "zero.test", DROP_SELF},
    {"10 zero.test=::ffff:0.0.0.0", "zero.test", DROP_SELF},
    {"10 zero6.test=::", "zero6.test", DROP_SELF},
    {"10 a.test=192.0.2.1,20 a.test=192.0.2.1,20 b.test", "b.test", DROP_NO},
    {"10 me.test,20 b.test=192.0.2.1", "b.test", DROP_BEHIND_SELF},
    {"10 me.test,10 b.test=192.0.2.1", "b.test", DROP_BEHIND_SELF},
    {"20 me.test,10 b.test=192.0.2.1", "b.test", DROP_NO},
    {"10 me.test,20 b.test=none", "b.test", DROP_NO_ADDRESS},
};

START_TEST(dns_hosts)
{
    struct run *r = run_new(dns[_i].set, "");

    fixture_networks(&r->rules.bogus, "10.0.0.0/8 2001:db8:dead::/48");
    ck_assert(strlist_add(&r->o.excludes, "ex.test"));
    ck_assert(strlist_add(&r->o.excludes, ".drop.test"));
    run_clean(r);
    ck_assert_int_eq(dropped(r, dns[_i].host), dns[_i].drop);
    run_free(r);
}
END_TEST

START_TEST(families)
{
    struct run *r = run_new("10 v4.test=192.0.2.1,10 v6.test=2001:db8::1", "");

    r->rules.families = FAMILY_BIT(FAMILY_V4);
    run_clean(r);
    ck_assert_int_eq(dropped(r, "v4.test"), DROP_NO);
    ck_assert_int_eq(dropped(r, "v6.test"), DROP_NO_ADDRESS);
    run_free(r);
}
END_TEST

/* Also where our address counts as bogus, or is of a family not in use: who
   goes on behind us sends mail in a circle. */
START_TEST(self_is_self_though_bogus_or_of_another_family)
{
    struct run *r = run_new("10 a.test=192.0.2.99,20 b.test=198.51.100.1", "");

    fixture_networks(&r->rules.bogus, "192.0.2.0/24");
    run_clean(r);
    ck_assert_int_eq(dropped(r, "a.test"), DROP_SELF);
    ck_assert_int_eq(dropped(r, "b.test"), DROP_BEHIND_SELF);
    run_free(r);

    r = run_new("10 a.test=192.0.2.99,20 b.test=2001:db8::1", "");
    r->rules.families = FAMILY_BIT(FAMILY_V6);
    run_clean(r);
    ck_assert_int_eq(dropped(r, "a.test"), DROP_SELF);
    run_free(r);
}
END_TEST

START_TEST(bogus_loopback_is_nobody)
{
    struct run *r = run_new("10 a.test=127.0.0.1,20 b.test=198.51.100.1", "");

    fixture_networks(&r->rules.bogus, "127.0.0.0/8");
    run_clean(r);
    ck_assert_int_eq(dropped(r, "a.test"), DROP_BOGUS);
    ck_assert_int_eq(dropped(r, "b.test"), DROP_NO);
    run_free(r);
}
END_TEST

/* Mail would come back from it, whoever is kept off such addresses. */
START_TEST(bogus_loopback_is_self_in_an_override)
{
    struct run *r = run_new("", "10 [127.0.0.1],20 [0.0.0.0]");

    fixture_networks(&r->rules.bogus, "127.0.0.0/8 0.0.0.0/8");
    run_clean(r);
    ck_assert_int_eq(dropped(r, "127.0.0.1"), DROP_SELF);
    ck_assert_int_eq(dropped(r, "0.0.0.0"), DROP_SELF);
    run_free(r);
}
END_TEST

/* It may have a good address in the family that is not known now. */
START_TEST(bogus_in_one_family_and_unknown_in_the_other)
{
    struct run *r = run_new("10 a.test=127.0.0.1", "");

    fixture_networks(&r->rules.bogus, "127.0.0.0/8");
    r->set.mx[0].addrs.state[FAMILY_V6] = ADDR_FAILED;
    run_clean(r);
    ck_assert_int_eq(dropped(r, "a.test"), DROP_NO);
    r->set.mx[0].addrs.state[FAMILY_V6] = ADDR_UNKNOWN;
    run_clean(r);
    ck_assert_int_eq(dropped(r, "a.test"), DROP_NO);
    run_free(r);
}
END_TEST

/* The administrator takes us out of the set: nobody is behind us then. */
START_TEST(excluded_self_has_nobody_behind)
{
    struct run *r = run_new("10 me.test,20 b.test", "");

    ck_assert(strlist_add(&r->o.excludes, "me.test"));
    run_clean(r);
    ck_assert_int_eq(dropped(r, "me.test"), DROP_EXCLUDED);
    ck_assert_int_eq(dropped(r, "b.test"), DROP_NO);
    run_free(r);
}
END_TEST

static const struct {
    const char *hop, *host;
    enum drop drop;
} hops[] = {
    {"[relay.test]", "relay.test", DROP_NO},
    {"[192.0.2.1]", "192.0.2.1", DROP_NO},
    {"[192.0.2.1]:587", "192.0.2.1", DROP_NO},
    {"[IPv6:2001:db8::1]", "2001:db8::1", DROP_NO_ADDRESS},
    {"[10.0.0.1]", "10.0.0.1", DROP_NO}, /* bogus is for strangers */
    {"[me.test]", "me.test", DROP_SELF},
    {"[me.test]:25", "me.test", DROP_SELF},
    {"[me.test]:10025", "me.test", DROP_NO},
    {"[127.0.0.1]", "127.0.0.1", DROP_SELF},
    {"[127.0.0.1]:10025", "127.0.0.1", DROP_NO},
    {"[0.0.0.0]", "0.0.0.0", DROP_SELF},
    {"[IPv6:::]", "::", DROP_SELF},
    {"[ex.test]", "ex.test", DROP_NO},
    {"me.test", "me.test", DROP_NAME_NOT_KNOWN},
};

START_TEST(override_hops)
{
    struct run *r = run_new("", hops[_i].hop);

    r->rules.families = FAMILY_BIT(FAMILY_V4);
    fixture_networks(&r->rules.bogus, "10.0.0.0/8");
    ck_assert(strlist_add(&r->o.excludes, "ex.test"));
    run_clean(r);
    ck_assert_int_eq(dropped(r, hops[_i].host), hops[_i].drop);
    run_free(r);
}
END_TEST

START_TEST(self_among_override_hops_drops_nobody_else)
{
    struct run *r = run_new("30 dns.test", "10 [me.test],20 [b.test]");

    run_clean(r);
    ck_assert_int_eq(dropped(r, "me.test"), DROP_SELF);
    ck_assert_int_eq(dropped(r, "b.test"), DROP_NO);
    ck_assert_int_eq(dropped(r, "dns.test"), DROP_NO);
    run_free(r);
}
END_TEST

START_TEST(self_in_dns_leaves_override_hops)
{
    struct run *r = run_new("10 me.test,20 b.test", "90 [relay.test]");

    run_clean(r);
    ck_assert_int_eq(dropped(r, "b.test"), DROP_BEHIND_SELF);
    ck_assert_int_eq(dropped(r, "relay.test"), DROP_NO);
    run_free(r);
}
END_TEST

START_TEST(spliced_hosts)
{
    struct run *r = run_new("", "p.test");

    r->facts[0].spliced = true;
    r->facts[0].set =
        fixture_set("10 me.test,20 b.test,20 ex.test,30 c,d.test=none,"
                    "40 n.test=none");
    ck_assert(strlist_add(&r->o.excludes, "ex.test"));
    run_clean(r);
    ck_assert_int_eq(dropped(r, "me.test"), DROP_SELF);
    ck_assert_int_eq(dropped(r, "b.test"), DROP_NO);
    ck_assert_int_eq(dropped(r, "ex.test"), DROP_EXCLUDED);
    ck_assert_int_eq(dropped(r, "n.test"), DROP_NO_ADDRESS);
    run_free(r);
}
END_TEST

START_TEST(dropped_before_stays_dropped)
{
    struct run *r = run_new("", "me.test");

    r->facts[0].spliced = true;
    r->facts[0].set.outcome = MX_NULL;
    run_clean(r);
    ck_assert_int_eq(dropped(r, "me.test"), DROP_NULL_MX);
    run_free(r);
}
END_TEST

static size_t kept(const struct run *r, const struct candidate **first_r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->l.n; i++)
        if (r->l.v[i].drop == DROP_NO && n++ == 0)
            *first_r = &r->l.v[i];
    return n;
}

static const struct {
    const char *set, *hops;
    size_t kept;
    uint16_t preference; /* of the best one that is kept */
} twice[] = {
    {"10 a.test,20 a.test", "", 1, 10},
    {"20 A.test,10 a.TEST", "", 1, 10},
    {"10 a.test", "30 [a.test]", 1, 30}, /* prepended: a better tier */
    {"10 a.test", "30 [a.test]:26", 2, 0},
    {"", "10 [192.0.2.1],20 [192.0.2.1]", 1, 10},
    {"", "10 a.test,20 [a.test]", 1, 20}, /* the name is not known */
};

START_TEST(duplicates)
{
    struct run *r = run_new(twice[_i].set, twice[_i].hops);
    const struct candidate *first = NULL;

    run_clean(r);
    ck_assert_uint_eq(kept(r, &first), twice[_i].kept);
    if (twice[_i].kept == 1)
        ck_assert_uint_eq(first->preference, twice[_i].preference);
    run_free(r);
}
END_TEST

/* The better of two places is taken away: the other one must remain. */
START_TEST(duplicate_of_a_dropped_one_stays)
{
    struct run *r = run_new("10 me.test,20 a.test", "30 [a.test]");
    const struct candidate *first = NULL;

    r->o.mode = OVERRIDE_MERGE;
    run_clean(r);
    ck_assert_uint_eq(kept(r, &first), 1);
    ck_assert(!first->is_dns);
    run_free(r);
}
END_TEST

/* Of an override hop nothing is known, but DNS says that it has no address. */
START_TEST(addresses_are_shared_by_host)
{
    struct run *r = run_new("10 a.test=none,20 a.test", "[a.test]");
    const struct candidate *first;

    run_clean(r);
    ck_assert_uint_eq(kept(r, &first), 0);
    run_free(r);
}
END_TEST

START_TEST(every_drop_has_a_text)
{
    for (int d = DROP_NO; d <= DROP_NO_DOMAIN; d++)
        ck_assert_ptr_nonnull(drop_text((enum drop)d));
}
END_TEST

#define LOOP(t, table) \
    tcase_add_loop_test(tc, t, 0, sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *s = suite_create("clean");
    TCase *tc = tcase_create("clean");

    LOOP(host_names, names);
    tcase_add_test(tc, every_byte_in_a_name);
    tcase_add_test(tc, lengths_of_a_name);
    LOOP(addresses_in_place_of_names, looks);
    LOOP(dns_hosts, dns);
    tcase_add_test(tc, families);
    tcase_add_test(tc, self_is_self_though_bogus_or_of_another_family);
    tcase_add_test(tc, bogus_loopback_is_nobody);
    tcase_add_test(tc, bogus_loopback_is_self_in_an_override);
    tcase_add_test(tc, bogus_in_one_family_and_unknown_in_the_other);
    tcase_add_test(tc, excluded_self_has_nobody_behind);
    LOOP(override_hops, hops);
    tcase_add_test(tc, self_among_override_hops_drops_nobody_else);
    tcase_add_test(tc, self_in_dns_leaves_override_hops);
    tcase_add_test(tc, spliced_hosts);
    tcase_add_test(tc, dropped_before_stays_dropped);
    LOOP(duplicates, twice);
    tcase_add_test(tc, duplicate_of_a_dropped_one_stays);
    tcase_add_test(tc, addresses_are_shared_by_host);
    tcase_add_test(tc, every_drop_has_a_text);
    suite_add_tcase(s, tc);
    return fixture_run(s);
}
