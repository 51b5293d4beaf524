/* MTA-STS in lookups: what store, TXT record and configuration make of a
   domain, and that a kept answer is never another than a new one. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/suite.h"
#include "handle/handle.h"
#include "policy/want.h"
#include "support/failmalloc.h"
#include "util/clock.h"

#define STS  CLASS_BIT(MXHOP_TLS_STS)
#define DANE CLASS_BIT(MXHOP_TLS_DANE)

static char dir[32], config[64], store[64];
static struct mxhop *mx;
static int64_t now_s;
static const char *visible; /* the domain that the host must see; or NULL */
static char last_log[512];

/* For all of the program. */
time_t time(time_t *t_r)
{
    struct timespec t = {now_s, 0};

    if (now_s == 0)
        clock_gettime(CLOCK_REALTIME, &t);
    if (t_r != NULL)
        *t_r = t.tv_sec;
    return t.tv_sec;
}

/* ---- the store ---- */

#define STORED_MAX 16

static struct store_record records[STORED_MAX];
static struct buf bytes[STORED_MAX];
static size_t n_records;

static void store_begin(void)
{
    for (size_t i = 0; i < n_records; i++)
        buf_free(&bytes[i]);
    n_records = 0;
}

static int64_t next_s = 300; /* from now, when the service fetches again */

/* mode NULL: the fetch failed; left_s -1: the policy has ended meanwhile, -2:
   nobody has tried to fetch it since. */
static void store_add(const char *domain, const char *mode, const char *id,
                      const char *mx_pattern, int64_t left_s)
{
    struct store_entry e = {.tried_s = now_s,
                            .next_s = now_s + next_s,
                            .failures = mode == NULL || left_s == -1};

    if (mode != NULL) {
        e.has_policy = true;
        e.policy.mode = strcmp(mode, "enforce") == 0   ? STS_MODE_ENFORCE
                        : strcmp(mode, "testing") == 0 ? STS_MODE_TESTING
                                                       : STS_MODE_NONE;
        snprintf(e.policy.id, sizeof(e.policy.id), "%s", id);
        e.policy.fetched_s = now_s - 1000;
        e.policy.expires_s = now_s + left_s;
        e.policy.max_age_s = (uint32_t)(1000 + left_s);
        ck_assert(sts_policy_add(&e.policy, mx_pattern));
    }
    buf_free(&bytes[n_records]);
    store_encode(&bytes[n_records], &e);
    records[n_records].domain = domain;
    records[n_records].entry =
        (struct fixed_bytes){(const unsigned char *)bytes[n_records].data,
                             bytes[n_records].len};
    n_records++;
    store_entry_free(&e);
}

static void store_end(void)
{
    unsigned char id[FIXED_ID_LEN];
    int fd = open(store, O_RDONLY | O_DIRECTORY);

    ck_assert_int_eq(store_write(fd, records, n_records, now_s, id), 0);
    close(fd);
    if (mx != NULL)
        mx->tls.placed.looked_ms = 0;
}

static void store_remove(void)
{
    char path[80];

    snprintf(path, sizeof(path), "%s/" STORE_FILE, store);
    unlink(path);
}

/* ---- the handle ---- */

static const char *visible_domain(void *ctx, const char *domain)
{
    (void)ctx;
    return visible != NULL && strcmp(domain, visible) == 0 ? "a table has it"
                                                           : NULL;
}

static void take_log(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    snprintf(last_log, sizeof(last_log), "%s", line);
}

static const char *more = ""; /* lines of the configuration */
static unsigned visible_if;

static void open_as(const char *mode, unsigned classes, unsigned flags)
{
    const struct mxhop_host host = {.flags = flags,
                                    .own_names = "self.x.test",
                                    .waiters_max = 2,
                                    .tls_classes = classes,
                                    .visible_if = visible_if,
                                    .visible_domain = visible_domain,
                                    .log = take_log};
    struct mxhop_error err;
    FILE *f = fopen(config, "w");

    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "cache = memory\nmta_sts = %s\ntls_store = %s\n"
            "mta_sts_exempt = exempt.test\n"
            "ttl_min = 0\ndns_servers = 127.0.0.1:1\nseed = tests\n%s",
            mode, store, more);
    fclose(f);
    last_log[0] = '\0';
    ck_assert_msg(mxhop_open(&mx, config, &host, &err) == MXHOP_OK, "%s",
                  err.text);
    mx->budget_ms = 0; /* nobody is asked */
    mx->rules.rotate_interval_s = 0;
    handle_open_cache(mx);
}

static void open_with(const char *mode, unsigned classes)
{
    open_as(mode, classes, 0);
}

static void know_host(const char *host, bool secure, enum tlsa_state tlsa)
{
    struct hostaddrs a = {.secure = secure};

    for (int f = 0; f < FAMILIES; f++) {
        a.state[f] = f == FAMILY_V4 ? ADDR_SOME : ADDR_NONE;
        a.ttl_s[f] = 3600;
    }
    a.n[FAMILY_V4] = 1;
    inet_pton(AF_INET, "192.0.2.1", &a.v4[0]);
    a.tlsa = (struct tlsa){.state = (uint8_t)tlsa, .ttl_s = 3600};
    cache_put_host(mx->store.cache, host, clock_boot_ms(), &a);
}

/* hosts: a list, `a.x.test b.x.test'. */
static void know_domain(const char *domain, const char *hosts, bool secure,
                        enum txt_state txt, const char *id)
{
    struct mxset set = {.outcome = MX_HOSTS, .secure = secure, .ttl_s = 3600};
    struct domain_txt sts = {.state = txt, .ttl_s = 3600};
    char copy[256], *save = NULL;
    uint16_t preference = 10;

    snprintf(copy, sizeof(copy), "%s", hosts);
    for (char *w = strtok_r(copy, " ", &save); w != NULL;
         w = strtok_r(NULL, " ", &save), preference += 10)
        ck_assert(mxset_add(&set, w, preference));
    snprintf(sts.id, sizeof(sts.id), "%s", txt == TXT_FOUND ? id : "");
    set.sts = sts;
    cache_put_domain(mx->store.cache, domain, clock_boot_ms(), &set);
    if (txt != TXT_UNKNOWN)
        cache_put_txt(mx->store.cache, domain, TLS_TXT_STS, clock_boot_ms(),
                      &sts);
    ck_assert(cache_flush(mx->store.cache, 100));
    mxset_free(&set);
}

static void know_nothing(const char *domain)
{
    struct mxset set = {.outcome = MX_NULL, .secure = true, .ttl_s = 3600};
    struct domain_txt sts = {.state = TXT_NONE, .ttl_s = 3600};

    set.sts = sts;
    cache_put_domain(mx->store.cache, domain, clock_boot_ms(), &set);
    cache_put_txt(mx->store.cache, domain, TLS_TXT_STS, clock_boot_ms(), &sts);
    ck_assert(cache_flush(mx->store.cache, 100));
}

/* The text, as it is made and as it is kept after that. */
static const char *text_of(const char *domain)
{
    static char text[600];
    struct mxhop_route *r;
    struct mxhop_error err;
    const char *kept;
    char *made;

    ck_assert_int_eq(mxhop_lookup(mx, domain, 0, &r, &err), MXHOP_OK);
    ck_assert_int_eq(mxhop_render(mx, r, MXHOP_FORMAT_POSTFIX, &made, &err),
                     MXHOP_OK);
    mxhop_route_free(&r);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(mxhop_text(mx, domain, MXHOP_FORMAT_POSTFIX, &kept,
                                    &err),
                         MXHOP_OK);
        ck_assert_msg((kept == NULL) == (made == NULL) &&
                          (made == NULL || strcmp(kept, made) == 0),
                      "%s, and kept: %s", made, kept);
    }
    snprintf(text, sizeof(text), "%s", made != NULL ? made : "");
    free(made);
    return text;
}

static bool is_kept(const char *domain)
{
    struct cache_entry_state st;
    struct mxset set;
    struct buf text = {0};
    struct cached_route route;
    struct tls_facts tls;
    struct ovtable_info info = {0};
    bool kept;

    st = cache_get_domain(mx->store.view, domain, clock_boot_ms(), &set);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    mxset_free(&set);
    tls_look(mx, domain, false, clock_boot_ms(), &tls);
    kept = cache_get_route(mx->store.view, domain,
                           text_made_of(mx, &info, MXHOP_FORMAT_POSTFIX,
                                        KEEP_BY_DOMAIN, tls.made_of),
                           clock_boot_ms(), now_s, &route, &text);
    tls_forget(&tls);
    buf_free(&text);
    return kept;
}

/* ---- the table of states ---- */

#define LIST  "list"
#define CLASS "class"
#define WAITS "waits"
#define PASS  ""

static const struct {
    const char *stored; /* "none": no store, NULL: nothing, "failed", or mode */
    int64_t left_s;
    enum txt_state txt;
    const char *id; /* of the TXT record; that of the policy is 1 */
    const char *pattern;
    const char *want; /* LIST: without class */
    bool asks;        /* the service is told */
} states[] = {
    {NULL, 0, TXT_NONE, "", "", LIST, false},
    {NULL, 0, TXT_FAILED, "", "", LIST, false},
    {NULL, 0, TXT_FOUND, "1", "", PASS, true},
    {NULL, 0, TXT_UNKNOWN, "", "", PASS, false},
    {"enforce", 500, TXT_FOUND, "1", "*.x.test", CLASS, false},
    {"enforce", 500, TXT_FOUND, "2", "*.x.test", CLASS, true},
    {"enforce", 500, TXT_NONE, "", "*.x.test", CLASS, false},
    {"enforce", 500, TXT_FAILED, "", "*.x.test", CLASS, false},
    {"enforce", 500, TXT_UNKNOWN, "", "*.x.test", CLASS, false},
    {"enforce", 500, TXT_FOUND, "1", "other.test", WAITS, true},
    {"enforce", 200, TXT_FOUND, "1", "*.x.test", CLASS, true},
    {"enforce", 200, TXT_NONE, "", "*.x.test", CLASS, false},
    {"enforce", -1, TXT_FOUND, "1", "other.test", LIST, true},
    {"enforce", -2, TXT_FOUND, "1", "other.test", PASS, true},
    {"enforce", -2, TXT_UNKNOWN, "", "other.test", PASS, false},
    {"enforce", -2, TXT_FAILED, "", "other.test", LIST, false},
    {"enforce", -2, TXT_NONE, "", "other.test", LIST, false},
    {"testing", 500, TXT_FOUND, "1", "other.test", LIST, false},
    {"none", 500, TXT_FOUND, "1", "other.test", LIST, false},
    {"failed", 0, TXT_FOUND, "1", "", LIST, true},
    {"no store", 0, TXT_NONE, "", "", LIST, false},
    {"no store", 0, TXT_FOUND, "1", "", PASS, true},
    {"no store", 0, TXT_FAILED, "", "", PASS, false},
    {"no store", 0, TXT_UNKNOWN, "", "", PASS, false},
};

static void store_of(size_t i)
{
    const char *stored = states[i].stored;

    store_begin();
    store_add("another.test", "enforce", "9", "nobody.test", 500);
    if (stored != NULL && strcmp(stored, "failed") == 0)
        store_add("d.test", NULL, NULL, NULL, 0);
    else if (stored != NULL && strcmp(stored, "no store") != 0)
        store_add("d.test", stored, "1", states[i].pattern, states[i].left_s);
    store_end();
    if (stored != NULL && strcmp(stored, "no store") == 0)
        store_remove();
}

START_TEST(state)
{
    struct want w = {0};
    const char *text;
    int fd;

    now_s = clock_wall_s();
    store_of((size_t)_i);
    fd = want_bind(store);
    ck_assert_int_ge(fd, 0);
    open_with("enforce", STS | DANE);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, states[_i].txt, states[_i].id);
    text = text_of("d.test");
    if (strcmp(states[_i].want, LIST) == 0)
        ck_assert_str_eq(text, ":[a.x.test]");
    else if (strcmp(states[_i].want, CLASS) == 0)
        ck_assert_str_eq(text, ":[a.x.test]:025");
    else if (strcmp(states[_i].want, WAITS) == 0)
        ck_assert_ptr_nonnull(strstr(text, "retry:4.7.5 No MX host of domain "
                                           "d.test is in its MTA-STS policy: "
                                           "other.test"));
    else
        ck_assert_str_eq(text, "");
    ck_assert_int_eq(want_receive(fd, 0, &w), states[_i].asks);
    if (states[_i].asks)
        ck_assert_str_eq(w.domain, "d.test");
    ck_assert(!want_receive(fd, 0, &w)); /* once, for all these lookups */
    if (states[_i].stored != NULL && strcmp(states[_i].stored, "no store") == 0)
        ck_assert_ptr_nonnull(strstr(last_log, store));
    else
        ck_assert_str_eq(last_log, "");
    close(fd);
    mxhop_close(&mx);
}
END_TEST

/* While the service has no room, or is not there. */
START_TEST(what_was_not_told_is_told_by_the_next_lookup)
{
    struct want w;
    int fd, noise;

    now_s = clock_wall_s();
    store_of(0);
    open_as("enforce", STS | DANE, MXHOP_WORKER);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_FOUND, "1");
    ck_assert_str_eq(text_of("d.test"), ""); /* nobody listens */
    ck_assert_ptr_nonnull(strstr(last_log, "mxhop-tls does not listen"));
    last_log[0] = '\0';
    ck_assert_str_eq(text_of("d.test"), "");
    ck_assert_str_eq(last_log, "");
    fd = want_bind(store);
    ck_assert_int_ge(fd, 0);
    noise = want_open();
    while (want_send(noise, store, "noise.test", WANT_SOON))
        ;
    ck_assert_str_eq(text_of("d.test"), "");
    while (want_receive(fd, 0, &w))
        ck_assert_str_eq(w.domain, "noise.test");
    ck_assert_str_eq(text_of("d.test"), "");
    ck_assert(want_receive(fd, 0, &w));
    ck_assert_str_eq(w.domain, "d.test");
    ck_assert_ptr_nonnull(strstr(last_log, "mxhop-tls listens again"));
    close(noise);
    close(fd);
    mxhop_close(&mx);
}
END_TEST

/* With mta_sts = watch the service is told the same, and with off nothing. */
START_TEST(watch_and_off)
{
    bool watch = _i % 2 == 0;
    size_t i = (size_t)_i / 2;
    struct want w;
    int fd;

    now_s = clock_wall_s();
    store_of(i);
    fd = want_bind(store);
    open_with(watch ? "watch" : "off", STS | DANE);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, states[i].txt, states[i].id);
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]");
    ck_assert_int_eq(want_receive(fd, 0, &w),
                     watch && states[i].asks &&
                         strcmp(states[i].want, WAITS) != 0);
    close(fd);
    mxhop_close(&mx);
}
END_TEST

/* Nor does it matter that all domains are left to the MTA. */
START_TEST(domains_that_pass_are_learnt)
{
    static const char *const modes[] = {"off", "watch", "enforce"};
    const char *mode = modes[_i % 3];
    size_t i = (size_t)_i / 3;
    struct want w;
    int fd;

    now_s = clock_wall_s();
    store_of(i);
    fd = want_bind(store);
    more = "answer = override\n";
    open_with(mode, STS | DANE);
    know_domain("d.test", "a.x.test", false, states[i].txt, states[i].id);
    for (int again = 0; again < 2; again++)
        ck_assert_str_eq(text_of("d.test"), "");
    ck_assert_int_eq(want_receive(fd, 0, &w),
                     strcmp(mode, "off") != 0 && states[i].asks &&
                         strcmp(states[i].want, WAITS) != 0);
    ck_assert(!want_receive(fd, 0, &w));
    close(fd);
    mxhop_close(&mx);
    more = "";
}
END_TEST

START_TEST(exempt_domains_are_as_without)
{
    now_s = clock_wall_s();
    store_begin();
    store_add("exempt.test", "enforce", "1", "other.test", 500);
    store_end();
    open_with("enforce", STS);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("exempt.test", "a.x.test", false, TXT_FOUND, "1");
    ck_assert_str_eq(text_of("exempt.test"), ":[a.x.test]");
    mxhop_close(&mx);
}
END_TEST

/* ---- reports of TLS ---- */

static void know_reports(const char *domain, enum txt_state txt)
{
    struct domain_txt rpt = {.state = txt, .ttl_s = 50};

    strcpy(rpt.id, txt == TXT_FOUND ? "TLSRPTv1" : "");
    cache_put_txt(mx->store.cache, domain, TLS_TXT_RPT, clock_boot_ms(), &rpt);
    ck_assert(cache_flush(mx->store.cache, 100));
}

/* Where the MTA sends reports (_i 1), a domain that wants them is its own. */
START_TEST(reports_are_by_domain)
{
    now_s = clock_wall_s();
    visible_if = _i == 1 ? MXHOP_VISIBLE_REPORTED : 0;
    open_with("off", 0);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_UNKNOWN, "");
    /* not known yet */
    ck_assert_str_eq(text_of("d.test"), _i == 1 ? "" : ":[a.x.test]");
    ck_assert_int_eq(is_kept("d.test"), _i == 0);
    know_reports("d.test", TXT_FAILED);
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]");
    know_reports("d.test", TXT_FOUND);
    ck_assert_str_eq(text_of("d.test"), _i == 1 ? "" : ":[a.x.test]");
    ck_assert(is_kept("d.test"));
    know_reports("d.test", TXT_NONE);
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]");
    ck_assert(is_kept("d.test"));
    know_nothing("null.test"); /* null MX: there is nothing to report */
    know_reports("null.test", TXT_FOUND);
    ck_assert_ptr_nonnull(strstr(text_of("null.test"), "5.1.10"));
    mxhop_close(&mx);
    visible_if = 0;
}
END_TEST

/* Whoever wants no reports, or lists for all, asks nobody. */
START_TEST(reports_that_nobody_looks_at)
{
    static const char *const lines[] = {"tlsrpt = ignore\n", "answer = list\n",
                                        "answer = override\n"};

    now_s = clock_wall_s();
    visible_if = MXHOP_VISIBLE_REPORTED;
    more = lines[_i];
    open_with("off", 0);
    ck_assert_uint_eq(mx->tls_wanted, 0);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_UNKNOWN, "");
    know_reports("d.test", TXT_FOUND);
    ck_assert_str_eq(text_of("d.test"), _i < 2 ? ":[a.x.test]" : "");
    mxhop_close(&mx);
    visible_if = 0;
    more = "";
}
END_TEST

/* ---- kept answers ---- */

START_TEST(answers_are_kept_until_the_policy_is_another)
{
    now_s = clock_wall_s();
    store_begin();
    store_add("d.test", "enforce", "1", "*.x.test", 500);
    store_add("other.test", "testing", "1", "*.x.test", 500);
    store_end();
    open_with("enforce", STS);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_FOUND, "1");
    know_domain("plain.test", "a.x.test", false, TXT_NONE, "");
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]:025");
    ck_assert_str_eq(text_of("plain.test"), ":[a.x.test]");
    ck_assert(cache_flush(mx->store.cache, 100));
    ck_assert(is_kept("d.test"));
    ck_assert(is_kept("plain.test"));
    /* A change elsewhere cools nothing. */
    store_begin();
    store_add("d.test", "enforce", "1", "*.x.test", 500);
    store_add("other.test", "enforce", "2", "nobody.test", 500);
    store_end();
    ck_assert(is_kept("d.test"));
    ck_assert(is_kept("plain.test"));
    /* Other patterns, and no other id, as a mistake of the domain's may be. */
    store_begin();
    store_add("d.test", "enforce", "1", "a.x.test", 500);
    store_end();
    ck_assert(!is_kept("d.test"));
    /* The same policy, fetched again, ends later. */
    store_begin();
    store_add("d.test", "enforce", "1", "*.x.test", 900);
    store_end();
    ck_assert(!is_kept("d.test"));
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]:025");
    ck_assert(cache_flush(mx->store.cache, 100));
    ck_assert(is_kept("d.test"));
    now_s += 899;
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]:025");
    now_s += 1;
    ck_assert_str_eq(text_of("d.test"), "");
    ck_assert_str_eq(text_of("plain.test"), ":[a.x.test]");
    mxhop_close(&mx);
}
END_TEST

/* One that ends before the service would fetch it again is asked for when half
   of its life is over, if somebody looks it up then, and again in a while. */
START_TEST(short_policies_are_renewed_by_lookups)
{
    struct want w;
    int fd;

    now_s = clock_wall_s();
    next_s = 5000;
    store_begin();
    store_add("d.test", "enforce", "1", "*.x.test", 1500);
    store_end();
    fd = want_bind(store);
    open_with("enforce", STS);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_FOUND, "1");
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(text_of("d.test"), ":[a.x.test]:025");
        ck_assert(cache_flush(mx->store.cache, 100));
        ck_assert(is_kept("d.test"));
        ck_assert_int_eq(want_receive(fd, 0, &w), i > 0);
        now_s += i == 0 ? 250 : 10;
        ck_assert(!is_kept("d.test"));
        memset(mx->tls.wanted, 0, sizeof(mx->tls.wanted)); /* ten seconds */
    }
    next_s = 300;
    close(fd);
    mxhop_close(&mx);
}
END_TEST

START_TEST(what_is_not_known_yet_is_not_kept)
{
    now_s = clock_wall_s();
    store_begin();
    store_end();
    open_with("enforce", STS);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_FOUND, "1");
    ck_assert_str_eq(text_of("d.test"), "");
    ck_assert(cache_flush(mx->store.cache, 100));
    ck_assert(!is_kept("d.test"));
    mxhop_close(&mx);
}
END_TEST

/* A clock that is set back does not prolong it, whatever the time says. */
START_TEST(a_clock_set_back_ends_a_policy)
{
    now_s = clock_wall_s();
    store_begin();
    store_add("d.test", "enforce", "1", "*.x.test", 500);
    store_end();
    open_with("enforce", STS);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_NONE, "");
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]:025");
    now_s -= 86400;
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]");
    mxhop_close(&mx);
}
END_TEST

START_TEST(a_domain_to_be_seen_passes)
{
    now_s = clock_wall_s();
    store_begin();
    store_end();
    open_with("enforce", STS);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_NONE, "");
    know_domain("e.test", "a.x.test", false, TXT_NONE, "");
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]");
    visible = "d.test"; /* the table has changed */
    ck_assert_str_eq(text_of("d.test"), "");
    ck_assert_str_eq(text_of("e.test"), ":[a.x.test]");
    visible = NULL;
    ck_assert_str_eq(text_of("d.test"), ":[a.x.test]");
    mxhop_close(&mx);
}
END_TEST

/* Without memory a domain may pass, and is never listed without its class. */
START_TEST(allocations_fail)
{
    struct mxhop_error err;
    const char *text = NULL;
    enum mxhop_status status;
    bool hit = true;

    now_s = clock_wall_s();
    store_begin();
    store_add("d.test", "enforce", "1", "*.x.test", 500);
    store_end();
    open_with("enforce", STS);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "a.x.test", false, TXT_FOUND, "1");
    for (unsigned n = 1; hit; n++) {
        store_close(&mx->tls.store); /* it is opened anew, and read */
        mx->tls.placed.looked_ms = mx->tls.placed.tried_ms = 0;
        failmalloc_at(n);
        status = mxhop_text(mx, "d.test", MXHOP_FORMAT_POSTFIX, &text, &err);
        hit = failmalloc_hit();
        failmalloc_at(0);
        if (status == MXHOP_OK && text != NULL)
            ck_assert_str_eq(text, ":[a.x.test]:025");
        ck_assert(hit || (status == MXHOP_OK && text != NULL));
    }
    mxhop_close(&mx);
}
END_TEST

/* ---- any history ---- */

static uint64_t seed;

static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

#define DOMAINS 8

static char domains[DOMAINS][16];

static struct {
    const char *mode, *pattern; /* mode NULL: not stored; "failed" */
    int64_t from_s, end_s;
    bool txt;
} truth[DOMAINS];

static void invent_store(void)
{
    static const char *const patterns[] = {"*.x.test", "a.x.test", "b.x.test",
                                           "other.test"};
    static const char *const modes[] = {"enforce", "enforce", "enforce",
                                        "testing", "failed",  NULL};

    store_begin();
    for (int i = 0; i < DOMAINS; i++) {
        int64_t left_s = 1 + below(2000);

        truth[i].mode = modes[below(6)];
        truth[i].pattern = patterns[below(4)];
        truth[i].from_s = now_s - 1000 - STS_CLOCK_SLACK_S;
        truth[i].end_s = now_s + left_s;
        if (truth[i].mode == NULL)
            continue;
        if (strcmp(truth[i].mode, "failed") == 0)
            store_add(domains[i], NULL, NULL, NULL, 0);
        else
            store_add(domains[i], truth[i].mode, "1", truth[i].pattern, left_s);
    }
    store_end();
}

static bool pattern_has(const char *pattern, const char *host)
{
    return pattern[0] == '*' ? strcmp(strchr(host, '.'), pattern + 1) == 0
                             : strcmp(host, pattern) == 0;
}

/* All domains have the hosts a.x.test and b.x.test, and b has TLSA records
   where the domain's number is odd: it is of a signed set then. */
static void check_domain(int i)
{
    const char *text = text_of(domains[i]);
    const char *hosts[] = {"a.x.test", "b.x.test"};
    bool in_time = now_s < truth[i].end_s && now_s >= truth[i].from_s;
    bool tried = truth[i].mode != NULL &&
                 (in_time || strcmp(truth[i].mode, "failed") == 0);
    bool enforced = tried && strcmp(truth[i].mode, "enforce") == 0;
    char want[128] = "";
    size_t n = 0;

    if (!tried && truth[i].txt) {
        ck_assert_msg(*text == '\0', "listed before it is known: %s", text);
        return;
    }
    for (int h = 0; h < 2; h++) {
        if (enforced && !pattern_has(truth[i].pattern, hosts[h]))
            continue;
        n += (size_t)snprintf(want + n, sizeof(want) - n, "%s[%s]%s",
                              n == 0 ? ":" : ", ", hosts[h],
                              h == 1 && i % 2 == 1 ? ":0025"
                              : enforced           ? ":025"
                                                   : "");
    }
    if (n > 0)
        ck_assert_msg(strcasecmp(text, want) == 0, "%s: %s", text, want);
    else
        ck_assert_msg(strstr(text, "retry:4.7.5") != NULL, "%s", text);
}

START_TEST(any_history)
{
    seed = 0x7e1e0000u + (unsigned)_i;
    now_s = clock_wall_s();
    for (int i = 0; i < DOMAINS; i++)
        snprintf(domains[i], sizeof(domains[i]), "d%d.test", i);
    invent_store();
    open_with("enforce", STS | DANE);
    know_host("a.x.test", false, TLSA_UNKNOWN);
    know_host("b.x.test", true, TLSA_USABLE);
    for (int i = 0; i < DOMAINS; i++) {
        truth[i].txt = below(2) == 0;
        know_domain(domains[i], "a.x.test b.x.test", i % 2 == 1,
                    truth[i].txt ? TXT_FOUND : TXT_NONE, "1");
    }
    for (int step = 0; step < 300; step++) {
        if (below(10) == 0)
            invent_store();
        if (below(10) == 0)
            now_s += below(400);
        check_domain((int)below(DOMAINS));
        if (below(3) == 0)
            ck_assert(cache_flush(mx->store.cache, 100));
    }
    mxhop_close(&mx);
}
END_TEST

/* ---- domains that the MTA routes itself ---- */

#define SECURE   "secure match="
#define BY_NAME  " servername=hostname"
#define UNKNOWN  "unknown"
#define NO_HOSTS ""

/* Hosts: t.x.test has TLSA records of use, w.x.test has some that the MTA has
   to judge, n.x.test none, f.x.test's cannot be had, u.x.test has unsigned
   addresses, q.x.test has not been asked for, v.x.test has no address,
   self.x.test is this machine. */
static const struct {
    const char *stored, *pattern; /* as in states */
    enum txt_state txt;
    const char *hosts;
    bool secure;
    const char *want; /* NULL: not found */
} domains_as[] = {
    {NULL, "", TXT_NONE, "t.x.test", true, "dane"},
    {NULL, "", TXT_FAILED, "t.x.test", true, "dane"},
    {NULL, "", TXT_NONE, "t.x.test v.x.test", true, "dane"},
    {NULL, "", TXT_NONE, "w.x.test", true, "dane"},
    {NULL, "", TXT_NONE, "t.x.test w.x.test", true, "dane"},
    {NULL, "", TXT_NONE, "w.x.test n.x.test", true, NULL},
    {"enforce", "*.x.test", TXT_FOUND, "w.x.test", true, "dane-only"},
    {NULL, "", TXT_NONE, "t.x.test self.x.test n.x.test", true, "dane"},
    {NULL, "", TXT_NONE, "self.x.test t.x.test", true, NULL},
    {NULL, "", TXT_NONE, "t.x.test", false, NULL},
    {NULL, "", TXT_NONE, "t.x.test n.x.test", true, NULL},
    {NULL, "", TXT_NONE, "t.x.test u.x.test", true, NULL},
    {NULL, "", TXT_NONE, "t.x.test f.x.test", true, NULL},
    {NULL, "", TXT_NONE, "f.x.test t.x.test", true, NULL},
    {NULL, "", TXT_NONE, "t.x.test q.x.test", true, NULL},
    {NULL, "", TXT_NONE, NO_HOSTS, true, NULL},
    {"enforce", "*.x.test", TXT_FOUND, "t.x.test", true, "dane-only"},
    {"enforce", "*.x.test", TXT_NONE, "t.x.test", true, "dane-only"},
    {"enforce", "y.test", TXT_FOUND, "t.x.test", true, "dane-only"},
    {"enforce", "*.x.test", TXT_FOUND, "t.x.test f.x.test", true, "dane-only"},
    {"enforce", "*.x.test", TXT_FOUND, "f.x.test", true, "dane-only"},
    {"enforce", "*.x.test", TXT_FOUND, "f.x.test n.x.test", true,
     SECURE ".x.test" BY_NAME},
    {"enforce", "*.x.test", TXT_FOUND, "t.x.test n.x.test", true,
     SECURE ".x.test" BY_NAME},
    {"enforce", "*.x.test", TXT_FOUND, "t.x.test u.x.test", true,
     SECURE ".x.test" BY_NAME},
    {"enforce", "t.x.test", TXT_FOUND, "t.x.test", false,
     SECURE "t.x.test" BY_NAME},
    {"enforce", "y.test", TXT_FOUND, "n.x.test", true, SECURE "y.test" BY_NAME},
    {"enforce", "y.test", TXT_FAILED, NO_HOSTS, false, SECURE "y.test" BY_NAME},
    {"testing", "y.test", TXT_FOUND, "n.x.test", true, NULL},
    {"testing", "y.test", TXT_FOUND, "t.x.test", true, "dane"},
    {"none", "y.test", TXT_FOUND, "n.x.test", true, NULL},
    {"over", "y.test", TXT_FOUND, "n.x.test", true, NULL},
    {"failed", "", TXT_FOUND, "n.x.test", true, NULL},
    {NULL, "", TXT_FOUND, "n.x.test", true, UNKNOWN},
    {NULL, "", TXT_UNKNOWN, "n.x.test", true, UNKNOWN},
    {"no store", "", TXT_FOUND, "n.x.test", true, UNKNOWN},
    {"no store", "", TXT_FAILED, "n.x.test", true, UNKNOWN},
    {"no store", "", TXT_NONE, "n.x.test", true, NULL},
};

static void know_hosts(void)
{
    struct hostaddrs none = {.state = {ADDR_NONE, ADDR_NONE},
                             .ttl_s = {3600, 3600}};

    know_host("t.x.test", true, TLSA_USABLE);
    know_host("w.x.test", true, TLSA_WHOLE);
    know_host("n.x.test", true, TLSA_NONE);
    know_host("f.x.test", true, TLSA_FAILED);
    know_host("u.x.test", false, TLSA_UNKNOWN);
    know_host("self.x.test", true, TLSA_NONE);
    cache_put_host(mx->store.cache, "v.x.test", clock_boot_ms(), &none);
}

static void domain_as(int i)
{
    const char *stored = domains_as[i].stored;
    bool over = stored != NULL && strcmp(stored, "over") == 0;

    now_s = clock_wall_s();
    store_begin();
    if (stored != NULL && strcmp(stored, "failed") == 0)
        store_add("d.test", NULL, NULL, NULL, 0);
    else if (stored != NULL && strcmp(stored, "no store") != 0)
        store_add("d.test", over ? "enforce" : stored, "1",
                  domains_as[i].pattern, over ? -1 : 500);
    store_end();
    if (stored != NULL && strcmp(stored, "no store") == 0)
        store_remove();
}

static const char *policy_of(const char *key, unsigned flags)
{
    struct mxhop_error err;
    const char *text;
    enum mxhop_status status = mxhop_tls_text(mx, key, flags, &text, &err);

    if (status == MXHOP_ERR_TIMEOUT) {
        ck_assert_ptr_null(text);
        ck_assert_ptr_nonnull(strstr(err.text, key));
        return UNKNOWN;
    }
    ck_assert_int_eq(status, MXHOP_OK);
    return text;
}

static void ck_policy(const char *text, const char *want)
{
    ck_assert_msg((text == NULL) == (want == NULL) &&
                      (text == NULL || strcmp(text, want) == 0),
                  "%s, not %s", text, want);
}

START_TEST(domain)
{
    const char *want = domains_as[_i].want;
    bool unknown = want != NULL && strcmp(want, UNKNOWN) == 0;

    domain_as(_i);
    for (int defer = 0; defer < 2; defer++) {
        more = defer ? "on_sts_unknown = defer\n" : "";
        open_as("enforce", STS | DANE, MXHOP_POLICIES);
        know_hosts();
        if (domains_as[_i].hosts[0] != '\0')
            know_domain("d.test", domains_as[_i].hosts, domains_as[_i].secure,
                        domains_as[_i].txt, "1");
        else if (domains_as[_i].txt == TXT_NONE)
            know_nothing("d.test");
        for (int again = 0; again < 2; again++)
            ck_policy(policy_of("D.test.", 0), unknown && !defer ? NULL : want);
        mxhop_close(&mx);
    }
    more = "";
}
END_TEST

/* What smtp(8) cannot honour is never said. */
START_TEST(classes_of_domains)
{
    now_s = clock_wall_s();
    store_begin();
    store_add("d.test", "enforce", "1", "*.x.test", 500);
    store_end();
    for (unsigned classes = 0; classes < 4; classes++) {
        bool sts = (classes & 1) != 0, dane = (classes & 2) != 0;

        open_as("enforce", (sts ? STS : 0) | (dane ? DANE : 0), MXHOP_POLICIES);
        know_hosts();
        know_domain("d.test", "t.x.test", true, TXT_FOUND, "1");
        know_domain("plain.test", "t.x.test", true, TXT_NONE, "");
        ck_policy(policy_of("d.test", 0), dane  ? "dane-only"
                                          : sts ? SECURE ".x.test" BY_NAME
                                                : NULL);
        ck_policy(policy_of("plain.test", 0), dane ? "dane" : NULL);
        mxhop_close(&mx);
    }
}
END_TEST

START_TEST(words_of_domains)
{
    static const char *const none[] = {"",          "[t.x.test]",
                                       ".d.test",   "a@d.test",
                                       "d.test:25", "[t.x.test]:0025",
                                       "*",         "192.0.2.1"};
    struct store_entry e = {.has_policy = true};
    unsigned char id[FIXED_ID_LEN];
    struct buf entry = {0};
    int fd = open(store, O_RDONLY | O_DIRECTORY);

    now_s = clock_wall_s();
    e.policy = (struct sts_policy){.mode = STS_MODE_ENFORCE,
                                   .id = "1",
                                   .max_age_s = 600,
                                   .fetched_s = now_s - 100,
                                   .expires_s = now_s + 500};
    ck_assert(sts_policy_add(&e.policy, "mx.y.test"));
    ck_assert(sts_policy_add(&e.policy, "*.x.test"));
    store_encode(&entry, &e);
    store_entry_free(&e);
    ck_assert_int_eq(
        store_write(fd,
                    &(struct store_record){
                        "d.test", {(unsigned char *)entry.data, entry.len}},
                    1, now_s, id),
        0);
    close(fd);
    buf_free(&entry);
    open_as("enforce", STS, MXHOP_POLICIES);
    know_hosts();
    know_domain("d.test", "n.x.test", false, TXT_FOUND, "1");
    ck_policy(policy_of("d.test", 0), SECURE "mx.y.test:.x.test" BY_NAME);
    ck_policy(policy_of("d.test", MXHOP_TLS_STS_WORDS),
              SECURE "mx.y.test:.x.test" BY_NAME
                     " policy_type=sts policy_domain=d.test"
                     " { mx_host_pattern=mx.y.test }"
                     " { mx_host_pattern=*.x.test }");
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_policy(policy_of(none[i], 0), NULL);
    mxhop_close(&mx);
    more = "on_sts_mismatch = pass\n";
    open_as("enforce", STS, MXHOP_POLICIES);
    know_hosts();
    know_domain("d.test", "n.x.test", false, TXT_FOUND, "1");
    ck_policy(policy_of("d.test", 0), SECURE "mx.y.test:.x.test" BY_NAME);
    know_host("n.z.test", false, TLSA_UNKNOWN);
    know_domain("d.test", "n.z.test", false, TXT_FOUND, "1");
    ck_policy(policy_of("d.test", 0), NULL);
    mxhop_close(&mx);
    more = "";
}
END_TEST

START_TEST(no_domain_without_enforce)
{
    now_s = clock_wall_s();
    store_begin();
    store_add("exempt.test", "enforce", "1", "*.x.test", 500);
    store_end();
    for (int i = 0; i < 3; i++) {
        open_as(i == 0   ? "off"
                : i == 1 ? "watch"
                         : "enforce",
                STS | DANE, MXHOP_POLICIES);
        know_hosts();
        know_domain("exempt.test", "n.x.test", true, TXT_FOUND, "1");
        know_domain("plain.test", "t.x.test", true, TXT_NONE, "");
        ck_policy(policy_of("exempt.test", 0), NULL);
        ck_policy(policy_of("plain.test", 0), i == 2 ? "dane" : NULL);
        ck_assert_int_eq(mxhop_keeps_policies(mx), i == 2);
        mxhop_close(&mx);
    }
}
END_TEST

/* Without memory a domain that has a policy is never without one. */
START_TEST(allocations_of_domains_fail)
{
    struct mxhop_error err;
    const char *text;
    bool whole = false;

    now_s = clock_wall_s();
    store_begin();
    store_add("d.test", "enforce", "1", "*.x.test", 500);
    store_end();
    more = "on_sts_unknown = defer\n";
    open_as("enforce", STS, MXHOP_POLICIES);
    know_hosts();
    know_domain("d.test", "n.x.test", false, TXT_FOUND, "1");
    for (unsigned n = 1; !whole; n++) {
        enum mxhop_status status;

        mx->tls.placed.looked_ms = 0;
        store_close(&mx->tls.store);
        mx->tls.placed.tried_ms = 0;
        failmalloc_at(n);
        status = mxhop_tls_text(mx, "d.test", 0, &text, &err);
        whole = !failmalloc_hit();
        failmalloc_at(0);
        if (status == MXHOP_OK)
            ck_policy(text, SECURE ".x.test" BY_NAME);
        ck_assert(!whole || status == MXHOP_OK);
    }
    mxhop_close(&mx);
    more = "";
}
END_TEST

/* ---- how many wait ---- */

static void open_waiting(void)
{
    open_as("enforce", STS, MXHOP_POLICIES);
    know_hosts();
    know_domain("d.test", "n.x.test", false, TXT_FOUND, "1");
    mx->store.dir = dir; /* as if the cache were there */
    mx->store.place.dir_fd = open(dir, O_PATH | O_DIRECTORY);
}

static void close_waiting(void)
{
    mx->store.dir = NULL;
    mxhop_close(&mx);
}

/* Let time go by for all that wait. */
static void waited(uint64_t ms)
{
    struct {
        uint64_t domain, since_ms, n;
    } v;
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "%s/waiters", dir);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    for (off_t at = 0; pread(fd, &v, sizeof(v), at) == sizeof(v);
         at += sizeof(v)) {
        v.since_ms -= v.n > 0 ? ms : 0;
        ck_assert_int_eq(pwrite(fd, &v, sizeof(v), at), sizeof(v));
    }
    close(fd);
}

START_TEST(a_few_wait_for_a_domain)
{
    int fd[8], own;

    open_waiting();
    mx->host.waiters_max = 7;
    for (int i = 0; i < 4; i++)
        ck_assert_int_ge(fd[i] = waiters_enter(mx, "d.test"), 0);
    ck_assert_int_eq(waiters_enter(mx, "d.test"), -1);
    for (int i = 4; i < 8; i++)
        ck_assert_int_ge(fd[i] = waiters_enter(mx, "e.test"), 0);
    /* It was waited for in vain, and then for long enough ago. */
    for (int i = 0; i < 4; i++) {
        ck_assert(waiters_may_stay(mx, fd[i], "d.test"));
        waiters_leave(mx, fd[i], "d.test", true);
    }
    ck_assert_int_eq(waiters_enter(mx, "d.test"), -1);
    waited(6000);
    ck_assert_int_eq(waiters_enter(mx, "d.test"), -1);
    ck_assert(!waiters_may_stay(mx, fd[4], "e.test"));
    waited(60000);
    ck_assert_int_ge(own = waiters_enter(mx, "d.test"), 0);
    waiters_leave(mx, own, "d.test", false);
    for (int i = 4; i < 8; i++)
        waiters_leave(mx, fd[i], "e.test", true);
    mx->host.waiters_max = 0;
    ck_assert_int_eq(waiters_enter(mx, "f.test"), -1);
    mx->store.dir = NULL;
    mx->host.waiters_max = 7;
    ck_assert_int_eq(waiters_enter(mx, "f.test"), -1); /* cache = memory */
    close_waiting();
}
END_TEST

/* Places are three. */
START_TEST(the_last_to_come_wait_longest)
{
    static const char *const names[] = {"a.test", "b.test", "c.test", "d.test",
                                        "e.test"};
    int fd[5], late;

    open_waiting();
    mx->host.waiters_max = 3;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_ge(fd[i] = waiters_enter(mx, names[i]), 0);
        waited(10);
    }
    for (int i = 0; i < 5; i++)
        ck_assert(waiters_may_stay(mx, fd[i], names[i]));
    waited(2000);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(waiters_may_stay(mx, fd[i], names[i]), i > 1);
    ck_assert_int_eq(waiters_enter(mx, "a.test"), -1);
    /* One is answered, and others come. */
    waiters_leave(mx, fd[4], names[4], false);
    ck_assert(waiters_may_stay(mx, fd[1], names[1]));
    ck_assert_int_ge(fd[4] = waiters_enter(mx, "f.test"), 0);
    ck_assert_int_ge(late = waiters_enter(mx, "f.test"), 0);
    for (int i = 1; i < 4; i++)
        ck_assert_int_eq(waiters_may_stay(mx, fd[i], names[i]), i > 2);
    for (int i = 0; i < 4; i++)
        waiters_leave(mx, fd[i], names[i], true);
    waiters_leave(mx, fd[4], "f.test", true);
    waiters_leave(mx, late, "f.test", true);
    close_waiting();
}
END_TEST

/* The file remembers some hundred. */
START_TEST(more_domains_than_are_remembered)
{
    char name[32];
    int fd[2];

    open_waiting();
    mx->host.waiters_max = 1;
    ck_assert_int_ge(fd[0] = waiters_enter(mx, "first.test"), 0);
    ck_assert_int_eq(waiters_enter(mx, "first.test"), -1);
    waited(1);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "d%d.test", i);
        ck_assert_int_ge(fd[1] = waiters_enter(mx, name), 0);
        ck_assert(waiters_may_stay(mx, fd[1], name));
        waiters_leave(mx, fd[1], name, true);
        waited(1);
    }
    ck_assert(waiters_may_stay(mx, fd[0], "first.test")); /* for its own time */
    waiters_leave(mx, fd[0], "first.test", false);
    ck_assert_int_eq(waiters_enter(mx, name), -1);
    close_waiting();
}
END_TEST

/* Who is stopped while it writes keeps nobody from going on. */
START_TEST(somebody_holds_the_lock)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    uint64_t start_ms = clock_boot_ms();
    int fd, own;

    open_waiting();
    ck_assert_int_ge(own = waiters_enter(mx, "d.test"), 0);
    fd = openat(mx->store.place.dir_fd, "waiters", O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    ck_assert_int_eq(waiters_enter(mx, "e.test"), -1);
    ck_assert(waiters_may_stay(mx, own, "d.test"));
    waiters_leave(mx, own, "d.test", false);
    ck_assert_uint_lt(clock_boot_ms(), start_ms + 10000);
    close(fd);
    ck_assert_int_ge(own = waiters_enter(mx, "e.test"), 0);
    waiters_leave(mx, own, "e.test", false);
    close_waiting();
}
END_TEST

/* In the place of mxhop-tls: told that somebody waits, it writes a policy. */
static int serve_one(int fd)
{
    struct want w;

    for (int i = 0; i < 1000; i++) {
        usleep(10000);
        if (!want_receive(fd, 0, &w) || w.kind != WANT_URGENT)
            continue;
        if (strcmp(w.domain, "d.test") != 0)
            return 1;
        store_begin();
        store_add("d.test", "enforce", "1", "*.x.test", 500);
        store_end();
        return 0;
    }
    return 2;
}

START_TEST(a_policy_is_waited_for)
{
    int fd, status;
    pid_t pid;

    now_s = clock_wall_s();
    store_begin();
    store_end();
    more = "mta_sts_wait = 1m\non_sts_unknown = defer\n";
    fd = want_bind(store);
    ck_assert_int_ge(fd, 0);
    open_waiting();
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(serve_one(fd));
    ck_policy(policy_of("d.test", 0), SECURE ".x.test" BY_NAME);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    close_waiting();
    close(fd);
    more = "";
}
END_TEST

/* Where nobody listens, where others wait for it, and where it is not wished.
 */
START_TEST(a_policy_is_not_waited_for)
{
    uint64_t start_ms = clock_boot_ms();
    int fd = -1, place = -1;

    now_s = clock_wall_s();
    store_begin();
    store_end();
    more = _i == 2 ? "mta_sts_wait = 0\n" : "mta_sts_wait = 1m\n";
    if (_i != 0)
        fd = want_bind(store);
    open_waiting();
    if (_i == 1) {
        mx->host.waiters_max = 1;
        place = waiters_enter(mx, "d.test");
        ck_assert_int_ge(place, 0);
    }
    ck_policy(policy_of("d.test", 0), NULL);
    ck_assert_uint_lt(clock_boot_ms(), start_ms + 30000);
    if (place >= 0)
        close(place);
    close_waiting();
    if (fd >= 0)
        close(fd);
    more = "";
}
END_TEST

static void set_up(void)
{
    strcpy(dir, "/tmp/test_tls_lkXXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(config, sizeof(config), "%s/mxhop.cf", dir);
    snprintf(store, sizeof(store), "%s/tls", dir);
    ck_assert_int_eq(mkdir(store, 0755), 0);
}

static void tear_down(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
    store_begin();
}

int main(void)
{
    Suite *s = suite_create("tls_lookup");
    TCase *tc = tcase_create("tls_lookup");
    int n = (int)(sizeof(states) / sizeof(states[0]));

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, state, 0, n);
    tcase_add_test(tc, what_was_not_told_is_told_by_the_next_lookup);
    tcase_add_loop_test(tc, watch_and_off, 0, 2 * n);
    tcase_add_loop_test(tc, domains_that_pass_are_learnt, 0, 3 * n);
    tcase_add_test(tc, exempt_domains_are_as_without);
    tcase_add_loop_test(tc, reports_are_by_domain, 0, 2);
    tcase_add_loop_test(tc, reports_that_nobody_looks_at, 0, 3);
    tcase_add_test(tc, answers_are_kept_until_the_policy_is_another);
    tcase_add_test(tc, short_policies_are_renewed_by_lookups);
    tcase_add_test(tc, what_is_not_known_yet_is_not_kept);
    tcase_add_test(tc, a_clock_set_back_ends_a_policy);
    tcase_add_test(tc, a_domain_to_be_seen_passes);
    tcase_add_test(tc, allocations_fail);
    tcase_add_loop_test(tc, any_history, 0, 20);
    tcase_add_loop_test(tc, domain, 0,
                        (int)(sizeof(domains_as) / sizeof(domains_as[0])));
    tcase_add_test(tc, classes_of_domains);
    tcase_add_test(tc, words_of_domains);
    tcase_add_test(tc, no_domain_without_enforce);
    tcase_add_test(tc, allocations_of_domains_fail);
    tcase_add_test(tc, a_few_wait_for_a_domain);
    tcase_add_test(tc, the_last_to_come_wait_longest);
    tcase_add_test(tc, more_domains_than_are_remembered);
    tcase_add_test(tc, somebody_holds_the_lock);
    tcase_add_test(tc, a_policy_is_waited_for);
    tcase_add_loop_test(tc, a_policy_is_not_waited_for, 0, 3);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
