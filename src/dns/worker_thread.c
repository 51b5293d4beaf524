/*
 * worker_thread - the thread of a worker
 *
 * Begins a round (worker_round.c), runs the resolver, writes what was learnt
 * (worker_store.c), reports what ended, and goes on until it is told to stop.
 * All signals are blocked in it: they are for the host's thread. An eventfd
 * wakes it from the resolver's step, so that it never sleeps through a request
 * or a stop; without one, and without work, it does not wake up.
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

#define STACK_BYTES (256 * 1024)

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

static void take_servers(struct worker *w)
{
    struct dns_servers servers;
    bool changed;

    pthread_mutex_lock(&w->lock);
    servers = w->options.servers;
    changed = w->new_servers;
    w->new_servers = false;
    pthread_mutex_unlock(&w->lock);
    if (!changed)
        return;
    engine_set_servers(w->engine, &servers);
    pthread_mutex_lock(&w->lock);
    store_note_servers(w, w->engine);
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
    struct worker *w = arg;

    for (;;) {
        drain_wakes(w); /* before looking what they were for */
        if (atomic_load(&w->stop))
            break;
        take_servers(w);
        round_begin(w);
        resolver_step(w->resolver, round_until_ms(w), w->wake_fd);
        atomic_store(&w->down, engine_down(w->engine));
        store_flush(w, false);
        round_report(w);
    }
    store_flush(w, true);
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

static bool open_parts(struct worker *w)
{
    const struct resolver_owner owner = store_owner(w);

    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0 ||
        engine_open(&w->engine, &w->options.servers, NULL) != MXHOP_OK)
        return false;
    w->new_servers = false;
    store_watch_servers(w);
    return resolver_open(&w->resolver, w->engine, &owner, w->options.families,
                         NULL) == MXHOP_OK;
}

bool worker_start(struct worker *w)
{
    if (open_parts(w) && create_thread(w)) {
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
