/*
 * env_state - what the data of the DNS cache is good for
 *
 * Times in the cache count from the boot of the machine, so data of an earlier
 * boot (the directory need not be in memory) would be taken for fresh. Keys
 * are hashes with a random seed, which goes with the data and has to be the
 * same in all processes.
 *
 * Data that somebody put in the place of ours may be sound and is still not
 * what the state tells of, nor what the lock file counts: so the inode number
 * of the data is kept, too.
 *
 * The file is not portable, as the data is not.
 */

#include "store/env_state.h"
#include "util/err.h"
#include "util/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static const unsigned char magic[8] = "mxhopdc";

static uint64_t checksum(const struct env_state *s)
{
    return hash_bytes(ENV_STATE_VERSION, s, offsetof(struct env_state, check));
}

static bool read_boot_id(struct env_state *s)
{
    int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, s->boot_id, sizeof(s->boot_id));
    int error = errno;

    if (fd >= 0)
        close(fd);
    errno = n == 0 ? ENODATA : error;
    return n > 0;
}

enum mxhop_status env_state_new(struct env_state *s, struct mxhop_error *err)
{
    memset(s, 0, sizeof(*s));
    memcpy(s->magic, magic, sizeof(magic));
    s->version = ENV_STATE_VERSION;
    if (!read_boot_id(s))
        return err_set(err, MXHOP_ERR_IO,
                       "%s: %s; without it a cache cannot "
                       "be told from one of another boot",
                       BOOT_ID, strerror(errno));
    if (getrandom(&s->seed, sizeof(s->seed), 0) != (ssize_t)sizeof(s->seed))
        return err_set(err, MXHOP_ERR_IO, "getrandom: %s", strerror(errno));
    return MXHOP_OK;
}

enum env_state_verdict env_state_read(int fd, const struct env_state *now,
                                      uint64_t *seed_r)
{
    struct env_state s;
    ssize_t n = pread(fd, &s, sizeof(s), 0);

    if (n == 0)
        return ENV_STATE_EMPTY;
    if (n != (ssize_t)sizeof(s) ||
        memcmp(s.magic, now->magic, sizeof(s.magic)) != 0)
        return ENV_STATE_DAMAGED;
    if (s.version != now->version)
        return ENV_STATE_OTHER_VERSION;
    if (s.check != checksum(&s))
        return ENV_STATE_DAMAGED;
    if (memcmp(s.boot_id, now->boot_id, sizeof(s.boot_id)) != 0)
        return ENV_STATE_OTHER_BOOT;
    if (s.ino != now->ino)
        return ENV_STATE_OTHER_DATA;
    *seed_r = s.seed;
    return ENV_STATE_GOOD;
}

bool env_state_write(int fd, struct env_state *s)
{
    ssize_t n;

    s->check = checksum(s);
    n = pwrite(fd, s, sizeof(*s), 0);
    if (n >= 0 && n < (ssize_t)sizeof(*s))
        errno = ENOSPC;
    return n == (ssize_t)sizeof(*s);
}
