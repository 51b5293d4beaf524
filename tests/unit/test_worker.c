/* dns/worker: against a name server in a thread of this program. */

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "support/suite.h"
#include "dns/worker_int.h"
#include "support/failmalloc.h"
#include "support/minidns.h"

#define BOTH   (FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6))
#define MX     WIRE_TYPE_MX
#define LONG   3000 /* longer than anything here should take */

#define SILENT 400 /* rows "s0.example" and so on that are never answered */

static struct minidns_row rows[SILENT + 8] = {
    {"quick.example", MX, "mx 10 mx.example"},
    {"mx.example", WIRE_TYPE_A, "a 192.0.2.1"},
    {"slow.example", MX, "mx 10 mx.example", .delay_ms = 250},
    {"null.example", MX, "mx 0 ."},
    {"silent.example", MX, NULL, .delay_ms = MINIDNS_SILENT},
    {"silent0.example", WIRE_TYPE_A, NULL, .delay_ms = MINIDNS_SILENT},
    {"silent0.example", WIRE_TYPE_AAAA, NULL, .delay_ms = MINIDNS_SILENT},
    {0},
};

/* Domains of strangers, each with as many silent hosts as it may ask for. */
#define GREEDY       24
#define GREEDY_HOSTS 16
static struct minidns_row greedy_rows[GREEDY * (1 + 2 * GREEDY_HOSTS) + 8];

static struct minidns dns;
static struct worker *worker;
static struct mxset set;
static atomic_uint hosts_learned, mx_learned_ok, mx_learned_failure;
static atomic_bool signals_open; /* seen on the worker's thread */
static atomic_int thread_id;

static unsigned host_known(void *ctx, const char *host, unsigned families,
                           struct hostaddrs *addrs_r)
{
    (void)ctx;
    (void)host;
    (void)families;
    (void)addrs_r;
    return 0;
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
    thread_id = gettid();
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

/* What processes share: names of "theirs" are always another's to ask. */
static struct {
    pthread_mutex_t lock;
    char claimed[4096][24]; /* in this order */
    size_t n_claimed;
    atomic_uint claims, largest_claim;
    atomic_uint peeks, flushes, flushed_mx, flushed_hosts, servers_changed;
    atomic_bool known; /* peek finds the name */
    atomic_bool hold_flush, held_flush;
    atomic_uint flush_takes_ms;
} store = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void claim_names(void *ctx, const char *const *domains, size_t n,
                        bool *granted)
{
    (void)ctx;
    pthread_mutex_lock(&store.lock);
    store.claims++;
    if (n > store.largest_claim)
        store.largest_claim = (unsigned)n;
    for (size_t i = 0; i < n; i++) {
        snprintf(store.claimed[store.n_claimed++ % 4096], 24, "%s", domains[i]);
        granted[i] = strncmp(domains[i], "theirs", 6) != 0;
    }
    pthread_mutex_unlock(&store.lock);
}

static bool peek_name(void *ctx, const char *domain, struct mxset *set_r)
{
    (void)ctx;
    (void)domain;
    store.peeks++;
    *set_r = (struct mxset){.ttl_s = 77};
    return store.known && mxset_add(set_r, "peeked.example", 5);
}

static void flush_store(void *ctx)
{
    unsigned mx = mx_learned_ok, hosts = hosts_learned;

    (void)ctx;
    usleep(store.flush_takes_ms * 1000);
    while (store.hold_flush) {
        store.held_flush = true;
        usleep(500);
    }
    store.flushed_mx = mx;
    store.flushed_hosts = hosts;
    store.flushes++;
}

static void server_changed(void *ctx, const struct engine_server *s)
{
    (void)ctx;
    (void)s;
    store.servers_changed++;
}

static size_t n_claimed(const char *name)
{
    size_t n = 0;

    pthread_mutex_lock(&store.lock);
    for (size_t i = 0; i < store.n_claimed; i++)
        n += name == NULL || strcmp(store.claimed[i], name) == 0;
    pthread_mutex_unlock(&store.lock);
    return n;
}

static void store_reset(void)
{
    store.n_claimed = store.claims = store.largest_claim = 0;
    store.peeks = store.flushes = store.servers_changed = 0;
    store.flushed_mx = store.flushed_hosts = 0;
    store.known = store.hold_flush = store.held_flush = false;
    store.flush_takes_ms = 0;
}

static struct worker_options options(uint32_t timeout_ms)
{
    return (struct worker_options){
        .servers = minidns_servers(&dns),
        .owner = {NULL, host_known, host_learned, mx_learned, pick},
        .families = BOTH,
        .timeout_ms = timeout_ms,
        .store = {NULL, claim_names, peek_name, flush_store, server_changed}};
}

static enum mxhop_status open_worker(uint32_t timeout_ms)
{
    struct worker_options o = options(timeout_ms);

    return worker_open(&worker, &o, NULL);
}

static void reopen(uint32_t timeout_ms)
{
    worker_close(&worker);
    ck_assert_int_eq(open_worker(timeout_ms), MXHOP_OK);
}

static enum worker_verdict ask(const char *name, unsigned flags,
                               uint32_t wait_ms)
{
    return worker_domain(worker, name, NULL, flags, wait_ms, &set);
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
    static char name[SILENT][24];

    for (int i = 0; i < SILENT; i++) {
        snprintf(name[i], sizeof(name[i]), "s%d.example", i);
        rows[7 + i] =
            (struct minidns_row){name[i], MX, NULL, .delay_ms = MINIDNS_SILENT};
    }
    hosts_learned = mx_learned_ok = mx_learned_failure = 0;
    store_reset();
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
        ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
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
    ck_assert_int_eq(worker_domain(worker, "any.example", &known, 0, LONG,
                                   &set),
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

    ck_assert_int_eq(ask("slow.example", 0, 0), WORKER_LATE);
    ck_assert_int_eq(ask("slow.example", 0, 30), WORKER_LATE);
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

    if (worker_domain(worker, "slow.example", NULL, 0, LONG, s) != WORKER_DONE)
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

    reopen(200);
    for (int i = 0; i < WORKER_QUEUE_MAX + 2 * WORKER_TASKS_MAX; i++) {
        enum worker_verdict v;

        snprintf(name, sizeof(name), "n%d.example", i);
        v = ask(name, 0, 0);
        ck_assert_int_ne(v, WORKER_DONE);
        refused += v == WORKER_REFUSED;
        late += v == WORKER_LATE;
    }
    ck_assert_uint_ge(late, WORKER_QUEUE_MAX);
    for (int i = 0; i < LONG && mx_learned_ok + mx_learned_failure < late; i++)
        usleep(1000);
    ck_assert_uint_eq(mx_learned_ok + mx_learned_failure, late);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
}
END_TEST

static void hold_thread(void);
static void release_thread(void);

/* Strangers' names fill the queue, and somebody waits. */
START_TEST(test_queue_full_of_strangers)
{
    unsigned late = 0;
    char name[32];

    hold_thread();
    for (int i = 0; i < WORKER_QUEUE_MAX + 1; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        late += ask(name, 0, 0) == WORKER_LATE;
    }
    ck_assert_uint_eq(late, WORKER_QUEUE_MAX);
    ck_assert_int_eq(ask("quick.example", WORKER_REFRESH, 0), WORKER_LATE);
    ck_assert_int_eq(ask("null.example", 0, 10), WORKER_LATE);
    ck_assert_uint_eq(worker->n_waiting, WORKER_QUEUE_MAX);
    release_thread();
    ck_assert_int_eq(ask("null.example", 0, LONG), WORKER_DONE);
    mxset_free(&set);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
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
        taken += worker_domain(worker, name, &known, 0, 0, &set) == WORKER_LATE;
    }
    ck_assert_uint_eq(taken, WORKER_KNOWN_MAX / 1000);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    mxset_free(&known);
}
END_TEST

START_TEST(test_refusal)
{
    struct worker_options o = options(LONG);
    char name[32];

    worker_close(&worker);
    o.owner.pick = pick_slowly;
    ck_assert_int_eq(worker_open(&worker, &o, NULL), MXHOP_OK);
    hold = true;
    ask("quick.example", 0, 0);
    while (!held)
        usleep(500);
    for (int i = 0; i < WORKER_QUEUE_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        ck_assert_int_eq(ask(name, 0, 0), WORKER_LATE);
    }
    ck_assert_int_eq(ask("x.example", 0, 0), WORKER_REFUSED);
    ck_assert_int_eq(ask("n1.example", 0, 1), WORKER_LATE); /* joins */
    hold = false;
}
END_TEST

START_TEST(test_failure)
{
    reopen(60);
    ck_assert_int_eq(ask("silent.example", 0, LONG), WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_FAILURE);
    ck_assert_str_eq(set.failure, "no answer within 60 ms");
    ck_assert_uint_eq(mx_learned_failure, 1);
}
END_TEST

START_TEST(test_set_servers)
{
    struct dns_servers good = minidns_servers(&dns), none = {0};

    worker_set_servers(worker, &none);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_FAILURE);
    mxset_free(&set);
    worker_set_servers(worker, &good);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_HOSTS);
}
END_TEST

START_TEST(test_close_in_flight)
{
    size_t before = threads();
    uint64_t start_ms;

    ask("silent.example", 0, 0);
    ask("slow.example", 0, 20);
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

    reopen(LONG);
    ck_assert_uint_eq(threads(), before);
}
END_TEST

/* Hold the thread, in the store's flush, until release_thread(). */
static void hold_thread(void)
{
    store.hold_flush = true;
    worker_flush_soon(worker);
    while (!store.held_flush)
        usleep(500);
}

static void release_thread(void)
{
    store.hold_flush = store.held_flush = false;
}

static void queue_silent(int from, int n, unsigned flags)
{
    char name[32];

    for (int i = from; i < from + n; i++) {
        snprintf(name, sizeof(name), "s%d.example", i);
        ck_assert_int_eq(ask(name, flags, 0), WORKER_LATE);
    }
}

/* How many of the silent names the name server was asked for. */
static unsigned silent_asked(void)
{
    char what[32];
    unsigned n = 0;

    for (int i = 0; i < SILENT; i++) {
        snprintf(what, sizeof(what), "s%d.example 15", i);
        n += minidns_count(&dns, what) > 0;
    }
    return n;
}

static bool silent_become_asked(unsigned n)
{
    for (int i = 0; i < LONG && silent_asked() < n; i++)
        usleep(1000);
    return silent_asked() == n;
}

struct asker {
    pthread_t thread;
    const char *name;
    enum worker_verdict verdict;
    struct mxset set;
};

static void *ask_and_wait(void *arg)
{
    struct asker *a = arg;

    a->verdict = worker_domain(worker, a->name, NULL, 0, 10 * LONG, &a->set);
    return NULL;
}

static void start_asker(struct asker *a, const char *name)
{
    *a = (struct asker){.name = name};
    ck_assert_int_eq(pthread_create(&a->thread, NULL, ask_and_wait, a), 0);
}

/* The host that it was told, for the caller to compare. */
static const char *join_asker(struct asker *a)
{
    static char host[64];

    pthread_join(a->thread, NULL);
    ck_assert_int_eq(a->verdict, WORKER_DONE);
    snprintf(host, sizeof(host), "%s",
             a->set.n_mx > 0 ? a->set.mx[0].host : "");
    mxset_free(&a->set);
    return host;
}

static bool has_waiters(const char *name, unsigned n)
{
    const struct task *t;
    bool yes;

    pthread_mutex_lock(&worker->lock);
    t = tasks_find(worker, name, false);
    yes = t != NULL && t->callers >= n;
    pthread_mutex_unlock(&worker->lock);
    return yes;
}

/* ---- the store ---- */

START_TEST(test_flush_before_answer)
{
    store.flush_takes_ms = 30;
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    ck_assert_uint_eq(store.flushed_mx, 1);
    ck_assert_uint_eq(store.flushed_hosts, 1); /* learnt last */
}
END_TEST

START_TEST(test_flush_soon)
{
    uint64_t wakes;

    worker_flush_soon(worker); /* starts the thread */
    ck_assert(becomes(&store.flushes, 1));
    hold_thread();
    while (read(worker->wake_fd, &wakes, sizeof(wakes)) > 0)
        ;
    for (int i = 0; i < 1000; i++)
        worker_flush_soon(worker);
    ck_assert_int_eq(read(worker->wake_fd, &wakes, sizeof(wakes)), 8);
    ck_assert_uint_eq(wakes, 1);
    release_thread();
    ck_assert(becomes(&store.flushes, 3));
    ck_assert_int_eq(ask("null.example", 0, LONG), WORKER_DONE);
    ck_assert_uint_eq(store.flushes, 4);
    worker_flush_soon(worker);
    worker_close(&worker); /* not without it */
    ck_assert_uint_eq(store.flushes, 5);
}
END_TEST

/* Calls that go on and on are few flushes, and the last one comes after the
   last call. */
START_TEST(test_flush_soon_is_rationed)
{
    uint64_t start_ms = clock_boot_ms(), flushes_max;

    store.flush_takes_ms = 1;
    for (int i = 0; i < 200; i++) {
        worker_flush_soon(worker);
        usleep(100);
    }
    flushes_max = (clock_boot_ms() - start_ms) / WORKER_FLUSH_GAP_MS + 1;
    ck_assert_uint_le(store.flushes, flushes_max);
    mx_learned_ok = 7; /* something to be flushed */
    worker_flush_soon(worker);
    ck_assert(becomes(&store.flushed_mx, 7));
}
END_TEST

START_TEST(test_claims)
{
    struct mxset known = {0};

    ck_assert(mxset_add(&known, "mx.example", 1));
    ck_assert_int_eq(worker_domain(worker, "theirs1.example", &known, 0, LONG,
                                   &set),
                     WORKER_DONE);
    mxset_free(&set);
    mxset_free(&known);
    worker_host(worker, "theirs3.example");
    ck_assert(becomes(&hosts_learned, 2));
    ck_assert_uint_eq(n_claimed(NULL), 0);
    ck_assert_int_eq(ask("quick.example", WORKER_FAILED_BEFORE, LONG),
                     WORKER_DONE);
    ck_assert_uint_eq(n_claimed(NULL), 1);
    ck_assert_uint_eq(n_claimed("quick.example"), 1);
    ck_assert_uint_eq(store.peeks, 0);
}
END_TEST

/* One process refreshes a name; the others need not even look. */
START_TEST(test_refresh_is_claimed)
{
    ck_assert_int_eq(ask("theirs.example", WORKER_REFRESH, 0), WORKER_LATE);
    ck_assert_int_eq(ask("quick.example", WORKER_REFRESH, LONG), WORKER_DONE);
    mxset_free(&set);
    ck_assert_int_eq(ask("null.example", 0, LONG), WORKER_DONE);
    ck_assert_uint_eq(n_claimed("theirs.example"), 1);
    ck_assert_uint_eq(n_claimed("quick.example"), 1);
    ck_assert_uint_eq(minidns_count(&dns, "theirs.example 15"), 0);
    ck_assert_uint_eq(minidns_count(&dns, "quick.example 15"), 1);
    ck_assert_uint_eq(store.peeks, 0);
}
END_TEST

START_TEST(test_claims_in_one_batch)
{
    hold_thread();
    queue_silent(0, WORKER_TASKS_MAX, 0);
    release_thread();
    ck_assert(silent_become_asked(WORKER_TASKS_MAX));
    ck_assert_uint_eq(store.claims, 1);
    ck_assert_uint_eq(store.largest_claim, WORKER_TASKS_MAX);
}
END_TEST

START_TEST(test_another_process_asks)
{
    struct asker asker[2];

    worker->peek_for_ms = UINT32_MAX;
    start_asker(&asker[0], "theirs.example");
    while (store.peeks < 3)
        usleep(500);
    start_asker(&asker[1], "theirs.example"); /* joins */
    while (!has_waiters("theirs.example", 2))
        usleep(500);
    store.known = true;
    ck_assert_str_eq(join_asker(&asker[0]), "peeked.example");
    ck_assert_str_eq(join_asker(&asker[1]), "peeked.example");
    ck_assert_uint_eq(minidns_count(&dns, NULL), 0);
    ck_assert_uint_eq(mx_learned_ok, 0);
    ck_assert_uint_eq(n_claimed("theirs.example"), 1);
}
END_TEST

START_TEST(test_another_process_gives_up)
{
    worker->peek_for_ms = 60;
    ck_assert_int_eq(ask("theirs.example", 0, LONG), WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_NXDOMAIN);
    ck_assert_uint_ge(store.peeks, 1);
    ck_assert_uint_eq(n_claimed("theirs.example"), 2); /* then asked anyway */
}
END_TEST

static size_t n_waiting(void)
{
    size_t n;

    pthread_mutex_lock(&worker->lock);
    n = worker->n_waiting;
    pthread_mutex_unlock(&worker->lock);
    return n;
}

START_TEST(test_store_without_claims)
{
    struct worker_options o = options(LONG);

    worker_close(&worker);
    o.store = (struct worker_store){.flush = flush_store};
    ck_assert_int_eq(worker_open(&worker, &o, NULL), MXHOP_OK);
    ck_assert_int_eq(ask("theirs.example", 0, LONG), WORKER_DONE);
    ck_assert_uint_eq(store.flushed_mx, 1);
    ck_assert_uint_eq(n_claimed(NULL), 0);
}
END_TEST

static unsigned queue_theirs(unsigned n)
{
    unsigned late = 0;
    char name[32];

    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "theirs%u.example", i);
        late += ask(name, 0, 0) == WORKER_LATE;
    }
    return late;
}

/* They use no tasks, but places in the queue. */
START_TEST(test_many_asked_elsewhere)
{
    worker->peek_for_ms = UINT32_MAX;
    ck_assert_uint_eq(queue_theirs(500), 500);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    mxset_free(&set);
    ck_assert_uint_eq(minidns_count(&dns, "theirs1.example 15"), 0);
    ck_assert_uint_eq(queue_theirs(WORKER_QUEUE_MAX + 50), WORKER_QUEUE_MAX);
    ck_assert_int_eq(ask("slow.example", 0, 0), WORKER_REFUSED);
    store.known = true;
    for (int i = 0; i < LONG && n_waiting() > 0; i++)
        usleep(1000);
    ck_assert_int_eq(ask("slow.example", 0, LONG), WORKER_DONE);
    ck_assert_uint_le(store.largest_claim, WORKER_TASKS_MAX);
}
END_TEST

/* ---- who comes first ---- */

START_TEST(test_order)
{
    static const char *const expected[] = {"quick.example", "null.example",
                                           "s0.example",    "s1.example",
                                           "s2.example",    "s3.example"};
    struct asker asker[2];

    hold_thread();
    queue_silent(0, 1, 0);
    queue_silent(1, 1, WORKER_FAILED_BEFORE); /* no worse while it may run */
    queue_silent(2, 1, 0);
    ck_assert_int_eq(ask("null.example", 0, 0), WORKER_LATE);
    queue_silent(3, 1, WORKER_FAILED_BEFORE);
    start_asker(&asker[0], "null.example"); /* joins */
    while (!has_waiters("null.example", 1))
        usleep(500);
    start_asker(&asker[1], "quick.example");
    while (!has_waiters("quick.example", 1))
        usleep(500);
    release_thread();
    ck_assert_str_eq(join_asker(&asker[0]), "");
    ck_assert_str_eq(join_asker(&asker[1]), "mx.example");
    pthread_mutex_lock(&store.lock);
    for (size_t i = 0; i < 6; i++)
        ck_assert_str_eq(store.claimed[i], expected[i]);
    pthread_mutex_unlock(&store.lock);
}
END_TEST

/* A name that somebody waits for gets its turn long before the silent ones
   that have all tasks, and others that wait for one, are over. */
START_TEST(test_silent_names_make_room)
{
    reopen(60000);
    queue_silent(0, WORKER_TASKS_MAX + 72, 0);
    while (silent_asked() < WORKER_TASKS_MAX)
        usleep(1000);
    ck_assert_int_eq(ask("quick.example", 0, 10 * LONG), WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_HOSTS);
    ck_assert(silent_become_asked(WORKER_TASKS_MAX + 72));
    /* As many as had to, no more. */
    ck_assert_uint_ge(mx_learned_failure, 72);
    ck_assert_uint_le(mx_learned_failure, 73);
}
END_TEST

static void fill_greedy_rows(void)
{
    static char domain[GREEDY][32], mx[GREEDY][640];
    static char host[GREEDY * GREEDY_HOSTS][24];
    struct minidns_row *row = greedy_rows;

    for (int d = 0, h = 0; d < GREEDY; d++) {
        size_t len = 0;

        snprintf(domain[d], sizeof(domain[d]), "greedy%d.example", d);
        *row++ = (struct minidns_row){domain[d], MX, mx[d]};
        for (int i = 0; i < GREEDY_HOSTS; i++, h++) {
            snprintf(host[h], sizeof(host[h]), "h%d.example", h);
            len += (size_t)snprintf(mx[d] + len, sizeof(mx[d]) - len,
                                    "mx 1 %s ", host[h]);
            *row++ = (struct minidns_row){host[h], WIRE_TYPE_A, NULL,
                                          .delay_ms = MINIDNS_SILENT};
            *row++ = (struct minidns_row){host[h], WIRE_TYPE_AAAA, NULL,
                                          .delay_ms = MINIDNS_SILENT};
        }
    }
    memcpy(row, rows, 6 * sizeof(*row));
}

/* An engine has at most half of 1,024 descriptors. */
START_TEST(test_silent_hosts_leave_sockets)
{
    struct rlimit old, limit;
    char name[32];

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = (struct rlimit){.rlim_cur = 1024, .rlim_max = old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    fill_greedy_rows();
    worker_close(&worker);
    minidns_stop(&dns);
    minidns_start(&dns, greedy_rows);
    ck_assert_int_eq(open_worker(60000), MXHOP_OK);
    for (int i = 0; i < GREEDY; i++) {
        snprintf(name, sizeof(name), "greedy%d.example", i);
        ck_assert_int_eq(ask(name, 0, 0), WORKER_LATE);
    }
    usleep(1000000); /* until the silent ones have asked again */
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_HOSTS);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}
END_TEST

START_TEST(test_failed_names_have_half)
{
    reopen(60000);
    queue_silent(0, 200, WORKER_FAILED_BEFORE);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    mxset_free(&set);
    ck_assert(silent_become_asked(WORKER_TASKS_MAX / 2));
    /* They overtake, and leave a task that the others do not get. */
    queue_silent(200, WORKER_TASKS_MAX / 2 - 1, 0);
    ck_assert(silent_become_asked(WORKER_TASKS_MAX - 1));
    ck_assert_int_eq(ask("null.example", 0, LONG), WORKER_DONE);
    ck_assert_uint_eq(silent_asked(), WORKER_TASKS_MAX - 1);
}
END_TEST

/* Nobody is given up for a name that could not take the place: the oldest is
   an ordinary one, but only those that failed before wait. */
START_TEST(test_failed_names_make_room_for_their_like)
{
    reopen(60000);
    queue_silent(0, WORKER_TASKS_MAX / 2, 0);
    ck_assert(silent_become_asked(WORKER_TASKS_MAX / 2));
    queue_silent(100, 100, WORKER_FAILED_BEFORE);
    ck_assert(silent_become_asked(WORKER_TASKS_MAX / 2 + 100));
    ck_assert_int_eq(ask("s0.example", 0, 10), WORKER_LATE); /* still asked */
}
END_TEST

START_TEST(test_failed_names_get_their_turn)
{
    reopen(50);
    queue_silent(0, 200, WORKER_FAILED_BEFORE);
    ck_assert(becomes(&mx_learned_failure, 200));
}
END_TEST

/* ---- the name servers ---- */

static bool server_becomes(enum breaker_state state)
{
    struct engine_server s;

    for (int i = 0; i < LONG; i++) {
        if (worker_servers(worker, &s, 1) == 1 && s.state == state)
            return true;
        usleep(1000);
    }
    return false;
}

START_TEST(test_servers)
{
    struct engine_server s[3];
    struct dns_servers two = minidns_servers(&dns), none = {0};
    char text[64];

    dns_server_text((struct sockaddr *)&two.addr[0], text);
    ck_assert_uint_eq(worker_servers(worker, s, 3), 1);
    ck_assert_str_eq(s[0].address, text);
    ck_assert_int_eq(s[0].state, BREAKER_CLOSED);
    two.addr[two.n++] = two.addr[0];
    worker_set_servers(worker, &two);
    ck_assert_uint_eq(worker_servers(worker, s, 3), 2);
    ck_assert_uint_eq(worker_servers(worker, s, 1), 1);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    ck_assert_uint_eq(worker_servers(worker, s, 3), 2);
    ck_assert(!worker_down(worker));
    worker_set_servers(worker, &none);
    mxset_free(&set);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    ck_assert_uint_eq(worker_servers(worker, s, 3), 0);
}
END_TEST

/* Nobody waits, and nothing is held against the name; the next probe ends it.
 */
START_TEST(test_assumed_open)
{
    struct engine_server s;

    ck_assert_uint_eq(worker_servers(worker, &s, 1), 1);
    worker_assume_open(worker, "192.0.2.99"); /* unknown */
    worker_assume_open(worker, s.address);
    hold_thread();
    ck_assert(worker_down(worker));
    ck_assert_uint_eq(worker_servers(worker, &s, 1), 1);
    ck_assert_int_eq(s.state, BREAKER_OPEN);
    release_thread();
    ck_assert(server_becomes(BREAKER_CLOSED));
    while (worker_down(worker))
        usleep(500);
    ck_assert_uint_ge(store.servers_changed, 1);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_HOSTS);
}
END_TEST

START_TEST(test_down_says_nothing_about_a_name)
{
    struct dns_servers nobody = minidns_servers(&dns);
    struct engine_server s;

    ((struct sockaddr_in *)&nobody.addr[0])->sin_port = htons(9);
    worker_set_servers(worker, &nobody);
    ck_assert_uint_eq(worker_servers(worker, &s, 1), 1);
    worker_assume_open(worker, s.address);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
    ck_assert_int_eq(set.outcome, MX_FAILURE);
    ck_assert_uint_eq(mx_learned_failure, 0);
    ck_assert(worker_down(worker));
    ck_assert_uint_eq(n_claimed(NULL), 0); /* it is to be asked any time */
}
END_TEST

/* How often the worker's thread has gone to sleep. */
static unsigned long sleeps(void)
{
    char path[64], line[256];
    unsigned long n = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/task/%d/status", thread_id);
    f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f) != NULL)
        sscanf(line, "voluntary_ctxt_switches: %lu", &n);
    fclose(f);
    return n;
}

START_TEST(test_idle)
{
    unsigned long before;

    worker->peek_for_ms = 30;
    ck_assert_int_eq(ask("theirs.example", 0, LONG), WORKER_DONE);
    usleep(100000);
    before = sleeps();
    ck_assert_uint_gt(before, 0);
    usleep(500000);
    ck_assert_uint_le(sleeps(), before + 1);
}
END_TEST

#ifdef __SANITIZE_THREAD__
#define EXITS 2 /* it never delivers the signal to the child */
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
    ask("silent.example", 0, 20);
    exit(42);
}

static void exit_held_up(void) /* the thread does not end in time */
{
    struct worker_options o = options(LONG);

    hold = true;
    o.owner.pick = pick_slowly;
    worker_open(&worker, &o, NULL);
    ask("quick.example", 0, 0);
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
    ask("silent.example", 0, 0);
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

    /* A thread that is just starting may hold a lock of the sanitizer's, which
       the child would wait for: see the name server's at work first. */
    ck_assert_int_eq(ask("null.example", 0, LONG), WORKER_DONE);
    mxset_free(&set);
    worker_close(&worker);
    status = run_child(table[_i].fn, &ms);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), table[_i].status);
    ck_assert_uint_lt(ms, 1000); /* valgrind and sanitizers are slow */
}
END_TEST

static void use_orphan(void)
{
    enum worker_verdict v = ask("quick.example", 0, LONG);
    struct engine_server s;

    worker_host(worker, "mx.example");
    worker_flush_soon(worker);
    worker_assume_open(worker, "192.0.2.1");
    if (worker_servers(worker, &s, 1) != 0)
        v = WORKER_DONE;
    worker_close(&worker);
    _exit(v == WORKER_REFUSED ? 45 : 1);
}

START_TEST(test_fork)
{
    uint64_t ms;
    int status;

    ask("silent.example", 0, 0);
    status = run_child(use_orphan, &ms);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 45);
    ck_assert_int_eq(ask("quick.example", 0, LONG), WORKER_DONE);
}
END_TEST

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
            v = ask("quick.example", 0, LONG);
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

int main(void)
{
    Suite *s = suite_create("worker");
    TCase *t = tcase_create("all");

    tcase_set_tags(t, "threads");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_result);
    tcase_add_test(t, test_known_set);
    tcase_add_test(t, test_late);
    tcase_add_test(t, test_single_flight);
    tcase_add_test(t, test_host);
    tcase_add_test(t, test_queue_full);
    tcase_add_test(t, test_queue_full_of_strangers);
    tcase_add_test(t, test_known_sets_are_bounded);
    tcase_add_test(t, test_refusal);
    tcase_add_test(t, test_failure);
    tcase_add_test(t, test_set_servers);
    tcase_add_test(t, test_close_in_flight);
    tcase_add_test(t, test_never_started);
    tcase_add_test(t, test_flush_before_answer);
    tcase_add_test(t, test_flush_soon);
    tcase_add_test(t, test_flush_soon_is_rationed);
    tcase_add_test(t, test_claims);
    tcase_add_test(t, test_refresh_is_claimed);
    tcase_add_test(t, test_claims_in_one_batch);
    tcase_add_test(t, test_another_process_asks);
    tcase_add_test(t, test_another_process_gives_up);
    tcase_add_test(t, test_store_without_claims);
    tcase_add_test(t, test_many_asked_elsewhere);
    tcase_add_test(t, test_order);
    tcase_add_test(t, test_silent_names_make_room);
    tcase_add_test(t, test_silent_hosts_leave_sockets);
    tcase_add_test(t, test_failed_names_have_half);
    tcase_add_test(t, test_failed_names_make_room_for_their_like);
    tcase_add_test(t, test_failed_names_get_their_turn);
    tcase_add_test(t, test_servers);
    tcase_add_test(t, test_assumed_open);
    tcase_add_test(t, test_down_says_nothing_about_a_name);
    tcase_add_test(t, test_idle);
    tcase_add_loop_test(t, test_exit, 0, EXITS);
    tcase_add_test(t, test_fork);
    tcase_add_test(t, test_memory);
    suite_add_tcase(s, t);
    return suite_run(s);
}
