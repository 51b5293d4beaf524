/*
 * ovtable_write - commit a whole override set
 *
 * A set is sorted by DN, compared with the one on disk, and written in one
 * LMDB transaction: readers see the old set whole or the new one whole, and a
 * writer that dies at any instruction leaves the old one. An equal set only
 * gets a new date. When the map is full the transaction starts anew with
 * twice the size.
 *
 * Before each commit the file is made as long as the map (sparse): LMDB does
 * not write trailing pages that it freed again, and readers refuse a file
 * that is shorter than its header says.
 *
 * Owns nothing between calls; the environment lives for one call.
 */

#include "store/ovtable.h"
#include "store/codec.h"
#include "store/env.h"
#include "store/ovtable_db.h"
#include "util/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct posting { /* one line of an index */
    const char *key;
    uint32_t id;
};

struct job {
    const struct ovtable_write *w;
    struct mxhop_error *err;
    const struct override **entry; /* sorted by DN, without duplicates */
    uint32_t n;
    struct posting *posting[2]; /* by key, by exchange; sorted */
    size_t n_posting[2];
    struct env *env;
    MDB_txn *txn;
    MDB_dbi dbi[OVTABLE_DBS];
    struct table_meta old, now;
    bool changed;
};

static enum mxhop_status failed(struct job *j, const char *what, int rc)
{
    return env_error(j->err, j->w->path, what, rc);
}

/* ---- the set ---- */

struct ranked {
    const struct override *o;
    size_t rank;
};

static int by_dn(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    int d = strcmp(x->o->dn, y->o->dn);

    return d != 0 ? d : (x->rank > y->rank) - (x->rank < y->rank);
}

static enum mxhop_status sort_entries(struct job *j,
                                      const struct override *entries, size_t n)
{
    struct ranked *r = calloc(n + 1, sizeof(*r));

    j->entry = calloc(n + 1, sizeof(struct override *));
    if (r == NULL || j->entry == NULL || n >= UINT32_MAX) {
        free(r);
        return err_nomem(j->err);
    }
    for (size_t i = 0; i < n; i++) {
        r[i].o = &entries[i];
        r[i].rank = i;
    }
    qsort(r, n, sizeof(*r), by_dn);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(r[i].o->dn, r[i - 1].o->dn) != 0)
            j->entry[j->n++] = r[i].o;
    free(r);
    return MXHOP_OK;
}

static const struct strlist *keys_of(const struct override *o, int by)
{
    return by == OVTABLE_BY_KEY ? &o->keys : &o->exchanges;
}

static int by_posting(const void *a, const void *b)
{
    const struct posting *x = a, *y = b;
    int d = strcmp(x->key, y->key);

    return d != 0 ? d : (x->id > y->id) - (x->id < y->id);
}

static enum mxhop_status check_key(struct job *j, const struct override *o,
                                   const char *key)
{
    size_t len = strlen(key);

    if (len > 0 && len <= OVTABLE_KEY_MAX)
        return MXHOP_OK;
    return err_set(j->err, MXHOP_ERR_ARGUMENT,
                   "%s: key of %zu octets, 1 to %d are possible", o->dn, len,
                   OVTABLE_KEY_MAX);
}

static enum mxhop_status make_index(struct job *j, int by)
{
    size_t n = 0;

    for (uint32_t i = 0; i < j->n; i++)
        n += keys_of(j->entry[i], by)->n;
    j->posting[by] = calloc(n + 1, sizeof(struct posting));
    if (j->posting[by] == NULL)
        return err_nomem(j->err);
    for (uint32_t i = 0; i < j->n; i++) {
        const struct strlist *keys = keys_of(j->entry[i], by);

        for (size_t k = 0; k < keys->n && j->entry[i]->enabled; k++) {
            struct posting *p = &j->posting[by][j->n_posting[by]++];

            p->key = keys->v[k];
            p->id = i;
            if (check_key(j, j->entry[i], p->key) != MXHOP_OK)
                return MXHOP_ERR_ARGUMENT;
        }
    }
    qsort(j->posting[by], j->n_posting[by], sizeof(struct posting), by_posting);
    return MXHOP_OK;
}

static enum mxhop_status prepare(struct job *j, const struct override *entries,
                                 size_t n)
{
    enum mxhop_status status = sort_entries(j, entries, n);

    for (int by = OVTABLE_BY_KEY;
         by <= OVTABLE_BY_EXCHANGE && status == MXHOP_OK; by++)
        status = make_index(j, by);
    return status;
}

/* ---- the set on disk ---- */

/* Somebody else's environment: it holds something, but not our set. */
static bool is_foreign(struct job *j)
{
    MDB_stat st;
    MDB_dbi dbi;

    return mdb_dbi_open(j->txn, NULL, 0, &dbi) == 0 &&
           mdb_stat(j->txn, dbi, &st) == 0 && st.ms_entries > 0 &&
           mdb_dbi_open(j->txn, ovtable_db_names[OVTABLE_DB_META], 0, &dbi) !=
               0;
}

/* An empty environment is a table that is not there yet. */
static int read_old(struct job *j)
{
    MDB_val k = {strlen(OVTABLE_META_KEY), (void *)OVTABLE_META_KEY}, v;
    int rc = 0;

    memset(&j->old, 0, sizeof(j->old));
    for (int i = 0; i < OVTABLE_DBS && rc == 0; i++)
        rc = mdb_dbi_open(j->txn, ovtable_db_names[i], MDB_CREATE, &j->dbi[i]);
    if (rc != 0)
        return rc;
    rc = mdb_get(j->txn, j->dbi[OVTABLE_DB_META], &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc == 0 && table_meta_decode(v.mv_data, v.mv_size, &j->old) != CODEC_OK)
        rc = MDB_CORRUPTED;
    return rc;
}

/* Whether record i on disk is what would be written; b is scratch. */
static bool same_entry(struct job *j, uint32_t i, struct buf *b)
{
    unsigned char id[OVTABLE_ID_LEN];
    MDB_val k = {sizeof(id), id}, v;

    ovtable_id_put(id, i);
    buf_reset(b);
    return override_encode(b, j->entry[i]) &&
           mdb_get(j->txn, j->dbi[OVTABLE_DB_ENTRY], &k, &v) == 0 &&
           v.mv_size == b->len && memcmp(v.mv_data, b->data, b->len) == 0;
}

static bool same_set(struct job *j)
{
    struct buf b = {0};
    bool same = j->old.version > 0 && j->old.entries == j->n;

    for (uint32_t i = 0; i < j->n && same; i++)
        same = same_entry(j, i, &b);
    buf_free(&b);
    return same;
}

static enum mxhop_status check_shrink(struct job *j)
{
    uint64_t before = j->old.entries, after = j->n;
    uint32_t limit = j->w->shrink_percent;

    if (j->w->force || limit >= 100 || after * 100 >= before * (100 - limit))
        return MXHOP_OK;
    return err_set(j->err, MXHOP_ERR_HELD,
                   "%s: held back: %lu of %lu entries would be dropped, more "
                   "than override_shrink_limit (%lu %%) allows; if that is "
                   "meant, run `mxhop refresh --force`",
                   j->w->path, (unsigned long)(before - after),
                   (unsigned long)before, (unsigned long)limit);
}

/* ---- writing; all return an LMDB or errno value ---- */

static int put(struct job *j, enum ovtable_db db, const void *key, size_t len,
               const struct buf *value, unsigned flags)
{
    MDB_val k = {len, (void *)key}, v = {value->len, value->data};

    if (value->failed)
        return ENOMEM;
    return mdb_put(j->txn, j->dbi[db], &k, &v, flags);
}

static int put_entries(struct job *j)
{
    struct buf b = {0};
    int rc = 0;

    for (uint32_t i = 0; i < j->n && rc == 0; i++) {
        unsigned char id[OVTABLE_ID_LEN];

        ovtable_id_put(id, i);
        buf_reset(&b);
        override_encode(&b, j->entry[i]);
        rc = put(j, OVTABLE_DB_ENTRY, id, sizeof(id), &b, MDB_APPEND);
    }
    buf_free(&b);
    return rc;
}

/* The ids of one key; returns where the next key begins. */
static size_t collect(const struct posting *p, size_t n, size_t at,
                      struct buf *ids)
{
    size_t first = at;

    buf_reset(ids);
    for (; at < n && strcmp(p[at].key, p[first].key) == 0; at++) {
        unsigned char id[OVTABLE_ID_LEN];

        if (at > first && p[at].id == p[at - 1].id)
            continue; /* an entry that says it twice */
        ovtable_id_put(id, p[at].id);
        buf_add(ids, id, sizeof(id));
    }
    return at;
}

static int put_index(struct job *j, int by)
{
    enum ovtable_db db =
        by == OVTABLE_BY_KEY ? OVTABLE_DB_KEY : OVTABLE_DB_EXCHANGE;
    const struct posting *p = j->posting[by];
    size_t next, n = j->n_posting[by];
    struct buf ids = {0};
    int rc = 0;

    for (size_t at = 0; at < n && rc == 0; at = next) {
        next = collect(p, n, at, &ids);
        rc = put(j, db, p[at].key, strlen(p[at].key), &ids, MDB_APPEND);
    }
    buf_free(&ids);
    return rc;
}

static int put_meta(struct job *j)
{
    struct buf b = {0};
    int rc;

    j->now = (struct table_meta){.version = j->old.version + j->changed,
                                 .entries = j->n,
                                 .has_exchanges =
                                     j->n_posting[OVTABLE_BY_EXCHANGE] > 0,
                                 .compiled_s = j->w->now_s};
    strncpy(j->now.source, j->w->source != NULL ? j->w->source : "",
            sizeof(j->now.source) - 1);
    table_meta_encode(&b, &j->now);
    rc = put(j, OVTABLE_DB_META, OVTABLE_META_KEY, strlen(OVTABLE_META_KEY), &b,
             0);
    buf_free(&b);
    return rc;
}

static int put_set(struct job *j)
{
    int rc = 0;

    for (int i = 0; i < OVTABLE_DBS && rc == 0; i++)
        rc = mdb_drop(j->txn, j->dbi[i], 0);
    if (rc == 0)
        rc = put_entries(j);
    for (int by = OVTABLE_BY_KEY; by <= OVTABLE_BY_EXCHANGE && rc == 0; by++)
        rc = put_index(j, by);
    return rc;
}

/* Under LMDB's writer lock, so that nobody else changes the size. */
static int stretch_file(struct job *j)
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

/* One attempt, in one transaction. *rc_r: MDB_MAP_FULL asks for another. */
static enum mxhop_status attempt(struct job *j, int *rc_r)
{
    enum mxhop_status status;

    *rc_r = mdb_txn_begin(env_lmdb(j->env), NULL, 0, &j->txn);
    if (*rc_r != 0)
        return failed(j, "beginning", *rc_r);
    if (is_foreign(j)) {
        mdb_txn_abort(j->txn);
        return err_set(j->err, MXHOP_ERR_TABLE,
                       "%s: is a table of another program; expected a file of "
                       "its own in override_table",
                       j->w->path);
    }
    *rc_r = read_old(j);
    if (*rc_r != 0) {
        mdb_txn_abort(j->txn);
        return failed(j, "reading the old set", *rc_r);
    }
    status = check_shrink(j);
    if (status != MXHOP_OK) {
        mdb_txn_abort(j->txn);
        return status;
    }
    j->changed = !same_set(j);
    if (j->changed)
        *rc_r = put_set(j);
    if (*rc_r == 0)
        *rc_r = put_meta(j);
    if (*rc_r == 0)
        *rc_r = stretch_file(j);
    if (*rc_r != 0)
        mdb_txn_abort(j->txn);
    else
        *rc_r = mdb_txn_commit(j->txn); /* frees it in any case */
    return *rc_r == 0 ? MXHOP_OK : failed(j, "writing", *rc_r);
}

/* MDB_MAP_FULL: it is as large as it may become. */
static int double_map(struct job *j)
{
    MDB_envinfo info;
    int rc = mdb_env_info(env_lmdb(j->env), &info);

    if (rc != 0)
        return rc;
    if (info.me_mapsize > ENV_MAP_MAX / 2)
        return MDB_MAP_FULL;
    return mdb_env_set_mapsize(env_lmdb(j->env), info.me_mapsize * 2);
}

static enum mxhop_status commit(struct job *j)
{
    enum mxhop_status status;
    int rc = 0;

    do {
        status = attempt(j, &rc);
    } while (rc == MDB_MAP_FULL && double_map(j) == 0);
    return status;
}

static enum mxhop_status check_arguments(const struct ovtable_write *w,
                                         const struct override *entries,
                                         size_t n, struct mxhop_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (entries[i].dn == NULL || entries[i].dn[0] == '\0')
            return err_set(err, MXHOP_ERR_ARGUMENT, "%s: entry %zu has no DN",
                           w->path, i + 1);
    return MXHOP_OK;
}

enum mxhop_status ovtable_replace(const struct ovtable_write *w,
                                  const struct override *entries, size_t n,
                                  struct ovtable_change *change_r,
                                  struct mxhop_error *err)
{
    struct job j = {.w = w, .err = err};
    enum mxhop_status status = check_arguments(w, entries, n, err);

    memset(change_r, 0, sizeof(*change_r));
    if (status == MXHOP_OK)
        status = prepare(&j, entries, n);
    if (status == MXHOP_OK)
        status = env_open_writer(&j.env, w->path, w->reader_gid, err);
    if (status == MXHOP_OK)
        status = commit(&j);
    if (status == MXHOP_OK)
        status = env_file_sync_dir(w->path, err);
    if (j.env != NULL) {
        change_r->before = j.old.entries;
        change_r->after = j.n;
        change_r->changed = j.changed && status == MXHOP_OK;
        change_r->version = status == MXHOP_OK ? j.now.version : j.old.version;
    }
    env_close(&j.env);
    free(j.posting[OVTABLE_BY_KEY]);
    free(j.posting[OVTABLE_BY_EXCHANGE]);
    free(j.entry);
    return status;
}
