/*
 * env_cache - the LMDB environment of the DNS cache
 *
 * Three files in a directory of the MTA's user: the data, the lock file that
 * LMDB names after it, and the state, which tells what the data is good for
 * and is locked by who writes (kv_lmdb.c) or opens. Whatever is doubtful is
 * thrown away under that lock, never mended: it is a cache. Who cannot have
 * the lock, because somebody was stopped while writing, uses what is there if
 * it is plausible.
 *
 * Data that is thrown away is unlinked and made anew under another inode, so
 * that processes that have it open go on with what they have.
 *
 * The opener may be root, and the files another user's: nothing of the data
 * but the two checked meta pages is looked at here. The data file is as long
 * as the map (a hole, not memory), so that a whole file is never too short for
 * the pages that its header counts; the lock file is allocated in full, so
 * that a full file system is an error here and not SIGBUS later.
 *
 * No file is opened before the registry was asked for the data file: closing
 * a descriptor drops the process's locks on the file.
 */

#include "store/env_dir.h"
#include "store/env_impl.h"
#include "store/env_state.h"
#include "store/wait.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOCK_WAIT_MS 500

struct opening {
    const char *dir;
    uid_t uid;
    size_t map_bytes;
    int dir_fd, data, lock, state;
    struct stat data_st, lock_st;
    bool locked; /* we have the state file */
    long holder; /* else who has it, 0: not known */
    struct env_state now;
    uint64_t seed;
    const char *note;
    struct mxhop_error *err;
};

uint64_t env_seed(const struct env *e)
{
    return e->seed;
}

static enum mxhop_status failed(const struct opening *o, const char *name,
                                int error)
{
    return err_set(o->err, MXHOP_ERR_IO, "%s/%s: %s", o->dir, name,
                   strerror(error));
}

static enum mxhop_status busy(const struct opening *o)
{
    return err_set(o->err, MXHOP_ERR_IO,
                   "%s: process %ld has locked it and does not go on; is it "
                   "stopped?",
                   o->dir, o->holder);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static enum mxhop_status file(struct opening *o, const char *name, int flags,
                              int *fd_r, struct stat *st_r)
{
    return env_dir_file(o->dir_fd, o->dir, name, flags, o->uid, fd_r, st_r,
                        o->err);
}

/* ---- what is there ---- */

/* The state file, locked if that can be had. It may have been removed while
   we waited for it. */
static enum mxhop_status lock_state(struct opening *o)
{
    uint64_t until = clock_boot_ms() + LOCK_WAIT_MS;
    enum mxhop_status status;
    struct stat st, named;

    for (;;) {
        status = file(o, ENV_CACHE_STATE, O_CREAT, &o->state, &st);
        if (status != MXHOP_OK)
            return status;
        o->locked = wait_file(o->state, until, &o->holder);
        if (!o->locked ||
            (fstatat(o->dir_fd, ENV_CACHE_STATE, &named, AT_SYMLINK_NOFOLLOW) ==
                 0 &&
             named.st_dev == st.st_dev && named.st_ino == st.st_ino))
            return MXHOP_OK;
        close_fd(&o->state);
        if (!wait_nap(until))
            return failed(o, ENV_CACHE_STATE, EAGAIN);
    }
}

/* NULL: usable. Else why not; "" where there never was anything. */
static const char *judge(struct opening *o)
{
    o->now.ino = o->data < 0 ? 0 : (uint64_t)o->data_st.st_ino;
    switch (env_state_read(o->state, &o->now, &o->seed)) {
    case ENV_STATE_GOOD:
        break;
    case ENV_STATE_EMPTY:
        return o->data < 0 ? "" : "data without its state was thrown away";
    case ENV_STATE_OTHER_VERSION:
        return "data of another version was thrown away";
    case ENV_STATE_OTHER_BOOT:
        return "data of an earlier boot was thrown away";
    case ENV_STATE_OTHER_DATA:
        return o->data < 0 ? "" : "data from elsewhere was thrown away";
    default:
        return "data with a damaged state was thrown away";
    }
    return env_file_wrong(o->data, (size_t)o->data_st.st_size) == NULL
               ? NULL
               : "damaged data was thrown away";
}

static enum mxhop_status start_anew(struct opening *o, const char *why)
{
    static const char *const names[] = {ENV_CACHE_DATA, ENV_CACHE_LOCK};
    enum mxhop_status status;

    close_fd(&o->data);
    close_fd(&o->lock);
    for (int i = 0; i < 2; i++)
        if (unlinkat(o->dir_fd, names[i], 0) < 0 && errno != ENOENT)
            return failed(o, names[i], errno);
    status = file(o, ENV_CACHE_DATA, O_CREAT | O_EXCL, &o->data, &o->data_st);
    if (status != MXHOP_OK)
        return status;
    o->now.ino = (uint64_t)o->data_st.st_ino;
    if (!env_state_write(o->state, &o->now))
        return failed(o, ENV_CACHE_STATE, errno);
    o->seed = o->now.seed;
    o->note = *why == '\0' ? NULL : why;
    return MXHOP_OK;
}

/* LMDB waits without end for one who is just opening the file alone. */
static bool lmdb_would_wait(struct opening *o)
{
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};

    if (fcntl(o->lock, F_GETLK, &l) < 0 || l.l_type == F_UNLCK)
        return false;
    o->holder = (long)l.l_pid;
    return true;
}

static enum mxhop_status prepare_lock(struct opening *o)
{
    enum mxhop_status status = MXHOP_OK;
    int rc;

    if (o->lock < 0 && o->locked)
        status =
            file(o, ENV_CACHE_LOCK, O_CREAT | O_EXCL, &o->lock, &o->lock_st);
    if (status != MXHOP_OK)
        return status;
    if (o->lock < 0)
        return busy(o);
    rc = o->locked ? posix_fallocate(o->lock, 0, ENV_LOCK_BYTES) : 0;
    if (rc != 0)
        return failed(o, ENV_CACHE_LOCK, rc);
    if (lmdb_would_wait(o) || (!o->locked && o->lock_st.st_size < ENV_LOCK_MIN))
        return busy(o);
    return MXHOP_OK;
}

static enum mxhop_status prepare(struct opening *o)
{
    enum mxhop_status status = env_state_new(&o->now, o->err);
    struct rlimit limit;
    const char *wrong;

    /* To exceed it would be a signal. */
    if (status == MXHOP_OK && getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
        limit.rlim_cur < o->map_bytes)
        return failed(o, ENV_CACHE_DATA, EFBIG);
    if (status == MXHOP_OK)
        status = lock_state(o);
    if (status == MXHOP_OK)
        status = file(o, ENV_CACHE_DATA, 0, &o->data, &o->data_st);
    if (status == MXHOP_OK)
        status = file(o, ENV_CACHE_LOCK, 0, &o->lock, &o->lock_st);
    if (status != MXHOP_OK)
        return status;
    wrong = judge(o);
    if (wrong != NULL && !o->locked)
        return busy(o);
    if (wrong != NULL)
        status = start_anew(o, wrong);
    return status == MXHOP_OK ? prepare_lock(o) : status;
}

/* ---- LMDB ---- */

static int compare_keys(const MDB_val *a, const MDB_val *b)
{
    uint64_t x, y;

    memcpy(&x, a->mv_data, sizeof(x));
    memcpy(&y, b->mv_data, sizeof(y));
    return x < y ? -1 : x > y;
}

/* Touches meta pages and the table of readers, nothing else. */
static int set_order(struct env *e)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(e->lmdb, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &e->dbi[0]);
    if (rc == 0)
        rc = mdb_set_compare(txn, e->dbi[0], compare_keys);
    mdb_txn_abort(txn);
    return rc;
}

static int open_lmdb(struct opening *o, struct env *e)
{
    size_t length = (size_t)o->data_st.st_size;
    int fd, rc;

    /* Only who has the lock may make the file longer. A larger cache of
       before is not cut: it needs room to become smaller. */
    if (length > o->map_bytes || !o->locked)
        o->map_bytes = length;
    rc = mdb_env_set_mapsize(e->lmdb, o->map_bytes);
    if (rc == 0)
        rc = env_lmdb_open(e, MDB_NOSYNC | MDB_NOMETASYNC, 0600);
    if (rc == 0)
        rc = mdb_env_get_fd(e->lmdb, &fd);
    if (rc == 0 && length < o->map_bytes && ftruncate(fd, (off_t)o->map_bytes))
        rc = errno;
    return rc == 0 ? set_order(e) : rc;
}

static enum mxhop_status open_new(struct opening *o, struct env **e_r)
{
    enum mxhop_status status = prepare(o);
    char path[PATH_MAX];
    struct env *e;
    int rc;

    if (status != MXHOP_OK)
        return status;
    snprintf(path, sizeof(path), "%s/%s", o->dir, ENV_CACHE_DATA);
    e = env_new(path, &o->data_st);
    if (e == NULL)
        return err_nomem(o->err);
    e->use = ENV_CACHE;
    e->seed = o->seed;
    close_fd(&o->data);
    close_fd(&o->lock);
    rc = open_lmdb(o, e);
    if (rc != 0)
        status = rc == ENOMEM
                     ? err_nomem(o->err)
                     : err_set(o->err, rc > 0 ? MXHOP_ERR_IO : MXHOP_ERR_TABLE,
                               "%s: %s", path, mdb_strerror(rc));
    else if (!env_same_file(e))
        status = err_set(o->err, MXHOP_ERR_IO,
                         "%s: was replaced while it was opened", path);
    if (status != MXHOP_OK) {
        env_free(e);
        return status;
    }
    if (o->locked)
        wait_file_done(o->state);
    e->fd = o->state;
    o->state = -1;
    env_registry_add(e);
    *e_r = e;
    return MXHOP_OK;
}

/* Under the registry's lock and with the ids of the owner. */
static enum mxhop_status open_or_share(struct opening *o, struct env **e_r)
{
    struct stat st;

    o->dir_fd = env_dir_open(o->dir, o->uid, o->err);
    if (o->dir_fd < 0)
        return MXHOP_ERR_IO;
    if (fstatat(o->dir_fd, ENV_CACHE_DATA, &st, AT_SYMLINK_NOFOLLOW) == 0)
        *e_r = env_registry_find(&st);
    if (*e_r == NULL)
        return open_new(o, e_r);
    if ((*e_r)->use != ENV_CACHE) {
        *e_r = NULL;
        return err_set(o->err, MXHOP_ERR_TABLE,
                       "%s/%s: is the override table, not the DNS cache",
                       o->dir, ENV_CACHE_DATA);
    }
    (*e_r)->refs++;
    return MXHOP_OK;
}

enum mxhop_status env_open_cache(struct env **e_r, const char *dir, uid_t uid,
                                 gid_t gid, size_t map_bytes,
                                 const char **note_r, struct mxhop_error *err)
{
    struct opening o = {.dir = dir,
                        .uid = uid,
                        .map_bytes = map_bytes,
                        .dir_fd = -1,
                        .data = -1,
                        .lock = -1,
                        .state = -1,
                        .err = err};
    enum mxhop_status status;
    struct env_ids ids;

    *e_r = NULL;
    env_registry_lock();
    /* Refuse before anything is made. */
    status = env_ids_take(&ids, dir, uid, gid, err);
    env_ids_restore(&ids);
    if (status == MXHOP_OK)
        status = env_dir_make(dir, uid, gid, err);
    if (status == MXHOP_OK)
        status = env_ids_take(&ids, dir, uid, gid, err);
    if (status == MXHOP_OK)
        status = open_or_share(&o, e_r);
    env_ids_restore(&ids);
    close_fd(&o.data);
    close_fd(&o.lock);
    close_fd(&o.state);
    close_fd(&o.dir_fd);
    env_registry_unlock();
    *note_r = o.note;
    return status;
}
