/*
 * waiters - who waits for MTA-STS policies
 *
 * Each delivery is a process of its own, and strangers' web servers may be
 * silent. Everybody may wait for two seconds, or strangers could keep others
 * from it. Only a fifth of all processes may wait for longer, for the domains
 * that were asked for last: a server that answers does so soon. A domain is
 * waited for once, however many messages there are for it, until the service
 * has had the time to say that its server is silent.
 *
 * So a file in the directory of the shared cache, which belongs to the user
 * that lookups run as, has the domains that are waited for, or were in vain. It
 * is read and written under a lock, which nobody holds for long, and where
 * somebody does nobody waits. Without such a directory nobody does either. A
 * process that ends counts until its domain's time is over.
 */

#include "handle/handle.h"
#include "util/clock.h"
#include "util/hash.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAITERS_FILE     "waiters"
#define WAITERS_DOMAINS  512 /* in the file: of more the oldest go */
#define WAITERS_A_DOMAIN 4
#define WAITERS_ALL_MS   2000
#define WAITERS_REST_MS  60000 /* until a domain is waited for again */
#define WAITERS_TRIES    100   /* of a millisecond */

struct waited {
    uint64_t domain; /* a hash */
    uint64_t since_ms;
    uint64_t n; /* processes */
};

struct waiters {
    int fd;
    uint64_t domain; /* the one that is asked about */
    uint64_t now_ms;
    struct waited v[WAITERS_DOMAINS];
    struct waited *own; /* NULL: it is not among them */
};

static bool waiters_lock(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* What does not hold any more is all zero then. */
static bool waiters_read(struct waiters *w, const struct mxhop *mx, int fd,
                         const char *domain)
{
    *w = (struct waiters){.fd = fd,
                          .domain = hash_bytes(0, domain, strlen(domain)),
                          .now_ms = clock_boot_ms()};
    if (pread(fd, w->v, sizeof(w->v), 0) < 0)
        return false;
    for (size_t i = 0; i < WAITERS_DOMAINS; i++) {
        struct waited *d = &w->v[i];

        if (d->since_ms > w->now_ms ||
            w->now_ms - d->since_ms >=
                mx->conf.mta_sts_wait_ms + WAITERS_REST_MS)
            *d = (struct waited){0};
        else if (d->domain == w->domain)
            w->own = d;
    }
    return true;
}

static bool waiters_write(const struct waiters *w)
{
    off_t at = (const char *)w->own - (const char *)w->v;

    return pwrite(w->fd, w->own, sizeof(*w->own), at) == sizeof(*w->own);
}

static bool waiters_is_later(const struct waited *a, const struct waited *b)
{
    return a->since_ms != b->since_ms ? a->since_ms > b->since_ms
                                      : a->domain > b->domain;
}

static bool waiters_may(const struct waiters *w, const struct mxhop *mx)
{
    uint64_t waited_ms = w->now_ms - w->own->since_ms, n = w->own->n;

    if (waited_ms >= mx->conf.mta_sts_wait_ms)
        return false;
    if (waited_ms < WAITERS_ALL_MS)
        return true;
    for (size_t i = 0; i < WAITERS_DOMAINS; i++)
        if (waiters_is_later(&w->v[i], w->own))
            n += w->v[i].n;
    return n <= mx->host.waiters_max;
}

static bool waiters_add(const struct mxhop *mx, int fd, const char *domain)
{
    struct waiters w;

    if (!waiters_read(&w, mx, fd, domain))
        return false;
    if (w.own == NULL) {
        w.own = w.v;
        for (size_t i = 1; i < WAITERS_DOMAINS; i++)
            if (waiters_is_later(w.own, &w.v[i]))
                w.own = &w.v[i];
        *w.own = (struct waited){.domain = w.domain, .since_ms = w.now_ms};
    }
    w.own->n++;
    return w.own->n <= min_u32(WAITERS_A_DOMAIN, mx->host.waiters_max) &&
           waiters_may(&w, mx) && waiters_write(&w);
}

int waiters_enter(const struct mxhop *mx, const char *domain)
{
    const struct timespec pause = {0, 1000000L};
    bool locked = false, in;
    int fd;

    if (mx->store.dir == NULL)
        return -1;
    fd = openat(mx->store.place.dir_fd, WAITERS_FILE,
                O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    for (int i = 0; !locked && i < WAITERS_TRIES; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        locked = waiters_lock(fd, F_WRLCK);
    }
    in = locked && waiters_add(mx, fd, domain);
    (void)waiters_lock(fd, F_UNLCK);
    if (in)
        return fd;
    close(fd);
    return -1;
}

bool waiters_may_stay(const struct mxhop *mx, int fd, const char *domain)
{
    struct waiters w;
    bool may = true; /* it is asked again soon */

    if (!waiters_lock(fd, F_RDLCK))
        return true;
    /* Of one that another process was answered for, this one hears, too. */
    if (waiters_read(&w, mx, fd, domain) && w.own != NULL)
        may = waiters_may(&w, mx);
    (void)waiters_lock(fd, F_UNLCK);
    return may;
}

void waiters_leave(const struct mxhop *mx, int fd, const char *domain,
                   bool in_vain)
{
    struct waiters w;

    if (!in_vain && waiters_lock(fd, F_WRLCK) &&
        waiters_read(&w, mx, fd, domain) && w.own != NULL) {
        *w.own = (struct waited){0};
        (void)waiters_write(&w);
    }
    close(fd); /* and the lock is gone */
}
