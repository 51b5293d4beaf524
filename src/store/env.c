/*
 * env - LMDB environments
 *
 * LMDB keeps its locks with fcntl(2), which forgets all of a process's locks
 * on a file when any descriptor of it is closed: two environments on one file
 * in a process, one of them closed, lose the locks and then commits. Hence
 * this registry, the one mutable global of the library: one environment per
 * (device, inode), counted, under a mutex. It also keeps readers and a writer
 * of one process apart, because a read-only environment cannot serve a writer.
 *
 * A child of fork(2) may not use what its parent opened, not even close it
 * (it would free the parent's reader slots). A page that the kernel wipes in
 * children tells, without a system call: there an environment is refused, and
 * closing it only forgets it.
 *
 * Readers use MDB_NOTLS: the slot belongs to the transaction, so that several
 * tables on one environment can be used by one thread. env->lock guards the
 * count of running transactions: the map may be moved only when there is none.
 */

#include "store/env_dir.h"
#include "store/env_impl.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    struct env *first;
} registry = {PTHREAD_MUTEX_INITIALIZER, NULL};

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

MDB_env *env_lmdb(const struct env *e)
{
    return e->lmdb;
}

MDB_dbi env_dbi(const struct env *e, size_t i)
{
    return e->dbi[i];
}

const char *env_path(const struct env *e)
{
    return e->path;
}

bool env_is_file(const struct env *e, const struct stat *st)
{
    return e->dev == st->st_dev && e->ino == st->st_ino;
}

void env_registry_lock(void)
{
    pthread_mutex_lock(&registry.lock);
}

void env_registry_unlock(void)
{
    pthread_mutex_unlock(&registry.lock);
}

/* ---- making and unmaking one ---- */

void env_free(struct env *e)
{
    if (e->lmdb != NULL)
        mdb_env_close(e->lmdb);
    if (e->own != NULL)
        munmap((void *)e->own, page_size());
    if (e->fd >= 0)
        close(e->fd);
    pthread_mutex_destroy(&e->lock);
    pthread_mutex_destroy(&e->write);
    free(e->path);
    free(e);
}

struct env *env_new(const char *path, const struct stat *st)
{
    struct env *e = calloc(1, sizeof(*e));
    void *own;

    if (e == NULL)
        return NULL;
    e->fd = -1;
    e->refs = 1;
    e->dev = st->st_dev;
    e->ino = st->st_ino;
    pthread_mutex_init(&e->lock, NULL); /* never fails with glibc */
    pthread_mutex_init(&e->write, NULL);
    e->path = strdup(path);
    own = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (own != MAP_FAILED)
        e->own = own;
    if (e->path == NULL || e->own == NULL ||
        madvise(own, page_size(), MADV_WIPEONFORK) < 0 ||
        mdb_env_create(&e->lmdb) != 0) {
        env_free(e);
        return NULL;
    }
    *e->own = 1;
    return e;
}

struct env *env_registry_find(const struct stat *st)
{
    struct env *e = registry.first;

    while (e != NULL &&
           (e->dev != st->st_dev || e->ino != st->st_ino || *e->own == 0))
        e = e->next;
    return e;
}

void env_registry_add(struct env *e)
{
    e->next = registry.first;
    registry.first = e;
}

bool env_same_file(const struct env *e)
{
    struct stat st;
    int fd;

    return mdb_env_get_fd(e->lmdb, &fd) == 0 && fstat(fd, &st) == 0 &&
           st.st_dev == e->dev && st.st_ino == e->ino;
}

/* LMDB leaves its data file open for programs that the host executes, which in
   Exim run as the user whose mail is piped to them. */
static int close_on_exec(const struct env *e)
{
    int fd, rc = mdb_env_get_fd(e->lmdb, &fd);

    if (rc == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        rc = errno;
    return rc;
}

int env_lmdb_open(struct env *e, unsigned flags, mode_t mode)
{
    int rc = mdb_env_set_maxdbs(e->lmdb, ENV_MAX_DBS);

    if (rc == 0)
        rc = mdb_env_set_maxreaders(e->lmdb, ENV_MAX_READERS);
    if (rc == 0)
        rc = mdb_env_open(e->lmdb, e->path, MDB_NOSUBDIR | MDB_NOTLS | flags,
                          mode);
    if (rc == 0)
        rc = close_on_exec(e);
    if (rc == 0)
        rc = mdb_reader_check(e->lmdb, NULL);
    return rc;
}

/* ---- readers ---- */

/*
 * The user that refresh runs as can put another file, or a link, in the place
 * of one that was looked at, and LMDB writes to its lock file. So root opens
 * a table in that user's directory under that user's ids: what the user could
 * not write itself is safe. Jailed daemons keep what they opened as root.
 */
static enum mxhop_status take_ids(struct env_ids *ids, const char *path,
                                  struct mxhop_error *err)
{
    char dir[PATH_MAX];
    struct stat st;

    ids->switched = false;
    if (geteuid() != 0 || !env_file_dir(dir, path) || stat(dir, &st) < 0 ||
        st.st_uid == 0)
        return MXHOP_OK;
    return env_ids_take(ids, dir, st.st_uid, st.st_gid, err);
}

/*
 * A user who may not use the lock file reads without it: postmap -q by an
 * administrator who is not root, a refresh by someone who cannot give the file
 * to the MTA's group. Pages of the snapshot are not used again before two more
 * commits, each of which waits for the disk; a lookup takes microseconds.
 */
static int lmdb_open_reader(struct env *e)
{
    int rc = env_lmdb_open(e, MDB_RDONLY, 0644);

    if (rc != EACCES)
        return rc;
    mdb_env_close(e->lmdb);
    e->lmdb = NULL;
    rc = mdb_env_create(&e->lmdb);
    return rc != 0 ? rc : env_lmdb_open(e, MDB_RDONLY | MDB_NOLOCK, 0644);
}

static enum mxhop_status open_dbs(struct env *e, const char *const *names,
                                  size_t n, struct mxhop_error *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(e->lmdb, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return env_reader_error(err, e->path, "opening", rc);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = mdb_dbi_open(txn, names[i], 0, &e->dbi[i]);
    if (rc == 0)
        rc = mdb_txn_commit(txn); /* keeps the handles */
    else
        mdb_txn_abort(txn);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
        return err_set(err, MXHOP_ERR_TABLE,
                       "%s: holds no override table; " ENV_REMEDY_REFRESH,
                       e->path);
    if (rc != 0)
        return env_reader_error(err, e->path, "opening", rc);
    return MXHOP_OK;
}

static enum mxhop_status open_new(struct env **e_r, const char *path,
                                  const struct stat *st,
                                  const char *const *names, size_t n,
                                  struct mxhop_error *err)
{
    enum mxhop_status status;
    struct env *e = env_new(path, st);
    int rc;

    if (e == NULL)
        return err_nomem(err);
    rc = lmdb_open_reader(e);
    if (rc != 0)
        status = env_reader_error(err, path, "opening", rc);
    else if (!env_same_file(e))
        status = err_set(err, MXHOP_ERR_TABLE,
                         "%s: was replaced while it was opened", path);
    else
        status = open_dbs(e, names, n, err);
    if (status != MXHOP_OK) {
        env_free(e);
        return status;
    }
    env_registry_add(e);
    *e_r = e;
    return MXHOP_OK;
}

static enum mxhop_status open_or_share(struct env **e_r, const char *path,
                                       const char *const *names, size_t n,
                                       struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    struct stat st;
    int fd = env_file_check(path, &st, err);

    if (fd < 0)
        return MXHOP_ERR_TABLE;
    *e_r = env_registry_find(&st);
    if (*e_r == NULL) {
        status = open_new(e_r, path, &st, names, n, err);
    } else if ((*e_r)->use == ENV_WRITER) {
        *e_r = NULL;
        status = err_set(err, MXHOP_ERR_TABLE,
                         "%s: this process is writing it; try again", path);
    } else if ((*e_r)->use == ENV_CACHE) {
        *e_r = NULL;
        status = err_set(err, MXHOP_ERR_TABLE,
                         "%s: is the DNS cache, not an override table", path);
    } else {
        (*e_r)->refs++;
    }
    close(fd);
    return status;
}

enum mxhop_status env_open(struct env **e_r, const char *path,
                           const char *const *names, size_t n,
                           struct mxhop_error *err)
{
    enum mxhop_status status;
    struct env_ids ids;

    *e_r = NULL;
    status = take_ids(&ids, path, err);
    if (status != MXHOP_OK)
        return status;
    env_registry_lock();
    status = open_or_share(e_r, path, names, n, err);
    env_registry_unlock();
    env_ids_restore(&ids);
    return status;
}

void env_close(struct env **ep)
{
    struct env *e = *ep, **p = &registry.first;

    if (e == NULL)
        return;
    *ep = NULL;
    if (*e->own == 0)
        return; /* the parent's: not ours to close */
    env_registry_lock();
    if (--e->refs == 0) {
        while (*p != e)
            p = &(*p)->next;
        *p = e->next;
        env_free(e);
    }
    env_registry_unlock();
}

/* ---- the writer ---- */

/* Under the registry's lock; takes fd. */
static enum mxhop_status open_for_writing(struct env **e_r, const char *path,
                                          gid_t gid, int fd, bool created,
                                          struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    struct env *e = NULL;
    struct stat st;
    int rc;

    if (fstat(fd, &st) < 0)
        status = err_set(err, MXHOP_ERR_IO, "%s: %s", path, strerror(errno));
    else if (env_registry_find(&st) != NULL)
        status = err_set(err, MXHOP_ERR_ARGUMENT,
                         "%s: this process has it open for reading", path);
    else
        status = env_file_prepare_lock(path, gid, err);
    if (status == MXHOP_OK && (e = env_new(path, &st)) == NULL)
        status = err_nomem(err);
    if (status != MXHOP_OK) {
        close(fd);
        return status;
    }
    e->fd = fd;
    e->use = ENV_WRITER;
    rc = created ? mdb_env_set_mapsize(e->lmdb, ENV_MAP_FIRST) : 0;
    if (rc == 0)
        rc = env_lmdb_open(e, 0, 0644);
    if (rc != 0)
        status = env_error(err, path, "opening", rc);
    else if (!env_same_file(e))
        status = err_set(err, MXHOP_ERR_IO,
                         "%s: was replaced while it was opened", path);
    if (status != MXHOP_OK) {
        env_free(e);
        return status;
    }
    env_registry_add(e);
    *e_r = e;
    return MXHOP_OK;
}

enum mxhop_status env_open_writer(struct env **e_r, const char *path, gid_t gid,
                                  struct mxhop_error *err)
{
    enum mxhop_status status;
    bool created;
    int fd;

    *e_r = NULL;
    status = env_file_prepare(path, &fd, &created, err);
    if (status != MXHOP_OK)
        return status;
    env_registry_lock();
    status = open_for_writing(e_r, path, gid, fd, created, err);
    env_registry_unlock();
    return status;
}
