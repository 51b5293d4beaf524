/*
 * worker_thread - the thread of a worker
 *
 * Takes names from the queue, at most WORKER_TASKS_MAX at a time, runs the
 * resolver on them, and goes on until it is told to stop. All signals are
 * blocked in it: they are for the host's thread. An eventfd wakes it from the
 * resolver's step, so that it never sleeps through a request or a stop.
 *
 * The thread owns engine and resolver while it runs. They are made before it
 * starts and freed after it has ended, both on the caller's thread, so that
 * the thread may be left behind at exit(3) at any instruction: it holds
 * nothing that somebody else would wait for but the worker's own lock.
 */

#include "dns/worker_int.h"

#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "util/clock.h"

#define STACK_BYTES (256 * 1024)
#define IDLE_MS     60000

void worker_wake(struct worker *w)
{
    uint64_t one = 1;

    /* It can only fail with EAGAIN: the descriptor is readable anyway. */
    if (write(w->wake_fd, &one, sizeof(one)) < 0)
        return;
}

static void drain_wakes(const struct worker *w)
{
    uint64_t count;

    if (read(w->wake_fd, &count, sizeof(count)) < 0)
        return; /* nobody woke us */
}

static void finish(struct job *job, struct mxset *result)
{
    struct worker *w = job->worker;

    w->n_running--;
    pthread_mutex_lock(&w->lock);
    job_done(job, result);
    pthread_mutex_unlock(&w->lock);
}

static void resolved(void *ctx, const char *name, struct mxset *set)
{
    (void)name;
    finish(ctx, set);
}

static void start_job(struct worker *w, struct job *job)
{
    uint64_t deadline_ms = clock_boot_ms() + w->options.timeout_ms;
    enum mxhop_status status;

    w->n_running++;
    if (job->is_host)
        status = resolver_start_host(w->resolver, job->name, deadline_ms,
                                     resolved, job);
    else
        status = resolver_start_domain(w->resolver, job->name,
                                       job->has_known ? &job->known : NULL,
                                       deadline_ms, resolved, job);
    if (status != MXHOP_OK)
        finish(job, NULL);
}

static struct job *take_job(struct worker *w)
{
    struct job *job = NULL;

    pthread_mutex_lock(&w->lock);
    if (w->new_servers)
        engine_set_servers(w->engine, &w->options.servers);
    w->new_servers = false;
    if (w->n_running < WORKER_TASKS_MAX)
        job = job_next(w);
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    struct job *job;

    for (;;) {
        drain_wakes(w); /* before looking what they were for */
        if (atomic_load(&w->stop))
            break;
        while ((job = take_job(w)) != NULL)
            start_job(w, job);
        resolver_step(w->resolver, clock_boot_ms() + IDLE_MS, w->wake_fd);
    }
    atomic_store(&w->ended, true);
    return NULL;
}

static bool create_thread(struct worker *w)
{
    sigset_t all, old;
    pthread_attr_t attr;
    int rc;

    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&w->thread, &attr, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

static void close_parts(struct worker *w)
{
    resolver_close(&w->resolver);
    engine_close(&w->engine);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    w->wake_fd = -1;
}

bool worker_start(struct worker *w)
{
    const struct worker_options *o = &w->options;

    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd >= 0 &&
        engine_open(&w->engine, &o->servers, NULL) == MXHOP_OK &&
        resolver_open(&w->resolver, w->engine, &o->owner, o->families, NULL) ==
            MXHOP_OK &&
        create_thread(w)) {
        w->pid = getpid();
        exit_enrol(w);
        return true;
    }
    close_parts(w);
    return false;
}

void worker_stop(struct worker *w)
{
    if (w->pid == 0)
        return;
    atomic_store(&w->stop, true);
    worker_wake(w);
    pthread_join(w->thread, NULL);
    exit_forget(w);
    w->pid = 0;
    close_parts(w);
}
