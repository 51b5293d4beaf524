/* dns/resolve: TXT at _mta-sts and _smtp._tls beside MX, TLSA behind
   addresses. */

#include "support/suite.h"
#include "support/failmalloc.h"
#include "resolve_fixture.h"

#define TXT  WIRE_TYPE_TXT
#define TLSA WIRE_TYPE_TLSA
#define ALL  (TLS_WANT_STS | TLS_WANT_DANE)

#define EE   "ttl 70 tlsa 3 1 1 32"
#define TA   "tlsa 2 0 1 32 tlsa 3 1 1 32"

static const struct minidns_row rows[] = {
    /* TXT */
    {"sts.example", MX, "mx 1 plain.example"},
    {"_mta-sts.sts.example", TXT, "ttl 90 txt v=STSv1;id=7;"},
    {"plain.example", A, "a 192.0.2.1"},
    {"plain.example", AAAA, "soa 60"},
    {"nodata.example", MX, "mx 1 plain.example"},
    {"_mta-sts.nodata.example", A, "a 192.0.2.1"},
    {"nxdomain.example", MX, "mx 1 plain.example"},
    {"other.example", MX, "mx 1 plain.example"},
    {"_mta-sts.other.example", TXT, "txt v=spf1"},
    {"twice.example", MX, "mx 1 plain.example"},
    {"_mta-sts.twice.example", TXT, "txt v=STSv1;id=7; txt v=STSv1;id=7;"},
    {"strings.example", MX, "mx 1 plain.example"},
    {"_mta-sts.strings.example", TXT, "txt v=STSv1;+id=a+b+;"},
    {"cname.example", MX, "mx 1 plain.example"},
    {"_mta-sts.cname.example", TXT, "ttl 40 cname _mta-sts.sts.example"},
    {"loop.example", MX, "mx 1 plain.example"},
    {"_mta-sts.loop.example", TXT, "cname l2.example"},
    {"l2.example", TXT, "cname _mta-sts.loop.example"},
    {"servfail.example", MX, "mx 1 plain.example"},
    {"_mta-sts.servfail.example", TXT, NULL, .rcode = 2},
    {"slow.example", MX, "mx 1 plain.example"},
    {"_mta-sts.slow.example", TXT, "txt v=STSv1;id=7;", .delay_ms = 200},
    {"silent.example", MX, "mx 1 plain.example"},
    {"_mta-sts.silent.example", TXT, NULL, .delay_ms = MINIDNS_SILENT},
    {"ill.example", MX, NULL, .rcode = 2},
    {"_mta-sts.ill.example", TXT, "txt v=STSv1;id=7;"},
    {"_mta-sts.gone.example", TXT, "txt v=STSv1;id=7;"},
    {"late.example", MX, "mx 1 plain.example", .delay_ms = 200},
    {"_mta-sts.late.example", TXT, "txt v=STSv1;id=7;"},
    {"_smtp._tls.sts.example", TXT, "ttl 50 txt v=TLSRPTv1;rua=mailto:a@b"},
    {"_smtp._tls.servfail.example", TXT, NULL, .rcode = 2},
    {"_smtp._tls.cname.example", TXT, "ttl 40 cname _smtp._tls.sts.example"},
    {"_smtp._tls.other.example", TXT, "txt v=spf1 ttl 70 txt v=tlsrptv1"},
    {"_smtp._tls.silent.example", TXT, NULL, .delay_ms = MINIDNS_SILENT},

    /* TLSA */
    {"dane.example", MX, "mx 1 ee.example mx 2 ta.example", .ad = true},
    {"ee.example", A, "ttl 80 a 192.0.2.2", .ad = true},
    {"ee.example", AAAA, "ttl 80 aaaa 2001:db8::2", .ad = true},
    {"_25._tcp.ee.example", TLSA, EE, .ad = true},
    {"ta.example", A, "a 192.0.2.3", .ad = true},
    {"ta.example", AAAA, "soa 60", .ad = true},
    {"_25._tcp.ta.example", TLSA, TA, .ad = true},
    {"mxplain.example", MX, "mx 1 ee.example"},
    {"states.example", MX,
     "mx 1 no.example mx 2 bad.example mx 3 sf.example mx 4 unsigned.example "
     "mx 5 half.example mx 6 plain.example mx 7 mute.example mx 8 gone.example",
     .ad = true},
    {"no.example", A, "a 192.0.2.4", .ad = true},
    {"no.example", AAAA, "soa 60", .ad = true},
    {"_25._tcp.no.example", TLSA, "soa 50", .ad = true},
    {"bad.example", A, "a 192.0.2.4", .ad = true},
    {"bad.example", AAAA, "soa 60", .ad = true},
    {"_25._tcp.bad.example", TLSA, "tlsa 1 1 1 32", .ad = true},
    {"sf.example", A, "a 192.0.2.4", .ad = true},
    {"sf.example", AAAA, "soa 60", .ad = true},
    {"_25._tcp.sf.example", TLSA, NULL, .rcode = 2},
    {"unsigned.example", A, "a 192.0.2.4", .ad = true},
    {"unsigned.example", AAAA, "soa 60", .ad = true},
    {"_25._tcp.unsigned.example", TLSA, EE},
    {"half.example", A, "a 192.0.2.4", .ad = true},
    {"half.example", AAAA, "aaaa 2001:db8::4"},
    {"_25._tcp.half.example", TLSA, EE, .ad = true},
    {"mute.example", A, "a 192.0.2.4", .ad = true},
    {"mute.example", AAAA, "soa 60", .ad = true},
    {"_25._tcp.mute.example", TLSA, NULL, .delay_ms = MINIDNS_SILENT},

    /* Hosts that are CNAMEs */
    {"alias.example", MX,
     "mx 1 c1.example mx 2 c2.example mx 3 c3.example mx 4 c4.example "
     "mx 5 c5.example",
     .ad = true},
    {"c1.example", A, "cname ee.example ttl 80 a 192.0.2.2", .ad = true},
    {"c1.example", AAAA, "cname ee.example", .ad = true},
    {"c2.example", A, "cname no.example a 192.0.2.4", .ad = true},
    {"c2.example", AAAA, "cname no.example soa 60", .ad = true},
    {"_25._tcp.c2.example", TLSA, TA, .ad = true},
    {"c3.example", A, "cname sf.example a 192.0.2.4", .ad = true},
    {"c3.example", AAAA, "cname sf.example soa 60", .ad = true},
    {"_25._tcp.c3.example", TLSA, EE, .ad = true},
    {"c4.example", A, "cname plain.example a 192.0.2.1"},
    {"c4.example", AAAA, "cname plain.example soa 60"},
    {"_25._tcp.c4.example", TLSA, EE, .ad = true},
    {"_25._tcp.c5.example", TLSA, EE},
    {"c5.example", A, "cname plain.example a 192.0.2.1"},
    {"c5.example", AAAA, "cname plain.example soa 60"},
    {"chain.example", MX, "mx 1 d.example", .ad = true},
    {"d.example", A, "a 192.0.2.4", .ad = true},
    {"d.example", AAAA, "soa 60", .ad = true},
    {"_25._tcp.d.example", TLSA, "ttl 33 cname _25._tcp.ee.example",
     .ad = true},
    {"chain2.example", MX, "mx 1 e.example", .ad = true},
    {"e.example", A, "a 192.0.2.4", .ad = true},
    {"e.example", AAAA, "soa 60", .ad = true},
    {"_25._tcp.e.example", TLSA, "cname _25._tcp.ee.example"},
    {0},
};

/* ---- the owner, and what it was told ---- */

static void add_sts(struct buf *b, const struct domain_txt *r)
{
    static const char *const names[] = {"?", "none", "id=", "failed"};

    buf_printf(b, "%s%s ttl=%u", names[r->state], r->id, r->ttl_s);
}

static void add_tlsa(struct buf *b, const struct tlsa *t)
{
    static const char *const names[] = {"?",        "none",  "usable",
                                        "unusable", "whole", "failed"};

    buf_printf(b, "%s%s ttl=%u", names[t->state], t->trust_anchor ? "+ta" : "",
               t->ttl_s);
}

static unsigned host_known(void *ctx, const char *host, unsigned what,
                           struct hostaddrs *addrs_r)
{
    (void)ctx;
    memset(addrs_r, 0xff, sizeof(*addrs_r));
    if (fx.known_host == NULL || strcmp(host, fx.known_host) != 0)
        return 0;
    *addrs_r = (struct hostaddrs){.state = {ADDR_SOME, ADDR_NONE},
                                  .n = {1},
                                  .ttl_s = {20, 20},
                                  .secure = true,
                                  .tlsa = fx.known_tlsa};
    return fx.known_what & what;
}

static void host_learned(void *ctx, const char *host,
                         const struct hostaddrs *addrs)
{
    (void)ctx;
    buf_printf(&fx.told, "[%s %d%d", host, addrs->state[FAMILY_V4],
               addrs->state[FAMILY_V6]);
    if (addrs->tlsa.state != TLSA_UNKNOWN) {
        buf_putc(&fx.told, ' ');
        add_tlsa(&fx.told, &addrs->tlsa);
    }
    buf_putc(&fx.told, ']');
}

static void mx_learned(void *ctx, const char *domain, const struct mxset *set)
{
    (void)ctx;
    buf_printf(&fx.told, "<%s %d>", domain, set->outcome);
}

static void txt_learned(void *ctx, const char *domain, enum tls_txt which,
                        const struct domain_txt *txt)
{
    (void)ctx;
    buf_printf(&fx.told, "{%s%s ", which == TLS_TXT_RPT ? "rpt " : "", domain);
    add_sts(&fx.told, txt);
    buf_putc(&fx.told, '}');
}

static void resolved(void *ctx, const char *name, struct mxset *set)
{
    (void)ctx;
    (void)name;
    buf_printf(&fx.result, "%d ", set->outcome);
    add_sts(&fx.result, &set->sts);
    if (set->rpt.state != TXT_UNKNOWN) {
        buf_puts(&fx.result, " rpt ");
        add_sts(&fx.result, &set->rpt);
    }
    for (size_t i = 0; i < set->n_mx; i++) {
        buf_printf(&fx.result, ", %s %d%d ", set->mx[i].host,
                   set->mx[i].addrs.state[FAMILY_V4],
                   set->mx[i].addrs.state[FAMILY_V6]);
        add_tlsa(&fx.result, &set->mx[i].addrs.tlsa);
    }
    buf_putc(&fx.result, '\n');
    fx.n_results++;
}

static void open_resolver(unsigned tls_wanted, bool trust_ad)
{
    const struct resolver_owner owner = {
        .host_known = host_known,
        .host_learned = host_learned,
        .mx_learned = mx_learned,
        .pick = pick,
        .txt_learned = txt_learned,
        .tls_wanted = tls_wanted,
    };
    struct dns_servers servers = minidns_servers(&fx.dns);

    servers.trust_ad = trust_ad;
    ck_assert_int_eq(engine_open(&fx.engine, &servers, NULL), MXHOP_OK);
    ck_assert_int_eq(resolver_open(&fx.resolver, fx.engine, &owner, BOTH, NULL),
                     MXHOP_OK);
}

static void setup(void)
{
    begin(rows);
    open_resolver(ALL, true);
}

static void assert_told(const char *what)
{
    ck_assert_msg(strstr(fx.told.data, what) != NULL, "%s not in %s", what,
                  fx.told.data);
}

/* ---- TXT ---- */

#define PLAIN ", plain.example 12 ? ttl=0\n"

static const struct {
    const char *domain, *result, *told; /* NULL: nothing */
    size_t queries;                     /* 0: not counted */
} texts[] = {
    {"sts.example", "0 id=7 ttl=90" PLAIN, "id=7 ttl=90", 4},
    {"nodata.example", "0 none ttl=60" PLAIN, "none ttl=60", 4},
    {"nxdomain.example", "0 none ttl=60" PLAIN, "none ttl=60", 4},
    {"other.example", "0 none ttl=300" PLAIN, "none ttl=300", 4},
    {"twice.example", "0 none ttl=300" PLAIN, "none ttl=300", 4},
    {"strings.example", "0 id=ab ttl=300" PLAIN, "id=ab ttl=300", 4},
    {"cname.example", "0 id=7 ttl=40" PLAIN, "id=7 ttl=40", 5},
    {"loop.example", "0 failed ttl=0" PLAIN, "failed ttl=0", 0},
    {"servfail.example", "0 failed ttl=0" PLAIN, "failed ttl=0", 0},
    {"slow.example", "0 id=7 ttl=300" PLAIN, "id=7 ttl=300", 4},
    {"late.example", "0 id=7 ttl=300" PLAIN, "id=7 ttl=300", 4},
    /* Too little time to mean anything. */
    {"silent.example", "0 ? ttl=0" PLAIN, NULL, 0},
    /* Whatever becomes of the MX set. */
    {"ill.example", "3 id=7 ttl=300\n", "id=7 ttl=300", 0},
    {"gone.example", "2 id=7 ttl=300\n", "id=7 ttl=300", 2},
};
#define N_TEXTS (int)(sizeof(texts) / sizeof(texts[0]))

START_TEST(text_beside_mx)
{
    char told[100];

    start(texts[_i].domain, NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data, texts[_i].result);
    ck_assert_uint_eq(fx.n_results, 1);
    snprintf(told, sizeof(told), "{%s %s}", texts[_i].domain,
             texts[_i].told != NULL ? texts[_i].told : "");
    if (texts[_i].told != NULL)
        assert_told(told);
    else
        ck_assert_ptr_null(strchr(fx.told.data, '{'));
    if (texts[_i].queries > 0)
        ck_assert_uint_eq(minidns_count(&fx.dns, NULL), texts[_i].queries);
}
END_TEST

/* It is told when it is there, and addresses are not held up by it. */
START_TEST(text_comes_last)
{
    start("slow.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.told.data, "<slow.example 0>[plain.example 12]"
                                   "{slow.example id=7 ttl=300}");
}
END_TEST

/* Silence that lasted is a failure. */
START_TEST(text_silence)
{
    start("silent.example", NULL, 1200);
    run_tasks();
    ck_assert_str_eq(fx.result.data, "0 failed ttl=0" PLAIN);
    assert_told("{silent.example failed ttl=0}");
}
END_TEST

START_TEST(text_known)
{
    struct mxset known = {0};

    ck_assert(mxset_add(&known, "plain.example", 3));
    start("sts.example", &known, DEADLINE_MS); /* not known */
    run_tasks();
    ck_assert_str_eq(fx.result.data, "0 id=7 ttl=90" PLAIN);
    ck_assert_uint_eq(minidns_count(&fx.dns, "_mta-sts.sts.example 16"), 1);

    forget(); /* it has ended */
    known.sts = (struct domain_txt){.state = TXT_FOUND, .id = "6"};
    start("sts.example", &known, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data, "0 id=7 ttl=90" PLAIN);

    forget(); /* better than a failure */
    start("servfail.example", &known, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data, "0 id=6 ttl=0" PLAIN);
    assert_told("{servfail.example failed ttl=0}");

    forget();
    known.sts.ttl_s = 5;
    start("sts.example", &known, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data, "0 id=6 ttl=5" PLAIN);
    ck_assert_uint_eq(minidns_count(&fx.dns, "_mta-sts.sts.example 16"), 0);
    mxset_free(&known);
}
END_TEST

/* Where reports go, with _mta-sts or without it. */
static const struct {
    const char *domain, *result, *told;
    size_t queries; /* without _mta-sts; 0: not counted */
} reports[] = {
    {"sts.example", " rpt id=TLSRPTv1 ttl=50", "id=TLSRPTv1 ttl=50", 4},
    {"plain.example", " rpt none ttl=60", "none ttl=60", 4},
    {"servfail.example", " rpt failed ttl=0", "failed ttl=0", 0},
    {"cname.example", " rpt id=TLSRPTv1 ttl=40", "id=TLSRPTv1 ttl=40", 5},
    {"other.example", " rpt id=TLSRPTv1 ttl=70", "id=TLSRPTv1 ttl=70", 4},
    {"silent.example", "", NULL, 0}, /* too little time */
};
#define N_REPORTS (int)(sizeof(reports) / sizeof(reports[0]))

START_TEST(text_for_reports)
{
    static const unsigned wanted[] = {TLS_WANT_RPT, ALL | TLS_WANT_RPT};
    char text[100];

    for (int i = 0; i < 2; i++) {
        close_resolver();
        open_resolver(wanted[i], true);
        forget();
        start(reports[_i].domain, NULL, DEADLINE_MS);
        run_tasks();
        snprintf(text, sizeof(text), "%s, plain.example 12 ",
                 reports[_i].result);
        ck_assert_msg(strstr(fx.result.data, text) != NULL, "%s",
                      fx.result.data);
        ck_assert_uint_eq(fx.n_results, 1);
        snprintf(text, sizeof(text), "{rpt %s %s}", reports[_i].domain,
                 reports[_i].told != NULL ? reports[_i].told : "");
        if (reports[_i].told != NULL)
            assert_told(text);
        else
            ck_assert_ptr_null(strstr(fx.told.data, "{rpt "));
        if (reports[_i].queries > 0 && i == 0)
            ck_assert_uint_eq(minidns_count(&fx.dns, NULL),
                              reports[_i].queries);
    }
}
END_TEST

/* What is known of the one text is no reason to ask for it beside the other. */
START_TEST(texts_are_known_one_by_one)
{
    struct mxset known = {
        .rpt = {.state = TXT_FOUND, .id = "TLSRPTv1", .ttl_s = 9}};

    close_resolver();
    open_resolver(TLS_WANT_STS | TLS_WANT_RPT, true);
    ck_assert(mxset_add(&known, "plain.example", 3));
    start("sts.example", &known, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data,
                     "0 id=7 ttl=90 rpt id=TLSRPTv1 ttl=9" PLAIN);
    ck_assert_uint_eq(minidns_count(&fx.dns, "_smtp._tls.sts.example 16"), 0);
    ck_assert_uint_eq(minidns_count(&fx.dns, "_mta-sts.sts.example 16"), 1);
    mxset_free(&known);
}
END_TEST

/* The longest name that has room for `_mta-sts.' before it, and a longer one:
   there cannot be a text. */
START_TEST(text_of_long_names)
{
    char name[254];

    for (size_t len = 244; len <= 245; len++) {
        memset(name, 'a', len);
        for (size_t i = 60; i < len; i += 60)
            name[i] = '.';
        name[len] = '\0';
        forget();
        start(name, NULL, DEADLINE_MS);
        run_tasks();
        ck_assert_uint_eq(minidns_count(&fx.dns, NULL), len == 244 ? 2 : 1);
        ck_assert_ptr_nonnull(strstr(fx.result.data, "2 none ttl="));
    }
}
END_TEST

/* ---- TLSA ---- */

static const struct {
    const char *domain, *result;
    const char *told[4]; /* NULL: no more */
} tlsas[] = {
    {"dane.example",
     "0 none ttl=60, ee.example 11 usable ttl=70, ta.example 12 usable+ta "
     "ttl=300\n",
     {"[ee.example 11]", "[ee.example 00 usable ttl=70]",
      "[ta.example 00 usable+ta ttl=300]"}},
    {"mxplain.example",
     "0 none ttl=60, ee.example 11 ? ttl=0\n",
     {"[ee.example 11]"}},
    {"states.example",
     "0 none ttl=60, no.example 12 none ttl=50, bad.example 12 unusable "
     "ttl=300, "
     "sf.example 12 failed ttl=0, unsigned.example 12 none ttl=70, "
     "half.example 11 none ttl=300, plain.example 12 none ttl=300, "
     "mute.example 12 ? ttl=0, gone.example 22 none ttl=60\n",
     {"[sf.example 00 failed ttl=0]", "[plain.example 12]",
      "[mute.example 12]"}},
    {"alias.example",
     "0 none ttl=60, c1.example 11 usable ttl=70, c2.example 12 usable+ta "
     "ttl=50, "
     "c3.example 12 failed ttl=0, c4.example 12 usable ttl=70, "
     "c5.example 12 none ttl=70\n",
     {NULL}},
    {"chain.example", "0 none ttl=60, d.example 12 usable ttl=33\n", {NULL}},
    {"chain2.example", "0 none ttl=60, e.example 12 none ttl=70\n", {NULL}},
};
#define N_TLSAS (int)(sizeof(tlsas) / sizeof(tlsas[0]))

START_TEST(tlsa_behind_addresses)
{
    start(tlsas[_i].domain, NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(fx.result.data, tlsas[_i].result);
    for (int i = 0; i < 4 && tlsas[_i].told[i] != NULL; i++)
        assert_told(tlsas[_i].told[i]);
}
END_TEST

/* Hosts without signature cost no query more, nor does an unsigned MX. */
START_TEST(tlsa_of_signed_hosts_only)
{
    static const char *const never[] = {"_25._tcp.plain.example 52",
                                        "_25._tcp.half.example 52",
                                        "_25._tcp.gone.example 52",
                                        "_25._tcp.c1.example 52",
                                        "_25._tcp.c3.example 52"};

    start("states.example", NULL, DEADLINE_MS);
    start("alias.example", NULL, DEADLINE_MS);
    run_tasks();
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        ck_assert_uint_eq(minidns_count(&fx.dns, never[i]), 0);
    ck_assert_uint_eq(minidns_count(&fx.dns, "_25._tcp.ee.example 52"), 1);
    ck_assert_uint_eq(minidns_count(&fx.dns, "_25._tcp.c2.example 52"), 1);
    ck_assert_uint_eq(minidns_count(&fx.dns, "_25._tcp.c4.example 52"), 1);
    forget();
    start("mxplain.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 4);
}
END_TEST

START_TEST(tlsa_needs_trust_in_ad)
{
    close_resolver();
    open_resolver(ALL, false);
    start("dane.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(
        fx.result.data,
        "0 none ttl=60, ee.example 11 ? ttl=0, ta.example 12 ? ttl=0\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 6);
}
END_TEST

START_TEST(tlsa_known)
{
    fx.known_host = "ee.example";
    fx.known_what = BOTH | HOST_TLSA;
    fx.known_tlsa = (struct tlsa){TLSA_UNUSABLE, false, 5};
    start("dane.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_str_eq(
        fx.result.data,
        "0 none ttl=60, ee.example 12 unusable ttl=5, ta.example 12 usable+ta "
        "ttl=300\n");
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 5);

    /* Only TLSA is missing: one address says where the host's CNAME leads. */
    forget();
    fx.known_what = BOTH;
    fx.known_tlsa = (struct tlsa){TLSA_UNUSABLE, false, 0};
    start("dane.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_ptr_nonnull(
        strstr(fx.result.data, "ee.example 12 usable ttl=70"));
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), 7);
    ck_assert_uint_eq(minidns_count(&fx.dns, "ee.example 28"), 0);
    assert_told("[ee.example 00 usable ttl=70]");
    ck_assert_ptr_null(strstr(fx.told.data, "[ee.example 1"));

    forget();
    fx.known_host = "c1.example";
    start("alias.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_ptr_nonnull(
        strstr(fx.result.data, "c1.example 12 usable ttl=70"));
    ck_assert_uint_eq(minidns_count(&fx.dns, "_25._tcp.c1.example 52"), 0);

    /* What has ended is better than a failure. */
    forget();
    fx.known_host = "sf.example";
    start("states.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_ptr_nonnull(
        strstr(fx.result.data, "sf.example 12 unusable ttl=0"));
    assert_told("[sf.example 00 failed ttl=0]");
}
END_TEST

/* Whoever joins a lookup that is there for addresses gets TLSA all the same. */
START_TEST(tlsa_for_who_joins)
{
    start("mxplain.example", NULL, DEADLINE_MS);
    start("dane.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_uint_eq(fx.n_results, 2);
    ck_assert_ptr_nonnull(
        strstr(fx.result.data, "ee.example 11 usable ttl=70"));
    ck_assert_ptr_nonnull(strstr(fx.result.data, "ee.example 11 ? ttl=0\n"));
    ck_assert_uint_eq(minidns_count(&fx.dns, "ee.example 1"), 1);
    ck_assert_uint_eq(minidns_count(&fx.dns, "_25._tcp.ee.example 52"), 1);
}
END_TEST

/* ---- both ---- */

START_TEST(nothing_unless_wanted)
{
    static const size_t queries[] = {5, 6, 6, 7, 7, 8, 8, 9};

    close_resolver();
    open_resolver((unsigned)_i, true);
    start("dane.example", NULL, DEADLINE_MS);
    run_tasks();
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), queries[_i]);
    ck_assert_int_eq(strstr(fx.result.data, "usable") != NULL,
                     (_i & TLS_WANT_DANE) != 0);
    ck_assert_int_eq(strncmp(fx.result.data, "0 none", 6) == 0,
                     (_i & TLS_WANT_STS) != 0);
    ck_assert_int_eq(strstr(fx.result.data, " rpt none") != NULL,
                     (_i & TLS_WANT_RPT) != 0);
}
END_TEST

/* Of a signed domain with many signed hosts: 64 queries, 32 at a time. */
START_TEST(limits)
{
    enum { HOSTS = 40 };
    static struct minidns_row many[2 + 3 * HOSTS + 1];
    static char mx[HOSTS * 24], names[HOSTS][32], tlsa[HOSTS][32];
    size_t n = 0, at = 0;

    for (int i = 0; i < HOSTS; i++) {
        snprintf(names[i], sizeof(names[i]), "h%d.example", i);
        snprintf(tlsa[i], sizeof(tlsa[i]), "_25._tcp.h%d.example", i);
        at += (size_t)snprintf(mx + at, sizeof(mx) - at, "mx %d h%d.example ",
                               i, i);
        many[n++] = (struct minidns_row){names[i], A, "a 192.0.2.4", .ad = true,
                                         .delay_ms = 20};
        many[n++] = (struct minidns_row){names[i], AAAA, "aaaa 2001:db8::4",
                                         .ad = true, .delay_ms = 20};
        many[n++] =
            (struct minidns_row){tlsa[i], TLSA, EE, .ad = true, .delay_ms = 20};
    }
    many[n++] = (struct minidns_row){"many.example", MX, mx, .ad = true};
    many[n++] = (struct minidns_row){"_mta-sts.many.example", TXT,
                                     "txt v=STSv1;id=1", .delay_ms = 100};
    close_resolver();
    minidns_stop(&fx.dns);
    minidns_start(&fx.dns, many);
    open_resolver(ALL, true);
    start("many.example", NULL, 3000);
    run_tasks();
    ck_assert_uint_eq(minidns_count(&fx.dns, NULL), RESOLVE_QUERIES_MAX);
    ck_assert_uint_le(fx.dns.max_pending, RESOLVE_IN_FLIGHT_MAX);
    ck_assert_ptr_nonnull(strstr(fx.result.data, "0 id=1 "));
    ck_assert_ptr_nonnull(strstr(fx.result.data, "h0.example 11 usable"));
    /* Addresses of all that were picked come before TLSA of some. */
    ck_assert_ptr_nonnull(strstr(fx.result.data, "h20.example 11 "));
}
END_TEST

/* Closed with questions of every kind in flight. */
START_TEST(closed_in_flight)
{
    start("silent.example", NULL, 5000);
    start("states.example", NULL, 5000);
    for (int i = 0; i < 20; i++)
        resolver_step(fx.resolver, clock_boot_ms() + 10, -1);
    ck_assert_uint_eq(fx.n_results, 0);
}
END_TEST

/* Whatever allocation fails: every task ends, and nothing is made up. */
START_TEST(out_of_memory)
{
    for (unsigned n = 1;; n++) {
        bool hit;

        forget();
        failmalloc_at(n);
        if (resolver_start_domain(fx.resolver, "alias.example", NULL,
                                  clock_boot_ms() + 400, resolved,
                                  NULL) == MXHOP_OK)
            run_tasks();
        hit = failmalloc_hit();
        failmalloc_at(0);
        if (fx.n_results == 1 && fx.result.data != NULL && !fx.result.failed) {
            ck_assert_ptr_null(strstr(fx.result.data, "c5.example 12 usable"));
            ck_assert_ptr_null(strstr(fx.result.data, "c1.example 11 none"));
            ck_assert_ptr_null(strstr(fx.result.data, "c1.example 12 none"));
        }
        if (!hit)
            break;
        buf_free(&fx.told);
        buf_free(&fx.result);
    }
    ck_assert_ptr_nonnull(strstr(fx.result.data, "c1.example 11 usable"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("resolve_tls");
    TCase *t = tcase_create("resolve_tls");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, text_beside_mx, 0, N_TEXTS);
    tcase_add_test(t, text_comes_last);
    tcase_add_test(t, text_silence);
    tcase_add_test(t, text_known);
    tcase_add_loop_test(t, text_for_reports, 0, N_REPORTS);
    tcase_add_test(t, texts_are_known_one_by_one);
    tcase_add_test(t, text_of_long_names);
    tcase_add_loop_test(t, tlsa_behind_addresses, 0, N_TLSAS);
    tcase_add_test(t, tlsa_of_signed_hosts_only);
    tcase_add_test(t, tlsa_needs_trust_in_ad);
    tcase_add_test(t, tlsa_known);
    tcase_add_test(t, tlsa_for_who_joins);
    tcase_add_loop_test(t, nothing_unless_wanted, 0, 8);
    tcase_add_test(t, limits);
    tcase_add_test(t, closed_in_flight);
    tcase_add_test(t, out_of_memory);
    suite_add_tcase(s, t);
    return suite_run(s);
}
