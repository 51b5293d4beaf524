/*
 * bulk - many domains through one handle, many at a time
 *
 * Runs the handle's resolver on the calling thread and keeps `jobs` domains in
 * work. Each has a small context from a fixed pool, so that memory does not
 * grow with the list. What the cache knows is answered from it; what is learnt
 * goes to the cache's queue (learn.c), and a thread of the run writes it, a
 * batch at a time, for a batch for each domain would cost more than its
 * queries. The thread makes a run of 100,000 domains a quarter shorter. No more
 * domains are taken while much is unwritten.
 *
 * Two domains with the same host may both ask for it when it is not written
 * yet. The resolver joins such questions while they are in flight; the rest is
 * cheaper than a batch of one.
 *
 * The pool belongs to the run. A run that ends with domains in work closes the
 * resolver, which would otherwise call back into it.
 */

#include "handle/bulk.h"
#include "handle/handle.h"
#include "util/clock.h"
#include "util/err.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS       100
#define BATCH_ENTRIES 512 /* or BATCH_MS, whichever comes first */
#define UNWRITTEN_MAX 2048
#define BATCH_MS      50
#define BATCH_WAIT_MS 500 /* for another writer */
#define FILL_MAX      256 /* keys taken before DNS gets its turn */

struct job {
    struct run *run;
    struct job *next_free;
};

struct run {
    struct mxhop *mx;
    const struct bulk *b;
    struct job *jobs, *free; /* free: those not in work */
    unsigned n_busy;
    enum bulk_input input;
    uint64_t now_ms, tick_ms, batch_ms; /* batch: the last one's end */
    uint64_t down_ms; /* since when no name server is to be reached; 0 */
    bool failed;      /* out of memory */
    bool stopped;

    struct {
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        bool due, last;
        uint64_t failures; /* the thread's, until it has ended */
    } writer;
};

static bool bulk_is_behind(const struct run *r)
{
    return r->mx->store.cache != NULL &&
           cache_pending(r->mx->store.cache) > UNWRITTEN_MAX;
}

static void bulk_answer_domain(const struct run *r, const char *domain,
                               const struct mxset *set, bool cached)
{
    const struct bulk_answer a = {domain, set, cached};

    r->b->answered(r->b->ctx, &a);
}

static void bulk_resolved(void *ctx, const char *name, struct mxset *set)
{
    struct job *job = ctx;
    struct run *r = job->run;

    job->next_free = r->free;
    r->free = job;
    r->n_busy--;
    bulk_answer_domain(r, name, set, false);
}

/* known NULL: the MX set is to be asked for. */
static void bulk_start(struct run *r, const char *domain,
                       const struct mxset *known)
{
    struct job *job = r->free;
    uint64_t deadline_ms = r->now_ms + r->b->timeout_ms;

    if (resolver_start_domain(r->mx->dns.resolver, domain, known, deadline_ms,
                              bulk_resolved, job) != MXHOP_OK) {
        r->failed = true;
        return;
    }
    r->free = job->next_free;
    r->n_busy++;
}

static void bulk_take_domain(struct run *r, const char *domain)
{
    struct mxhop *mx = r->mx;
    struct cache_entry_state st = {.verdict = CACHE_MISS};
    struct mxset set = {0};

    if (mx->store.view != NULL)
        st = cache_get_domain(mx->store.view, domain, r->now_ms, &set);
    if (st.verdict == CACHE_FAILING ||
        (st.verdict == CACHE_FRESH &&
         facts_missing(mx, mx->store.view, &set) == 0))
        bulk_answer_domain(r, domain, &set, true);
    else
        bulk_start(r, domain, st.verdict == CACHE_FRESH ? &set : NULL);
    mxset_free(&set);
}

static void bulk_take_key(struct run *r, const char *text)
{
    struct key key;

    key_parse(text, &key);
    if (key.kind == KEY_NONE)
        r->b->refused(r->b->ctx, text, key.why);
    else
        bulk_take_domain(r, key.domain);
}

/* While no name server is to be reached every question fails at once, and a
   moment's outage would use up the whole list. */
static bool bulk_pauses(struct run *r)
{
    if (!engine_down(r->mx->dns.engine)) {
        r->down_ms = 0;
        return false;
    }
    if (r->down_ms == 0)
        r->down_ms = r->now_ms;
    return r->now_ms < r->down_ms + r->b->timeout_ms;
}

/* Put keys into work; false: there may be more at once. */
static bool bulk_fill(struct run *r)
{
    const char *key;

    if (bulk_is_behind(r) || bulk_pauses(r))
        return true;
    if (r->input == BULK_LATER)
        r->input = BULK_KEY;
    for (unsigned n = 0; n < FILL_MAX; n++) {
        if (r->free == NULL || r->input != BULK_KEY || r->failed)
            return true;
        r->input = r->b->next(r->b->ctx, &key);
        if (r->input == BULK_KEY)
            bulk_take_key(r, key);
    }
    return false;
}

static void *bulk_writer(void *arg)
{
    struct run *r = arg;
    bool last = false;

    while (!last) {
        pthread_mutex_lock(&r->writer.lock);
        while (!r->writer.due && !r->writer.last)
            pthread_cond_wait(&r->writer.wake, &r->writer.lock);
        r->writer.due = false;
        last = r->writer.last;
        pthread_mutex_unlock(&r->writer.lock);
        if (!cache_flush(r->mx->store.cache, BATCH_WAIT_MS))
            r->writer.failures++;
    }
    return NULL;
}

/* All signals are for the caller's thread. 0 or an errno. */
static int bulk_start_writer(struct run *r)
{
    sigset_t all, old;
    int error;

    pthread_mutex_init(&r->writer.lock, NULL);
    pthread_cond_init(&r->writer.wake, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&r->writer.thread, NULL, bulk_writer, r);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

static void bulk_write(struct run *r, bool last)
{
    struct cache *cache = r->mx->store.cache;

    if (cache == NULL || (!last && r->now_ms < r->batch_ms + BATCH_MS &&
                          cache_pending(cache) < BATCH_ENTRIES))
        return;
    pthread_mutex_lock(&r->writer.lock);
    if (!r->writer.due || last)
        pthread_cond_signal(&r->writer.wake);
    r->writer.due = true;
    r->writer.last = last;
    pthread_mutex_unlock(&r->writer.lock);
    if (last)
        pthread_join(r->writer.thread, NULL);
    r->batch_ms = r->now_ms;
}

/* Until when DNS may be waited for. Answers in the queue are to be written in
   time, whoever waits for them. */
static uint64_t bulk_wait_until(const struct run *r, bool filled)
{
    uint64_t until_ms = r->now_ms + TICK_MS;

    if (!filled)
        return 0;
    if (bulk_is_behind(r))
        return r->now_ms + 1;
    if (r->mx->store.cache != NULL && cache_pending(r->mx->store.cache) > 0 &&
        r->batch_ms + BATCH_MS < until_ms)
        until_ms = r->batch_ms + BATCH_MS;
    return until_ms;
}

static void bulk_work(struct run *r)
{
    while (!r->stopped) {
        bool filled = bulk_fill(r);

        if (r->failed || (r->input == BULK_END && r->n_busy == 0))
            return;
        resolver_step(r->mx->dns.resolver, bulk_wait_until(r, filled),
                      r->input == BULK_LATER ? r->b->input_fd : -1);
        r->now_ms = clock_boot_ms();
        bulk_write(r, false);
        if (r->now_ms >= r->tick_ms) {
            r->stopped = !r->b->tick(r->b->ctx);
            r->tick_ms = r->now_ms + TICK_MS;
        }
    }
}

enum mxhop_status bulk_run(struct mxhop *mx, const struct bulk *b,
                           uint64_t *unwritten_r, struct mxhop_error *err)
{
    struct run r = {.mx = mx, .b = b};
    enum mxhop_status status;
    int error;

    *unwritten_r = 0;
    if (b->jobs < 1 || b->jobs > BULK_JOBS_MAX)
        return err_set(err, MXHOP_ERR_ARGUMENT, "bulk: jobs not 1 to %d",
                       BULK_JOBS_MAX);
    handle_open_cache(mx);
    status = handle_resolver(mx, err);
    if (status != MXHOP_OK)
        return status;
    r.jobs = calloc(b->jobs, sizeof(*r.jobs));
    if (r.jobs == NULL)
        return err_nomem(err);
    for (unsigned i = 0; i < b->jobs; i++) {
        r.jobs[i] = (struct job){.run = &r, .next_free = r.free};
        r.free = &r.jobs[i];
    }
    r.now_ms = r.batch_ms = clock_boot_ms();
    error = mx->store.cache != NULL ? bulk_start_writer(&r) : 0;
    if (error != 0) {
        free(r.jobs);
        return err_set(err, MXHOP_ERR_IO, "pthread_create: %s",
                       strerrordesc_np(error));
    }
    bulk_work(&r);
    bulk_write(&r, true);
    if (r.n_busy > 0) {
        resolver_close(&mx->dns.resolver);
        engine_close(&mx->dns.engine);
    }
    free(r.jobs);
    *unwritten_r = r.writer.failures;
    return r.failed ? err_nomem(err) : MXHOP_OK;
}
