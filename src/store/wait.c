/*
 * wait - locks that are waited for until a given time
 *
 * The locks are tried again and again with short sleeps: a process that holds
 * one may be stopped, and blocking calls with a limit go by the wall clock,
 * which steps.
 *
 * The file lock is fcntl(2)'s classic one: it belongs to the process, a child
 * does not inherit it, and it goes with the process, however that dies. It
 * also goes when the process closes any other descriptor of the file.
 */

#include "store/wait.h"
#include "util/clock.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

bool wait_nap(uint64_t until_ms)
{
    static const struct timespec millisecond = {0, 1000000};

    if (clock_boot_ms() >= until_ms)
        return false;
    nanosleep(&millisecond, NULL);
    return true;
}

bool wait_mutex(pthread_mutex_t *m, uint64_t until_ms)
{
    while (pthread_mutex_trylock(m) != 0)
        if (!wait_nap(until_ms))
            return false;
    return true;
}

bool wait_file(int fd, uint64_t until_ms, long *pid_r)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    while (fcntl(fd, F_SETLK, &l) < 0) {
        if (wait_nap(until_ms))
            continue;
        if (fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK)
            *pid_r = (long)l.l_pid;
        return false;
    }
    return true;
}

void wait_file_done(int fd)
{
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    fcntl(fd, F_SETLK, &l);
}
