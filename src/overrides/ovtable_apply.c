/*
 * ovtable_apply - commit what a source has to say
 *
 * Everything happens in one LMDB transaction, the place up to which the source
 * was read included: readers see the old set whole or the new one whole, a
 * writer that dies at any instruction leaves the old one, and a cookie never
 * belongs to another set. When the map is full the transaction starts anew
 * with twice the size.
 *
 * Before each commit the file is made as long as the map (sparse): LMDB does
 * not write trailing pages that it freed again, and readers refuse a file
 * that is shorter than its header says.
 *
 * Owns nothing between calls; the environment lives for one call.
 */

#include "overrides/ovtable_write.h"
#include "util/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES_AN_ENTRY 256 /* with its share of the indexes */

static enum mxhop_status failed(struct ovtable_job *j, const char *what, int rc)
{
    return env_error(j->err, j->w->path, what, rc);
}

/* ---- the table on disk; all that returns int: an LMDB or errno value ---- */

int ovtable_job_get(struct ovtable_job *j, enum ovtable_db db, const void *key,
                    size_t len, MDB_val *v_r)
{
    MDB_val k = {len, (void *)key};

    return mdb_get(j->txn, j->dbi[db], &k, v_r);
}

int ovtable_job_put(struct ovtable_job *j, enum ovtable_db db, const void *key,
                    size_t len, const struct buf *value, unsigned flags)
{
    MDB_val k = {len, (void *)key}, v = {value->len, value->data};

    if (value->failed)
        return ENOMEM;
    return mdb_put(j->txn, j->dbi[db], &k, &v, flags);
}

size_t ovtable_job_count(struct ovtable_job *j, enum ovtable_db db)
{
    MDB_stat st;

    return mdb_stat(j->txn, j->dbi[db], &st) == 0 ? st.ms_entries : 0;
}

/* Under LMDB's writer lock, so that nobody else changes the size. */
static int stretch_file(struct ovtable_job *j)
{
    MDB_env *lmdb = env_lmdb(j->env);
    struct stat st;
    MDB_envinfo info;
    int fd, rc = mdb_env_info(lmdb, &info);

    if (rc == 0)
        rc = mdb_env_get_fd(lmdb, &fd);
    if (rc != 0)
        return rc;
    if (fstat(fd, &st) < 0)
        return errno;
    if ((size_t)st.st_size < info.me_mapsize &&
        ftruncate(fd, (off_t)info.me_mapsize) < 0)
        return errno;
    return 0;
}

/* ---- attempts ---- */

static void forget_attempt(struct ovtable_job *j)
{
    for (size_t i = 0; i < j->n_was; i++)
        override_free(&j->was[i]);
    j->n_was = 0;
    j->postings[OVTABLE_BY_KEY].n = 0;
    j->postings[OVTABLE_BY_EXCHANGE].n = 0;
    ovtable_filter_drop(&j->filter);
    memset(&j->old, 0, sizeof(j->old));
    memset(&j->change, 0, sizeof(j->change));
}

/* Entries, and what becomes of the numbers. */
static int change_entries(struct ovtable_job *j)
{
    struct ovtable_change *c = &j->change;
    int rc = ovtable_diff(j);

    c->before = j->old.entries;
    c->after = (uint32_t)ovtable_job_count(j, OVTABLE_DB_ENTRY);
    c->changed = j->old.version == 0 || j->anew ||
                 c->added + c->modified + c->removed > 0;
    return rc;
}

bool ovtable_job_has_all(const struct ovtable_job *j)
{
    return j->d->complete && j->d->n_present == 0;
}

static int change_rest(struct ovtable_job *j)
{
    int rc = j->change.changed ? ovtable_index_update(j) : 0;

    if (rc == 0 && ovtable_job_has_all(j) && !j->anew && j->old.version > 0)
        rc = ovtable_verify(j);
    if (rc == 0)
        rc = ovtable_set_write(j);
    return rc == 0 ? stretch_file(j) : rc;
}

/* In the transaction; *rc_r other than 0: why. */
static enum mxhop_status change_table(struct ovtable_job *j, int *rc_r)
{
    enum mxhop_status status;

    if (ovtable_set_is_foreign(j))
        return err_set(j->err, MXHOP_ERR_TABLE,
                       "%s: is a table of another program; expected a file of "
                       "its own in override_table",
                       j->w->path);
    *rc_r = ovtable_set_read(j);
    if (*rc_r != 0)
        return failed(j, "reading the old set", *rc_r);
    status = ovtable_set_is_expected(j);
    if (status != MXHOP_OK)
        return status;
    *rc_r = change_entries(j);
    if (*rc_r != 0)
        return failed(j, "writing", *rc_r);
    status = ovtable_set_may_follow(j);
    if (status != MXHOP_OK)
        return status;
    *rc_r = change_rest(j);
    return *rc_r == 0 ? MXHOP_OK : failed(j, "writing", *rc_r);
}

static enum mxhop_status attempt(struct ovtable_job *j, int *rc_r)
{
    enum mxhop_status status;

    forget_attempt(j);
    *rc_r = mdb_txn_begin(env_lmdb(j->env), NULL, 0, &j->txn);
    if (*rc_r != 0)
        return failed(j, "beginning", *rc_r);
    status = change_table(j, rc_r);
    if (status != MXHOP_OK) {
        mdb_txn_abort(j->txn);
        return status;
    }
    *rc_r = mdb_txn_commit(j->txn); /* frees it in any case */
    return *rc_r == 0 ? MXHOP_OK : failed(j, "writing", *rc_r);
}

/* MDB_MAP_FULL: it is as large as it may become. */
static int double_map(struct ovtable_job *j)
{
    MDB_envinfo info;
    int rc = mdb_env_info(env_lmdb(j->env), &info);

    if (rc != 0)
        return rc;
    if (info.me_mapsize > ENV_MAP_MAX / 2)
        return MDB_MAP_FULL;
    return mdb_env_set_mapsize(env_lmdb(j->env), info.me_mapsize * 2);
}

/* Attempts that fail cost time: begin with what ordinary entries need. */
static int reserve_map(struct ovtable_job *j)
{
    size_t bytes = j->n_items * BYTES_AN_ENTRY;
    MDB_envinfo info;
    int rc = mdb_env_info(env_lmdb(j->env), &info);

    while (rc == 0 && info.me_mapsize < bytes) {
        rc = double_map(j);
        if (rc == 0)
            rc = mdb_env_info(env_lmdb(j->env), &info);
    }
    return rc;
}

static enum mxhop_status commit(struct ovtable_job *j)
{
    enum mxhop_status status;
    int rc = reserve_map(j);
    bool again;

    if (rc != 0)
        return failed(j, "making room", rc);
    do {
        rc = 0;
        status = attempt(j, &rc);
        again = rc == MDB_MAP_FULL && double_map(j) == 0;
        if (rc == MDB_CORRUPTED && ovtable_job_has_all(j) && !j->anew)
            again = j->anew = true;
    } while (again);
    return status;
}

static void finish(struct ovtable_job *j)
{
    forget_attempt(j);
    free(j->was);
    free(j->postings[OVTABLE_BY_KEY].v);
    free(j->postings[OVTABLE_BY_EXCHANGE].v);
    free(j->present);
    free(j->item);
    env_close(&j->env);
}

enum mxhop_status ovtable_apply(const struct ovtable_write *w,
                                const struct ovtable_delta *d,
                                struct ovtable_change *change_r,
                                struct mxhop_error *err)
{
    struct ovtable_job j = {.w = w, .d = d, .err = err};
    enum mxhop_status status = ovtable_job_prepare(&j);

    if (status == MXHOP_OK)
        status = env_open_writer(&j.env, w->path, w->reader_gid, err);
    if (status == MXHOP_OK)
        status = commit(&j);
    if (status == MXHOP_OK)
        status = env_file_sync_dir(w->path, err);
    *change_r = j.change;
    change_r->changed = j.change.changed && status == MXHOP_OK;
    change_r->version = status == MXHOP_OK ? j.now.version : j.old.version;
    finish(&j);
    return status;
}
