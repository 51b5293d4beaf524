/*
 * file - reading a file that an administrator named
 *
 * Often as root, and whatever the path names by now: a FIFO without a writer
 * or a terminal must not hold or take over the process.
 */

#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int file_open(const char *path, struct stat *st_r)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int why;

    if (fd < 0 || (fstat(fd, st_r) == 0 && S_ISREG(st_r->st_mode)))
        return fd;
    why = fstat(fd, st_r) == 0 ? 0 : errno;
    close(fd);
    errno = why;
    return -1;
}

ssize_t file_read(int fd, void *to, size_t room)
{
    size_t n = 0;

    while (n < room) {
        ssize_t got = read(fd, (char *)to + n, room - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}
