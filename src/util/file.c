/*
 * file - reading a file that an administrator named
 *
 * Often as root, and whatever the path names by now: a FIFO without a writer
 * or a terminal must not hold or take over the process. Where root writes, a
 * link on the way must not lead it elsewhere.
 */

#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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

#define FILE_LINKS 40 /* on one way, as the kernel has it */

/* Whether only root can put something else in place of what is in there. */
static bool file_is_kept(const struct stat *dir, bool sticky)
{
    return dir->st_uid == 0 && ((dir->st_mode & (S_IWGRP | S_IWOTH)) == 0 ||
                                (sticky && (dir->st_mode & S_ISVTX) != 0));
}

int file_open_dir(const char *path, char way_r[PATH_MAX])
{
    char rest[PATH_MAX], target[PATH_MAX], name[NAME_MAX + 1];
    int at, next = -1, why = ENAMETOOLONG, links = 0;
    bool root = geteuid() == 0;
    size_t way = 0;
    struct stat dir, st;

    way_r[0] = '\0';
    at = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -1;
    if (fstat(at, &dir) != 0) {
        why = errno;
        goto fail;
    }
    if (snprintf(rest, sizeof(rest), "%s", path) >= (int)sizeof(rest))
        goto fail;
    for (;;) {
        const char *from = rest + strspn(rest, "/");
        size_t n = strcspn(from, "/");

        if (n == 0)
            return at;
        if (n > NAME_MAX || way + 1 + n >= PATH_MAX)
            goto fail;
        memcpy(name, from, n);
        name[n] = '\0';
        from += n;
        next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 || fstat(next, &st) != 0) {
            why = errno;
            goto fail;
        }
        why = 0;
        if (root && !file_is_kept(&dir, true))
            goto fail;
        snprintf(way_r + way, PATH_MAX - way, "/%s", name);
        if (S_ISLNK(st.st_mode)) {
            ssize_t len = readlinkat(next, "", target, sizeof(target) - 1);

            if (root && (!file_is_kept(&dir, false) || st.st_uid != 0))
                goto fail;
            why = len < 0 ? errno : ++links > FILE_LINKS ? ELOOP : ENAMETOOLONG;
            if (len < 0 || links > FILE_LINKS ||
                (size_t)len + strlen(from) >= sizeof(target))
                goto fail;
            strcpy(target + len, from);
            strcpy(rest, target);
            way_r[way] = '\0';
            close(next);
            next = -1;
            if (rest[0] != '/')
                continue;
            way = 0;
            next = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
            if (next < 0 || fstat(next, &st) != 0) {
                why = errno;
                goto fail;
            }
        } else {
            why = ENOTDIR;
            if (!S_ISDIR(st.st_mode))
                goto fail;
            way += 1 + n;
            memmove(rest, from, strlen(from) + 1);
        }
        close(at);
        at = next;
        dir = st;
        next = -1;
        why = ENAMETOOLONG;
    }
fail:
    if (way_r[0] == '\0')
        strcpy(way_r, path[0] == '/' ? "/" : ".");
    if (next >= 0)
        close(next);
    close(at);
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
