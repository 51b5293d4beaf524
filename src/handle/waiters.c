/*
 * waiters - how many processes wait for MTA-STS policies
 *
 * Each delivery is a process of its own, and a stranger's web server may be
 * silent. So only a few wait for one domain, and some in all: the rest goes on
 * without waiting.
 *
 * A place is a lock on one octet of a file in the directory of the shared
 * cache, which belongs to the user that lookups run as: nobody else can take
 * all places. The kernel gives a place back when its process ends. Where there
 * is no such directory nobody can be counted, and nobody waits.
 */

#include "handle/handle.h"
#include "util/hash.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define WAITERS_FILE     "waiters"
#define WAITERS_A_DOMAIN 4
#define WAITERS_DOMAINS  (1ull << 32) /* where those of domains begin */

static bool waiters_lock(int fd, uint64_t from, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct flock lock = {.l_type = F_WRLCK,
                             .l_whence = SEEK_SET,
                             .l_start = (off_t)(from + i),
                             .l_len = 1};

        if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
            return true;
    }
    return false;
}

int waiters_enter(const struct mxhop *mx, const char *domain)
{
    uint64_t hash = hash_bytes(0, domain, strlen(domain)) >> 8; /* an off_t */
    int fd;

    if (mx->store.dir == NULL)
        return -1;
    fd = openat(mx->store.place.dir_fd, WAITERS_FILE,
                O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (waiters_lock(fd, WAITERS_DOMAINS + hash * WAITERS_A_DOMAIN,
                     WAITERS_A_DOMAIN) &&
        waiters_lock(fd, 0, mx->host.waiters_max))
        return fd;
    close(fd);
    return -1;
}
