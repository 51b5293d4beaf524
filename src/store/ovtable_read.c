/*
 * ovtable_read - the override table as the MTA's processes see it
 *
 * Everything is opened before a jail is entered: environment, databases and,
 * with the first ovtable_begin(), the reader slot. A table keeps one read
 * transaction for life, reset between lookups and renewed by the next one,
 * which then sees the newest committed set without a system call.
 *
 * Records are copied out by the codec, which checks every length: nothing
 * that a damaged record says is believed, and nothing returned points into
 * the map. A fault is MXHOP_ERR_TABLE, never "no override".
 */

#include "store/ovtable.h"
#include "store/codec.h"
#include "store/env.h"
#include "store/ovtable_db.h"
#include "util/err.h"

#include <stdlib.h>
#include <string.h>

struct ovtable_snap {
    struct ovtable *table;
};

struct ovtable {
    struct env *env;
    MDB_txn *txn; /* NULL until the first lookup; reset between lookups */
    struct ovtable_snap snap;
};

const char *const ovtable_db_names[OVTABLE_DBS] = {"entry", "key", "exchange",
                                                   "meta"};

static enum mxhop_status damaged(const struct ovtable_snap *s,
                                 struct mxhop_error *err, const char *what)
{
    return err_set(err, MXHOP_ERR_TABLE,
                   "%s: %s is damaged; " ENV_REMEDY_REFRESH,
                   env_path(s->table->env), what);
}

static enum mxhop_status decoded(const struct ovtable_snap *s,
                                 struct mxhop_error *err, const char *what,
                                 enum codec_status status)
{
    if (status == CODEC_MEMORY)
        return err_nomem(err);
    return status == CODEC_OK ? MXHOP_OK : damaged(s, err, what);
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

static int get(struct ovtable_snap *s, enum ovtable_db db, const void *key,
               size_t len, MDB_val *value_r)
{
    MDB_val k = {len, (void *)key};

    return mdb_get(s->table->txn, env_dbi(s->table->env, db), &k, value_r);
}

enum mxhop_status ovtable_info(struct ovtable_snap *s,
                               struct ovtable_info *info_r,
                               struct mxhop_error *err)
{
    struct table_meta meta;
    MDB_val v;

    memset(info_r, 0, sizeof(*info_r));
    if (get(s, OVTABLE_DB_META, OVTABLE_META_KEY, strlen(OVTABLE_META_KEY),
            &v) != 0 ||
        table_meta_decode(v.mv_data, v.mv_size, &meta) != CODEC_OK)
        return damaged(s, err, "the record about the set");
    info_r->version = meta.version;
    info_r->entries = meta.entries;
    info_r->has_exchanges = meta.has_exchanges;
    info_r->compiled_s = meta.compiled_s;
    memcpy(info_r->source, meta.source, sizeof(info_r->source));
    return MXHOP_OK;
}

/* One entry by id; *o_r is empty on error. */
static enum mxhop_status read_entry(struct ovtable_snap *s,
                                    const unsigned char *id,
                                    struct override *o_r,
                                    struct mxhop_error *err)
{
    MDB_val v;

    memset(o_r, 0, sizeof(*o_r));
    if (get(s, OVTABLE_DB_ENTRY, id, OVTABLE_ID_LEN, &v) != 0)
        return damaged(s, err, "an index");
    return decoded(s, err, "an entry",
                   override_decode(v.mv_data, v.mv_size, o_r));
}

/* The ids of the entries under a key; none: ids_r->mv_size is 0. */
static enum mxhop_status find_ids(struct ovtable_snap *s, enum ovtable_index by,
                                  const char *key, MDB_val *ids_r,
                                  struct mxhop_error *err)
{
    size_t len = strlen(key);
    int rc;

    *ids_r = (MDB_val){0};
    if (len == 0 || len > OVTABLE_KEY_MAX)
        return MXHOP_OK; /* no such key can be in the table */
    rc = get(s, by == OVTABLE_BY_KEY ? OVTABLE_DB_KEY : OVTABLE_DB_EXCHANGE,
             key, len, ids_r);
    if (rc == MDB_NOTFOUND) {
        *ids_r = (MDB_val){0};
        return MXHOP_OK;
    }
    if (rc != 0 || ids_r->mv_size == 0 || ids_r->mv_size % OVTABLE_ID_LEN != 0)
        return damaged(s, err, "an index");
    return MXHOP_OK;
}

bool ovtable_has(struct ovtable_snap *s, enum ovtable_index by, const char *key)
{
    MDB_val ids;

    return find_ids(s, by, key, &ids, NULL) != MXHOP_OK || ids.mv_size > 0;
}

static void note_edge(int64_t at_s, int64_t now_s, int64_t *edge_s)
{
    if (at_s > now_s && at_s < *edge_s)
        *edge_s = at_s;
}

enum mxhop_status ovtable_next_edge(struct ovtable_snap *s,
                                    enum ovtable_index by, const char *key,
                                    int64_t now_s, int64_t *edge_s,
                                    struct mxhop_error *err)
{
    MDB_val ids;
    enum mxhop_status status = find_ids(s, by, key, &ids, err);

    for (size_t at = 0; at < ids.mv_size && status == MXHOP_OK;
         at += OVTABLE_ID_LEN) {
        struct override o;

        status =
            read_entry(s, (const unsigned char *)ids.mv_data + at, &o, err);
        if (status != MXHOP_OK)
            break;
        if (o.enabled) {
            note_edge(o.not_before_s, now_s, edge_s);
            if (o.not_after_s != 0) /* its last second belongs to it */
                note_edge(o.not_after_s + 1, now_s, edge_s);
        }
        override_free(&o);
    }
    return status;
}

enum mxhop_status ovtable_find(struct ovtable_snap *s, enum ovtable_index by,
                               const char *key, int64_t now_s,
                               struct override *o_r, struct mxhop_error *err)
{
    MDB_val ids;
    enum mxhop_status found = find_ids(s, by, key, &ids, err);

    memset(o_r, 0, sizeof(*o_r));
    if (found != MXHOP_OK)
        return found;
    for (size_t at = 0; at < ids.mv_size; at += OVTABLE_ID_LEN) {
        enum mxhop_status status =
            read_entry(s, (const unsigned char *)ids.mv_data + at, o_r, err);

        if (status != MXHOP_OK)
            return status;
        if (override_active(o_r, now_s))
            return MXHOP_OK;
        override_free(o_r);
    }
    return MXHOP_OK;
}

enum mxhop_status ovtable_walk(struct ovtable_snap *s,
                               bool (*fn)(void *ctx, const struct override *o),
                               void *ctx, struct mxhop_error *err)
{
    struct ovtable_info info;
    enum mxhop_status status = ovtable_info(s, &info, err);
    bool go_on = true;

    for (uint32_t i = 0; i < info.entries && status == MXHOP_OK && go_on; i++) {
        unsigned char id[OVTABLE_ID_LEN];
        struct override o;

        ovtable_id_put(id, i);
        status = read_entry(s, id, &o, err);
        if (status == MXHOP_OK) {
            go_on = fn(ctx, &o);
            override_free(&o);
        }
    }
    return status;
}
