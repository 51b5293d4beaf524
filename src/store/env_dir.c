/*
 * env_dir - the directory of the DNS cache and whose it is
 *
 * The MTA's user owns the directory and the files in it, and could put links
 * there for root to follow. So root uses the files under the file system ids
 * of that user (they belong to the thread, and files opened so grant nothing
 * that the user has not), and never gives a file away. The one thing that it
 * gives away is a new, empty directory, through a descriptor, in a place where
 * only root can put things; under its final name it is never seen with another
 * owner.
 */

#include "store/env_dir.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#define WRITABLE_BY_OTHERS (S_IWGRP | S_IWOTH)

static enum mxhop_status failed(struct mxhop_error *err, const char *path)
{
    return err_set(err, MXHOP_ERR_IO, "%s: %s", path, strerror(errno));
}

/* Without closing slashes. */
static bool copy_path(char *out, const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0 || n >= PATH_MAX)
        return false;
    memcpy(out, path, n);
    out[n] = '\0';
    return true;
}

/* Split in place; a path without slash is in ".". */
static const char *split_path(char *path, const char **parent_r)
{
    char *slash = strrchr(path, '/');

    *parent_r = slash == NULL ? "." : slash == path ? "/" : path;
    if (slash == NULL)
        return path;
    *slash = '\0';
    return slash + 1;
}

/* ---- making it ---- */

/* The parent, 0755 whatever the umask where it is made; or -1 with err. */
static int open_parent(const char *parent, struct mxhop_error *err)
{
    bool made = mkdir(parent, 0755) == 0;
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        failed(err, parent);
    } else if (st.st_uid != 0 || (st.st_mode & WRITABLE_BY_OTHERS) != 0) {
        err_set(err, MXHOP_ERR_IO,
                "%s: others than root may write here, so nothing is made in "
                "it; `chown root %s && chmod go-w %s`",
                parent, parent, parent);
    } else if (made && fchmod(fd, 0755) < 0) {
        failed(err, parent);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool give_away(int parent_fd, const char *name, uid_t uid, gid_t gid)
{
    int fd = openat(parent_fd, name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool good = fd >= 0 && fchown(fd, uid, gid) == 0 && fchmod(fd, 0700) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

static enum mxhop_status make_as_root(const char *dir, uid_t uid, gid_t gid,
                                      struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    const char *parent, *base;
    char path[PATH_MAX], made[32];
    int fd;

    if (!copy_path(path, dir))
        return err_set(err, MXHOP_ERR_ARGUMENT, "%s: not a path", dir);
    base = split_path(path, &parent);
    fd = open_parent(parent, err);
    if (fd < 0)
        return MXHOP_ERR_IO;
    snprintf(made, sizeof(made), ".mxhop-%ld", (long)getpid());
    if (mkdirat(fd, made, 0700) < 0) {
        status = failed(err, dir);
    } else if (!give_away(fd, made, uid, gid) ||
               renameat2(fd, made, fd, base, RENAME_NOREPLACE) < 0) {
        /* Another process may have been faster. */
        if (errno != EEXIST)
            status = failed(err, dir);
        unlinkat(fd, made, AT_REMOVEDIR);
    }
    close(fd);
    return status;
}

enum mxhop_status env_dir_make(const char *dir, uid_t uid, gid_t gid,
                               struct mxhop_error *err)
{
    struct stat st;

    if (lstat(dir, &st) == 0)
        return MXHOP_OK;
    if (errno != ENOENT)
        return failed(err, dir);
    if (geteuid() == 0)
        return make_as_root(dir, uid, gid, err);
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return MXHOP_OK;
    return err_set(err, MXHOP_ERR_IO,
                   "%s: cannot make this directory: %s; as root: `install -d "
                   "-o %lu -m 0700 %s`",
                   dir, strerror(errno), (unsigned long)uid, dir);
}

/* ---- using it ---- */

static enum mxhop_status check_dir(int fd, const char *dir, uid_t uid,
                                   struct mxhop_error *err)
{
    struct stat st, up;

    if (fstat(fd, &st) < 0)
        return failed(err, dir);
    if (st.st_uid != uid)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: belongs to uid %lu, not to uid %lu; `chown -R %lu "
                       "%s`, or set cache_owner",
                       dir, (unsigned long)st.st_uid, (unsigned long)uid,
                       (unsigned long)uid, dir);
    if ((st.st_mode & WRITABLE_BY_OTHERS) != 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: others may write to this directory; `chmod 0700 "
                       "%s`",
                       dir, dir);
    /* Not before: another user's directory may be closed to us. */
    if (fstatat(fd, "..", &up, 0) < 0)
        return failed(err, dir);
    if (up.st_uid != 0 && (geteuid() == 0 || up.st_uid != uid))
        return err_set(err, MXHOP_ERR_IO,
                       "%s: the directory above it belongs to uid %lu, who "
                       "could replace it; `chown root %s/..`",
                       dir, (unsigned long)up.st_uid, dir);
    if ((up.st_mode & WRITABLE_BY_OTHERS) != 0 && (up.st_mode & S_ISVTX) == 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: others may write to the directory above it; "
                       "`chmod go-w %s/..`",
                       dir, dir);
    return MXHOP_OK;
}

int env_dir_open(const char *dir, uid_t uid, struct mxhop_error *err)
{
    char path[PATH_MAX];
    int fd;

    if (!copy_path(path, dir)) {
        err_set(err, MXHOP_ERR_ARGUMENT, "%s: not a path", dir);
        return -1;
    }
    fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        failed(err, dir);
        return -1;
    }
    if (check_dir(fd, dir, uid, err) == MXHOP_OK)
        return fd;
    close(fd);
    return -1;
}

static enum mxhop_status check_file(const struct stat *st, const char *path,
                                    uid_t uid, struct mxhop_error *err)
{
    if (!S_ISREG(st->st_mode) || st->st_nlink != 1)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: is not a regular file with one name; remove it",
                       path);
    if (st->st_uid != uid)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: belongs to uid %lu, not to uid %lu; remove it",
                       path, (unsigned long)st->st_uid, (unsigned long)uid);
    if ((st->st_mode & WRITABLE_BY_OTHERS) != 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: others may write to it; remove it", path);
    return MXHOP_OK;
}

enum mxhop_status env_dir_file(int dir_fd, const char *dir, const char *name,
                               int flags, uid_t uid, int *fd_r,
                               struct stat *st_r, struct mxhop_error *err)
{
    enum mxhop_status status;
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    *fd_r =
        openat(dir_fd, name,
               O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags,
               0600);
    if (*fd_r < 0 && errno == ENOENT && (flags & O_CREAT) == 0)
        return MXHOP_OK;
    if (*fd_r < 0)
        return errno == ELOOP
                   ? err_set(err, MXHOP_ERR_IO,
                             "%s: is a symbolic link; remove it", path)
                   : failed(err, path);
    status = fstat(*fd_r, st_r) < 0 ? failed(err, path)
                                    : check_file(st_r, path, uid, err);
    if (status != MXHOP_OK) {
        close(*fd_r);
        *fd_r = -1;
    }
    return status;
}

/* ---- ids ---- */

enum mxhop_status env_ids_take(struct env_ids *ids, const char *dir, uid_t uid,
                               gid_t gid, struct mxhop_error *err)
{
    uid_t me = geteuid();

    ids->switched = false;
    if (uid == me)
        return MXHOP_OK;
    if (me == 0) {
        ids->switched = true;
        ids->gid = (gid_t)setfsgid(gid);
        ids->uid = (uid_t)setfsuid(uid);
        /* They tell of no failure, but what it was before. */
        if ((gid_t)setfsgid(gid) == gid && (uid_t)setfsuid(uid) == uid)
            return MXHOP_OK;
        env_ids_restore(ids);
    }
    return err_set(err, MXHOP_ERR_IO,
                   "%s: is for uid %lu, and this process, with uid %lu, may "
                   "not use it; run it as root or as uid %lu, or set "
                   "cache_owner",
                   dir, (unsigned long)uid, (unsigned long)me,
                   (unsigned long)uid);
}

void env_ids_restore(struct env_ids *ids)
{
    if (!ids->switched)
        return;
    setfsuid(ids->uid);
    setfsgid(ids->gid);
    ids->switched = false;
}
