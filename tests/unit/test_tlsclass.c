/* Which TLS class hosts of a list have: single cases, and what must hold for
   any MX set, TLSA records, MTA-STS policy, override and configuration. */

#include "route/render.h"
#include "route_fixture.h"
#include "support/pace.h"

#define STS    CLASS_BIT(MXHOP_TLS_STS)
#define DANE   CLASS_BIT(MXHOP_TLS_DANE)
#define WORLDS (pace_is_slow() ? 2000u : 20000u)

static struct sts_policy policy_of(char **mx, size_t n)
{
    return (struct sts_policy){
        .mode = STS_MODE_ENFORCE, .id = "1", .mx = mx, .n_mx = n};
}

/* As mxhop_render() would have it. */
static char *text_of(const struct decision *d)
{
    struct mxhop_hop hops[64] = {0};
    struct mxhop_route r = {.key = "d.test",
                            .domain = "d.test",
                            .disposition = d->disposition,
                            .reason = d->reason,
                            .status = d->status,
                            .transport = d->transport,
                            .hops = hops,
                            .n_hops = d->n_kept,
                            .by_domain = d->by_domain,
                            .defer_service = "retry"};
    struct buf out = {0};

    ck_assert_uint_le(d->n_kept, 64);
    for (size_t i = 0; i < d->n_kept; i++)
        hops[i] = (struct mxhop_hop){.host = d->c[i].host,
                                     .source = d->c[i].source,
                                     .port = d->c[i].port,
                                     .is_address = d->c[i].is_address,
                                     .tls_class = d->c[i].tls_class};
    if (!render_postfix(&r, &out))
        return strdup("");
    return buf_detach(&out);
}

/* ---- single cases ---- */

/* Of two hosts, a.x.test and b.x.test, preference 10 and 20. */
static const struct row {
    bool signed_mx;
    struct {
        const char *addrs;
        enum tlsa_state tlsa;
    } a, b;
    const char *pattern; /* NULL: no policy */
    unsigned classes;
    const char *hop; /* of an override that goes before; or NULL */
    const char *want;
} rows[] = {
#define PLAIN                  \
    {                          \
        "192.0.2.1", TLSA_NONE \
    }
#define SIGNED                        \
    {                                 \
        "secure 192.0.2.1", TLSA_NONE \
    }
#define USABLE                          \
    {                                   \
        "secure 192.0.2.1", TLSA_USABLE \
    }
#define UNUSABLE                          \
    {                                     \
        "secure 192.0.2.1", TLSA_UNUSABLE \
    }
#define WHOLE                          \
    {                                  \
        "secure 192.0.2.1", TLSA_WHOLE \
    }
#define FAILED                          \
    {                                   \
        "secure 192.0.2.1", TLSA_FAILED \
    }
#define UNASKED                          \
    {                                    \
        "secure 192.0.2.1", TLSA_UNKNOWN \
    }
    /* nothing is known or wanted: as ever */
    {true, PLAIN, PLAIN, NULL, 0, NULL, ":[a.x.test], [b.x.test]"},
    {true, USABLE, USABLE, NULL, 0, NULL, ":[a.x.test], [b.x.test]"},
    {true, FAILED, FAILED, NULL, 0, NULL, ":[a.x.test], [b.x.test]"},
    {true, USABLE, FAILED, NULL, STS, NULL, ":[a.x.test], [b.x.test]"},
    /* DANE */
    {true, USABLE, USABLE, NULL, STS | DANE, NULL,
     ":[a.x.test]:0025, [b.x.test]:0025"},
    {true, USABLE, SIGNED, NULL, STS | DANE, NULL,
     ":[a.x.test]:0025, [b.x.test]"},
    {true, UNUSABLE, PLAIN, NULL, STS | DANE, NULL, ":[a.x.test], [b.x.test]"},
    {false, USABLE, USABLE, NULL, STS | DANE, NULL, ":[a.x.test], [b.x.test]"},
    {true,
     {"192.0.2.1", TLSA_USABLE},
     PLAIN,
     NULL,
     STS | DANE,
     NULL,
     ":[a.x.test], [b.x.test]"},
    /* it might be DANE: the domain passes */
    {true, USABLE, FAILED, NULL, STS | DANE, NULL, ""},
    {true, UNASKED, USABLE, NULL, STS | DANE, NULL, ""},
    {true, {"unknown", TLSA_UNKNOWN}, USABLE, NULL, STS | DANE, NULL, ""},
    {true, {"failed", TLSA_UNKNOWN}, PLAIN, "*.x.test", STS | DANE, NULL, ""},
    /* only the MTA can tell whether it is */
    {true, WHOLE, USABLE, NULL, STS | DANE, NULL, ""},
    {true, PLAIN, WHOLE, "*.x.test", STS | DANE, NULL, ""},
    {true, PLAIN, WHOLE, "a.x.test", STS | DANE, NULL, ":[a.x.test]:025"},
    {true, WHOLE, PLAIN, NULL, STS, NULL, ":[a.x.test], [b.x.test]"},
    {false, WHOLE, PLAIN, NULL, STS | DANE, NULL, ":[a.x.test], [b.x.test]"},
    {true, WHOLE, PLAIN, NULL, STS | DANE, "[r.test]",
     ":[r.test], [a.x.test]:0025, [b.x.test]"},
    /* a policy */
    {false, PLAIN, PLAIN, "*.x.test", STS, NULL,
     ":[a.x.test]:025, [b.x.test]:025"},
    {false, PLAIN, PLAIN, "b.x.test", STS, NULL, ":[b.x.test]:025"},
    {false, PLAIN, PLAIN, "x.test", STS, NULL,
     "retry:4.7.5 No MX host of domain d.test is in its MTA-STS policy: "
     "x.test"},
    {false, PLAIN, PLAIN, "*.test", STS, NULL,
     "retry:4.7.5 No MX host of domain d.test is in its MTA-STS policy: "
     "*.test"},
    {false, PLAIN, PLAIN, "*.x.test", 0, NULL, ""}, /* nobody would check */
    /* both */
    {true, USABLE, SIGNED, "*.x.test", STS | DANE, NULL,
     ":[a.x.test]:0025, [b.x.test]:025"},
    {true, UNUSABLE, SIGNED, "*.x.test", STS | DANE, NULL,
     ":[a.x.test]:025, [b.x.test]:025"},
    {true, USABLE, SIGNED, "b.x.test", STS | DANE, NULL, ":[b.x.test]:025"},
    {true, USABLE, FAILED, "a.x.test", STS | DANE, NULL, ":[a.x.test]:0025"},
    /* an override goes before: its hop has no class, and is not of a policy */
    {false, PLAIN, PLAIN, "*.x.test", STS, "[r.test]",
     ":[r.test], [a.x.test]:025, [b.x.test]:025"},
    {true, USABLE, USABLE, "x.test", STS | DANE, "[r.test]:25", ":[r.test]:25"},
    {false, PLAIN, PLAIN, "*.x.test", 0, "[r.test]", ":[r.test]"},
    {true, FAILED, USABLE, NULL, STS | DANE, "[r.test]",
     ":[r.test], [b.x.test]:0025"},
};

START_TEST(row)
{
    const struct row *t = &rows[_i];
    char *patterns[] = {(char *)t->pattern}, *text;
    struct sts_policy policy = policy_of(patterns, 1);
    struct rules r = fixture_rules();
    struct override o =
        fixture_override(OVERRIDE_PREPEND, t->hop != NULL ? t->hop : "");
    struct mxset set = {.secure = t->signed_mx};
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .set = &set,
                              .override = t->hop != NULL ? &o : NULL,
                              .policy = t->pattern != NULL ? &policy : NULL,
                              .classes = t->classes};
    struct decision d;

    r.on_sts_mismatch = CHOICE_DEFER;
    fixture_mx(&set, 10, "a.x.test", t->a.addrs);
    set.mx[0].addrs.tlsa.state = (uint8_t)t->a.tlsa;
    fixture_mx(&set, 20, "b.x.test", t->b.addrs);
    set.mx[1].addrs.tlsa.state = (uint8_t)t->b.tlsa;
    ck_assert(decide(&in, &d));
    text = text_of(&d);
    ck_assert_msg(strcasecmp(text, t->want) == 0, "%s: %s", text, t->want);
    free(text);
    decision_free(&d);
    override_free(&o);
    mxset_free(&set);
}
END_TEST

START_TEST(a_mismatch_may_pass)
{
    char *patterns[] = {"other.test"};
    struct sts_policy policy = policy_of(patterns, 1);
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a.x.test=192.0.2.1");
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .set = &set,
                              .policy = &policy,
                              .classes = STS};
    struct decision d;

    r.on_sts_mismatch = CHOICE_PASS;
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, MXHOP_PASS);
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

/* RFC 5321 5.1 holds for us whatever a policy says of us, or mail would go in
   a circle. */
START_TEST(we_count_though_a_policy_lacks_us)
{
    char *patterns[] = {"*.x.test"};
    struct sts_policy policy = policy_of(patterns, 1);
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a.x.test=192.0.2.1,20 me.test=192.0.2.9,"
                                   "30 b.x.test=192.0.2.2");
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .set = &set,
                              .policy = &policy,
                              .classes = STS};
    struct decision d;

    ck_assert(decide(&in, &d));
    assert_text(d.c, d.n_kept, "10 a.x.test");
    ck_assert_int_eq(fixture_drop(d.c, d.n, "me.test"), DROP_SELF);
    ck_assert_int_eq(fixture_drop(d.c, d.n, "b.x.test"), DROP_BEHIND_SELF);
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

/* A certificate for the domain alone satisfies such a record only where the
   MTA knows the domain. */
START_TEST(trust_anchors_pass_unless_listed)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a.x.test=secure 192.0.2.1");
    struct decide_input in = {
        .rules = &r, .domain = "d.test", .set = &set, .classes = STS | DANE};
    struct decision d;

    set.secure = true;
    set.mx[0].addrs.tlsa =
        (struct tlsa){.state = TLSA_USABLE, .trust_anchor = true};
    r.dane_ta = _i == 0 ? DANE_TA_PASS : DANE_TA_LIST;
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, _i == 0 ? MXHOP_PASS : MXHOP_ROUTE);
    decision_free(&d);
    for (unsigned classes = 0; classes <= STS; classes += STS) {
        in.classes = classes; /* nobody looks at it */
        ck_assert(decide(&in, &d));
        ck_assert_int_eq(d.disposition, MXHOP_ROUTE);
        decision_free(&d);
    }
    mxset_free(&set);
}
END_TEST

START_TEST(unsigned_domains_pass_where_the_mta_wants_to_see_them)
{
    struct rules r = fixture_rules();
    struct mxset set = fixture_set("10 a.x.test=192.0.2.1");
    struct decide_input in = {.rules = &r,
                              .domain = "d.test",
                              .set = &set,
                              .visible_if = MXHOP_VISIBLE_UNSIGNED};
    struct decision d;

    set.secure = _i == 1;
    ck_assert(decide(&in, &d));
    ck_assert_int_eq(d.disposition, _i == 0 ? MXHOP_PASS : MXHOP_ROUTE);
    decision_free(&d);
    mxset_free(&set);
}
END_TEST

START_TEST(own_domain_and_own_host_belong_together)
{
    static const struct {
        const char *domain, *hosts;
        bool listed;
    } owns[] = {
        {"d.test", "10 a.x.test=192.0.2.1", true},
        {"own.test", "10 a.x.test=192.0.2.1", false},
        {"d.own.test", "10 a.x.test=192.0.2.1", false},
        {"d.test", "10 a.own.test=192.0.2.1", false},
        {"d.test", "10 own.test=192.0.2.1", false},
        {"d.test", "10 a.x.test=192.0.2.1,20 a.own.test=192.0.2.2", false},
        {"d.own.test", "10 a.x.test=192.0.2.1,20 a.own.test=192.0.2.2", false},
        {"d.own.test", "10 A.Own.test=192.0.2.1", true},
        {"d.test", "10 a.disown.test=192.0.2.1", true},
        {"d.test", "10 a.x.test=192.0.2.1,20 a.own.test=none", true},
    };

    for (size_t i = 0; i < sizeof(owns) / sizeof(owns[0]); i++) {
        struct rules r = fixture_rules();
        struct mxset set = fixture_set(owns[i].hosts);
        struct decide_input in = {.rules = &r,
                                  .domain = owns[i].domain,
                                  .set = &set,
                                  .own_domains = "Own.test .Own.test"};
        struct decision d;

        ck_assert(decide(&in, &d));
        ck_assert_msg((d.disposition == MXHOP_ROUTE) == owns[i].listed,
                      "%s, %s", owns[i].domain, owns[i].hosts);
        decision_free(&d);
        mxset_free(&set);
    }
}
END_TEST

/* ---- any world ---- */

static uint64_t state;

static unsigned below(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

#define HOSTS 12

static const char *const names[HOSTS] = {"a.x.test",   "b.x.test", "c.a.x.test",
                                         "x.test",     "a.y.test", "b.y.test",
                                         "c.b.y.test", "y.test",   "me.test",
                                         "z1.test",    "z2.test",  "z3.test"};
static const char *const patterns[] = {"*.x.test", "*.y.test",   "a.x.test",
                                       "y.test",   "*.b.y.test", "me.test",
                                       "z1.test",  "*.test",     "z2.test",
                                       "none.test"};

static struct hostaddrs any_addrs(void)
{
    static const char *const texts[] = {"192.0.2.1",        "secure 192.0.2.1",
                                        "secure 192.0.2.1", "none",
                                        "unknown",          "failed"};
    static const enum tlsa_state states[] = {
        TLSA_NONE,     TLSA_NONE,  TLSA_USABLE, TLSA_USABLE, TLSA_USABLE,
        TLSA_UNUSABLE, TLSA_WHOLE, TLSA_FAILED, TLSA_UNKNOWN};
    struct hostaddrs a = fixture_addrs(texts[below(6)]);

    a.tlsa.state = (uint8_t)states[below(9)];
    a.tlsa.trust_anchor = below(4) == 0;
    return a;
}

/* RFC 8461 4.1, once more. */
static bool in_policy(const struct sts_policy *p, const char *host)
{
    for (size_t i = 0; i < p->n_mx; i++) {
        const char *dot = strchr(host, '.');

        if (strcmp(p->mx[i], host) == 0 ||
            (p->mx[i][0] == '*' && dot != NULL && dot != host &&
             strcmp(p->mx[i] + 1, dot) == 0))
            return true;
    }
    return false;
}

static bool may_be_dane(const struct decide_input *in,
                        const struct candidate *c, bool *sure_r)
{
    const struct hostaddrs *a = c->addrs;
    bool open = false;

    *sure_r = false;
    if (!in->set->secure || (in->classes & DANE) == 0)
        return false;
    for (int f = 0; f < FAMILIES; f++)
        open |= a->state[f] == ADDR_UNKNOWN || a->state[f] == ADDR_FAILED;
    if (!a->secure)
        return open;
    *sure_r = a->tlsa.state == TLSA_USABLE ||
              (a->tlsa.state == TLSA_WHOLE && in->override != NULL);
    return a->tlsa.state != TLSA_NONE && a->tlsa.state != TLSA_UNUSABLE;
}

static void check_dns_host(const struct decide_input *in,
                           const struct candidate *c)
{
    bool sure, may = may_be_dane(in, c, &sure);

    ck_assert_msg(!in->policy_open, "listed before the policy is known");

    ck_assert_msg(c->tls_class == MXHOP_TLS_NONE ||
                      (in->classes & CLASS_BIT(c->tls_class)) != 0,
                  "a class that nobody knows");
    if (in->policy != NULL) {
        ck_assert_msg(in_policy(in->policy, c->host), "not of the policy");
        ck_assert_msg(c->tls_class != MXHOP_TLS_NONE, "policy, no class");
    } else {
        ck_assert_msg(c->tls_class != MXHOP_TLS_STS, "class, no policy");
    }
    ck_assert_msg((c->tls_class == MXHOP_TLS_DANE) == sure, "DANE");
    ck_assert_msg(!may || sure, "listed, and may be DANE");
}

/* Where the list and the candidates say the same, element by element. */
static void check_text(const struct decision *d, const char *text)
{
    static const char *const ports[] = {"", ":025", ":0025"};
    const char *word = text + 1;
    size_t i = 0;

    if (strncmp(word, "[239.", 5) == 0) /* it tells lists apart */
        word = strstr(word, ", ") + 2;
    for (; *word != '\0'; i++) {
        size_t n = strcspn(word, ",");
        const char *port = memchr(word, ']', n);
        const struct candidate *c = &d->c[i];
        char want[16];

        ck_assert_uint_lt(i, d->n_kept);
        snprintf(want, sizeof(want), "%s", ports[c->tls_class]);
        if (c->port != 0)
            snprintf(want, sizeof(want), ":%u", c->port);
        ck_assert_ptr_nonnull(port);
        ck_assert_uint_eq((size_t)(word + n - port - 1), strlen(want));
        ck_assert(strncmp(port + 1, want, strlen(want)) == 0);
        word += n + strspn(word + n, ", ");
    }
    ck_assert_uint_eq(i, d->n_kept);
}

static void check_decision(const struct decide_input *in,
                           const struct decision *d)
{
    uint32_t behind = UINT32_MAX;
    char *text;

    for (size_t i = 0; i < in->set->n_mx; i++)
        if (strcmp(in->set->mx[i].host, "me.test") == 0 &&
            !(in->override != NULL &&
              decide_excludes(in->override, "me.test")) &&
            in->set->mx[i].preference < behind)
            behind = in->set->mx[i].preference;
    if (d->disposition != MXHOP_ROUTE)
        return;
    for (size_t i = 0; i < d->n_kept; i++) {
        const struct candidate *c = &d->c[i];

        if (!c->is_dns) {
            ck_assert_msg(c->tls_class == MXHOP_TLS_NONE, "an override's hop");
            continue;
        }
        check_dns_host(in, c);
        ck_assert_msg(c->preference < behind, "behind us");
    }
    text = text_of(d);
    check_text(d, text);
    free(text);
}

static void check_pass_or_wait(const struct decide_input *in,
                               const struct decision *d)
{
    bool any = false;

    if (in->override != NULL || in->policy == NULL)
        return;
    for (size_t i = 0; i < in->set->n_mx; i++)
        any |= in_policy(in->policy, in->set->mx[i].host);
    if (any)
        return;
    ck_assert_int_ne(d->disposition, MXHOP_ROUTE);
    if (in->visible_if == 0 && in->rules->on_sts_mismatch == CHOICE_DEFER &&
        fixture_drop(d->c, d->n, in->set->mx[0].host) == DROP_STS) {
        ck_assert_int_eq(d->disposition, MXHOP_DEFER);
        ck_assert_str_eq(d->status, "4.7.5");
        ck_assert_ptr_nonnull(strstr(d->reason, "d.test"));
        ck_assert_ptr_nonnull(strstr(d->reason, in->policy->mx[0]));
    }
}

START_TEST(any_world)
{
    static const char *const hops[] = {"[r.test]", "[r.test]:25",
                                       "[192.0.2.77],[a.x.test]",
                                       "[a.x.test]:25", "spliced.test"};
    unsigned lists = 0, classes[3] = {0};

    state = 0x715u;
    for (unsigned w = 0; w < WORLDS; w++) {
        char *mx[3];
        struct sts_policy policy = policy_of(mx, 1 + below(3));
        struct rules r = fixture_rules();
        unsigned mode = below(OVERRIDE_PASS);
        struct override o =
            fixture_override((enum override_mode)mode,
                             mode != OVERRIDE_EXCLUDE ? hops[below(5)] : "");
        struct hop_facts facts[2] = {0};
        struct mxset set = {.secure = below(2) == 0, .outcome = MX_HOSTS};
        struct decide_input in = {.rules = &r,
                                  .domain = "d.test",
                                  .set = &set,
                                  .classes = (unsigned[]){0, STS, STS | DANE,
                                                          STS | DANE}[below(4)],
                                  .override = below(3) == 0 ? &o : NULL,
                                  .facts = facts,
                                  .policy = below(2) == 0 ? &policy : NULL,
                                  .policy_open = below(8) == 0,
                                  .learning = below(2) == 0,
                                  .visible_if = below(8) == 0};
        struct decision d, again;

        for (size_t i = 0; i < 3; i++)
            mx[i] = (char *)patterns[below(10)];
        for (unsigned n = 1 + below(4); n > 0; n--) {
            const char *host = names[below(HOSTS)];

            ck_assert(mxset_add(&set, host, (uint16_t)(10 * below(3))));
            set.mx[set.n_mx - 1].addrs = any_addrs();
        }
        mxset_sort(&set);
        if (mode == OVERRIDE_EXCLUDE)
            ck_assert(strlist_add(&o.excludes, names[below(HOSTS)]));
        facts[0].spliced = below(2) == 0;
        facts[0].set = fixture_set("10 a.x.test=secure 192.0.2.1");
        facts[0].addrs = any_addrs();
        r.on_sts_mismatch = below(2) == 0 ? CHOICE_DEFER : CHOICE_PASS;
        r.dane_ta = below(2) == 0 ? DANE_TA_LIST : DANE_TA_PASS;
        r.max_hops = 1 + below(4);
        ck_assert(decide(&in, &d));
        check_decision(&in, &d);
        check_pass_or_wait(&in, &d);
        lists += d.disposition == MXHOP_ROUTE && in.override == NULL;
        for (size_t i = 0; i < d.n_kept; i++)
            classes[d.c[i].tls_class]++;
        /* Another domain on these hosts is not touched, and one with the same
           policy shares the list. */
        in.domain = "other.test";
        ck_assert(decide(&in, &again));
        ck_assert_int_eq(again.disposition, d.disposition);
        if (d.disposition == MXHOP_ROUTE) {
            char *one = text_of(&d), *two = text_of(&again);

            ck_assert_str_eq(one, two);
            free(one);
            free(two);
        }
        decision_free(&again);
        decision_free(&d);
        mxset_free(&facts[0].set);
        override_free(&o);
        mxset_free(&set);
    }
    /* It was about something. */
    ck_assert_uint_gt(lists, WORLDS / 10);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_gt(classes[i], WORLDS / 50);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tlsclass");
    TCase *tc = tcase_create("tlsclass");

    tcase_add_loop_test(tc, row, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tc, a_mismatch_may_pass);
    tcase_add_test(tc, we_count_though_a_policy_lacks_us);
    tcase_add_loop_test(tc, trust_anchors_pass_unless_listed, 0, 2);
    tcase_add_loop_test(
        tc, unsigned_domains_pass_where_the_mta_wants_to_see_them, 0, 2);
    tcase_add_test(tc, own_domain_and_own_host_belong_together);
    tcase_add_test(tc, any_world);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    return fixture_run(s);
}
