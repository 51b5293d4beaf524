/*
 * worker_exit - end the worker threads when the process does
 *
 * Postfix daemons leave by exit(3), some from a signal handler, and never
 * close their tables. Then the C library runs destructors while a worker may
 * still use what they destroy. So each running worker is in a list of the
 * process, and an atexit(3) handler tells all of them to stop and waits for
 * them, at most EXIT_WAIT_MS in all. What is still running then is left to
 * its fate: it bears ending at any instruction.
 *
 * The list, its lock and the once-flag are the only mutable globals here.
 * They cannot be avoided: atexit(3) passes no argument, and a handler can be
 * registered but not withdrawn, hence once a process and not once a worker.
 *
 * The handler may interrupt, on the same thread, somebody who holds a lock,
 * so it takes none without a limit, and takes none of a worker's: stop and
 * end are atomic flags, waking is a write(2). A forked child has no thread to
 * wait for. Nothing is freed.
 */

#include "dns/worker_int.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "util/clock.h"

#define EXIT_WAIT_MS 50

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, worker) running = LIST_HEAD_INITIALIZER(running);
static pthread_once_t registered = PTHREAD_ONCE_INIT;

static void nap(void)
{
    const struct timespec ts = {.tv_nsec = 1000000};

    nanosleep(&ts, NULL);
}

static bool lock_until(uint64_t deadline_ms)
{
    while (pthread_mutex_trylock(&list_lock) != 0) {
        if (clock_boot_ms() >= deadline_ms)
            return false;
        nap();
    }
    return true;
}

static void wait_ended(struct worker *w, uint64_t deadline_ms)
{
    while (!atomic_load(&w->ended) && clock_boot_ms() < deadline_ms)
        nap();
}

static void stop_all(void)
{
    uint64_t deadline_ms = clock_boot_ms() + EXIT_WAIT_MS;
    pid_t pid = getpid();
    struct worker *w;

    if (!lock_until(deadline_ms))
        return;
    for (w = LIST_FIRST(&running); w != NULL; w = LIST_NEXT(w, exit_link)) {
        if (w->pid != pid)
            continue;
        atomic_store(&w->stop, true);
        worker_wake(w);
    }
    for (w = LIST_FIRST(&running); w != NULL; w = LIST_NEXT(w, exit_link))
        if (w->pid == pid)
            wait_ended(w, deadline_ms);
    pthread_mutex_unlock(&list_lock);
}

static void register_handler(void)
{
    /* Without it exit(3) just does not wait for the threads. */
    (void)atexit(stop_all);
}

void exit_enrol(struct worker *w)
{
    pthread_once(&registered, register_handler);
    pthread_mutex_lock(&list_lock);
    LIST_INSERT_HEAD(&running, w, exit_link);
    pthread_mutex_unlock(&list_lock);
}

void exit_forget(struct worker *w)
{
    pthread_mutex_lock(&list_lock);
    LIST_REMOVE(w, exit_link);
    pthread_mutex_unlock(&list_lock);
}
