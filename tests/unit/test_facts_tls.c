/*
 * test_facts_tls - what a lookup finds out about TLS, and what that costs
 *
 * A handle as inside Postfix, or as in Exim (_i), with a shared cache in a
 * directory of its own and a name server in a thread that counts what it is
 * asked. Nothing is decided from it here: `mta_sts = watch'.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "support/suite.h"
#include "handle/handle.h"
#include "support/minidns.h"

static const struct minidns_row rows[] = {
    {"dane.example", 15, "mx 10 mx1.example mx 20 mx2.example", .ad = true},
    {"_mta-sts.dane.example", 16, "txt v=STSv1;id=1"},
    {"mx1.example", 1, "a 192.0.2.1", .ad = true},
    {"_25._tcp.mx1.example", 52, "tlsa 2 1 1 32", .ad = true},
    {"mx2.example", 1, "a 192.0.2.2"},
    {"plain.example", 15, "mx 10 mx2.example"},
    {"short.example", 15, "mx 10 mx2.example"},
    {"_mta-sts.short.example", 16, "ttl 1 txt v=STSv1;id=1"},
    {"mute.example", 15, "mx 10 mx2.example"},
    {"_mta-sts.mute.example", 16, NULL, .delay_ms = MINIDNS_SILENT},
    {"_smtp._tls.mute.example", 16, NULL, .delay_ms = MINIDNS_SILENT},
    {"_smtp._tls.short.example", 16, "txt v=TLSRPTv1;rua=mailto:a@b"},
    {"quiet.example", 15, "mx 10 mx3.example", .ad = true},
    {"mx3.example", 1, "a 192.0.2.3", .ad = true},
    {"_25._tcp.mx3.example", 52, NULL, .delay_ms = MINIDNS_SILENT},
    {"brief.example", 15, "mx 10 mx4.example", .ad = true},
    {"mx4.example", 1, "a 192.0.2.4", .ad = true},
    {"_25._tcp.mx4.example", 52, "ttl 1 tlsa 3 1 1 32", .ad = true},
    {"ill.example", 15, "mx 10 mx2.example"},
    {"_mta-sts.ill.example", 16, NULL, .rcode = 2},
    {0},
};

static struct minidns dns;
static char dir[64], config[96];
static bool in_exim; /* no worker */
static bool reports; /* the MTA sends them */

static void configure(const char *more)
{
    FILE *f = fopen(config, "w");

    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "dns_servers = 127.0.0.1:%u\ndns_timeout = 2s\nttl_min = 0\n"
            "wait_share = 100%%\naddress_families = ipv4\ncache = %s/cache\n"
            "%s",
            ntohs(dns.addr.sin_port), dir, more);
    fclose(f);
}

static void set_up(void)
{
    strcpy(dir, "/tmp/test_factsXXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(config, sizeof(config), "%s/mxhop.cf", dir);
    minidns_start(&dns, rows);
    (void)minidns_servers;
}

static void tear_down(void)
{
    char command[128];

    minidns_stop(&dns);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct mxhop *open_handle(const char *more)
{
    struct mxhop_host host = {.flags = in_exim ? 0 : MXHOP_WORKER,
                              .visible_if =
                                  reports ? MXHOP_VISIBLE_REPORTED : 0,
                              .own_names = "mta.example"};
    struct mxhop_error err;
    struct mxhop *mx;

    configure(more);
    ck_assert_msg(mxhop_open(&mx, config, &host, &err) == MXHOP_OK, "%s",
                  err.text);
    return mx;
}

/* What a lookup learns of a domain: text and list in words. */
static const char *learn(struct mxhop *mx, const char *domain)
{
    static const char *const texts[] = {"?", "none", "id ", "failed"};
    static const char *const tlsas[] = {"?",        "none",  "usable",
                                        "unusable", "whole", "failed"};
    static char out[512];
    struct lookup l;
    size_t n;

    ck_assert(lookup_run(&l, mx, domain, 0));
    n = (size_t)snprintf(out, sizeof(out), "%s%s%s", l.cold ? "cold " : "",
                         texts[l.set.sts.state], l.set.sts.id);
    for (size_t i = 0; i < l.set.n_mx; i++) {
        const struct tlsa *t = &l.set.mx[i].addrs.tlsa;

        n += (size_t)snprintf(out + n, sizeof(out) - n, ", %s%s",
                              tlsas[t->state], t->trust_anchor ? " ta" : "");
    }
    lookup_free(&l);
    learn_flush(mx);
    usleep(50000);
    return out;
}

#define WATCH "mta_sts = watch\nlookup_budget = 2s\n"

START_TEST(filled_from_dns_and_cache)
{
    struct mxhop *mx;

    in_exim = _i;
    mx = open_handle(WATCH);
    ck_assert_str_eq(learn(mx, "dane.example"), "id 1, usable ta, none");
    ck_assert_uint_eq(minidns_count(&dns, NULL), 5);
    ck_assert_str_eq(learn(mx, "dane.example"), "id 1, usable ta, none");
    ck_assert_str_eq(learn(mx, "plain.example"), "none, ?");
    ck_assert_uint_eq(minidns_count(&dns, NULL), 7);
    mxhop_close(&mx);
    mx = open_handle(WATCH); /* another process */
    ck_assert_str_eq(learn(mx, "dane.example"), "id 1, usable ta, none");
    ck_assert_uint_eq(minidns_count(&dns, NULL), 7);
    mxhop_close(&mx);
}
END_TEST

START_TEST(off_costs_nothing)
{
    struct mxhop *mx;

    in_exim = _i;
    mx = open_handle("mta_sts = off\n");
    ck_assert_str_eq(learn(mx, "dane.example"), "?, ?, ?");
    ck_assert_str_eq(learn(mx, "dane.example"), "?, ?, ?");
    ck_assert_str_eq(learn(mx, "plain.example"), "?, ?");
    ck_assert_uint_eq(minidns_count(&dns, NULL), 4);
    mxhop_close(&mx);
}
END_TEST

/* A cache that was filled without: only what is missing is asked for. */
START_TEST(switched_on)
{
    struct mxhop *mx;

    in_exim = _i;
    mx = open_handle("mta_sts = off\n");
    learn(mx, "dane.example");
    mxhop_close(&mx);
    minidns_forget(&dns);
    mx = open_handle(WATCH);
    ck_assert_str_eq(learn(mx, "dane.example"), "id 1, usable ta, none");
    ck_assert_uint_eq(minidns_count(&dns, "dane.example 15"), 0);
    ck_assert_uint_eq(minidns_count(&dns, "mx2.example 1"), 0);
    /* TXT, TLSA, and where the host's name leads. */
    ck_assert_uint_eq(minidns_count(&dns, NULL), 3);
    mxhop_close(&mx);
}
END_TEST

/* Nobody loses a list because somebody's server is silent about a text. */
START_TEST(a_silent_text)
{
    struct mxhop *mx;
    size_t asked;

    in_exim = _i;
    mx = open_handle("mta_sts = watch\nlookup_budget = 300ms\n");
    ck_assert_str_eq(learn(mx, "mute.example"), "?, ?");
    if (!in_exim) { /* the worker has gone on, and learnt that it fails */
        usleep(2300 * 1000);
        asked = minidns_count(&dns, "_mta-sts.mute.example 16");
        ck_assert_uint_gt(asked, 0);
        for (int i = 0; i < 5; i++)
            ck_assert_str_eq(learn(mx, "mute.example"), "failed, ?");
        ck_assert_uint_eq(minidns_count(&dns, "_mta-sts.mute.example 16"),
                          asked);
    }
    mxhop_close(&mx);
}
END_TEST

START_TEST(a_silent_tlsa)
{
    struct mxhop *mx;

    in_exim = _i;
    mx = open_handle("mta_sts = watch\nlookup_budget = 300ms\n");
    ck_assert_str_eq(learn(mx, "quiet.example"), "none, ?");
    mxhop_close(&mx);
}
END_TEST

START_TEST(a_failure_is_not_asked_for_at_each_lookup)
{
    struct mxhop *mx;
    size_t asked;

    in_exim = _i;
    mx = open_handle(WATCH);
    ck_assert_str_eq(learn(mx, "ill.example"), "failed, ?");
    asked = minidns_count(&dns, NULL);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(learn(mx, "ill.example"), "failed, ?");
    ck_assert_uint_eq(minidns_count(&dns, NULL), asked);
    mxhop_close(&mx);
}
END_TEST

static const char *text_of(struct mxhop *mx, const char *key)
{
    struct mxhop_error err;
    const char *text;

    ck_assert_int_eq(mxhop_text(mx, key, MXHOP_FORMAT_POSTFIX, &text, &err),
                     MXHOP_OK);
    return text != NULL ? text : "(none)";
}

/* Never listed before it is known; that nobody answers is known in the end. */
START_TEST(a_silent_report)
{
    struct mxhop *mx;
    uint64_t until_ms = clock_boot_ms() + 8000;

    in_exim = false;
    reports = true;
    mx = open_handle("lookup_budget = 300ms\n");
    ck_assert_str_eq(text_of(mx, "mute.example"), "(none)");
    ck_assert_uint_eq(minidns_count(&dns, "_mta-sts.mute.example 16"), 0);
    while (clock_boot_ms() < until_ms &&
           strcmp(text_of(mx, "mute.example"), "(none)") == 0)
        usleep(100000);
    ck_assert_str_eq(text_of(mx, "mute.example"), ":[mx2.example]");
    /* Others go on: with a record, and without. */
    ck_assert_str_eq(text_of(mx, "plain.example"), ":[mx2.example]");
    ck_assert_str_eq(text_of(mx, "short.example"), "(none)");
    mxhop_close(&mx);
    reports = false;
}
END_TEST

/* A finished answer ends with what it may be made of, and that is asked for
   anew in the background. */
static void check_asked_again(const char *key, const char *want,
                              const char *question)
{
    struct mxhop *mx;
    uint64_t until_ms = clock_boot_ms() + 8000;
    size_t before;

    in_exim = false; /* other cases in the same process leave it set */
    mx = open_handle(WATCH "prefetch = 0\n");
    ck_assert_str_eq(text_of(mx, key), want);
    before = minidns_count(&dns, question);
    ck_assert_uint_eq(before, 1);
    while (clock_boot_ms() < until_ms &&
           minidns_count(&dns, question) == before) {
        ck_assert_str_eq(text_of(mx, key), want);
        usleep(100000);
    }
    ck_assert_uint_gt(minidns_count(&dns, question), before);
    mxhop_close(&mx);
}

START_TEST(a_text_has_an_end)
{
    check_asked_again("short.example", ":[mx2.example]",
                      "_mta-sts.short.example 16");
}
END_TEST

START_TEST(tlsa_has_an_end)
{
    check_asked_again("brief.example", ":[mx4.example]",
                      "_25._tcp.mx4.example 52");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("facts_tls");
    TCase *t = tcase_create("facts_tls");

    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 60);
    tcase_set_tags(t, "threads");
    tcase_add_loop_test(t, filled_from_dns_and_cache, 0, 2);
    tcase_add_loop_test(t, off_costs_nothing, 0, 2);
    tcase_add_loop_test(t, switched_on, 0, 2);
    tcase_add_loop_test(t, a_silent_text, 0, 2);
    tcase_add_loop_test(t, a_silent_tlsa, 0, 2);
    tcase_add_loop_test(t, a_failure_is_not_asked_for_at_each_lookup, 0, 2);
    tcase_add_test(t, a_silent_report);
    tcase_add_test(t, a_text_has_an_end);
    tcase_add_test(t, tlsa_has_an_end);
    suite_add_tcase(s, t);
    return suite_run(s);
}
