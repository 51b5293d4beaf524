/* bulk: many domains through one handle, against a name server in a thread. */

#include <fcntl.h>
#include <unistd.h>
#include "support/suite.h"
#include "handle/bulk.h"
#include "handle/handle.h"
#include "support/failmalloc.h"
#include "support/minidns.h"

#define MX   WIRE_TYPE_MX
#define KEYS 64

static const struct minidns_row rows[] = {
    {"hosts.example", MX, "mx 10 mx.example mx 20 mx.example"},
    {"more.example", MX, "mx 10 mx.example"},
    {"mx.example", WIRE_TYPE_A, "a 192.0.2.1"},
    {"plain.example", WIRE_TYPE_A, "a 192.0.2.2"},
    {"null.example", MX, "mx 0 ."},
    {"broken.example", MX, NULL, .rcode = 2},
    {"silent.example", MX, NULL, .delay_ms = MINIDNS_SILENT},
    {"slow0.example", MX, "mx 0 .", .delay_ms = 30},
    {"slow1.example", MX, "mx 0 .", .delay_ms = 30},
    {"slow2.example", MX, "mx 0 .", .delay_ms = 30},
    {"slow3.example", MX, "mx 0 .", .delay_ms = 30},
    {"slow4.example", MX, "mx 0 .", .delay_ms = 30},
    {"slow5.example", MX, "mx 0 .", .delay_ms = 30},
    {0},
};

static struct minidns dns;
static struct mxhop *mx;
static char dir[64], config[96];

/* What is asked, and what came of it. */
static const char *const *keys;
static size_t n_refused, n_answered;
static struct {
    char domain[64];
    enum mx_outcome outcome;
    bool implicit, cached;
    enum addr_state first_host;
} answers[KEYS];
static unsigned ticks_left; /* 0: no limit */

static enum bulk_input next(void *ctx, const char **key_r)
{
    (void)ctx;
    if (*keys == NULL)
        return BULK_END;
    *key_r = *keys++;
    return BULK_KEY;
}

static void refused(void *ctx, const char *key, const char *why)
{
    (void)ctx;
    n_refused += key != NULL && why != NULL;
}

static void answered(void *ctx, const struct bulk_answer *a)
{
    (void)ctx;
    if (n_answered == KEYS)
        return;
    snprintf(answers[n_answered].domain, sizeof(answers[0].domain), "%s",
             a->domain);
    answers[n_answered].outcome = a->set->outcome;
    answers[n_answered].implicit = a->set->implicit;
    answers[n_answered].cached = a->cached;
    if (a->set->n_mx > 0)
        answers[n_answered].first_host =
            hostaddrs_state(&a->set->mx[0].addrs, mx->rules.families);
    n_answered++;
}

static bool tick(void *ctx)
{
    (void)ctx;
    return ticks_left == 0 || --ticks_left > 0;
}

static const struct bulk defaults = {
    .next = next,
    .input_fd = -1,
    .refused = refused,
    .answered = answered,
    .tick = tick,
    .jobs = 4,
    .timeout_ms = 3000,
};

static enum mxhop_status run_with(const struct bulk *b, const char *const *list)
{
    struct mxhop_error err;
    uint64_t unwritten;
    enum mxhop_status status;

    keys = list;
    n_refused = n_answered = 0;
    memset(answers, 0, sizeof(answers));
    minidns_forget(&dns);
    status = bulk_run(mx, b, &unwritten, &err);
    if (status == MXHOP_OK)
        ck_assert_uint_eq(unwritten, 0);
    return status;
}

static void run(const char *const *list)
{
    ck_assert_int_eq(run_with(&defaults, list), MXHOP_OK);
}

/* The only answer for a domain; there must be one. */
static size_t answer_for(const char *domain)
{
    for (size_t i = 0; i < n_answered; i++)
        if (strcmp(answers[i].domain, domain) == 0)
            return i;
    ck_abort_msg("no answer for %s", domain);
    return 0;
}

static void open_handle(const char *cache)
{
    struct mxhop_error err;
    FILE *f = fopen(config, "w");

    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "dns_servers = 127.0.0.1:%u\naddress_families = ipv4\n"
            "cache = %s\n",
            ntohs(dns.addr.sin_port), cache);
    fclose(f);
    ck_assert_msg(mxhop_open(&mx, config, NULL, &err) == MXHOP_OK, "%s",
                  err.text);
    ck_assert_int_eq(handle_resolver(mx, &err), MXHOP_OK);
}

static void set_up(void)
{
    strcpy(dir, "/tmp/test_bulkXXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(config, sizeof(config), "%s/mxhop.cf", dir);
    minidns_start(&dns, rows);
    (void)minidns_servers;
    open_handle("memory");
    ticks_left = 0;
}

static void tear_down(void)
{
    mxhop_close(&mx);
    minidns_stop(&dns);
    unlink(config);
    rmdir(dir);
}

static const char *const mixed[] = {"hosts.example",
                                    "Null.Example.",
                                    "*",
                                    "u@more.example",
                                    "broken.example",
                                    "plain.example",
                                    "",
                                    "nosuch.example",
                                    "[192.0.2.1]",
                                    NULL};

static const struct {
    const char *domain;
    enum mx_outcome outcome;
    bool implicit;
    enum addr_state first_host;
} outcomes[] = {
    {"hosts.example", MX_HOSTS, false, ADDR_SOME},
    {"null.example", MX_NULL, false, ADDR_UNKNOWN},
    {"more.example", MX_HOSTS, false, ADDR_SOME},
    {"broken.example", MX_FAILURE, false, ADDR_UNKNOWN},
    {"plain.example", MX_HOSTS, true, ADDR_SOME},
    {"nosuch.example", MX_NXDOMAIN, false, ADDR_UNKNOWN},
};
#define N_OUTCOMES (sizeof(outcomes) / sizeof(outcomes[0]))

static void check_outcomes(bool cached)
{
    ck_assert_uint_eq(n_refused, 3);
    ck_assert_uint_eq(n_answered, N_OUTCOMES);
    for (size_t i = 0; i < N_OUTCOMES; i++) {
        size_t at = answer_for(outcomes[i].domain);

        ck_assert_int_eq(answers[at].outcome, outcomes[i].outcome);
        ck_assert_int_eq(answers[at].implicit, outcomes[i].implicit);
        ck_assert_int_eq(answers[at].first_host, outcomes[i].first_host);
        ck_assert_int_eq(answers[at].cached, cached);
    }
}

START_TEST(answers_all_and_then_from_the_cache)
{
    run(mixed);
    check_outcomes(false);
    ck_assert_uint_gt(minidns_count(&dns, NULL), 0);
    run(mixed);
    check_outcomes(true);
    ck_assert_uint_eq(minidns_count(&dns, NULL), 0);
}
END_TEST

START_TEST(works_without_a_cache)
{
    mxhop_close(&mx);
    open_handle("none");
    run(mixed);
    check_outcomes(false);
    run(mixed);
    check_outcomes(false);
}
END_TEST

START_TEST(asks_only_for_unknown_addresses)
{
    static const char *const list[] = {"known.example", NULL};
    struct mxset set = {.outcome = MX_HOSTS, .ttl_s = 300};

    handle_open_cache(mx);
    ck_assert(mxset_add(&set, "mx.example", 10));
    cache_put_domain(mx->store.cache, "known.example", clock_boot_ms(), &set);
    ck_assert(cache_flush(mx->store.cache, 1000));
    mxset_free(&set);
    run(list);
    ck_assert_uint_eq(minidns_count(&dns, NULL), 1);
    ck_assert_uint_eq(minidns_count(&dns, "mx.example 1"), 1);
    ck_assert_int_eq(answers[0].first_host, ADDR_SOME);
    ck_assert(!answers[0].cached);
}
END_TEST

static const char *const slow[] = {"slow0.example",
                                   "slow1.example",
                                   "slow2.example",
                                   "slow3.example",
                                   "slow4.example",
                                   "slow5.example",
                                   NULL};

START_TEST(works_on_as_many_as_it_may)
{
    struct bulk b = defaults;

    b.jobs = 3;
    ck_assert_int_eq(run_with(&b, slow), MXHOP_OK);
    ck_assert_uint_eq(n_answered, 6);
    ck_assert_uint_eq(dns.max_pending, 3);
}
END_TEST

/* Each answer lets the next key be written: a run that waited for input would
   not end. */
static int pipe_fd[2];

static enum bulk_input next_from_pipe(void *ctx, const char **key_r)
{
    char c;

    (void)ctx;
    if (*keys == NULL)
        return BULK_END;
    if (read(pipe_fd[0], &c, 1) != 1)
        return BULK_LATER;
    *key_r = *keys++;
    return BULK_KEY;
}

static void answered_into_pipe(void *ctx, const struct bulk_answer *a)
{
    answered(ctx, a);
    ck_assert_int_eq(write(pipe_fd[1], "", 1), 1);
}

START_TEST(goes_on_while_input_is_late)
{
    struct bulk b = defaults;

    ck_assert_int_eq(pipe2(pipe_fd, O_NONBLOCK), 0);
    ck_assert_int_eq(write(pipe_fd[1], "", 1), 1);
    b.next = next_from_pipe;
    b.input_fd = pipe_fd[0];
    b.answered = answered_into_pipe;
    ck_assert_int_eq(run_with(&b, slow), MXHOP_OK);
    ck_assert_uint_eq(n_answered, 6);
    ck_assert_uint_eq(dns.max_pending, 1);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}
END_TEST

/* Nothing fails for an outage that ends in time. */
START_TEST(waits_for_a_name_server)
{
    struct engine_server server;

    engine_server_get(mx->dns.engine, 0, &server);
    engine_assume_open(mx->dns.engine, server.address);
    ck_assert(engine_down(mx->dns.engine));
    run(mixed);
    check_outcomes(false);
}
END_TEST

START_TEST(does_not_wait_for_ever)
{
    static const char *const list[] = {"a.silent.example", "b.silent.example",
                                       NULL};
    struct bulk b = defaults;
    struct engine_server server;

    mxhop_close(&mx);
    dns.addr.sin_port = htons(9); /* nobody is there */
    open_handle("memory");
    engine_server_get(mx->dns.engine, 0, &server);
    engine_assume_open(mx->dns.engine, server.address);
    b.timeout_ms = 300;
    ck_assert_int_eq(run_with(&b, list), MXHOP_OK);
    ck_assert_uint_eq(n_answered, 2);
    ck_assert_int_eq(answers[0].outcome, MX_FAILURE);
}
END_TEST

/* What was learnt before the stop is kept; the handle still closes, and knows
   what is in the cache. */
START_TEST(stops_in_the_middle)
{
    static const char *const list[] = {"hosts.example", "silent.example", NULL};
    static const char *const again[] = {"hosts.example", NULL};
    struct cache_entry_state st;
    struct mxset set = {0};

    ticks_left = 3;
    run(list);
    ck_assert_uint_eq(n_answered, 1);
    ck_assert_str_eq(answers[0].domain, "hosts.example");
    ck_assert_int_eq(run_with(&defaults, again), MXHOP_OK);
    st = cache_get_domain(mx->store.view, "hosts.example", clock_boot_ms(),
                          &set);
    ck_assert_int_eq(st.verdict, CACHE_FRESH);
    mxset_free(&set);
}
END_TEST

START_TEST(refuses_silly_numbers_of_jobs)
{
    struct bulk b = defaults;

    b.jobs = 0;
    ck_assert_int_eq(run_with(&b, mixed), MXHOP_ERR_ARGUMENT);
    b.jobs = BULK_JOBS_MAX + 1;
    ck_assert_int_eq(run_with(&b, mixed), MXHOP_ERR_ARGUMENT);
}
END_TEST

/* Without memory some are failures, or the run ends, but nothing is made up. */
START_TEST(out_of_memory)
{
    bool hit = true;

    for (unsigned n = 1; hit; n++) {
        struct mxhop_error err;
        uint64_t unwritten;
        enum mxhop_status status;

        keys = mixed;
        n_refused = n_answered = 0;
        failmalloc_at(n);
        status = bulk_run(mx, &defaults, &unwritten, &err);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert(status == MXHOP_OK || (hit && status == MXHOP_ERR_MEMORY));
        if (status == MXHOP_OK)
            ck_assert_uint_eq(n_answered, N_OUTCOMES);
        for (size_t i = 0; i < n_answered; i++)
            if (strcmp(answers[i].domain, "hosts.example") == 0)
                ck_assert(answers[i].outcome == MX_HOSTS ||
                          answers[i].outcome == MX_FAILURE);
        mxhop_close(&mx);
        open_handle("memory");
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bulk");
    TCase *t = tcase_create("bulk");

    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_tags(t, "threads");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, answers_all_and_then_from_the_cache);
    tcase_add_test(t, works_without_a_cache);
    tcase_add_test(t, asks_only_for_unknown_addresses);
    tcase_add_test(t, works_on_as_many_as_it_may);
    tcase_add_test(t, goes_on_while_input_is_late);
    tcase_add_test(t, waits_for_a_name_server);
    tcase_add_test(t, does_not_wait_for_ever);
    tcase_add_test(t, stops_in_the_middle);
    tcase_add_test(t, refuses_silly_numbers_of_jobs);
    tcase_add_test(t, out_of_memory);
    suite_add_tcase(s, t);
    return suite_run(s);
}
