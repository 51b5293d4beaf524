/*
 * worker_thread - the thread of a worker
 *
 * Begins a round (worker_round.c), runs the resolver, has what was learnt
 * written, reports what ended, and goes on until it is told to stop. All
 * signals are blocked in it: they are for the host's thread. An eventfd wakes
 * it from the resolver's step, so that it never sleeps through a request or a
 * stop; without one, and without work, it does not wake up.
 *
 * What others left to be written (worker_flush_soon()) may wait for
 * WORKER_FLUSH_GAP_MS, so that a caller that asks for it at every lookup costs
 * some 50 flushes and wakes a second, not one a lookup.
 *
 * The thread owns engine and resolver while it runs. They are made before it
 * starts and freed after it has ended, both on the caller's thread, so that
 * the thread may be left behind at exit(3) at any instruction: it holds
 * nothing that somebody else would wait for but the worker's own lock. The
 * state of the name servers is copied under that lock whenever it changes.
 */

#include "dns/worker_int.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "util/clock.h"

#define STACK_BYTES (256 * 1024)

void thread_wake(const struct worker *w)
{
    uint64_t one = 1;

    /* It can only fail with EAGAIN: the descriptor is readable anyway. */
    if (write(w->wake_fd, &one, sizeof(one)) < 0)
        return;
}

void thread_note_servers(struct worker *w, const struct engine *engine)
{
    w->n_servers = engine_server_count(engine);
    for (size_t i = 0; i < w->n_servers; i++)
        engine_server_get(engine, i, &w->servers[i]);
}

static void thread_server_changed(void *ctx, const struct engine_server *s)
{
    struct worker *w = ctx;
    const struct worker_store *store = &w->options.store;

    pthread_mutex_lock(&w->lock);
    thread_note_servers(w, w->engine);
    pthread_mutex_unlock(&w->lock);
    if (store->server_changed == NULL)
        return;
    w->resolver->told = true;
    store->server_changed(store->ctx, s);
}

static void thread_take_servers(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    if (w->new_servers) {
        engine_set_servers(w->engine, &w->options.servers);
        thread_note_servers(w, w->engine);
    }
    w->new_servers = false;
    pthread_mutex_unlock(&w->lock);
}

/* The flag falls before the flush begins: what is added later raises it
   again. */
static void thread_flush(struct worker *w, bool last)
{
    uint64_t now_ms = clock_boot_ms();
    bool wanted = (last || now_ms >= w->flush_after_ms) &&
                  atomic_exchange(&w->flush_wanted, false);

    if (!wanted && !w->resolver->told)
        return;
    if (wanted)
        w->flush_after_ms = now_ms + WORKER_FLUSH_GAP_MS;
    w->resolver->told = false;
    w->options.store.flush(w->options.store.ctx);
}

static void *thread_run(void *arg)
{
    struct worker *w = arg;
    uint64_t wakes;

    for (;;) {
        /* Before looking what they were for; fails if nobody woke us. */
        (void)!read(w->wake_fd, &wakes, sizeof(wakes));
        if (atomic_load(&w->stop))
            break;
        thread_take_servers(w);
        round_begin(w);
        resolver_run(w->resolver, round_until_ms(w), w->wake_fd);
        atomic_store(&w->down, engine_down(w->engine));
        thread_flush(w, false);
        round_report(w);
    }
    thread_flush(w, true);
    atomic_store(&w->ended, true);
    return NULL;
}

static bool thread_create(struct worker *w)
{
    sigset_t all, old;
    pthread_attr_t attr;
    int rc;

    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&w->thread, &attr, thread_run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

static void thread_close_parts(struct worker *w)
{
    resolver_close(&w->resolver);
    engine_close(&w->engine);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    w->wake_fd = -1;
}

static bool thread_open_parts(struct worker *w)
{
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0 ||
        engine_open(&w->engine, &w->options.servers, NULL) != MXHOP_OK ||
        resolver_open(&w->resolver, w->engine, &w->options.owner,
                      w->options.families, NULL) != MXHOP_OK)
        return false;
    w->new_servers = false;
    /* What was assumed is no news to the others: they said so. */
    for (size_t i = 0; i < w->n_assumed_open; i++)
        engine_assume_open(w->engine, w->assumed_open[i]);
    thread_note_servers(w, w->engine);
    atomic_store(&w->down, engine_down(w->engine));
    engine_watch_servers(w->engine, thread_server_changed, w);
    return true;
}

bool thread_start(struct worker *w)
{
    if (thread_open_parts(w) && thread_create(w)) {
        w->pid = getpid();
        exit_enrol(w);
        return true;
    }
    thread_close_parts(w);
    return false;
}

void thread_stop(struct worker *w)
{
    if (w->pid == 0)
        return;
    atomic_store(&w->stop, true);
    thread_wake(w);
    pthread_join(w->thread, NULL);
    exit_forget(w);
    w->pid = 0;
    tasks_free(w); /* what is started is the resolver's to free */
    thread_close_parts(w);
}
