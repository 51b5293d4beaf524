/* dns/resolve: against a name server in a thread of this program. */

#include <sys/resource.h>
#include "support/suite.h"
#include "dns/exchange_int.h"
#include "support/failmalloc.h"
#include "resolve_fixture.h"

static const struct minidns_row rows[] = {
    {"two.example", MX, "ttl 500 mx 20 mx2.example ttl 70 mx 10 MX1.example",
     .ad = true},
    {"mx1.example", A, "ttl 90 a 192.0.2.1 a 192.0.2.2", .ad = true},
    {"mx1.example", AAAA, "ttl 80 aaaa 2001:db8::1", .ad = true},
    {"mx2.example", A, "a 192.0.2.3", .ad = true},
    {"also.example", MX, "mx 10 mx1.example"},

    {"alias.example", MX, "cname two2.example mx 5 mx2.example"},
    {"part.example", MX, "ttl 40 cname part2.example"},
    {"part2.example", MX, "cname part3.example"},
    {"part3.example", MX, "mx 5 mx2.example"},
    {"loop1.example", MX, "cname loop2.example"},
    {"loop2.example", MX, "cname loop1.example"},
    {"self.example", MX, "cname self2.example"},
    {"self2.example", MX, "cname self3.example"},
    {"self3.example", MX, "cname self2.example"},

    {"implicit.example", A, "a 192.0.2.4"},
    {"implicit.example", AAAA, "aaaa 2001:db8::4"},
    {"www.example", MX, "cname web.example soa 45"},
    {"web.example", A, "a 192.0.2.5"},
    {"web.example", MX, "soa 45"},

    {"null.example", MX, "mx 0 ."},
    {"nulls.example", MX, "mx 0 . mx 7 ."},
    {"dot.example", MX, "mx 0 . mx 7 mx2.example"},

    {"servfail.example", MX, NULL, .rcode = 2},
    {"refused.example", MX, NULL, .rcode = 5},
    {"silent.example", MX, NULL, .delay_ms = MINIDNS_SILENT},

    {"ill.example", MX, "mx 1 gone.example mx 2 sf.example mx 3 mute.example"},
    {"sf.example", A, NULL, .rcode = 2},
    {"sf.example", AAAA, "aaaa 2001:db8::6"},
    {"mute.example", A, "a 192.0.2.6"},
    {"mute.example", AAAA, NULL, .delay_ms = MINIDNS_SILENT},
    {"dead.example", MX, "mx 1 dumb.example"},
    {"dumb.example", A, NULL, .delay_ms = MINIDNS_SILENT},
    {"dumb.example", AAAA, NULL, .delay_ms = MINIDNS_SILENT},

    {"cnames.example", MX, "mx 1 c1.example mx 2 c2.example mx 3 cl1.example"},
    {"c1.example", A, "cname c1t.example a 192.0.2.7"},
    {"c1.example", AAAA, "cname c1t.example soa 60"},
    {"c2.example", A, "cname c2t.example"},
    {"c2.example", AAAA, "cname c2t.example"},
    {"c2t.example", A, "a 192.0.2.8"},
    {"c2t.example", AAAA, "aaaa 2001:db8::8"},
    {"cl1.example", A, "cname cl2.example"},
    {"cl2.example", A, "cname cl1.example"},
    {"cl1.example", AAAA, "soa 60"},

    {"evil.example", MX, "mx 1 a,b.example mx 2 a\\b.example mx 3 10.1.2.3"},
    {"shared.example", MX, "mx 1 slow.example", .delay_ms = 5},
    {"shared2.example", MX, "mx 1 slow.example"},
    {"slow.example", A, "a 192.0.2.9", .delay_ms = 300},
    {"slow.example", AAAA, "aaaa 2001:db8::9"},
    {0},
};

/* ---- the owner, and what it was told ---- */

static void add_family(struct buf *b, const struct hostaddrs *a, unsigned f)
{
    static const char *const names[] = {"?", "some", "none", "failed"};
    char text[64];

    if (a->state[f] != ADDR_SOME)
        buf_puts(b, names[a->state[f]]);
    for (size_t i = 0; i < a->n[f]; i++) {
        inet_ntop(f == FAMILY_V4 ? AF_INET : AF_INET6,
                  f == FAMILY_V4 ? (const void *)&a->v4[i] : &a->v6[i], text,
                  sizeof(text));
        buf_printf(b, "%s%s", i > 0 ? "+" : "", text);
    }
}

static void add_addrs(struct buf *b, const struct hostaddrs *a)
{
    add_family(b, a, FAMILY_V4);
    buf_putc(b, ',');
    add_family(b, a, FAMILY_V6);
}

static void add_set(struct buf *b, const struct mxset *s, bool addrs)
{
    static const char *const names[] = {"hosts", "null", "nxdomain", "failure"};

    buf_printf(b, "%s%s%s%s", names[s->outcome], s->implicit ? " implicit" : "",
               s->dot_ignored ? " dot" : "", s->secure ? " secure" : "");
    if (s->outcome != MX_FAILURE)
        buf_printf(b, " ttl=%u", s->ttl_s);
    else
        assert(s->failure != NULL); /* Check's would allocate */
    for (size_t i = 0; i < s->n_mx; i++) {
        buf_printf(b, " %u %s", s->mx[i].preference, s->mx[i].host);
        if (!addrs)
            continue;
        buf_putc(b, '=');
        add_addrs(b, &s->mx[i].addrs);
    }
}

static unsigned host_known(void *ctx, const char *host, unsigned families,
                           struct hostaddrs *addrs_r)
{
    (void)ctx;
    assert(families != 0);
    memset(addrs_r, 0xff, sizeof(*addrs_r)); /* means nothing when false */
    if (fx.known_host == NULL || strcmp(host, fx.known_host) != 0)
        return 0;
    *addrs_r = (struct hostaddrs){.state = {ADDR_SOME, ADDR_NONE}, .n = {1}};
    inet_pton(AF_INET, "198.51.100.1", &addrs_r->v4[0]);
    return fx.known_what != 0 ? fx.known_what : families; /* 0: all */
}

static void host_learned(void *ctx, const char *host,
                         const struct hostaddrs *addrs)
{
    (void)ctx;
    uint32_t ttl_s = UINT32_MAX;

    for (int f = 0; f < FAMILIES; f++)
        if ((addrs->state[f] == ADDR_SOME || addrs->state[f] == ADDR_NONE) &&
            addrs->ttl_s[f] < ttl_s)
            ttl_s = addrs->ttl_s[f];
    buf_printf(&fx.told, "[%s ttl=%u%s ", host, ttl_s != UINT32_MAX ? ttl_s : 0,
               addrs->secure ? " secure" : "");
    add_addrs(&fx.told, addrs);
    buf_putc(&fx.told, ']');
}

static void mx_learned(void *ctx, const char *domain, const struct mxset *set)
{
    (void)ctx;
    buf_printf(&fx.told, "<%s ", domain);
    add_set(&fx.told, set, false);
    buf_putc(&fx.told, '>');
}

static void resolved(void *ctx, const char *name, struct mxset *set)
{
    (void)ctx;
    (void)name;
    add_set(&fx.result, set, true);
    if (set->failure != NULL)
        buf_printf(&fx.result, ": %s", set->failure);
    buf_putc(&fx.result, '\n');
    fx.n_results++;
    fx.ended_ms = clock_boot_ms();
}

static enum mxhop_status open_resolver(unsigned families)
{
    const struct resolver_owner owner = {NULL, host_known, host_learned,
                                         mx_learned, pick};
    struct dns_servers servers = minidns_servers(&fx.dns);
    enum mxhop_status status = engine_open(&fx.engine, &servers, NULL);

    if (status != MXHOP_OK)
        return status;
    return resolver_open(&fx.resolver, fx.engine, &owner, families, NULL);
}

static void setup_rows(const struct minidns_row *table)
{
    begin(table);
    ck_assert_int_eq(open_resolver(BOTH), MXHOP_OK);
}

static void setup(void)
{
    setup_rows(rows);
}

/* ---- tests ---- */

static const struct {
    const char *domain, *result, *told;
    size_t queries; /* 0: not counted, the engine repeats them */
} cases[] = {
    {"two.example",
     "hosts secure ttl=70 10 mx1.example=192.0.2.1+192.0.2.2,2001:db8::1 "
     "20 mx2.example=192.0.2.3,none",
     NULL, 5},
    {"alias.example", "hosts ttl=300 5 mx2.example=192.0.2.3,none",
     "<alias.example hosts ttl=300 5 mx2.example>"
     "[mx2.example ttl=60 192.0.2.3,none]",
     3},
    {"part.example", "hosts ttl=40 5 mx2.example=192.0.2.3,none", NULL, 5},
    {"loop1.example", "failure: CNAME loop", "<loop1.example failure>", 2},
    {"self.example", "failure: CNAME chain too long", NULL, 17},
    {"implicit.example",
     "hosts implicit ttl=60 0 implicit.example=192.0.2.4,2001:db8::4",
     "<implicit.example hosts implicit ttl=60 0 implicit.example>"
     "[implicit.example ttl=300 192.0.2.4,2001:db8::4]",
     3},
    {"www.example", "hosts implicit ttl=45 0 web.example=192.0.2.5,none", NULL,
     3},
    {"null.example", "null ttl=300", "<null.example null ttl=300>", 1},
    {"nulls.example", "null ttl=300", NULL, 1},
    {"dot.example", "hosts dot ttl=300 7 mx2.example=192.0.2.3,none", NULL, 3},
    {"nowhere.example", "nxdomain ttl=60", "<nowhere.example nxdomain ttl=60>",
     1},
    {"ill.example",
     "hosts ttl=300 1 gone.example=none,none "
     "2 sf.example=failed,2001:db8::6 3 mute.example=192.0.2.6,failed",
     NULL, 0},
    {"dead.example", "hosts ttl=300 1 dumb.example=failed,failed",
     "<dead.example hosts ttl=300 1 dumb.example>", 0},
    {"cnames.example",
     "hosts ttl=300 1 c1.example=192.0.2.7,none "
     "2 c2.example=192.0.2.8,2001:db8::8 3 cl1.example=failed,none",
     NULL, 10},
    {"evil.example",
     "hosts ttl=300 1 a,b.example=none,none 2 a\\\\b.example=none,none "
     "3 10.1.2.3=none,none",
     "<evil.example hosts ttl=300 1 a,b.example 2 a\\\\b.example 3 10.1.2.3>",
     1},
};

/* AD counts for whole results here, but only two.example has it set. */
START_TEST(test_outcomes)
{
    char *line;

    start(cases[_i].domain, NULL, DEADLINE_MS);
    run_tasks();
    line = strtok(fx.result.data, "\n");
    ck_assert_str_eq(line, cases[_i].result);
    if (cases[_i].told != NULL)
        ck_assert_str_eq(fx.told.data, cases[_i].told);
    if (cases[_i].queries > 0)
        ck_assert_uint_eq(minidns_count(&fx.dns, NULL), cases[_i].queries);
}
END_TEST

START_TEST(test_failure_texts)
{
    static const char *const table[][2] = {
        {"servfail.example", "failure: SERVFAIL from 127.0.0.1:"},
        {"refused.example", "failure: REFUSED from 127.0.0.1:"},
        {"silent.example", "failure: no answer within "},
        {"..", "failure: the name cannot be asked for"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        forget();
        start(table[i][0], NULL, DEADLINE_MS);
        run_tasks();
        ck_assert_msg(strncmp(fx.result.data, table[i][1],
                              strlen(table[i][1])) == 0,
                      "%s: %s", table[i][0], fx.result.data);
        ck_assert_ptr_nonnull(strstr(fx.told.data, " failure>"));
    }
}
END_TEST

/* A family that was cut short is not told as a failure, one that failed is. */
START_TEST(test_told_of_ill_hosts)
{
    start("ill.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_ptr_nonnull(
        strstr(fx.told.data, "[gone.example ttl=60 none,none]"));
    ck_assert_ptr_nonnull(
        strstr(fx.told.data, "[sf.example ttl=300 failed,2001:db8::6]"));
    for (int i = 0; i < 3; i++) /* the lookup outlives its task */
        resolver_step(fx.resolver, clock_boot_ms() + 5, -1);
    ck_assert_ptr_nonnull(
        strstr(fx.told.data, "[mute.example ttl=300 192.0.2.6,?]"));
}
END_TEST

START_TEST(test_known)
{
    struct mxset known = {.ttl_s = 9};

    fx.known_host = "mx1.example";
    start("two.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data, "hosts secure ttl=70 "
                                     "10 mx1.example=198.51.100.1,none "
                                     "20 mx2.example=192.0.2.3,none\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 3);

    /* The set is given: its hosts only, nothing learnt about the domain. */
    forget();
    ck_assert(mxset_add(&known, "mx2.example", 3));
    start("two.example", &known, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data,
                     "hosts ttl=9 3 mx2.example=192.0.2.3,none\n");
    ck_assert_str_eq(fx.told.data, "[mx2.example ttl=60 192.0.2.3,none]");
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 2);

    /* Old addresses survive a failure. */
    forget();
    mxset_free(&known);
    ck_assert(mxset_add(&known, "dumb.example", 3));
    known.mx[0].addrs.state[FAMILY_V4] = ADDR_SOME;
    known.mx[0].addrs.n[FAMILY_V4] = 1;
    start("dead.example", &known, 50);
    run_tasks();
    ck_assert_str_eq(fx.result.data,
                     "hosts ttl=0 3 dumb.example=0.0.0.0,failed\n");

    /* Nothing to be asked: one step does it, at once. */
    forget();
    mxset_free(&known);
    known.outcome = MX_NXDOMAIN;
    start("x.example", &known, DEADLINE_MS);
    resolver_step(fx.resolver, clock_boot_ms() + 5000, -1);
    ck_assert_str_eq(fx.result.data, "nxdomain ttl=0\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 0);
}
END_TEST

START_TEST(test_picked_only)
{
    fx.pick_max = 1;
    start("two.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data,
                     "hosts secure ttl=70 "
                     "10 mx1.example=192.0.2.1+192.0.2.2,2001:db8::1 "
                     "20 mx2.example=?,?\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 3);
}
END_TEST

START_TEST(test_one_family)
{
    close_resolver();
    ck_assert_int_eq(open_resolver(FAMILY_BIT(FAMILY_V6)), MXHOP_OK);
    start("two.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data, "hosts secure ttl=70 "
                                     "10 mx1.example=?,2001:db8::1 "
                                     "20 mx2.example=?,none\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 3);
}
END_TEST

START_TEST(test_untrusted_ad)
{
    struct dns_servers servers = minidns_servers(&fx.dns);

    servers.trust_ad = false;
    engine_set_servers(fx.engine, &servers);
    start("two.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_ptr_null(strstr(fx.result.data, "secure"));
    ck_assert_ptr_null(strstr(fx.told.data, "secure"));
}
END_TEST

/* Two domains, one host: asked once, although one has a shorter deadline. */
START_TEST(test_shared_host)
{
    start("shared2.example", NULL, 200);
    start("shared.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data,
                     "hosts ttl=300 1 slow.example=failed,2001:db8::9\n"
                     "hosts ttl=300 1 slow.example=192.0.2.9,2001:db8::9\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, "slow.example 28"), 1);
    /* Asked again for the one with time left, as the first was cut off. */
    ck_assert_uint_eq(minidns_count(&fx.dns, "slow.example 1"), 2);
    ck_assert_ptr_nonnull(
        strstr(fx.told.data, "[slow.example ttl=300 192.0.2.9,2001:db8::9]"));

    forget();
    start("shared2.example", NULL, DEADLINE_MS);
    start("shared.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_uint_eq(fx.n_results, 2);
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 4);
}
END_TEST

/* Only what is not known is asked for and told, the result has both; and
   nothing where an address is known, unless the set was given: that is to ask
   again. */
START_TEST(test_one_family_known)
{
    struct mxset known = {.ttl_s = 9};

    fx.known_host = "mx1.example";
    fx.known_what = FAMILY_BIT(FAMILY_V4);
    start("also.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data,
                     "hosts ttl=300 10 mx1.example=198.51.100.1,none\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 1);

    forget();
    ck_assert(mxset_add(&known, "mx1.example", 10));
    start("also.example", &known, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data,
                     "hosts ttl=9 10 mx1.example=198.51.100.1,2001:db8::1\n");
    ck_assert_str_eq(fx.told.data, "[mx1.example ttl=80 secure ?,2001:db8::1]");
    mxset_free(&known);
    ck_assert_uint_eq(minidns_count(&fx.dns, "mx1.example 28"), 1);
    ck_assert_uint_eq(minidns_count(&fx.dns, "mx1.example 1"), 0);

    forget();
    fx.known_what = FAMILY_BIT(FAMILY_V6);
    start("also.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data,
                     "hosts ttl=300 10 mx1.example=192.0.2.1+192.0.2.2,none\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, "mx1.example 28"), 0);
    ck_assert_uint_eq(minidns_count(&fx.dns, "mx1.example 1"), 1);
}
END_TEST

/* As a worker starts them, who takes them from the list of those that ended. */
START_TEST(test_host_task)
{
    static const char *const hosts[] = {"mx1.example", "no host"};
    struct task *t[2];

    for (int i = 0; i < 2; i++) {
        t[i] = task_new(hosts[i], true, NULL);
        ck_assert_ptr_nonnull(t[i]);
        task_start(t[i], fx.resolver, clock_boot_ms() + DEADLINE_MS);
    }
    while (!TAILQ_EMPTY(&fx.resolver->live))
        resolver_run(fx.resolver, clock_boot_ms() + 5000, -1);
    for (int i = 0; i < 2; i++) {
        TAILQ_REMOVE(&fx.resolver->ended, t[i], link);
        task_free(t[i]);
    }
    ck_assert(TAILQ_EMPTY(&fx.resolver->ended));
    ck_assert_str_eq(fx.told.data, "[mx1.example ttl=80 secure "
                                   "192.0.2.1+192.0.2.2,2001:db8::1]");
}
END_TEST

START_TEST(test_deadline)
{
    uint64_t start_ms = clock_boot_ms();

    start("silent.example", NULL, 100);
    start("dead.example", NULL, 100);
    run_tasks();
    ck_assert_uint_eq(fx.n_results, 2);
    ck_assert_uint_ge(fx.ended_ms, start_ms + 100);
    ck_assert_uint_lt(fx.ended_ms, start_ms + 1000);
}
END_TEST

static void hurry(const void *ctx, uint64_t deadline_ms)
{
    struct task *t;

    TAILQ_FOREACH(t, &fx.resolver->live, link)
    if (t->ctx == ctx)
        task_hurry(t, deadline_ms);
}

/* The name is the ctx of its task: hurrying one lets the others be. */
START_TEST(test_hurry)
{
    static const char *const silent[] = {"silent.example", "dead.example"};

    for (int i = 0; i < 2; i++) {
        forget();
        for (int k = 0; k < 2; k++)
            ck_assert_int_eq(
                resolver_start_domain(fx.resolver, silent[k], NULL,
                                      clock_boot_ms() + DEADLINE_MS, resolved,
                                      (void *)(uintptr_t)silent[k]),
                MXHOP_OK);
        while (minidns_count(&fx.dns, "silent.example 15") == 0 ||
               minidns_count(&fx.dns, "dumb.example 1") == 0)
            resolver_step(fx.resolver, clock_boot_ms() + 5, -1);
        hurry(silent[i], UINT64_MAX); /* never later */
        hurry(silent[i], clock_boot_ms());
        resolver_step(fx.resolver, clock_boot_ms(), -1);
        ck_assert_uint_eq(fx.n_results, 1);
        ck_assert_ptr_nonnull(
            strstr(fx.result.data, i == 0 ? "failure: no answer within "
                                          : "dumb.example=failed,failed"));
        hurry(silent[i], clock_boot_ms()); /* it has ended */
        run_tasks();
        ck_assert_uint_eq(fx.n_results, 2);
    }
}
END_TEST

/* One whose question is not even out. */
START_TEST(test_hurry_fresh)
{
    uint64_t start_ms = clock_boot_ms();

    start("silent.example", NULL, 60000);
    hurry(NULL, start_ms + 50);
    run_tasks();
    ck_assert_uint_ge(fx.ended_ms, start_ms + 50);
    ck_assert_uint_lt(fx.ended_ms, start_ms + 30000);
}
END_TEST

/* For a host. */
static bool all_wait(void)
{
    struct task *t;

    TAILQ_FOREACH(t, &fx.resolver->live, link)
    if (t->waiting == 0)
        return false;
    return true;
}

/* What it shares goes on for the other. */
START_TEST(test_hurry_shared)
{
    start("shared2.example", NULL, DEADLINE_MS);
    ck_assert_int_eq(resolver_start_domain(fx.resolver, "shared.example", NULL,
                                           clock_boot_ms() + DEADLINE_MS,
                                           resolved, &fx),
                     MXHOP_OK);
    while (minidns_count(&fx.dns, "slow.example 1") == 0 || !all_wait())
        resolver_step(fx.resolver, clock_boot_ms() + 5, -1);
    hurry(NULL, clock_boot_ms());
    run_tasks();
    ck_assert_uint_eq(fx.n_results, 2);
    ck_assert_ptr_nonnull(strstr(fx.result.data, "=failed,"));
    ck_assert_ptr_nonnull(strstr(fx.result.data, "=192.0.2.9,2001:db8::9"));
    ck_assert_uint_eq(minidns_count(&fx.dns, "slow.example 1"), 1);
}
END_TEST

/* Their questions end with them: sockets are for others. */
START_TEST(test_hurried_leave_nothing)
{
    uint64_t start_ms = clock_boot_ms();

    start("silent.example", NULL, 60000);
    start("dead.example", NULL, 60000);
    while (clock_boot_ms() < start_ms + 1100)
        resolver_step(fx.resolver, start_ms + 1100, -1);
    hurry(NULL, clock_boot_ms());
    resolver_step(fx.resolver, clock_boot_ms(), -1);
    resolver_step(fx.resolver, clock_boot_ms(), -1);
    ck_assert_uint_eq(fx.n_results, 2);
    ck_assert_uint_eq(fx.engine->heap.n, 0);
    ck_assert_ptr_nonnull(strstr(fx.told.data, "<silent.example failure>"));
    ck_assert_ptr_nonnull(strstr(fx.told.data, "[dumb.example"));
}
END_TEST

/* That we cannot ask is nothing to remember about a name. */
START_TEST(test_not_asked)
{
    struct dns_servers nobody = minidns_servers(&fx.dns);
    struct rlimit old, none;

    ((struct sockaddr_in *)&nobody.addr[0])->sin_port = htons(9);
    engine_set_servers(fx.engine, &nobody);
    start("two.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_ptr_nonnull(strstr(fx.result.data, "failure: "));
    ck_assert_ptr_nonnull(strstr(fx.result.data, " from 127.0.0.1:9"));
    ck_assert_uint_eq(fx.told.len, 0);

    forget();
    nobody = minidns_servers(&fx.dns);
    engine_set_servers(fx.engine, &nobody);
    resolver_step(fx.resolver, 0, -1); /* until it has no socket left */
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    start("two.example", NULL, 100);
    run_tasks();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_ptr_nonnull(strstr(fx.result.data, "failure: "));
    ck_assert_uint_eq(fx.told.len, 0);
}
END_TEST

static void assume_down(void)
{
    struct engine_server s;

    close_resolver(); /* what was heard before would be better news */
    ck_assert_int_eq(open_resolver(BOTH), MXHOP_OK);
    engine_server_get(fx.engine, 0, &s);
    engine_assume_open(fx.engine, s.address);
    ck_assert(engine_down(fx.engine));
}

/* Nobody to be asked: a failure at once, but none that anybody remembers. */
START_TEST(test_down)
{
    struct mxset known = {.ttl_s = 9};

    assume_down();
    start("two.example", NULL, 60000);
    run_tasks();
    ck_assert_uint_eq(fx.n_results, 1);
    ck_assert_ptr_nonnull(strstr(fx.result.data,
                                 "failure: no name server answers (circuit "
                                 "breaker open: 127.0.0.1:"));
    ck_assert_uint_eq(fx.told.len, 0);
    ck_assert_uint_eq(minidns_count(&fx.dns, "two.example 15"), 0);

    forget();
    assume_down();
    ck_assert(mxset_add(&known, "mx1.example", 3));
    ck_assert(mxset_add(&known, "mx2.example", 4));
    known.mx[0].addrs.state[FAMILY_V4] = ADDR_SOME;
    known.mx[0].addrs.n[FAMILY_V4] = 1;
    start("two.example", &known, 60000);
    run_tasks();
    ck_assert_str_eq(fx.result.data, "hosts ttl=9 3 mx1.example=0.0.0.0,failed "
                                     "4 mx2.example=failed,failed\n");
    ck_assert_uint_eq(fx.told.len, 0);
    mxset_free(&known);

    forget();
    while (engine_down(fx.engine)) /* until the probe is answered */
        resolver_step(fx.resolver, clock_boot_ms() + 5000, -1);
    start("two.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_ptr_nonnull(strstr(fx.result.data, "mx1.example=192.0.2.1+"));
    ck_assert_ptr_nonnull(strstr(fx.told.data, "<two.example hosts"));
}
END_TEST

/* Closing with everything in flight, tasks and late queries. */
START_TEST(test_close_in_flight)
{
    start("silent.example", NULL, 20);
    run_tasks();
    start("silent.example", NULL, DEADLINE_MS);
    start("dead.example", NULL, DEADLINE_MS);
    start("ill.example", NULL, DEADLINE_MS);
    resolver_step(fx.resolver, clock_boot_ms() + 50, -1);
    resolver_step(fx.resolver, clock_boot_ms() + 50, -1);
    start("two.example", NULL, DEADLINE_MS);
}
END_TEST

#define MANY 40

static char many_answer[MANY * 24 + 1], many_names[MANY][24];
static struct minidns_row many_rows[2 * MANY + 2];

static void setup_many(void)
{
    size_t len = 0;

    many_rows[0] = (struct minidns_row){"many.example", MX, many_answer};
    for (int i = 0; i < MANY; i++) {
        struct minidns_row *row = &many_rows[1 + 2 * i];

        len += (size_t)snprintf(many_answer + len, sizeof(many_answer) - len,
                                "mx 1 m%d.example ", i);
        snprintf(many_names[i], sizeof(many_names[i]), "m%d.example", i);
        row[0] = (struct minidns_row){many_names[i], A, "a 192.0.2.1",
                                      .delay_ms = 15};
        row[1] = (struct minidns_row){many_names[i], AAAA, "soa 60",
                                      .delay_ms = 15 + i % 7};
    }
    setup_rows(many_rows);
}

START_TEST(test_many_hosts)
{
    start("many.example", NULL, 5000);
    run_tasks();
    ck_assert_ptr_null(strstr(fx.result.data, "failed"));
    ck_assert_ptr_nonnull(strstr(fx.result.data, "m30.example=192.0.2.1,none"));
    ck_assert_ptr_nonnull(strstr(fx.result.data, "m31.example=?,?"));
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 63);
    ck_assert_uint_le(fx.dns.max_pending, RESOLVE_IN_FLIGHT_MAX);
    ck_assert_uint_ge(fx.dns.max_pending, RESOLVE_IN_FLIGHT_MAX / 2);

    /* At the deadline those not asked for yet count as failed. */
    forget();
    start("many.example", NULL, 25);
    run_tasks();
    ck_assert_ptr_nonnull(strstr(fx.result.data, "m30.example=failed,failed"));
}
END_TEST

/* An override by exchange looks at no more, so no other may be used: not the
   first time either, before the cache has the domain. */
START_TEST(test_best_hosts)
{
    static char answer[110 * 24];
    static const struct minidns_row row[] = {{"more.example", MX, answer}, {0}};
    size_t len = 0;

    for (int i = 109; i >= 0; i--)
        len += (size_t)snprintf(answer + len, sizeof(answer) - len,
                                "mx %d m%d.example ", 10 - i % 2, i);
    teardown();
    setup_rows(row);
    start("more.example", NULL, 5000);
    run_tasks();
    ck_assert_ptr_nonnull(strstr(fx.result.data, " 9 m99.example"));
    ck_assert_ptr_nonnull(strstr(fx.result.data, " 10 m78.example"));
    ck_assert_ptr_null(strstr(fx.result.data, " 10 m80.example"));
    ck_assert_ptr_null(strstr(fx.result.data, " 10 m98.example"));
}
END_TEST

/* Names that no host has do not crowd it out. */
START_TEST(test_odd_hosts_do_not_count)
{
    static char answer[110 * 24];
    static const struct minidns_row row[] = {{"odd.example", MX, answer}, {0}};
    size_t len = 0;

    for (int i = 0; i < 109; i++)
        len += (size_t)snprintf(answer + len, sizeof(answer) - len,
                                "mx 1 *%d.example ", i);
    snprintf(answer + len, sizeof(answer) - len, "mx 90 good.example");
    teardown();
    setup_rows(row);
    start("odd.example", NULL, 5000);
    run_tasks();
    ck_assert_ptr_nonnull(strstr(fx.result.data, " 90 good.example"));
}
END_TEST

/* Hosts that lead on and on cost a stranger's domain no more queries. */
START_TEST(test_queries_are_bounded)
{
    for (int i = 1; i <= 2 * MANY; i++)
        many_rows[i].answer = "cname elsewhere.example";
    start("many.example", NULL, 5000);
    run_tasks();
    ck_assert_ptr_nonnull(strstr(fx.result.data, "m30.example=failed,failed"));
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), RESOLVE_QUERIES_MAX);
}
END_TEST

START_TEST(test_memory)
{
    close_resolver();
    for (unsigned n = 1;; n++) {
        bool hit, started = false;

        forget();
        buf_printf(&fx.told, "%2000s", ""); /* do not fail in the test */
        buf_printf(&fx.result, "%2000s", "");
        buf_reset(&fx.told);
        buf_reset(&fx.result);
        failmalloc_at(n);
        if (open_resolver(BOTH) == MXHOP_OK &&
            resolver_start_domain(fx.resolver, "two.example", NULL,
                                  clock_boot_ms() + DEADLINE_MS, resolved,
                                  NULL) == MXHOP_OK) {
            run_tasks();
            started = true;
        }
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_uint_eq(fx.n_results, started);
        close_resolver();
        if (!hit)
            break;
        ck_assert_uint_lt(n, 200);
    }
    ck_assert_ptr_nonnull(strstr(fx.result.data, "20 mx2.example=192.0.2.3,n"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("resolve");
    TCase *t = tcase_create("rows");
    TCase *many = tcase_create("many");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_outcomes, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(t, test_failure_texts);
    tcase_add_test(t, test_told_of_ill_hosts);
    tcase_add_test(t, test_known);
    tcase_add_test(t, test_one_family_known);
    tcase_add_test(t, test_picked_only);
    tcase_add_test(t, test_one_family);
    tcase_add_test(t, test_untrusted_ad);
    tcase_add_test(t, test_shared_host);
    tcase_add_test(t, test_host_task);
    tcase_add_test(t, test_deadline);
    tcase_add_test(t, test_hurry);
    tcase_add_test(t, test_hurry_fresh);
    tcase_add_test(t, test_hurry_shared);
    tcase_add_test(t, test_hurried_leave_nothing);
    tcase_add_test(t, test_not_asked);
    tcase_add_test(t, test_down);
    tcase_add_test(t, test_close_in_flight);
    tcase_add_test(t, test_memory);
    suite_add_tcase(s, t);
    tcase_set_timeout(many, 60);
    tcase_add_checked_fixture(many, setup_many, teardown);
    tcase_add_test(many, test_many_hosts);
    tcase_add_test(many, test_best_hosts);
    tcase_add_test(many, test_odd_hosts_do_not_count);
    tcase_add_test(many, test_queries_are_bounded);
    suite_add_tcase(s, many);
    return suite_run(s);
}
