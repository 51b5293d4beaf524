/*
 * worker - a thread that asks the DNS for a process that must not wait
 *
 * The caller hands a name over and waits for the answer as long as it likes,
 * or not at all; the worker goes on in any case and tells the owner of the
 * caches what it learnt (worker_store.c). A name is asked once at a time,
 * whoever asks for it joins (worker_job.c), in other processes too; who comes
 * first is settled in worker_round.c. The thread starts at the first name or
 * flush (worker_thread.c) and is stopped when the worker is closed or the
 * process exits (worker_exit.c).
 *
 * Any number of threads may ask at the same time; worker_close() must be the
 * only call. A caller is never held up by the thread for longer than wait_ms
 * and a few list operations: the lock is not held during any I/O.
 *
 * A process that forks takes no thread along: in the child every request is
 * refused, and closing frees nothing, since the fork may have happened in the
 * middle of a change.
 */

#include "dns/worker_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/err.h"

static void init_condition(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

enum mxhop_status worker_open(struct worker **w_r,
                              const struct worker_options *options,
                              struct mxhop_error *err)
{
    struct worker *w = calloc(1, sizeof(*w));

    *w_r = NULL;
    if (w == NULL)
        return err_nomem(err);
    w->options = *options;
    w->wake_fd = -1;
    w->seed = clock_boot_ms() ^ (uintptr_t)w;
    pthread_mutex_init(&w->lock, NULL);
    init_condition(&w->done);
    w->peek_for_ms = WORKER_PEEK_FOR_MS;
    TAILQ_INIT(&w->queue);
    TAILQ_INIT(&w->failed);
    TAILQ_INIT(&w->running);
    TAILQ_INIT(&w->elsewhere);
    TAILQ_INIT(&w->finished);
    *w_r = w;
    return MXHOP_OK;
}

/* A fork left the thread behind. */
static bool is_orphan(const struct worker *w)
{
    return w->pid != 0 && w->pid != getpid();
}

void worker_close(struct worker **wp)
{
    struct worker *w = *wp;

    if (w != NULL && !is_orphan(w)) {
        worker_stop(w); /* until then the thread may look at *wp */
        jobs_free(w);
        pthread_cond_destroy(&w->done);
        pthread_mutex_destroy(&w->lock);
        free(w);
    }
    *wp = NULL;
}

static bool is_started(struct worker *w)
{
    return !atomic_load(&w->stop) && (w->pid != 0 || worker_start(w));
}

/* The job for a name, joined or new; NULL: refused. */
static struct job *enter(struct worker *w, const char *name, bool is_host,
                         const struct mxset *known, unsigned flags)
{
    struct job *job;

    if (!is_started(w))
        return NULL;
    job = job_find(w, name, is_host);
    if (job != NULL)
        return job;
    job = job_add(w, name, is_host, known, flags);
    if (job != NULL)
        worker_wake(w);
    return job;
}

static struct timespec from_now(uint32_t ms)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += ms / 1000;
    ts.tv_nsec += (long)(ms % 1000) * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    return ts;
}

static enum worker_verdict take_result(struct job *job, struct mxset *set_r)
{
    bool last = job->waiters == 0;
    bool good = job->answered;

    if (good && last) {
        *set_r = job->result;
        job->result = (struct mxset){0};
    } else if (good) {
        good = mxset_copy(set_r, &job->result);
    }
    if (last)
        job_free(job);
    return good ? WORKER_DONE : WORKER_REFUSED;
}

static enum worker_verdict wait_for(struct worker *w, struct job *job,
                                    uint32_t wait_ms, struct mxset *set_r)
{
    struct timespec until = from_now(wait_ms);
    int rc = 0;

    job_hasten(job);
    job->waiters++;
    while (job->state != JOB_DONE && rc == 0)
        rc = pthread_cond_timedwait(&w->done, &w->lock, &until);
    job->waiters--;
    return job->state == JOB_DONE ? take_result(job, set_r) : WORKER_LATE;
}

enum worker_verdict worker_domain(struct worker *w, const char *domain,
                                  const struct mxset *known, unsigned flags,
                                  uint32_t wait_ms, struct mxset *set_r)
{
    enum worker_verdict verdict = WORKER_REFUSED;
    struct job *job;

    *set_r = (struct mxset){0};
    if (is_orphan(w))
        return WORKER_REFUSED;
    pthread_mutex_lock(&w->lock);
    job = enter(w, domain, false, known,
                wait_ms > 0 ? flags | WORKER_WAITED : flags);
    if (job != NULL)
        verdict = wait_ms == 0 ? WORKER_LATE : wait_for(w, job, wait_ms, set_r);
    pthread_mutex_unlock(&w->lock);
    return verdict;
}

void worker_host(struct worker *w, const char *host)
{
    if (is_orphan(w))
        return;
    pthread_mutex_lock(&w->lock);
    (void)enter(w, host, true, NULL, 0);
    pthread_mutex_unlock(&w->lock);
}

void worker_set_servers(struct worker *w, const struct dns_servers *servers)
{
    if (is_orphan(w))
        return;
    pthread_mutex_lock(&w->lock);
    w->options.servers = *servers;
    w->new_servers = true;
    pthread_mutex_unlock(&w->lock);
}

bool worker_down(const struct worker *w)
{
    return atomic_load(&w->down);
}

void worker_flush_soon(struct worker *w)
{
    /* The thread will see what was added before this. First of all: asking
       whether this is an orphan is a system call. */
    if (atomic_exchange(&w->flush_wanted, true) || is_orphan(w))
        return;
    if (w->pid == 0) {
        pthread_mutex_lock(&w->lock);
        (void)is_started(w); /* else it is done when it is, for a name */
        pthread_mutex_unlock(&w->lock);
    }
    if (w->pid != 0)
        worker_wake(w);
}

void worker_assume_open(struct worker *w, const char *address)
{
    if (is_orphan(w))
        return;
    pthread_mutex_lock(&w->lock);
    if (w->n_assumed_open < DNS_SERVERS_MAX)
        snprintf(w->assumed_open[w->n_assumed_open++],
                 sizeof(w->assumed_open[0]), "%s", address);
    pthread_mutex_unlock(&w->lock);
}

/* An engine of the moment knows how servers are called. */
static void note_unused_servers(struct worker *w)
{
    struct engine *engine;

    w->n_servers = 0;
    if (engine_open(&engine, &w->options.servers, NULL) != MXHOP_OK)
        return;
    store_note_servers(w, engine);
    engine_close(&engine);
}

size_t worker_servers(struct worker *w, struct engine_server *out, size_t cap)
{
    size_t n;

    if (is_orphan(w))
        return 0;
    pthread_mutex_lock(&w->lock);
    if (w->pid == 0)
        note_unused_servers(w);
    n = w->n_servers < cap ? w->n_servers : cap;
    memcpy(out, w->servers, n * sizeof(*out));
    pthread_mutex_unlock(&w->lock);
    return n;
}
