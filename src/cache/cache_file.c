/*
 * cache_file - the directory of the DNS cache, whose it is, and the file in it
 *
 * The MTA's user owns the directory and the files in it, and could put links
 * there for root to follow. So root makes the directory where it is missing,
 * and looks at nothing in it: a daemon that begins as root keeps a descriptor
 * of the directory above, and goes through that once it is the owner, in a jail
 * or not. The new, empty directory is given away through a descriptor, in a
 * place where only root can put things; under its final name it is never seen
 * with another owner.
 */

#include "cache/cache_file.h"
#include "util/err.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define WRITABLE_BY_OTHERS (S_IWGRP | S_IWOTH)

static enum mxhop_status place_failed(struct mxhop_error *err, const char *path)
{
    return err_set(err, MXHOP_ERR_IO, "%s: %s", path, strerrordesc_np(errno));
}

static void place_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* fd: of the directory above, whose path is `up`. */
static enum mxhop_status place_make_as_root(const struct cache_place *p, int fd,
                                            const char *up, gid_t gid,
                                            struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    char made[32];
    struct stat st;
    int new;

    if (fstat(fd, &st) < 0)
        return place_failed(err, up);
    if (st.st_uid != 0 || (st.st_mode & WRITABLE_BY_OTHERS) != 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: others than root may write here, so nothing is "
                       "made in it; `chown root %s && chmod go-w %s`",
                       up, up, up);
    snprintf(made, sizeof(made), ".mxhop-%ld", (long)getpid());
    if (mkdirat(fd, made, 0700) < 0)
        return place_failed(err, p->dir);
    new = openat(fd, made, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (new < 0 || fchown(new, p->uid, gid) < 0 || fchmod(new, 0700) < 0 ||
        renameat2(fd, made, fd, p->base, RENAME_NOREPLACE) < 0) {
        if (errno != EEXIST) /* another process may have been faster */
            status = place_failed(err, p->dir);
        unlinkat(fd, made, AT_REMOVEDIR);
    }
    place_close_fd(&new);
    return status;
}

/* The directory above, as root, who makes it where it is missing. */
static enum mxhop_status place_open_up(struct cache_place *p, const char *up,
                                       struct mxhop_error *err)
{
    char above[PATH_MAX], way[PATH_MAX];
    const char *base = strrchr(up, '/') + 1;
    int fd;

    p->up_fd = file_open_dir(up, way);
    if (p->up_fd >= 0)
        return MXHOP_OK;
    if (errno == ENOENT) {
        snprintf(above, sizeof(above), "%.*s", (int)(base - up), up);
        fd = file_open_dir(above, way);
        if (fd >= 0) {
            bool made = mkdirat(fd, base, 0755) == 0;

            p->up_fd = openat(fd, base,
                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (made && p->up_fd >= 0)
                (void)fchmod(p->up_fd, 0755); /* whatever the umask */
            place_close_fd(&fd);
            return p->up_fd >= 0 ? MXHOP_OK : place_failed(err, up);
        }
    }
    if (errno != 0)
        return place_failed(err, up);
    return err_set(err, MXHOP_ERR_IO,
                   "%s: %s does not belong to root alone, and who may write "
                   "there could lead us elsewhere; `chown root %s && chmod "
                   "go-w %s`",
                   p->dir, way, way, way);
}

enum mxhop_status cache_place_find(struct cache_place *p_r, const char *dir,
                                   uid_t uid, gid_t gid,
                                   struct mxhop_error *err)
{
    struct cache_place *p = p_r;
    size_t len = strlen(dir);
    char up[PATH_MAX];
    enum mxhop_status status = MXHOP_OK;
    struct stat st;
    char *slash;

    *p = (struct cache_place){.uid = uid, .up_fd = -1, .dir_fd = -1};
    while (len > 1 && dir[len - 1] == '/')
        len--;
    if (dir[0] != '/' || len < 2 || len >= sizeof(p->dir))
        return err_set(err, MXHOP_ERR_ARGUMENT, "%s: not a path", dir);
    memcpy(p->dir, dir, len);
    slash = strrchr(p->dir, '/');
    p->base = slash + 1;
    snprintf(up, sizeof(up), "%.*s",
             slash == p->dir ? 1 : (int)(slash - p->dir), p->dir);
    p->boot = live_boot();
    if (p->boot == 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: without /proc/sys/kernel/random/boot_id a cache "
                       "cannot be told from one of another boot",
                       p->dir);
    if (geteuid() == 0) {
        status = place_open_up(p, up, err);
        if (status != MXHOP_OK)
            return status;
        if (fstatat(p->up_fd, p->base, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return MXHOP_OK;
        if (errno != ENOENT)
            return place_failed(err, p->dir);
        return place_make_as_root(p, p->up_fd, up, gid, err);
    }
    if (mkdir(p->dir, 0700) < 0 && errno != EEXIST)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: cannot make this directory: %s; as root: `install "
                       "-d -o %lu -m 0700 %s`",
                       p->dir, strerrordesc_np(errno), (unsigned long)uid,
                       p->dir);
    p->up_fd = open(up, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return p->up_fd >= 0 ? MXHOP_OK : place_failed(err, up);
}

/* fd: of the directory itself. */
static enum mxhop_status place_check(const struct cache_place *p, int fd,
                                     struct mxhop_error *err)
{
    struct stat st, up;

    if (fstat(fd, &st) < 0 || fstat(p->up_fd, &up) < 0)
        return place_failed(err, p->dir);
    if (st.st_uid != p->uid)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: belongs to uid %lu, not to uid %lu; `chown -R %lu "
                       "%s`, or set cache_owner",
                       p->dir, (unsigned long)st.st_uid, (unsigned long)p->uid,
                       (unsigned long)p->uid, p->dir);
    if ((st.st_mode & WRITABLE_BY_OTHERS) != 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: others may write to this directory; `chmod 0700 "
                       "%s`",
                       p->dir, p->dir);
    if (up.st_uid != 0 && (geteuid() == 0 || up.st_uid != p->uid))
        return err_set(err, MXHOP_ERR_IO,
                       "%s: the directory above it belongs to uid %lu, who "
                       "could replace it; `chown root %s/..`",
                       p->dir, (unsigned long)up.st_uid, p->dir);
    if ((up.st_mode & WRITABLE_BY_OTHERS) != 0 && (up.st_mode & S_ISVTX) == 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: others may write to the directory above it; "
                       "`chmod go-w %s/..`",
                       p->dir, p->dir);
    return MXHOP_OK;
}

static int place_open_dir(const struct cache_place *p, struct mxhop_error *err)
{
    int fd = openat(p->up_fd, p->base,
                    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        place_failed(err, p->dir);
    else if (place_check(p, fd, err) != MXHOP_OK)
        place_close_fd(&fd);
    return fd;
}

enum mxhop_status cache_place_open(struct cache_place *p, uint64_t size_bytes,
                                   struct live **t_r, const char **warning_r,
                                   struct mxhop_error *err)
{
    struct mxhop_error why;
    struct statfs fs;
    enum mxhop_status status;

    *t_r = NULL;
    *warning_r = NULL;
    p->dir_fd = place_open_dir(p, err);
    if (p->dir_fd < 0)
        return MXHOP_ERR_IO;
    if (fstatfs(p->dir_fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC &&
        fs.f_type != RAMFS_MAGIC)
        *warning_r = "is not on a tmpfs: whoever writes to it may wait for the "
                     "disk, and so may mail";
    status =
        live_open_file(t_r, p->dir_fd, CACHE_FILE, size_bytes, p->boot, &why);
    if (status != MXHOP_OK)
        return err_set(err, status, "%s/%s", p->dir, why.text);
    return MXHOP_OK;
}

void cache_place_renew(struct cache_place *p)
{
    struct mxhop_error err;
    struct stat old, st;
    int fd = place_open_dir(p, &err);

    if (fd >= 0 && fstat(fd, &st) == 0 && fstat(p->dir_fd, &old) == 0 &&
        (st.st_ino != old.st_ino || st.st_dev != old.st_dev))
        (void)dup3(fd, p->dir_fd, O_CLOEXEC);
    place_close_fd(&fd);
}

void cache_place_close(struct cache_place *p)
{
    place_close_fd(&p->up_fd);
    place_close_fd(&p->dir_fd);
}
