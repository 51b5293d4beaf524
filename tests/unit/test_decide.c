/* decide: dispositions, and what must hold for any input. */

#include "route_fixture.h"
#include "support/failmalloc.h"
#include "support/pace.h"

/* ---- the table of docs/design.md 5 ---- */

enum situation { NULL_MX, NO_DOMAIN, DNS_FAILURE, COLD, NO_HOST, ALL_BOGUS };

static const struct {
    enum situation situation;
    enum choice choice;
    enum mxhop_disposition want;
    const char *status;
} outcomes[] = {
    {NULL_MX, CHOICE_PASS, MXHOP_PASS, ""},
    {NULL_MX, CHOICE_REJECT, MXHOP_REJECT, "5.1.10"},
    {NO_DOMAIN, CHOICE_PASS, MXHOP_PASS, ""},
    {NO_DOMAIN, CHOICE_REJECT, MXHOP_REJECT, "5.1.2"},
    {DNS_FAILURE, CHOICE_PASS, MXHOP_PASS, ""},
    {DNS_FAILURE, CHOICE_DEFER, MXHOP_DEFER, "4.3.5"},
    {DNS_FAILURE, CHOICE_REJECT, MXHOP_DEFER, "4.3.5"}, /* never a bounce */
    {COLD, CHOICE_PASS, MXHOP_PASS, ""},
    {COLD, CHOICE_DEFER, MXHOP_DEFER, "4.3.5"},
    {COLD, CHOICE_REJECT, MXHOP_DEFER, "4.3.5"},
    {NO_HOST, CHOICE_PASS, MXHOP_PASS, ""},
    {NO_HOST, CHOICE_DEFER, MXHOP_DEFER, "4.4.4"},
    {NO_HOST, CHOICE_REJECT, MXHOP_REJECT, "5.4.4"},
    {ALL_BOGUS, CHOICE_PASS, MXHOP_PASS, ""},
    {ALL_BOGUS, CHOICE_REJECT, MXHOP_REJECT, "5.4.4"},
};

static const enum mx_outcome set_outcomes[] = {
    [NULL_MX] = MX_NULL, [NO_DOMAIN] = MX_NXDOMAIN, [DNS_FAILURE] = MX_FAILURE,
    [COLD] = MX_FAILURE, [NO_HOST] = MX_HOSTS,      [ALL_BOGUS] = MX_HOSTS,
};

static void set_choice(struct rules *r, enum situation s, enum choice c)
{
    enum choice *choices[] = {
        [NULL_MX] = &r->on_null_mx,         [NO_DOMAIN] = &r->on_nxdomain,
        [DNS_FAILURE] = &r->on_dns_failure, [COLD] = &r->on_cold,
        [NO_HOST] = &r->on_no_host,         [ALL_BOGUS] = &r->on_bogus,
    };

    *choices[s] = c;
}

static struct mxset situation_set(enum situation s)
{
    struct mxset set = fixture_set(s == NO_HOST     ? "10 a.test=none"
                                   : s == ALL_BOGUS ? "10 a.test=10.0.0.1"
                                                    : "");

    set.outcome = set_outcomes[s];
    return set;
}

/* With _i: each row, without an override and with one that excludes. */
START_TEST(outcome_of_the_set)
{
    struct rules r = fixture_rules();
    struct mxset set = situation_set(outcomes[_i].situation);
    struct override o = fixture_override(OVERRIDE_EXCLUDE, "");
    bool cold = outcomes[_i].situation == COLD;
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .set = cold ? NULL : &set,
                              .cold = cold};
    struct decision d;

    r.on_null_mx = r.on_nxdomain = r.on_dns_failure = r.on_cold = r.on_no_host =
        r.on_bogus = CHOICE_DEFER;
    set_choice(&r, outcomes[_i].situation, outcomes[_i].choice);
    fixture_networks(&r.bogus, "10.0.0.0/8");
    for (int pass = 0; pass < 2; pass++) {
        in.override = pass == 0 ? NULL : &o;
        ck_assert(decide(&in, &d));
        ck_assert_int_eq(d.disposition, outcomes[_i].want);
        ck_assert_str_eq(d.status, outcomes[_i].status);
        ck_assert_ptr_nonnull(strstr(d.reason, "d.test"));
        ck_assert_uint_eq(d.n_kept, 0);
        decision_free(&d);
    }
    override_free(&o);
    networks_free(&r.bogus);
    mxset_free(&set);
}
END_TEST

static const enum override_mode with_own_hops[] = {
    OVERRIDE_PREPEND, OVERRIDE_APPEND, OVERRIDE_MERGE};

START_TEST(own_hops_carry_mail_through_an_outage)
{
    for (enum situation s = NULL_MX; s <= COLD; s++) {
        struct rules r = fixture_rules();
        struct mxset set = situation_set(s);
        struct override o =
            fixture_override(with_own_hops[_i], "20 [b.test],10 [a.test]");
        struct decide_input in = {.rules = &r,
                                  .domain = "d.test",
                                  .override = &o,
                                  .set = s == COLD ? NULL : &set,
                                  .cold = s == COLD};
        struct decision d;

        ck_assert(decide(&in, &d));
        ck_assert_int_eq(d.disposition, MXHOP_ROUTE);
        assert_text(d.c, d.n_kept, "10 a.test 20 b.test");
        ck_assert_ptr_nonnull(strstr(d.reason, "own hops alone"));
        ck_assert(!d.secure);
        decision_free(&d);
        override_free(&o);
        mxset_free(&set);
    }
}
END_TEST

/* DNS is down and the override's hop is ourselves: not a matter of on_no_host,
   which may reject. */
START_TEST(unusable_hops_in_an_outage_are_an_outage)
{
    struct rules r = fixture_rules();
    struct mxset set = situation_set(DNS_FAILURE);
    struct override o = fixture_override(OVERRIDE_PREPEND, "[me.test]");
    struct decide_input in = {
        .rules = &r, .domain = "d.test", .override = &o, .set = &set};
    struct decision d;

    r.on_no_host = CHOICE_REJECT;
    r.on_dns_failure = CHOICE_DEFER;
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, MXHOP_DEFER);
    decision_free(&d);
    override_free(&o);
}
END_TEST

static const struct {
    enum override_mode mode;
    const char *reason;
    enum mxhop_disposition want;
    const char *status, *text;
} finals[] = {
    {OVERRIDE_PASS, NULL, MXHOP_PASS, "", "The override says so"},
    {OVERRIDE_REJECT, NULL, MXHOP_REJECT, "5.7.1",
     "Mail to this domain is not accepted here"},
    {OVERRIDE_REJECT, "Closed", MXHOP_REJECT, "5.7.1", "Closed"},
    {OVERRIDE_REJECT, "a\nb\303\274", MXHOP_REJECT, "5.7.1", "a?b??"},
    {OVERRIDE_DEFER, NULL, MXHOP_DEFER, "4.3.5",
     "Mail to this domain is held for now"},
    {OVERRIDE_DEFER, "Moving", MXHOP_DEFER, "4.3.5", "Moving"},
};

START_TEST(override_decides)
{
    struct rules r = fixture_rules();
    struct override o = fixture_override(finals[_i].mode, "");
    struct decide_input in = {.rules = &r, .domain = "d.test", .override = &o};
    struct decision d;

    o.reason = finals[_i].reason != NULL ? strdup(finals[_i].reason) : NULL;
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, finals[_i].want);
    ck_assert_str_eq(d.status, finals[_i].status);
    ck_assert_str_eq(d.reason, finals[_i].text);
    ck_assert_uint_eq(d.n, 0);
    decision_free(&d);
    override_free(&o);
}
END_TEST

START_TEST(ourselves_as_best_is_said)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 me.test,20 b.test");
    struct decide_input in = {.rules = &r, .domain = "d.test", .set = &set};
    struct decision d;

    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, MXHOP_PASS);
    ck_assert_ptr_nonnull(strstr(d.reason, "this system itself"));
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

START_TEST(ourselves_as_backup)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a.test,20 me.test,30 b.test");
    struct decide_input in = {.rules = &r, .domain = "d.test", .set = &set};
    struct decision d;

    ck_assert(decide(&in, &d));
    assert_text(d.c, d.n_kept, "10 a.test");
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

START_TEST(a_bogus_set_may_hold_hosts_without_address)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a.test=10.0.0.1,20 b.test=none");
    struct decide_input in = {.rules = &r, .domain = "d.test", .set = &set};
    struct decision d;

    fixture_networks(&r.bogus, "10.0.0.0/8");
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, MXHOP_REJECT);
    decision_free(&d);
    networks_free(&r.bogus);
    mxset_free(&set);
}
END_TEST

START_TEST(limited)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a,20 b,30 c,40 d,50 e,60 f$=none");
    struct decide_input in = {.rules = &r, .domain = "d.test", .set = &set};
    struct decision d;

    for (r.max_hops = 1; r.max_hops < 8; r.max_hops++) {
        ck_assert(decide(&in, &d));
        ck_assert_uint_eq(d.n_kept, r.max_hops < 5 ? r.max_hops : 5);
        ck_assert_uint_eq(d.n, 6);
        for (size_t i = 0; i < d.n; i++)
            ck_assert_int_eq(d.c[i].drop, i < d.n_kept ? DROP_NO
                                          : i < 5      ? DROP_LIMIT
                                                       : DROP_BAD_NAME);
        decision_free(&d);
    }
    mxset_free(&set);
}
END_TEST

/* The override's hosts are in their place behind those that were examined. */
START_TEST(unexamined)
{
    struct rules r = fixture_rules();
    struct mxset set = {0};
    struct override o = fixture_override(OVERRIDE_APPEND, "[relay.test]");
    struct decide_input in = {
        .rules = &r, .domain = "d.test", .override = &o, .set = &set};
    struct decision d;
    char host[32];

    for (uint16_t i = 0; i < 40; i++) {
        snprintf(host, sizeof(host), "h%u.test", i);
        fixture_mx(&set, i, host, "192.0.2.1");
    }
    r.max_hops = 100;
    ck_assert(decide(&in, &d));
    ck_assert_uint_eq(d.n_kept, EXAMINE_MAX + 1);
    ck_assert_str_eq(d.c[EXAMINE_MAX - 1].host, "h30.test");
    ck_assert_str_eq(d.c[EXAMINE_MAX].host, "relay.test");
    for (size_t i = EXAMINE_MAX + 1; i < d.n; i++)
        ck_assert_int_eq(d.c[i].drop, DROP_UNEXAMINED);
    ck_assert_uint_eq(d.n, 41);
    decision_free(&d);
    override_free(&o);
    mxset_free(&set);
}
END_TEST

/* Hosts that have no address are not made up for by some that nobody asked. */
START_TEST(unexamined_behind_useless)
{
    struct rules r = fixture_rules();
    struct mxset set = {0};
    struct decide_input in = {.rules = &r, .domain = "d.test", .set = &set};
    struct decision d;
    char host[32];

    for (uint16_t i = 0; i < 40; i++) {
        snprintf(host, sizeof(host), "h%u.test", i);
        fixture_mx(&set, i, host, i < 12 ? "none" : "192.0.2.1");
    }
    for (uint16_t i = 0; i < 40; i++) { /* no names: nobody asks for them */
        snprintf(host, sizeof(host), "-%u.test", i);
        fixture_mx(&set, 0, host, "unknown");
    }
    r.max_hops = 50;
    ck_assert(decide(&in, &d));
    ck_assert_uint_eq(d.n_kept, EXAMINE_MAX - 12);
    ck_assert_str_eq(d.c[d.n_kept - 1].host, "h30.test");
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

/* A host without address must not use up the limit. */
/* Postfix bounces with 5.4.4 where the last element has no address. */
static const struct {
    const char *set;
    bool learning;
    size_t kept;
} tails[] = {
    {"10 a.test=192.0.2.1, 20 b.test", true, 1},
    {"10 a.test=192.0.2.1, 20 b.test, 30 c.test", true, 1},
    {"10 a.test, 20 b.test=192.0.2.1", true, 2},
    {"10 a.test, 20 b.test", true, 2},
    {"10 a.test=192.0.2.1, 20 b.test=failed", true, 2},
    {"10 a.test=192.0.2.1, 20 b.test", false, 2},
};

START_TEST(unknown_host_does_not_end_a_list)
{
    struct rules rules = fixture_rules();
    struct mxset set = fixture_set(tails[_i].set);
    struct decide_input in = {.rules = &rules,
                              .domain = "d.test",
                              .set = &set,
                              .learning = tails[_i].learning};
    struct decision d;

    ck_assert(decide(&in, &d));
    ck_assert_uint_eq(d.n_kept, tails[_i].kept);
    for (size_t i = d.n_kept; i < d.n; i++)
        ck_assert_int_eq(d.c[i].drop, DROP_NOT_KNOWN);
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

START_TEST(limit_counts_usable_hosts)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a=none,20 b,30 b,40 c,50 d");
    struct decide_input in = {.rules = &r, .domain = "d.test", .set = &set};
    struct decision d;

    ck_assert(decide(&in, &d));
    assert_text(d.c, d.n_kept, "20 b 40 c 50 d");
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

static const struct {
    enum group_mode rule;
    enum override_group own;
    const char *set;
    bool want;
} groups[] = {
    {GROUP_SITE, OVERRIDE_GROUP_UNSET, "10 a.test", false},
    {GROUP_DOMAIN, OVERRIDE_GROUP_UNSET, "10 a.test", true},
    {GROUP_SITE, OVERRIDE_GROUP_DOMAIN, "10 a.test", true},
    {GROUP_DOMAIN, OVERRIDE_GROUP_SITE, "10 a.test", false},
    {GROUP_SITE, OVERRIDE_GROUP_UNSET, "10 aspmx.l.google.com,20 a", true},
    {GROUP_SITE, OVERRIDE_GROUP_UNSET, "10 a,20 aspmx.l.google.com", false},
    {GROUP_SITE, OVERRIDE_GROUP_UNSET, "10 a,10 aspmx.l.google.com", true},
    {GROUP_SITE, OVERRIDE_GROUP_SITE, "10 aspmx.l.google.com", false},
};

START_TEST(grouping)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set(groups[_i].set);
    struct override o = fixture_override(OVERRIDE_EXCLUDE, "");
    struct decide_input in = {
        .rules = &r, .domain = "d.test", .override = &o, .set = &set};
    struct decision d;

    r.group = groups[_i].rule;
    o.group = groups[_i].own;
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.by_domain, groups[_i].want);
    decision_free(&d);
    override_free(&o);
    mxset_free(&set);
}
END_TEST

START_TEST(transports)
{
    struct rules r = fixture_rules();
    struct override o = fixture_override(OVERRIDE_REPLACE, "[a.test]");
    struct decide_input in = {.rules = &r, .domain = "d.test", .override = &o};
    struct decision d;

    r.transport = "slow";
    ck_assert(decide(&in, &d));
    ck_assert_str_eq(d.transport, "slow");
    decision_free(&d);
    o.transport = strdup("fast");
    ck_assert(decide(&in, &d));
    ck_assert_str_eq(d.transport, "fast");
    decision_free(&d);
    override_free(&o);
}
END_TEST

static const struct {
    enum override_mode mode;
    const char *hops, *set; /* "": cold */
    const char *want;       /* NULL: deferred */
    bool stopper;
} promises[] = {
    {OVERRIDE_REPLACE, "[h.test]", "", "0 h.test", true},
    {OVERRIDE_REPLACE, "1 [h.test],2 [192.0.2.1]", "", "1 h.test 2 192.0.2.1",
     false},
    {OVERRIDE_REPLACE, "[me.test]", "", NULL, false},
    {OVERRIDE_REPLACE, "p.test", "", NULL, false},
    {OVERRIDE_REPLACE, "1 p.test,2 [h.test]", "", "2 h.test", true},
    {OVERRIDE_PREPEND, "[h.test]", "10 a.test=192.0.2.1", "0 h.test 10 a.test",
     false},
    {OVERRIDE_PREPEND, "[h.test]", "10 a.test=failed", "0 h.test", true},
    {OVERRIDE_APPEND, "[h.test]", "10 a.test=192.0.2.1", "10 a.test 0 h.test",
     true},
    {OVERRIDE_APPEND, "[h.test]", "", "0 h.test", true},
    {OVERRIDE_APPEND, "[me.test]", "10 a.test=none", NULL, false},
    {OVERRIDE_EXCLUDE, "", "10 x.test=192.0.2.1", NULL, false},
    {OVERRIDE_EXCLUDE, "", "10 x.test=192.0.2.1,20 a.test=192.0.2.2",
     "20 a.test", false},
    {OVERRIDE_EXCLUDE, "", "", NULL, false},
};

START_TEST(promise)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set(promises[_i].set);
    struct override o = fixture_override(promises[_i].mode, promises[_i].hops);
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .override = &o,
                              .cold = set.n_mx == 0,
                              .set = set.n_mx > 0 ? &set : NULL,
                              .learning = true};
    struct decision d;

    r.on_override_unusable = CHOICE_DEFER;
    if (o.mode == OVERRIDE_EXCLUDE)
        ck_assert(strlist_add(&o.excludes, "x.test"));
    for (int i = 0; i < 2; i++) {
        ck_assert(decide(&in, &d));
        if (promises[_i].want != NULL) {
            ck_assert_int_eq(d.disposition, MXHOP_ROUTE);
            assert_text(d.c, d.n_kept, promises[_i].want);
        } else if (i == 0) {
            ck_assert_int_eq(d.disposition, MXHOP_DEFER);
            ck_assert_str_eq(d.status, "4.3.5");
        } else {
            ck_assert_int_eq(d.disposition, MXHOP_PASS);
        }
        ck_assert_int_eq(d.stopper, promises[_i].stopper);
        decision_free(&d);
        r.on_override_unusable = CHOICE_PASS;
    }
    override_free(&o);
    mxset_free(&set);
}
END_TEST

/* Of a host that is not known yet nobody can tell whether it is this system:
   it ends the list, and where nothing is left the mail waits, whatever is to be
   done where nothing can be used. */
static const struct {
    enum override_mode mode;
    const char *hops, *first, *second, *set; /* "": cold */
    const char *want;                        /* NULL: deferred */
} open_hosts[] = {
    {OVERRIDE_REPLACE, "[h.test]", "unknown", "", "", NULL},
    {OVERRIDE_REPLACE, "[h.test]", "failed", "", "", NULL},
    {OVERRIDE_REPLACE, "[h.test]:25", "unknown", "", "", NULL},
    {OVERRIDE_REPLACE, "[h.test]:26", "unknown", "", "", "0 h.test:26"},
    {OVERRIDE_REPLACE, "[h.test]:26", "failed", "", "", "0 h.test:26"},
    {OVERRIDE_REPLACE, "1 [h.test],2 [i.test]", "192.0.2.1", "unknown", "",
     "1 h.test"},
    {OVERRIDE_REPLACE, "1 [h.test],2 [i.test]", "unknown", "192.0.2.1", "",
     NULL},
    {OVERRIDE_REPLACE, "1 [h.test],2 [i.test]", "failed", "192.0.2.1", "",
     "2 i.test"},
    {OVERRIDE_REPLACE, "1 [h.test],2 [i.test]", "none", "failed", "", NULL},
    {OVERRIDE_REPLACE, "2 [h.test],1 [i.test]", "failed", "unknown", "", NULL},
    {OVERRIDE_PREPEND, "[h.test]", "unknown", "", "10 a.test=192.0.2.2", NULL},
    {OVERRIDE_PREPEND, "[h.test]", "failed", "", "10 a.test=192.0.2.2",
     "10 a.test"},
    {OVERRIDE_PREPEND, "[h.test]", "unknown", "", "", NULL},
    {OVERRIDE_PREPEND, "[h.test]", "failed", "", "10 a.test=failed", NULL},
    {OVERRIDE_APPEND, "[h.test]", "unknown", "", "10 a.test=192.0.2.2",
     "10 a.test"},
    {OVERRIDE_MERGE, "5 [h.test],15 [i.test]", "192.0.2.1", "unknown",
     "10 a.test=192.0.2.2,20 b.test=192.0.2.3", "5 h.test 10 a.test"},
};

START_TEST(what_is_not_known_is_waited_for)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set(open_hosts[_i].set);
    struct override o =
        fixture_override(open_hosts[_i].mode, open_hosts[_i].hops);
    struct hop_facts facts[] = {{.addrs = fixture_addrs(open_hosts[_i].first)},
                                {.addrs =
                                     fixture_addrs(open_hosts[_i].second)}};
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .override = &o,
                              .facts = facts,
                              .cold = set.n_mx == 0,
                              .set = set.n_mx > 0 ? &set : NULL};
    struct decision d;

    r.on_override_unusable = CHOICE_PASS;
    r.max_hops = 5;
    for (int i = 0; i < 2; i++) {
        in.local = i == 1;
        ck_assert(decide(&in, &d));
        if (open_hosts[_i].want != NULL) {
            ck_assert_int_eq(d.disposition, MXHOP_ROUTE);
            assert_text(d.c, d.n_kept, open_hosts[_i].want);
        } else {
            ck_assert_int_eq(d.disposition, MXHOP_DEFER);
            ck_assert_str_eq(d.reason, "Addresses of the routing override are "
                                       "not known yet");
        }
        decision_free(&d);
    }
    override_free(&o);
    mxset_free(&set);
}
END_TEST

/* Known, but past its time: it may have no address by now. */
START_TEST(a_stale_host_is_not_certain)
{
    struct rules r = fixture_rules();
    struct override o = fixture_override(OVERRIDE_REPLACE, "[h.test]");
    struct hop_facts facts = {.addrs = fixture_addrs("192.0.2.1")};
    struct decide_input in = {
        .rules = &r, .domain = "d.test", .override = &o, .facts = &facts};
    struct decision d;

    for (int stale = 0; stale < 2; stale++) {
        facts.addrs.stale = stale;
        ck_assert(decide(&in, &d));
        ck_assert_int_eq(d.stopper, stale);
        decision_free(&d);
    }
    override_free(&o);
}
END_TEST

/* `pass` with a transport would find ourselves (5.4.6). */
START_TEST(no_transport_alone_for_a_local_domain)
{
    struct rules r = fixture_rules();
    struct override o = fixture_override(OVERRIDE_PASS, "");
    struct decide_input in = {
        .rules = &r, .domain = "d.test", .override = &o, .local = true};
    struct decision d;

    r.on_override_unusable = CHOICE_DEFER;
    r.transport = "lists";
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, MXHOP_PASS);
    ck_assert_str_eq(d.transport, "");
    decision_free(&d);
    o.transport = strdup("slow");
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, MXHOP_DEFER);
    decision_free(&d);
    in.local = false;
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, MXHOP_PASS);
    ck_assert_str_eq(d.transport, "slow");
    decision_free(&d);
    override_free(&o);
}
END_TEST

static const struct {
    bool set_secure;
    const char *set, *hops;
    bool want;
} secures[] = {
    {true, "10 a=secure 192.0.2.1,20 b=secure 192.0.2.2", "", true},
    {false, "10 a=secure 192.0.2.1", "", false},
    {true, "10 a=secure 192.0.2.1,20 b=192.0.2.2", "", false},
    {true, "10 a=secure 192.0.2.1,20 b=unknown", "", false},
    {true, "10 a=secure 192.0.2.1", "[192.0.2.5]", true},
    {true, "10 a=secure 192.0.2.1", "p.test", false},
    {true, "10 a=secure 192.0.2.1", "[h.test]", false},
    {true, "10 a=none", "[192.0.2.5]", false},
};

START_TEST(security)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set(secures[_i].set);
    struct override o = fixture_override(OVERRIDE_APPEND, secures[_i].hops);
    struct decide_input in = {
        .rules = &r, .domain = "d.test", .override = &o, .set = &set};
    struct decision d;

    set.secure = secures[_i].set_secure;
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, MXHOP_ROUTE);
    ck_assert_int_eq(d.secure, secures[_i].want);
    decision_free(&d);
    override_free(&o);
    mxset_free(&set);
}
END_TEST

START_TEST(an_insecure_splice_is_seen)
{
    struct rules r = fixture_rules();
    struct override o = fixture_override(OVERRIDE_REPLACE, "p.test");
    struct hop_facts facts = {.spliced = true};
    struct decide_input in = {
        .rules = &r, .domain = "d.test", .override = &o, .facts = &facts};
    struct decision d;

    facts.set = fixture_set("10 a=secure 192.0.2.1");
    for (int secure = 0; secure < 2; secure++) {
        facts.set.secure = secure;
        ck_assert(decide(&in, &d));
        ck_assert_int_eq(d.secure, secure);
        decision_free(&d);
    }
    mxset_free(&facts.set);
    override_free(&o);
}
END_TEST

/* Equal MX sets of two domains give one list, also at the edge of a slot. */
START_TEST(the_domain_does_not_matter)
{
    struct rules r = fixture_rules();
    struct mxset a = fixture_set("10 a.test,10 b.test,10 c.test");
    struct mxset b = fixture_set("10 c.test,10 a.test,10 b.test");

    for (int64_t now = 0; now < 6000; now += 37) {
        struct decide_input one = {
            .rules = &r, .domain = "one.test", .set = &a, .now_s = now};
        struct decide_input two = {
            .rules = &r, .domain = "two.test", .set = &b, .now_s = now};
        struct decision d, e;
        char *text;

        ck_assert(decide(&one, &d) && decide(&two, &e));
        text = fixture_text(d.c, d.n_kept);
        assert_text(e.c, e.n_kept, text);
        ck_assert_uint_eq(d.slot_left_s, e.slot_left_s);
        free(text);
        decision_free(&d);
        decision_free(&e);
    }
    mxset_free(&a);
    mxset_free(&b);
}
END_TEST

START_TEST(override_only_lists_turn_too)
{
    struct rules r = fixture_rules();
    struct override o =
        fixture_override(OVERRIDE_REPLACE, "[a.test],[b.test],[c.test]");
    struct decide_input in = {.rules = &r, .domain = "d.test", .override = &o};
    struct decision d;
    char *text, *before = NULL;
    unsigned changes = 0;

    for (int slot = 0; slot < 30; slot++) {
        ck_assert(decide(&in, &d));
        ck_assert(d.slot_left_s >= 1 && d.slot_left_s <= 600);
        text = fixture_text(d.c, d.n_kept);
        changes += before != NULL && strcmp(before, text) != 0;
        free(before);
        before = text;
        in.now_s += d.slot_left_s;
        decision_free(&d);
    }
    ck_assert_uint_gt(changes, 10);
    free(before);
    override_free(&o);
}
END_TEST

/* ---- any input -------------------------------------------------------- */

static const char *const any_host[] = {
    "a.test",   "b.test",     "c.test",   "A.TEST", "me.test",
    "x$y.test", "192.0.2.1",  "a,b.test", "c d",    "",
    "[a].test", "-d.test",    "ex.test",  "e.test", "1.2.3",
    "f.test\n", "g\377.test", "h/../i",   "${x}",   "z.google.com",
};
static const char *const any_addrs[] = {
    "unknown",
    "none",
    "failed",
    "192.0.2.1",
    "secure 192.0.2.2",
    "10.0.0.1",
    "192.0.2.99",
    "2001:db8::1",
    "192.0.2.3 2001:db8::2",
};
static const char *const any_hop[] = {
    "[a.test]", "5 [192.0.2.7]",      "[me.test]",
    "b.test",   "[me.test]:26",       "7 [q.test]:587",
    "p.test",   "[IPv6:2001:db8::7]", "3 [a.test]",
};

#define PICK(table) table[(size_t)rand() % (sizeof(table) / sizeof(table[0]))]

static struct mxset any_set(void)
{
    struct mxset set = {.outcome = MX_HOSTS};
    int n = 1 + rand() % 9;

    while (n-- > 0)
        fixture_mx(&set, (uint16_t)(10 * (rand() % 4)), PICK(any_host),
                   PICK(any_addrs));
    set.outcome = rand() % 8 != 0 ? MX_HOSTS : (enum mx_outcome)(rand() % 4);
    mxset_sort(&set);
    return set;
}

static struct override any_override(struct hop_facts *facts)
{
    struct override o =
        fixture_override((enum override_mode)(rand() % OVERRIDE_MODES), "");
    int n = rand() % 5;

    for (int i = 0; i < n; i++) {
        struct hopspec hop;

        ck_assert_ptr_null(hop_parse(PICK(any_hop), &hop));
        ck_assert(override_add_hop(&o, &hop));
        facts[i].addrs = fixture_addrs(PICK(any_addrs));
        facts[i].spliced = hop.kind == HOP_MX && rand() % 2;
        if (facts[i].spliced)
            facts[i].set = any_set();
    }
    ck_assert(strlist_add(&o.excludes, "ex.test"));
    return o;
}

static size_t candidates_expected(const struct decide_input *in)
{
    struct candidates l = {0};
    size_t n;

    ck_assert(merge_candidates(in, &l));
    n = l.n;
    free(l.v);
    return n;
}

static void assert_sound(const struct decide_input *in,
                         const struct decision *d)
{
    ck_assert_uint_le(d->n_kept, in->rules->max_hops);
    ck_assert_uint_eq(d->n, candidates_expected(in));
    ck_assert_int_eq(d->disposition == MXHOP_ROUTE, d->n_kept > 0);
    ck_assert_int_ne(d->reason[0], '\0');
    for (const char *p = d->reason; *p != '\0'; p++)
        ck_assert(*p >= ' ' && *p <= '~');
    for (size_t i = 0; i < d->n; i++) {
        const struct candidate *c = &d->c[i];

        ck_assert_int_eq(c->drop == DROP_NO, i < d->n_kept);
        if (i >= d->n_kept)
            continue;
        ck_assert(c->is_address || clean_is_hostname(c->host));
        ck_assert(c->is_address || !clean_looks_like_address(c->host));
        ck_assert(strcmp(c->host, "me.test") != 0 || c->port == 26);
        for (size_t j = 0; j < i; j++)
            ck_assert(strcasecmp(c->host, d->c[j].host) != 0 ||
                      c->port != d->c[j].port || c->is_mx != d->c[j].is_mx);
    }
}

static void shuffle_ties(struct mxset *set)
{
    for (size_t i = set->n_mx; i > 1; i--) {
        size_t j = (size_t)rand() % i;
        struct mx t = set->mx[i - 1];

        set->mx[i - 1] = set->mx[j];
        set->mx[j] = t;
    }
    mxset_sort(set);
}

/* Equal names of one set with differing addresses do not occur: the addresses
   are those of the host. */
static void unify(struct mxset *set)
{
    for (size_t i = 0; i < set->n_mx; i++)
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(set->mx[i].host, set->mx[j].host) == 0)
                set->mx[i].addrs = set->mx[j].addrs;
}

static void any_input_once(void)
{
    struct rules r = fixture_rules();
    struct hop_facts facts[8] = {{0}};
    struct mxset set = any_set();
    struct override o = any_override(facts);
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .override = rand() % 3 ? &o : NULL,
                              .facts = facts,
                              .set = rand() % 8 ? &set : NULL,
                              .now_s = rand()};
    struct decision d, e;
    char *text;

    unify(&set);
    in.cold = in.set == NULL;
    if (in.override == NULL)
        in.facts = NULL;
    r.max_hops = 1 + (uint32_t)rand() % 5;
    r.seed = (uint64_t)rand();
    fixture_networks(&r.own_addresses, "127.0.0.0/8 192.0.2.99");
    fixture_networks(&r.bogus, "10.0.0.0/8");
    ck_assert(decide(&in, &d));
    assert_sound(&in, &d);
    text = fixture_text(d.c, d.n_kept);
    decision_free(&d);
    shuffle_ties(&set);
    ck_assert(decide(&in, &e));
    assert_text(e.c, e.n_kept, text);
    decision_free(&e);
    free(text);
    for (size_t i = 0; i < 8; i++)
        mxset_free(&facts[i].set);
    mxset_free(&set);
    override_free(&o);
    networks_free(&r.own_addresses);
    networks_free(&r.bogus);
}

START_TEST(any_input)
{
    srand(1 + (unsigned)_i);
    for (int n = pace_is_slow() ? 40 : 400; n > 0; n--)
        any_input_once();
}
END_TEST

START_TEST(six_hundred_hosts)
{
    struct rules r = fixture_rules();
    struct mxset set = {0};
    struct decide_input in = {.rules = &r, .domain = "d.test", .set = &set};
    struct decision d;
    char host[32];

    for (int i = 0; i < 600; i++) {
        snprintf(host, sizeof(host), "mx%d.test", i / 2);
        fixture_mx(&set, 10, host, "unknown");
    }
    ck_assert(decide(&in, &d));
    ck_assert_uint_eq(d.n, 600);
    assert_sound(&in, &d);
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

START_TEST(survives_allocation_failure)
{
    struct rules r = fixture_rules();
    struct mxset set =
        fixture_set("10 a,10 b,10 c,10 d,10 e,10 f,10 g,10 h,"
                    "10 i,10 j,10 k,10 l,10 m,10 n,10 o,10 p,1 q");
    struct decide_input in = {.rules = &r, .domain = "d.test", .set = &set};
    unsigned n = 1;
    bool hit;

    do {
        struct decision d;
        bool ok;

        failmalloc_at(n++);
        ok = decide(&in, &d);
        hit = failmalloc_hit();
        failmalloc_at(0);
        /* qsort(3) does without memory of its own if it gets none. */
        ck_assert(ok || hit);
        ck_assert_uint_eq(d.n, ok ? 17 : 0);
        ck_assert(ok || d.c == NULL);
        decision_free(&d);
    } while (hit);
    ck_assert_uint_gt(n, 3);
    mxset_free(&set);
}
END_TEST

#define LOOP(t, table) \
    tcase_add_loop_test(tc, t, 0, sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *s = suite_create("decide");
    TCase *tc = tcase_create("decide");

    LOOP(outcome_of_the_set, outcomes);
    LOOP(own_hops_carry_mail_through_an_outage, with_own_hops);
    tcase_add_test(tc, unusable_hops_in_an_outage_are_an_outage);
    LOOP(override_decides, finals);
    tcase_add_test(tc, ourselves_as_best_is_said);
    tcase_add_test(tc, ourselves_as_backup);
    tcase_add_test(tc, a_bogus_set_may_hold_hosts_without_address);
    tcase_add_test(tc, limited);
    tcase_add_test(tc, unexamined);
    tcase_add_test(tc, unexamined_behind_useless);
    tcase_add_loop_test(tc, unknown_host_does_not_end_a_list, 0,
                        sizeof(tails) / sizeof(tails[0]));
    tcase_add_test(tc, limit_counts_usable_hosts);
    LOOP(grouping, groups);
    tcase_add_test(tc, transports);
    LOOP(security, secures);
    LOOP(promise, promises);
    LOOP(what_is_not_known_is_waited_for, open_hosts);
    tcase_add_test(tc, a_stale_host_is_not_certain);
    tcase_add_test(tc, no_transport_alone_for_a_local_domain);
    tcase_add_test(tc, an_insecure_splice_is_seen);
    tcase_add_test(tc, the_domain_does_not_matter);
    tcase_add_test(tc, override_only_lists_turn_too);
    tcase_add_loop_test(tc, any_input, 0, 10);
    tcase_add_test(tc, six_hundred_hosts);
    tcase_add_test(tc, survives_allocation_failure);
    suite_add_tcase(s, tc);
    return fixture_run(s);
}
