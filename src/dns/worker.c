/*
 * worker - a thread that asks the DNS for a process that must not wait
 *
 * The caller hands a name over and waits for the answer as long as it likes,
 * or not at all; the worker goes on in any case and tells the owner of the
 * caches what it learnt. A name is asked once at a time, whoever asks for it
 * joins (worker_tasks.c), in other processes too; who comes first is settled in
 * worker_round.c. The thread starts at the first name or
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

enum mxhop_status worker_open(struct worker **w_r,
                              const struct worker_options *options,
                              struct mxhop_error *err)
{
    struct worker *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;

    *w_r = NULL;
    if (w == NULL)
        return err_nomem(err);
    w->options = *options;
    w->wake_fd = -1;
    w->seed = clock_boot_ms() ^ (uintptr_t)w;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->done, &attr);
    pthread_condattr_destroy(&attr);
    w->peek_for_ms = WORKER_PEEK_FOR_MS;
    TAILQ_INIT(&w->queue);
    TAILQ_INIT(&w->failed);
    TAILQ_INIT(&w->elsewhere);
    *w_r = w;
    return MXHOP_OK;
}

/* A fork left the thread behind. */
static bool worker_is_orphan(const struct worker *w)
{
    return w->pid != 0 && w->pid != getpid();
}

void worker_close(struct worker **wp)
{
    struct worker *w = *wp;

    if (w != NULL && !worker_is_orphan(w)) {
        thread_stop(w); /* until then the thread may look at *wp */
        pthread_cond_destroy(&w->done);
        pthread_mutex_destroy(&w->lock);
        free(w);
    }
    *wp = NULL;
}

static bool worker_is_started(struct worker *w)
{
    return !atomic_load(&w->stop) && (w->pid != 0 || thread_start(w));
}

/* The task for a name, joined or new; NULL: refused. */
static struct task *worker_enter(struct worker *w, const char *name,
                                 bool is_host, const struct mxset *known,
                                 unsigned flags)
{
    struct task *t;

    if (!worker_is_started(w))
        return NULL;
    t = tasks_find(w, name, is_host);
    if (t != NULL)
        return t;
    t = tasks_add(w, name, is_host, known, flags);
    if (t != NULL)
        thread_wake(w);
    return t;
}

static enum worker_verdict worker_take_result(struct task *t,
                                              struct mxset *set_r)
{
    bool last = t->callers == 0;
    bool good = t->answered;

    if (good && last) {
        *set_r = t->set;
        t->set = (struct mxset){0};
    } else if (good) {
        good = mxset_copy(set_r, &t->set);
    }
    if (last)
        task_free(t);
    return good ? WORKER_DONE : WORKER_REFUSED;
}

static enum worker_verdict worker_wait_for(struct worker *w, struct task *t,
                                           uint32_t wait_ms,
                                           struct mxset *set_r)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (t->in_queue) {
        tasks_take(w, t);
        tasks_put(w, t, true);
    }
    t->callers++;
    while (t->state != TASK_DONE && rc == 0)
        rc = pthread_cond_timedwait(&w->done, &w->lock, &until);
    t->callers--;
    return t->state == TASK_DONE ? worker_take_result(t, set_r) : WORKER_LATE;
}

enum worker_verdict worker_domain(struct worker *w, const char *domain,
                                  const struct mxset *known, unsigned flags,
                                  uint32_t wait_ms, struct mxset *set_r)
{
    enum worker_verdict verdict = WORKER_REFUSED;
    struct task *t;

    *set_r = (struct mxset){0};
    if (worker_is_orphan(w))
        return WORKER_REFUSED;
    pthread_mutex_lock(&w->lock);
    t = worker_enter(w, domain, false, known,
                     wait_ms > 0 ? flags | WORKER_WAITED : flags);
    if (t != NULL)
        verdict =
            wait_ms == 0 ? WORKER_LATE : worker_wait_for(w, t, wait_ms, set_r);
    pthread_mutex_unlock(&w->lock);
    return verdict;
}

void worker_host(struct worker *w, const char *host)
{
    if (worker_is_orphan(w))
        return;
    pthread_mutex_lock(&w->lock);
    (void)worker_enter(w, host, true, NULL, 0);
    pthread_mutex_unlock(&w->lock);
}

void worker_set_servers(struct worker *w, const struct dns_servers *servers)
{
    if (worker_is_orphan(w))
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
    if (atomic_exchange(&w->flush_wanted, true) || worker_is_orphan(w))
        return;
    if (w->pid == 0) {
        pthread_mutex_lock(&w->lock);
        (void)worker_is_started(w); /* else it is done when it is, for a name */
        pthread_mutex_unlock(&w->lock);
    }
    if (w->pid != 0)
        thread_wake(w);
}

void worker_assume_open(struct worker *w, const char *address)
{
    if (worker_is_orphan(w))
        return;
    pthread_mutex_lock(&w->lock);
    if (w->n_assumed_open < DNS_SERVERS_MAX)
        snprintf(w->assumed_open[w->n_assumed_open++],
                 sizeof(w->assumed_open[0]), "%s", address);
    pthread_mutex_unlock(&w->lock);
}

size_t worker_servers(struct worker *w, struct engine_server *out, size_t cap)
{
    struct engine *engine;
    size_t n;

    if (worker_is_orphan(w))
        return 0;
    pthread_mutex_lock(&w->lock);
    if (w->pid == 0) {
        /* An engine of the moment knows how servers are called. */
        w->n_servers = 0;
        if (engine_open(&engine, &w->options.servers, NULL) == MXHOP_OK) {
            thread_note_servers(w, engine);
            engine_close(&engine);
        }
    }
    n = w->n_servers < cap ? w->n_servers : cap;
    memcpy(out, w->servers, n * sizeof(*out));
    pthread_mutex_unlock(&w->lock);
    return n;
}
