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
 * exit_once but not withdrawn, hence once a process and not once a worker.
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

static pthread_mutex_t exit_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, worker) exit_list = LIST_HEAD_INITIALIZER(exit_list);
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void exit_nap(void)
{
    const struct timespec ts = {.tv_nsec = 1000000};

    nanosleep(&ts, NULL);
}

static bool exit_lock_until(uint64_t deadline_ms)
{
    while (pthread_mutex_trylock(&exit_lock) != 0) {
        if (clock_boot_ms() >= deadline_ms)
            return false;
        exit_nap();
    }
    return true;
}

static void exit_wait(struct worker *w, uint64_t deadline_ms)
{
    while (!atomic_load(&w->ended) && clock_boot_ms() < deadline_ms)
        exit_nap();
}

static void exit_stop_all(void)
{
    uint64_t deadline_ms = clock_boot_ms() + EXIT_WAIT_MS;
    pid_t pid = getpid();
    struct worker *w;

    if (!exit_lock_until(deadline_ms))
        return;
    for (w = LIST_FIRST(&exit_list); w != NULL; w = LIST_NEXT(w, exit_link)) {
        if (w->pid != pid)
            continue;
        atomic_store(&w->stop, true);
        thread_wake(w);
    }
    for (w = LIST_FIRST(&exit_list); w != NULL; w = LIST_NEXT(w, exit_link))
        if (w->pid == pid)
            exit_wait(w, deadline_ms);
    pthread_mutex_unlock(&exit_lock);
}

static void exit_register(void)
{
    /* Without it exit(3) just does not wait for the threads. */
    (void)atexit(exit_stop_all);
}

void exit_enrol(struct worker *w)
{
    pthread_once(&exit_once, exit_register);
    pthread_mutex_lock(&exit_lock);
    LIST_INSERT_HEAD(&exit_list, w, exit_link);
    pthread_mutex_unlock(&exit_lock);
}

void exit_forget(struct worker *w)
{
    pthread_mutex_lock(&exit_lock);
    LIST_REMOVE(w, exit_link);
    pthread_mutex_unlock(&exit_lock);
}
