/*
 * env_txn - read transactions of an environment, and LMDB's errors
 *
 * A transaction is begun once and then reset and renewed: that needs no
 * system call. Where another process made the file larger than our map, the
 * map is moved, which is possible only while no transaction of this process
 * runs; other threads are waited for, some milliseconds.
 */

#include "store/env_impl.h"
#include "util/err.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define RESIZE_TRIES 20 /* of a millisecond */

enum mxhop_status env_error(struct mxhop_error *err, const char *path,
                            const char *what, int rc)
{
    if (rc == ENOMEM)
        return err_nomem(err);
    if (rc == MDB_READERS_FULL)
        return err_set(err, MXHOP_ERR_TABLE,
                       "%s: %s: more than %d processes have it open", path,
                       what, ENV_MAX_READERS);
    if (rc > 0) /* errno */
        return err_set(err, MXHOP_ERR_IO, "%s: %s: %s", path, what,
                       strerror(rc));
    return err_set(err, MXHOP_ERR_TABLE,
                   "%s: %s: %s; remove it and " ENV_REMEDY_REFRESH, path, what,
                   mdb_strerror(rc));
}

enum mxhop_status env_reader_error(struct mxhop_error *err, const char *path,
                                   const char *what, int rc)
{
    if (rc > 0 && rc != ENOMEM)
        return err_set(err, MXHOP_ERR_TABLE, "%s: %s: %s", path, what,
                       strerror(rc));
    return env_error(err, path, what, rc);
}

/* ---- read transactions ---- */

static int begin_or_renew(struct env *e, MDB_txn **txn)
{
    int rc;

    if (*txn != NULL) {
        rc = mdb_txn_renew(*txn);
        if (rc != MDB_BAD_RSLOT)
            return rc;
        /* Another process took us for dead and cleared the slot, which may
           be someone else's now: only forget it. */
        *txn = NULL;
    }
    return mdb_txn_begin(e->lmdb, NULL, MDB_RDONLY, txn);
}

/* Another process made the file larger than our map. Under e->lock. */
static int adopt_map(struct env *e)
{
    static const struct timespec millisecond = {0, 1000000};
    int rc;

    for (int i = 0; e->active > 0; i++) {
        if (i == RESIZE_TRIES)
            return MDB_MAP_RESIZED;
        pthread_mutex_unlock(&e->lock);
        nanosleep(&millisecond, NULL);
        pthread_mutex_lock(&e->lock);
    }
    if (e->broken)
        return ENOMEM;
    rc = mdb_env_set_mapsize(e->lmdb, 0);
    e->broken = rc != 0;
    return rc;
}

enum mxhop_status env_begin(struct env *e, MDB_txn **txn,
                            struct mxhop_error *err)
{
    int rc;

    if (*e->own == 0)
        return err_set(err, MXHOP_ERR_TABLE, "%s: was opened before a fork",
                       e->path);
    pthread_mutex_lock(&e->lock);
    rc = e->broken ? ENOMEM : begin_or_renew(e, txn);
    if (rc == MDB_MAP_RESIZED) {
        rc = adopt_map(e);
        if (rc == 0)
            rc = begin_or_renew(e, txn);
    }
    if (rc == 0)
        e->active++;
    pthread_mutex_unlock(&e->lock);
    return rc == 0 ? MXHOP_OK : env_reader_error(err, e->path, "reading", rc);
}

void env_end(struct env *e, MDB_txn *txn)
{
    if (*e->own == 0)
        return;
    mdb_txn_reset(txn);
    pthread_mutex_lock(&e->lock);
    e->active--;
    pthread_mutex_unlock(&e->lock);
}

/* ---- without a transaction ---- */

bool env_glance(struct env *e)
{
    if (*e->own == 0)
        return false;
    pthread_mutex_lock(&e->lock);
    if (!e->broken)
        return true;
    pthread_mutex_unlock(&e->lock);
    return false;
}

/* LMDB writes only to pages that neither the newest set nor a reader needs. */
bool env_glance_end(struct env *e, size_t txn)
{
    MDB_envinfo info;
    bool newest;

    atomic_thread_fence(memory_order_acquire);
    newest = mdb_env_info(e->lmdb, &info) == 0 && info.me_last_txnid == txn;
    pthread_mutex_unlock(&e->lock);
    return newest;
}

void env_drop_txn(struct env *e, MDB_txn **txn)
{
    if (*txn != NULL && *e->own != 0)
        mdb_txn_abort(*txn);
    else if (*txn != NULL)
        e->forgotten = *txn;
    *txn = NULL;
}
