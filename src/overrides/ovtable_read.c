/*
 * ovtable_read - the override table as the MTA's processes see it
 *
 * Everything is opened before a jail is entered: environment, databases and,
 * with the first ovtable_begin(), the reader slot. A table keeps one read
 * transaction for life, reset between lookups and renewed by the next one,
 * which then sees the newest committed set without a system call.
 *
 * What concerns the whole set is read and checked once for each set that is
 * seen, and kept: a transaction with the same number sees the same pages. They
 * stay where they are, too: the map is moved only to adopt a later set.
 */

#include "overrides/ovtable.h"
#include "overrides/codec.h"
#include "store/env.h"
#include "overrides/ovtable_db.h"
#include "util/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const ovtable_db_names[OVTABLE_DBS] = {"entry", "key", "exchange",
                                                   "meta"};

enum mxhop_status ovtable_damaged(const struct ovtable_snap *s,
                                  struct mxhop_error *err, const char *what)
{
    return err_set(err, MXHOP_ERR_TABLE,
                   "%s: %s is damaged; " ENV_REMEDY_REFRESH,
                   env_path(s->table->env), what);
}

enum mxhop_status ovtable_open(struct ovtable **t_r, const char *path,
                               struct mxhop_error *err)
{
    struct ovtable *t = calloc(1, sizeof(*t));
    struct ovtable_snap *s;
    struct ovtable_info info;
    enum mxhop_status status;

    *t_r = NULL;
    if (t == NULL)
        return err_nomem(err);
    status = env_open(&t->env, path, ovtable_db_names, OVTABLE_DBS, err);
    if (status != MXHOP_OK) {
        free(t);
        return status;
    }
    /* Takes the reader slot, while the paths are visible. */
    status = ovtable_begin(t, &s, err);
    if (status == MXHOP_OK) {
        status = ovtable_info(s, &info, err);
        ovtable_end(&s);
    }
    if (status != MXHOP_OK) {
        ovtable_close(&t);
        return status;
    }
    *t_r = t;
    return MXHOP_OK;
}

void ovtable_close(struct ovtable **t)
{
    if (*t == NULL)
        return;
    env_drop_txn((*t)->env, &(*t)->txn);
    env_close(&(*t)->env);
    free(*t);
    *t = NULL;
}

bool ovtable_is_file(const struct ovtable *t, const struct stat *st)
{
    return env_is_file(t->env, st);
}

enum mxhop_status ovtable_begin(struct ovtable *t, struct ovtable_snap **s_r,
                                struct mxhop_error *err)
{
    enum mxhop_status status;

    *s_r = NULL;
    if (t->snap.table != NULL)
        return err_set(err, MXHOP_ERR_ARGUMENT,
                       "%s: a lookup is going on already", env_path(t->env));
    status = env_begin(t->env, &t->txn, err);
    if (status != MXHOP_OK)
        return status;
    t->snap.table = t;
    *s_r = &t->snap;
    return MXHOP_OK;
}

void ovtable_end(struct ovtable_snap **s)
{
    struct ovtable *t;

    if (*s == NULL)
        return;
    t = (*s)->table;
    env_end(t->env, t->txn);
    t->snap.table = NULL;
    *s = NULL;
}

/* ---- what is known of the set ---- */

int ovtable_get(struct ovtable_snap *s, enum ovtable_db db, const void *key,
                size_t len, MDB_val *value_r)
{
    MDB_val k = {len, (void *)key};

    return mdb_get(s->table->txn, env_dbi(s->table->env, db), &k, value_r);
}

static int get_meta(struct ovtable_snap *s, const char *key, MDB_val *v_r)
{
    return ovtable_get(s, OVTABLE_DB_META, key, strlen(key), v_r);
}

static void take_info(struct ovtable *t, const struct table_meta *meta)
{
    struct ovtable_info *info = &t->info;

    info->version = meta->version;
    info->entries = meta->entries;
    info->has_exchanges = meta->has_exchanges;
    info->compiled_s = meta->compiled_s;
    info->changed_s = meta->changed_s;
    memcpy(t->source, meta->source, sizeof(t->source));
    info->source = t->source;
}

enum mxhop_status ovtable_know(struct ovtable_snap *s, struct mxhop_error *err)
{
    struct ovtable *t = s->table;
    size_t id = mdb_txn_id(t->txn);
    struct table_meta meta;
    MDB_val v;

    if (t->known != 0 && t->known == id)
        return MXHOP_OK;
    t->known = 0;
    if (get_meta(s, OVTABLE_META_KEY, &v) != 0 ||
        table_meta_decode(v.mv_data, v.mv_size, &meta) != CODEC_OK)
        return ovtable_damaged(s, err, "the record about the set");
    if (get_meta(s, OVTABLE_FILTER_KEY, &v) != 0 ||
        !ovtable_filter_load(&t->filter, v.mv_data, v.mv_size))
        return ovtable_damaged(s, err, "the filter of the keys");
    take_info(t, &meta);
    t->known = id;
    return MXHOP_OK;
}

enum mxhop_status ovtable_info(struct ovtable_snap *s,
                               struct ovtable_info *info_r,
                               struct mxhop_error *err)
{
    enum mxhop_status status = ovtable_know(s, err);

    if (status == MXHOP_OK)
        *info_r = s->table->info;
    else
        memset(info_r, 0, sizeof(*info_r));
    return status;
}

/* ---- where the source stood ---- */

static enum mxhop_status read_where(struct ovtable_snap *s,
                                    struct ovtable_where *where_r,
                                    struct mxhop_error *err)
{
    enum mxhop_status status = ovtable_know(s, err);
    struct table_where where;
    MDB_val v;

    if (status != MXHOP_OK)
        return status;
    if (get_meta(s, OVTABLE_WHERE_KEY, &v) != 0 ||
        !table_where_decode(v.mv_data, v.mv_size, &where) ||
        where.cookie.len > sizeof(where_r->cookie))
        return ovtable_damaged(s, err, "the record about the source");
    where_r->fingerprint = where.fingerprint;
    where_r->cookie_len = where.cookie.len;
    memcpy(where_r->cookie, where.cookie.at, where.cookie.len);
    where_r->entries = s->table->info.entries;
    where_r->compiled_s = s->table->info.compiled_s;
    return MXHOP_OK;
}

enum mxhop_status ovtable_where(const char *path, struct ovtable_where *where_r,
                                struct mxhop_error *err)
{
    enum mxhop_status status;
    struct ovtable_snap *s;
    struct ovtable *t;
    struct stat st;

    memset(where_r, 0, sizeof(*where_r));
    if (stat(path, &st) < 0 && errno == ENOENT)
        return MXHOP_OK;
    status = ovtable_open(&t, path, err);
    if (status != MXHOP_OK)
        return status;
    status = ovtable_begin(t, &s, err);
    if (status == MXHOP_OK) {
        status = read_where(s, where_r, err);
        ovtable_end(&s);
    }
    ovtable_close(&t);
    return status;
}
