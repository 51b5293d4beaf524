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

#include "store/ovtable_write.h"
#include "util/err.h"
#include "util/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES_AN_ENTRY 256 /* with its share of the indexes */

static enum mxhop_status failed(struct ovtable_job *j, const char *what, int rc)
{
    return env_error(j->err, j->w->path, what, rc);
}

/* ---- what is asked for ---- */

void ovtable_id_of_dn(const char *dn, unsigned char id_r[OVTABLE_ID_LEN])
{
    size_t len = strlen(dn);

    for (unsigned half = 0; half < 2; half++) {
        uint64_t h = hash_bytes(half, dn, len);

        for (unsigned i = 0; i < 8; i++)
            id_r[half * 8 + i] = (unsigned char)(h >> (56 - 8 * i));
    }
}

static enum mxhop_status check_keys(const struct override *o,
                                    const struct strlist *keys,
                                    struct mxhop_error *err)
{
    for (size_t i = 0; i < keys->n; i++) {
        size_t len = strlen(keys->v[i]);

        if (len == 0 || len > OVTABLE_KEY_MAX)
            return err_set(err, MXHOP_ERR_ARGUMENT,
                           "%s: key of %zu octets, 1 to %d are possible", o->dn,
                           len, OVTABLE_KEY_MAX);
    }
    return MXHOP_OK;
}

static enum mxhop_status check_delta(struct ovtable_job *j)
{
    const struct ovtable_delta *d = j->d;
    enum mxhop_status status = MXHOP_OK;

    if (d->cookie_len > OVTABLE_COOKIE_MAX)
        return err_set(j->err, MXHOP_ERR_ARGUMENT,
                       "%s: cookie of %zu octets, at most %d are possible",
                       j->w->path, d->cookie_len, OVTABLE_COOKIE_MAX);
    for (size_t i = 0; i < d->n_upsert && status == MXHOP_OK; i++) {
        const struct override *o = d->upsert[i].o;

        if (o == NULL)
            continue;
        if (o->dn == NULL || o->dn[0] == '\0')
            return err_set(j->err, MXHOP_ERR_ARGUMENT,
                           "%s: entry %zu has no DN", j->w->path, i + 1);
        status = check_keys(o, &o->keys, j->err);
        if (status == MXHOP_OK)
            status = check_keys(o, &o->exchanges, j->err);
    }
    return status;
}

static int by_id_and_rank(const void *a, const void *b)
{
    const struct ovtable_item *x = a, *y = b;
    int d = memcmp(x->id, y->id, OVTABLE_ID_LEN);

    return d != 0 ? d : (x->rank > y->rank) - (x->rank < y->rank);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, OVTABLE_ID_LEN);
}

/* Sorted, of one id the last. Removals rank before all upserts. */
static enum mxhop_status prepare_items(struct ovtable_job *j)
{
    const struct ovtable_delta *d = j->d;
    size_t n = d->n_remove + d->n_upsert;
    struct ovtable_item *v = calloc(n + 1, sizeof(*v));

    j->item = v;
    if (v == NULL)
        return err_nomem(j->err);
    for (size_t i = 0; i < d->n_remove; i++)
        v[i] = (struct ovtable_item){d->remove[i], NULL, i};
    for (size_t i = 0; i < d->n_upsert; i++)
        v[d->n_remove + i] =
            (struct ovtable_item){d->upsert[i].id, d->upsert[i].o,
                                  d->n_remove + i};
    qsort(v, n, sizeof(*v), by_id_and_rank);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || memcmp(v[i].id, v[i + 1].id, OVTABLE_ID_LEN) != 0)
            v[j->n_items++] = v[i];
    }
    return MXHOP_OK;
}

static enum mxhop_status prepare(struct ovtable_job *j)
{
    size_t n = j->d->n_present;
    enum mxhop_status status = check_delta(j);

    if (status == MXHOP_OK)
        status = prepare_items(j);
    if (status != MXHOP_OK || n == 0)
        return status;
    j->present = calloc(n, OVTABLE_ID_LEN);
    if (j->present == NULL)
        return err_nomem(j->err);
    memcpy(j->present, j->d->present, n * OVTABLE_ID_LEN);
    qsort(j->present, n, OVTABLE_ID_LEN, by_id);
    return MXHOP_OK;
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

/* Somebody else's environment: it holds something, but not our set. */
static bool is_foreign(struct ovtable_job *j)
{
    MDB_stat st;
    MDB_dbi dbi;

    return mdb_dbi_open(j->txn, NULL, 0, &dbi) == 0 &&
           mdb_stat(j->txn, dbi, &st) == 0 && st.ms_entries > 0 &&
           mdb_dbi_open(j->txn, ovtable_db_names[OVTABLE_DB_META], 0, &dbi) !=
               0;
}

static int start_anew(struct ovtable_job *j)
{
    int rc = 0;

    for (int i = 0; i < OVTABLE_DBS && rc == 0; i++)
        rc = mdb_drop(j->txn, j->dbi[i], 0);
    return rc;
}

/* What a table says of itself; one that is not there yet says nothing. */
static int read_meta(struct ovtable_job *j)
{
    MDB_val v;
    int rc = ovtable_job_get(j, OVTABLE_DB_META, OVTABLE_META_KEY,
                             strlen(OVTABLE_META_KEY), &v);

    if (rc == 0 && table_meta_decode(v.mv_data, v.mv_size, &j->old) != CODEC_OK)
        return MDB_CORRUPTED;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    return ovtable_job_count(j, OVTABLE_DB_ENTRY) == j->old.entries
               ? 0
               : MDB_CORRUPTED;
}

/* MDB_CORRUPTED: it is ours, but damaged or of another version. */
static int read_old(struct ovtable_job *j)
{
    int rc = 0;

    for (int i = 0; i < OVTABLE_DBS && rc == 0; i++)
        rc = mdb_dbi_open(j->txn, ovtable_db_names[i], MDB_CREATE, &j->dbi[i]);
    if (rc != 0)
        return rc;
    rc = read_meta(j);
    if (j->anew && (rc == 0 || rc == MDB_CORRUPTED))
        rc = start_anew(j);
    return rc;
}

static enum mxhop_status check_shrink(struct ovtable_job *j)
{
    uint64_t before = j->change.before, after = j->change.after;
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

static int put_meta(struct ovtable_job *j)
{
    struct buf b = {0};
    int rc;

    j->now = (struct table_meta){
        .version = j->old.version + j->change.changed,
        .entries = j->change.after,
        .has_exchanges = ovtable_job_count(j, OVTABLE_DB_EXCHANGE) > 0,
        .compiled_s = j->w->now_s,
        .changed_s = j->change.changed ? j->w->now_s : j->old.changed_s};
    strncpy(j->now.source, j->w->source != NULL ? j->w->source : "",
            sizeof(j->now.source) - 1);
    table_meta_encode(&b, &j->now);
    rc = ovtable_job_put(j, OVTABLE_DB_META, OVTABLE_META_KEY,
                         strlen(OVTABLE_META_KEY), &b, 0);
    buf_free(&b);
    return rc;
}

static int put_where(struct ovtable_job *j)
{
    const struct table_where where = {j->d->fingerprint,
                                      {j->d->cookie, j->d->cookie_len}};
    struct buf b = {0};
    int rc;

    table_where_encode(&b, &where);
    rc = ovtable_job_put(j, OVTABLE_DB_META, OVTABLE_WHERE_KEY,
                         strlen(OVTABLE_WHERE_KEY), &b, 0);
    buf_free(&b);
    return rc;
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

/* The delta has all of the set, so that what is damaged can be replaced. */
static bool has_all(const struct ovtable_job *j)
{
    return j->d->complete && j->d->n_present == 0;
}

static int change_rest(struct ovtable_job *j)
{
    int rc = j->change.changed ? ovtable_index_update(j) : 0;

    if (rc == 0 && has_all(j) && !j->anew && j->old.version > 0)
        rc = ovtable_verify(j);
    if (rc == 0)
        rc = put_meta(j);
    if (rc == 0)
        rc = put_where(j);
    return rc == 0 ? stretch_file(j) : rc;
}

/* In the transaction; *rc_r other than 0: why. */
static enum mxhop_status change_table(struct ovtable_job *j, int *rc_r)
{
    enum mxhop_status status;

    if (is_foreign(j))
        return err_set(j->err, MXHOP_ERR_TABLE,
                       "%s: is a table of another program; expected a file of "
                       "its own in override_table",
                       j->w->path);
    *rc_r = read_old(j);
    if (*rc_r != 0)
        return failed(j, "reading the old set", *rc_r);
    *rc_r = change_entries(j);
    if (*rc_r != 0)
        return failed(j, "writing", *rc_r);
    status = check_shrink(j);
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
        if (rc == MDB_CORRUPTED && has_all(j) && !j->anew)
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
    enum mxhop_status status = prepare(&j);

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

enum mxhop_status ovtable_replace(const struct ovtable_write *w,
                                  const struct override *entries, size_t n,
                                  struct ovtable_change *change_r,
                                  struct mxhop_error *err)
{
    struct ovtable_upsert *v = calloc(n + 1, sizeof(*v));
    const struct ovtable_delta d = {
        .upsert = v, .n_upsert = n, .complete = true};
    enum mxhop_status status;

    memset(change_r, 0, sizeof(*change_r));
    if (v == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        v[n - 1 - i].o = &entries[i]; /* the last one counts */
        if (entries[i].dn != NULL)
            ovtable_id_of_dn(entries[i].dn, v[n - 1 - i].id);
    }
    status = ovtable_apply(w, &d, change_r, err);
    free(v);
    return status;
}
