/*
 * env_file - what is checked and prepared before LMDB sees a file
 *
 * LMDB maps what it is given: a file that is shorter than its header says
 * kills the process with SIGBUS, a foreign one may do anything. Hence the two
 * meta pages are read and compared with the size first. (env writers keep the
 * file as long as the map, so that a whole file is never too short.)
 *
 * Files are created here, not by LMDB: with modes that do not depend on the
 * umask, never through a symbolic link, never one of another owner, in a
 * directory where nobody else can put files. The lock file is allocated in
 * full: a full file system is an error now and not SIGBUS later.
 *
 * A writer holds flock(2) on the data file, so that it never meets a file
 * that another is just creating. LMDB uses fcntl(2) locks on the lock file;
 * the two do not interfere. Everybody who may read the file can hold such a
 * lock, so nobody is waited for without end: a file that holds something is
 * in the care of LMDB's own lock, which only the MTA's group can take.
 */

#include "store/env.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define META_MAGIC   0xBEEFC0DEu
#define META_VERSION 1u
#define PAGE_META    0x08u
#define PAGE_MIN     256u
#define PAGE_MAX     65536u
#define NO_ROOT      SIZE_MAX
#define LOCK_TRIES   50 /* of a tenth of a second */

/* The start of a meta page, in the layout of this machine (LMDB files are
   not portable either). */
struct db_head {
    uint32_t pad; /* of the first: page size */
    uint16_t flags, depth;
    size_t branch, leaf, overflow, entries, root;
};

struct meta_page {
    size_t pgno;
    uint16_t pad, flags, lower, upper;
    uint32_t magic, version;
    void *address;
    size_t mapsize;
    struct db_head db[2];
    size_t last_page;
    size_t txn;
};

static bool root_sane(const struct meta_page *m, int i)
{
    return m->db[i].root == NO_ROOT || m->db[i].root <= m->last_page;
}

/* NULL, or what is wrong with the file. */
static const char *check_meta(int fd, off_t at, size_t size,
                              struct meta_page *m)
{
    size_t page;

    if (pread(fd, m, sizeof(*m), at) != (ssize_t)sizeof(*m))
        return "is cut short";
    if ((m->flags & PAGE_META) == 0 || m->magic != META_MAGIC)
        return "is not an LMDB file";
    if (m->version != META_VERSION)
        return "is an LMDB file of another version";
    page = m->db[0].pad;
    if (page < PAGE_MIN || page > PAGE_MAX || (page & (page - 1)) != 0 ||
        m->mapsize > ENV_MAP_MAX || !root_sane(m, 0) || !root_sane(m, 1))
        return "has a damaged header";
    if (m->last_page >= size / page)
        return "is cut short";
    return NULL;
}

const char *env_file_wrong(int fd, size_t size)
{
    struct meta_page m;
    const char *wrong = check_meta(fd, 0, size, &m);

    if (wrong != NULL)
        return wrong;
    return check_meta(fd, (off_t)m.db[0].pad, size, &m);
}

static bool lock_path(char *out, const char *path)
{
    size_t n = strlen(path);

    if (n + sizeof("-lock") > PATH_MAX)
        return false;
    memcpy(out, path, n);
    memcpy(out + n, "-lock", sizeof("-lock"));
    return true;
}

/* LMDB would create a missing lock file, with the reader as its owner, and
   write through a symbolic link. Only looked at: to open and close it would
   drop locks. */
static enum mxhop_status check_lock(const char *path, uid_t owner,
                                    struct mxhop_error *err)
{
    char lock[PATH_MAX];
    struct stat st;

    if (!lock_path(lock, path))
        return err_set(err, MXHOP_ERR_TABLE, "%s: path is too long", path);
    if (lstat(lock, &st) < 0)
        return err_set(err, MXHOP_ERR_TABLE, "%s: %s; " ENV_REMEDY_REFRESH,
                       lock, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != owner ||
        st.st_size < ENV_LOCK_MIN)
        return err_set(
            err, MXHOP_ERR_TABLE,
            "%s: is not a lock file; remove it and " ENV_REMEDY_REFRESH, lock);
    return MXHOP_OK;
}

static enum mxhop_status check_data(const char *path, int fd, struct stat *st_r,
                                    struct mxhop_error *err)
{
    const char *wrong;

    if (fstat(fd, st_r) < 0)
        return err_set(err, MXHOP_ERR_TABLE, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st_r->st_mode))
        return err_set(err, MXHOP_ERR_TABLE, "%s: is not a regular file", path);
    if (st_r->st_mode & S_IWOTH)
        return err_set(err, MXHOP_ERR_TABLE,
                       "%s: everybody may write to it; `chmod 0644 %s`", path,
                       path);
    if (st_r->st_size == 0)
        return err_set(err, MXHOP_ERR_TABLE,
                       "%s: is empty; " ENV_REMEDY_REFRESH, path);
    wrong = env_file_wrong(fd, (size_t)st_r->st_size);
    if (wrong != NULL)
        return err_set(err, MXHOP_ERR_TABLE,
                       "%s: %s; remove it and " ENV_REMEDY_REFRESH, path,
                       wrong);
    return check_lock(path, st_r->st_uid, err);
}

int env_file_check(const char *path, struct stat *st_r, struct mxhop_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        err_set(err, MXHOP_ERR_TABLE, "%s: %s; " ENV_REMEDY_REFRESH, path,
                strerror(errno));
        return -1;
    }
    if (check_data(path, fd, st_r, err) != MXHOP_OK) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- for writers ---- */

static enum mxhop_status io_error(struct mxhop_error *err, const char *path)
{
    return err_set(err, MXHOP_ERR_IO, "%s: %s", path, strerror(errno));
}

bool env_file_dir(char *out, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);

    if (n >= PATH_MAX)
        return false;
    memcpy(out, path, n);
    out[n] = '\0';
    if (n == 0)
        strcpy(out, slash == NULL ? "." : "/");
    return true;
}

static enum mxhop_status check_dir(const char *path, struct mxhop_error *err)
{
    char dir[PATH_MAX];
    struct stat st;

    if (!env_file_dir(dir, path))
        return err_set(err, MXHOP_ERR_ARGUMENT, "%s: path is too long", path);
    if (stat(dir, &st) < 0)
        return err_set(err, MXHOP_ERR_IO, "%s: %s; `install -d -m 0755 %s`",
                       dir, strerror(errno), dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, MXHOP_ERR_IO, "%s: is not a directory", dir);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(err, MXHOP_ERR_IO,
                       "%s: this directory belongs to uid %lu, who could put "
                       "links in our way; run the refresh as its owner",
                       dir, (unsigned long)st.st_uid);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: others may write to this directory; "
                       "`install -d -m 0755 %s`",
                       dir, dir);
    return MXHOP_OK;
}

/* Open or create a file of ours; *fd_r is -1 on error. */
static enum mxhop_status open_own(const char *path, mode_t mode, int *fd_r,
                                  struct stat *st_r, struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;

    *fd_r =
        open(path,
             O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
             mode);
    if (*fd_r < 0)
        return errno == ELOOP
                   ? err_set(err, MXHOP_ERR_IO,
                             "%s: is a symbolic link; remove it", path)
                   : io_error(err, path);
    if (fstat(*fd_r, st_r) < 0)
        status = io_error(err, path);
    else if (!S_ISREG(st_r->st_mode) || st_r->st_nlink != 1)
        status = err_set(err, MXHOP_ERR_IO,
                         "%s: is not a regular file with one name", path);
    else if (st_r->st_uid != geteuid())
        status = err_set(err, MXHOP_ERR_IO,
                         "%s: belongs to uid %lu, not to uid %lu; run the "
                         "refresh as its owner, or remove it",
                         path, (unsigned long)st_r->st_uid,
                         (unsigned long)geteuid());
    else if ((st_r->st_mode & 07777) != mode && fchmod(*fd_r, mode) < 0)
        status = io_error(err, path);
    if (status != MXHOP_OK) {
        close(*fd_r);
        *fd_r = -1;
    }
    return status;
}

/* Some seconds at most. *locked_r: whether fd is ours alone now. */
static enum mxhop_status lock_data(const char *path, int fd, bool *locked_r,
                                   struct mxhop_error *err)
{
    static const struct timespec tenth = {0, 100000000};
    int tries = 0;

    while (!(*locked_r = flock(fd, LOCK_EX | LOCK_NB) == 0)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return io_error(err, path);
        if (tries++ == LOCK_TRIES)
            break;
        nanosleep(&tenth, NULL);
    }
    return MXHOP_OK;
}

/* A file shorter than its two meta pages never held anything: what is left of
   a refresh that was killed while it created the file. */
static enum mxhop_status check_writable(const char *path, int fd, bool locked,
                                        bool *created_r,
                                        struct mxhop_error *err)
{
    struct meta_page m;
    const char *wrong;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return io_error(err, path);
    *created_r = st.st_size == 0;
    wrong = *created_r ? NULL : env_file_wrong(fd, (size_t)st.st_size);
    if (!locked && (*created_r || wrong != NULL))
        return err_set(err, MXHOP_ERR_IO,
                       "%s: another process has locked it; `fuser %s` tells "
                       "which",
                       path, path);
    if (wrong == NULL)
        return MXHOP_OK;
    if (st.st_size < 2 * sysconf(_SC_PAGESIZE) &&
        pread(fd, &m, sizeof(m), 0) == (ssize_t)sizeof(m) &&
        m.magic == META_MAGIC && m.txn == 0) {
        *created_r = true;
        return ftruncate(fd, 0) < 0 ? io_error(err, path) : MXHOP_OK;
    }
    return err_set(err, MXHOP_ERR_TABLE,
                   "%s: %s; remove it and " ENV_REMEDY_REFRESH " again", path,
                   wrong);
}

enum mxhop_status env_file_prepare(const char *path, int *fd_r, bool *created_r,
                                   struct mxhop_error *err)
{
    enum mxhop_status status = check_dir(path, err);
    struct stat st;
    bool locked = false;

    *fd_r = -1;
    if (status != MXHOP_OK)
        return status;
    status = open_own(path, 0644, fd_r, &st, err);
    if (status != MXHOP_OK)
        return status;
    status = lock_data(path, *fd_r, &locked, err);
    if (status == MXHOP_OK)
        status = check_writable(path, *fd_r, locked, created_r, err);
    if (status != MXHOP_OK) {
        close(*fd_r);
        *fd_r = -1;
    }
    return status;
}

enum mxhop_status env_file_prepare_lock(const char *path, gid_t gid,
                                        struct mxhop_error *err)
{
    enum mxhop_status status;
    char lock[PATH_MAX];
    struct stat st;
    int fd, rc = 0;

    if (!lock_path(lock, path))
        return err_set(err, MXHOP_ERR_ARGUMENT, "%s: path is too long", path);
    status = open_own(lock, 0660, &fd, &st, err);
    if (status != MXHOP_OK)
        return status;
    /* Who is not root may not be able to; readers then do without the file. */
    if (gid != (gid_t)-1 && st.st_gid != gid &&
        fchown(fd, (uid_t)-1, gid) < 0 && (errno != EPERM || geteuid() == 0))
        status = io_error(err, lock);
    else if (st.st_size == 0)
        rc = posix_fallocate(fd, 0, ENV_LOCK_BYTES);
    if (rc != 0)
        status = err_set(err, MXHOP_ERR_IO, "%s: %s", lock, strerror(rc));
    close(fd);
    return status;
}

enum mxhop_status env_file_sync_dir(const char *path, struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    char dir[PATH_MAX];
    int fd;

    if (!env_file_dir(dir, path))
        return err_set(err, MXHOP_ERR_ARGUMENT, "%s: path is too long", path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io_error(err, dir);
    (void)futimens(fd, NULL); /* a directory of another owner: no harm */
    if (fsync(fd) < 0)
        status = io_error(err, dir);
    close(fd);
    return status;
}
