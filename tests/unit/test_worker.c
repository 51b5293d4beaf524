/* dns/worker: against a name server in a thread of this program. */

#include <check.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include "dns/worker.h"
#include "support/failmalloc.h"
#include "support/minidns.h"

#define BOTH (FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6))
#define MX   WIRE_TYPE_MX
#define LONG 3000 /* longer than anything here should take */

static const struct minidns_row rows[] = {
    {"quick.example", MX, "mx 10 mx.example"},
    {"mx.example", WIRE_TYPE_A, "a 192.0.2.1"},
    {"slow.example", MX, "mx 10 mx.example", .delay_ms = 250},
    {"silent.example", MX, NULL, .delay_ms = MINIDNS_SILENT},
    {"silent0.example", WIRE_TYPE_A, NULL, .delay_ms = MINIDNS_SILENT},
    {"silent0.example", WIRE_TYPE_AAAA, NULL, .delay_ms = MINIDNS_SILENT},
    {0},
};

static struct minidns dns;
static struct worker *worker;
static struct mxset set;
static atomic_uint hosts_learned, mx_learned_ok, mx_learned_failure;
static atomic_bool signals_open; /* seen on the worker's thread */

static bool host_known(void *ctx, const char *host, unsigned families,
                       struct hostaddrs *addrs_r)
{
    (void)ctx;
    (void)host;
    (void)families;
    (void)addrs_r;
    return false;
}

static void host_learned(void *ctx, const char *host,
                         const struct hostaddrs *addrs)
{
    (void)ctx;
    (void)host;
    (void)addrs;
    hosts_learned++;
}

static void mx_learned(void *ctx, const char *domain, const struct mxset *s)
{
    sigset_t mask;

    (void)ctx;
    (void)domain;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    if (!sigismember(&mask, SIGTERM) || !sigismember(&mask, SIGALRM))
        signals_open = true;
    if (s->outcome == MX_FAILURE)
        mx_learned_failure++;
    else
        mx_learned_ok++;
}

static size_t pick(void *ctx, const struct mxset *s, uint16_t *index,
                   size_t cap)
{
    size_t n = 0;

    (void)ctx;
    for (; n < s->n_mx && n < cap; n++)
        index[n] = (uint16_t)n;
    return n;
}

static enum mxhop_status open_worker(uint32_t timeout_ms)
{
    struct worker_options o = {.servers = minidns_servers(&dns),
                               .owner = {NULL, host_known, host_learned,
                                         mx_learned, pick},
                               .families = BOTH,
                               .timeout_ms = timeout_ms};

    return worker_open(&worker, &o, NULL);
}

static size_t threads(void)
{
    DIR *d = opendir("/proc/self/task");
    const struct dirent *e;
    size_t n = 0;

    while ((e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* A joined thread may be in the list for a moment. */
static bool threads_become(size_t n)
{
    for (int i = 0; i < 100 && threads() != n; i++)
        usleep(5000);
    return threads() == n;
}

static bool becomes(const atomic_uint *count, unsigned n)
{
    for (int i = 0; i < LONG && atomic_load(count) < n; i++)
        usleep(1000);
    return atomic_load(count) == n;
}

static void setup(void)
{
    hosts_learned = mx_learned_ok = mx_learned_failure = 0;
    minidns_start(&dns, rows);
    ck_assert_int_eq(open_worker(LONG), MXHOP_OK);
}

static void teardown(void)
{
    worker_close(&worker);
    ck_assert_ptr_null(worker);
    worker_close(&worker); /* NULL is allowed */
    mxset_free(&set);
    minidns_stop(&dns);
}

START_TEST(test_result)
{
    size_t before = threads();

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(worker_domain(worker, "quick.example", NULL, LONG,
                                       &set),
                         WORKER_DONE);
        ck_assert_int_eq(set.outcome, MX_HOSTS);
        ck_assert_str_eq(set.mx[0].host, "mx.example");
        ck_assert_int_eq(set.mx[0].addrs.state[FAMILY_V4], ADDR_SOME);
        mxset_free(&set);
        ck_assert_uint_eq(threads(), before + 1);
    }
    ck_assert_uint_eq(mx_learned_ok, 3);
    ck_assert_uint_eq(hosts_learned, 3);
    ck_assert(!signals_open);
    worker_close(&worker);
    ck_assert(threads_become(before));
}
END_TEST

START_TEST(test_known_set)
{
    struct mxset known = {.ttl_s = 7};

    ck_assert(mxset_add(&known, "mx.example", 1));
    ck_assert_int_eq(worker_domain(worker, "any.example", &known, LONG, &set),
                     WORKER_DONE);
    mxset_free(&known);
    ck_assert_uint_eq(set.ttl_s, 7);
    ck_assert_int_eq(set.mx[0].addrs.state[FAMILY_V6], ADDR_NONE);
    ck_assert_uint_eq(minidns_count(&dns, NULL), 2);
}
END_TEST

START_TEST(test_late)
{
    uint64_t start_ms = clock_boot_ms();

    ck_assert_int_eq(worker_domain(worker, "slow.example", NULL, 0, &set),
                     WORKER_LATE);
    ck_assert_int_eq(worker_domain(worker, "slow.example", NULL, 30, &set),
                     WORKER_LATE);
    ck_assert_uint_ge(clock_boot_ms(), start_ms + 30);
    ck_assert_uint_eq(set.n_mx, 0);
    ck_assert_uint_eq(mx_learned_ok, 0);
    ck_assert(becomes(&mx_learned_ok, 1)); /* nobody waits any more */
    ck_assert(becomes(&hosts_learned, 1));
    /* Two askings, one query; a loaded machine may make the engine repeat
       it, which single flight never does. */
    ck_assert_uint_le(minidns_count(&dns, "slow.example 15"), 2);
}
END_TEST

static void *ask_slow(void *arg)
{
    struct mxset *s = arg;

    if (worker_domain(worker, "slow.example", NULL, LONG, s) != WORKER_DONE)
        s->ttl_s = 0;
    return NULL;
}

START_TEST(test_single_flight)
{
    pthread_t thread[4];
    struct mxset sets[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, ask_slow, &sets[i]),
                         0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_uint_eq(sets[i].ttl_s, 300);
        ck_assert_str_eq(sets[i].mx[0].host, "mx.example");
        mxset_free(&sets[i]);
    }
    ck_assert_uint_eq(mx_learned_ok, 1);
    /* 3, where four askings would cost 12; a loaded machine may repeat. */
    ck_assert_uint_le(minidns_count(&dns, NULL), 6);
}
END_TEST

START_TEST(test_host)
{
    worker_host(worker, "mx.example");
    worker_host(worker, "mx.example");
    ck_assert(becomes(&hosts_learned, 1));
    ck_assert_uint_eq(minidns_count(&dns, NULL), 2);
    ck_assert_uint_eq(mx_learned_ok, 0);
}
END_TEST

/* More than are run at a time, more than fit in the queue. */
START_TEST(test_queue_full)
{
    unsigned refused = 0, late = 0;
    char name[32];

    worker_close(&worker);
    ck_assert_int_eq(open_worker(20), MXHOP_OK);
    for (int i = 0; i < WORKER_QUEUE_MAX + 2 * WORKER_TASKS_MAX; i++) {
        enum worker_verdict v;

        snprintf(name, sizeof(name), "n%d.example", i);
        v = worker_domain(worker, name, NULL, 0, &set);
        ck_assert_int_ne(v, WORKER_DONE);
        refused += v == WORKER_REFUSED;
        late += v == WORKER_LATE;
    }
    ck_assert_uint_ge(late, WORKER_QUEUE_MAX);
    for (int i = 0; i < LONG && mx_learned_ok + mx_learned_failure < late; i++)
        usleep(1000);
    ck_assert_uint_eq(mx_learned_ok + mx_learned_failure, late);
    ck_assert_int_eq(worker_domain(worker, "quick.example", NULL, LONG, &set),
                     WORKER_DONE);
}
END_TEST

/* The thread cannot take anything: it is held up by an owner that sleeps. */
static atomic_bool hold, held;

static size_t pick_slowly(void *ctx, const struct mxset *s, uint16_t *index,
                          size_t cap)
{
    held = true;
    while (hold)
        usleep(500);
    return pick(ctx, s, index, cap);
}

/* Sets of a thousand exchanges do not fill the memory. */
START_TEST(test_known_sets_are_bounded)
{
    struct mxset known = {.outcome = MX_HOSTS};
    char host[32], name[32];
    size_t taken = 0;

    for (int i = 0; i < 1000; i++) {
        snprintf(host, sizeof(host), "silent%d.example", i);
        ck_assert(mxset_add(&known, host, 1));
    }
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "big%d.example", i);
        taken += worker_domain(worker, name, &known, 0, &set) == WORKER_LATE;
    }
    ck_assert_uint_eq(taken, WORKER_KNOWN_MAX / 1000);
    ck_assert_int_eq(worker_domain(worker, "quick.example", NULL, LONG, &set),
                     WORKER_DONE);
    mxset_free(&known);
}
END_TEST

START_TEST(test_refusal)
{
    struct worker_options o = {.servers = minidns_servers(&dns),
                               .owner = {NULL, host_known, host_learned,
                                         mx_learned, pick_slowly},
                               .families = BOTH,
                               .timeout_ms = LONG};
    char name[32];

    worker_close(&worker);
    ck_assert_int_eq(worker_open(&worker, &o, NULL), MXHOP_OK);
    hold = true;
    worker_domain(worker, "quick.example", NULL, 0, &set);
    while (!held)
        usleep(500);
    for (int i = 0; i < WORKER_QUEUE_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        ck_assert_int_eq(worker_domain(worker, name, NULL, 0, &set),
                         WORKER_LATE);
    }
    ck_assert_int_eq(worker_domain(worker, "x.example", NULL, LONG, &set),
                     WORKER_REFUSED);
    ck_assert_int_eq(worker_domain(worker, "n1.example", NULL, 1, &set),
                     WORKER_LATE); /* joins */
    hold = false;
}
END_TEST

START_TEST(test_failure)
{
    worker_close(&worker);
    ck_assert_int_eq(open_worker(60), MXHOP_OK);
    ck_assert_int_eq(worker_domain(worker, "silent.example", NULL, LONG, &set),
                     WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_FAILURE);
    ck_assert_str_eq(set.failure, "no answer within 60 ms");
    ck_assert_uint_eq(mx_learned_failure, 1);
}
END_TEST

START_TEST(test_set_servers)
{
    struct dns_servers good = minidns_servers(&dns), none = {0};

    worker_set_servers(worker, &none);
    ck_assert_int_eq(worker_domain(worker, "quick.example", NULL, LONG, &set),
                     WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_FAILURE);
    mxset_free(&set);
    worker_set_servers(worker, &good);
    ck_assert_int_eq(worker_domain(worker, "quick.example", NULL, LONG, &set),
                     WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_HOSTS);
}
END_TEST

START_TEST(test_close_in_flight)
{
    size_t before = threads();
    uint64_t start_ms;

    worker_domain(worker, "silent.example", NULL, 0, &set);
    worker_domain(worker, "slow.example", NULL, 20, &set);
    worker_host(worker, "mx.example");
    start_ms = clock_boot_ms();
    worker_close(&worker);
    ck_assert_uint_lt(clock_boot_ms(), start_ms + 1000);
    ck_assert(threads_become(before));
}
END_TEST

START_TEST(test_never_started)
{
    size_t before = threads();

    worker_close(&worker);
    ck_assert_int_eq(open_worker(LONG), MXHOP_OK);
    ck_assert_uint_eq(threads(), before);
}
END_TEST

#ifdef __SANITIZE_THREAD__ /* the children start threads: let them */
#define EXITS 2            /* it never delivers the signal to the child */
const char *__tsan_default_options(void);

__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
    return "die_after_fork=0:atexit_sleep_ms=0";
}
#else
#define EXITS 3
#endif

/* The status of a child that runs fn, and how long it took. */
static int run_child(void (*fn)(void), uint64_t *ms_r)
{
    uint64_t start_ms = clock_boot_ms();
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        fn();
        _exit(99);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    *ms_r = clock_boot_ms() - start_ms;
    return status;
}

static void exit_with_worker(void)
{
    open_worker(LONG);
    worker_domain(worker, "silent.example", NULL, 20, &set);
    exit(42);
}

static void exit_held_up(void) /* the thread does not end in time */
{
    struct worker_options o = {.servers = minidns_servers(&dns),
                               .owner = {NULL, host_known, host_learned,
                                         mx_learned, pick_slowly},
                               .families = BOTH,
                               .timeout_ms = LONG};

    hold = true;
    worker_open(&worker, &o, NULL);
    worker_domain(worker, "quick.example", NULL, 0, &set);
    while (!held)
        usleep(500);
    exit(43);
}

static void on_term(int sig)
{
    (void)sig;
    exit(44);
}

static void exit_in_handler(void) /* as Postfix daemons do */
{
    signal(SIGTERM, on_term);
    open_worker(LONG);
    worker_domain(worker, "silent.example", NULL, 0, &set);
    raise(SIGTERM);
}

START_TEST(test_exit)
{
    static const struct {
        void (*fn)(void);
        int status;
    } table[] = {
        {exit_with_worker, 42}, {exit_held_up, 43}, {exit_in_handler, 44}};
    uint64_t ms;
    int status;

    worker_close(&worker);
    status = run_child(table[_i].fn, &ms);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), table[_i].status);
    ck_assert_uint_lt(ms, 1000); /* valgrind and sanitizers are slow */
}
END_TEST

static void use_orphan(void)
{
    enum worker_verdict v =
        worker_domain(worker, "quick.example", NULL, LONG, &set);

    worker_host(worker, "mx.example");
    worker_close(&worker);
    _exit(v == WORKER_REFUSED ? 45 : 1);
}

START_TEST(test_fork)
{
    uint64_t ms;
    int status;

    worker_domain(worker, "silent.example", NULL, 0, &set);
    status = run_child(use_orphan, &ms);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 45);
    ck_assert_int_eq(worker_domain(worker, "quick.example", NULL, LONG, &set),
                     WORKER_DONE);
}
END_TEST

#ifndef __SANITIZE_THREAD__ /* failmalloc counts without a lock */
START_TEST(test_memory)
{
    worker_close(&worker);
    for (unsigned n = 1;; n++) {
        enum worker_verdict v = WORKER_REFUSED;
        enum mxhop_status opened;
        bool hit;

        failmalloc_at(n);
        opened = open_worker(LONG);
        if (opened == MXHOP_OK)
            v = worker_domain(worker, "quick.example", NULL, LONG, &set);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_ne(v, WORKER_LATE);
        ck_assert(hit || v == WORKER_DONE);
        mxset_free(&set);
        worker_close(&worker);
        if (!hit)
            break;
        ck_assert_uint_lt(n, 200);
    }
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("worker");
    TCase *t = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_result);
    tcase_add_test(t, test_known_set);
    tcase_add_test(t, test_late);
    tcase_add_test(t, test_single_flight);
    tcase_add_test(t, test_host);
    tcase_add_test(t, test_queue_full);
    tcase_add_test(t, test_known_sets_are_bounded);
    tcase_add_test(t, test_refusal);
    tcase_add_test(t, test_failure);
    tcase_add_test(t, test_set_servers);
    tcase_add_test(t, test_close_in_flight);
    tcase_add_test(t, test_never_started);
    tcase_add_loop_test(t, test_exit, 0, EXITS);
    tcase_add_test(t, test_fork);
#ifndef __SANITIZE_THREAD__
    tcase_add_test(t, test_memory);
#endif
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
