/*
 * ovtable_find - entries of the override table
 *
 * Records are copied out by the codec, which checks every length: nothing
 * that a damaged record says is believed, and nothing returned points into
 * the map. A fault is MXHOP_ERR_TABLE, never "no override". Most keys that are
 * asked for are in no index; the filter says so without a search.
 */

#include "overrides/codec.h"
#include "overrides/ovtable_db.h"
#include "util/err.h"

#include <string.h>

static enum mxhop_status decoded(const struct ovtable_snap *s,
                                 struct mxhop_error *err,
                                 enum codec_status status)
{
    if (status == CODEC_MEMORY)
        return err_nomem(err);
    return status == CODEC_OK ? MXHOP_OK : ovtable_damaged(s, err, "an entry");
}

/* One entry by id; *o_r is empty on error. */
static enum mxhop_status read_entry(struct ovtable_snap *s,
                                    const unsigned char *id,
                                    struct override *o_r,
                                    struct mxhop_error *err)
{
    MDB_val v;

    memset(o_r, 0, sizeof(*o_r));
    if (ovtable_get(s, OVTABLE_DB_ENTRY, id, OVTABLE_ID_LEN, &v) != 0)
        return ovtable_damaged(s, err, "an index");
    return decoded(s, err, override_decode(v.mv_data, v.mv_size, o_r));
}

/* The ids of the entries under a key; none: ids_r->mv_size is 0. */
static enum mxhop_status find_ids(struct ovtable_snap *s, enum ovtable_index by,
                                  const char *key, MDB_val *ids_r,
                                  struct mxhop_error *err)
{
    size_t len = strlen(key);
    enum mxhop_status status = ovtable_know(s, err);
    int rc;

    *ids_r = (MDB_val){0};
    if (status != MXHOP_OK)
        return status;
    if (len == 0 || len > OVTABLE_KEY_MAX ||
        !ovtable_filter_has(&s->table->filter, by, key, len))
        return MXHOP_OK;
    rc = ovtable_get(s, ovtable_index_db(by), key, len, ids_r);
    if (rc == MDB_NOTFOUND) {
        *ids_r = (MDB_val){0};
        return MXHOP_OK;
    }
    if (rc != 0 || ids_r->mv_size == 0 || ids_r->mv_size % OVTABLE_ID_LEN != 0)
        return ovtable_damaged(s, err, "an index");
    return MXHOP_OK;
}

bool ovtable_has(struct ovtable_snap *s, enum ovtable_index by, const char *key)
{
    MDB_val ids;

    return find_ids(s, by, key, &ids, NULL) != MXHOP_OK || ids.mv_size > 0;
}

enum mxhop_status ovtable_under(struct ovtable_snap *s, enum ovtable_index by,
                                const char *key,
                                bool (*fn)(void *ctx, const unsigned char *id,
                                           struct override *o),
                                void *ctx, struct mxhop_error *err)
{
    MDB_val ids;
    enum mxhop_status status = find_ids(s, by, key, &ids, err);
    bool go_on = true;

    for (size_t at = 0; at < ids.mv_size && go_on; at += OVTABLE_ID_LEN) {
        const unsigned char *id = (const unsigned char *)ids.mv_data + at;
        struct override o;

        status = read_entry(s, id, &o, err);
        if (status != MXHOP_OK)
            return status;
        go_on = fn(ctx, id, &o);
        override_free(&o);
    }
    return status;
}

struct edge {
    int64_t now_s, *at_s;
};

static void note_edge(const struct edge *edge, int64_t at_s)
{
    if (at_s > edge->now_s && at_s < *edge->at_s)
        *edge->at_s = at_s;
}

static bool note_edges(void *ctx, const unsigned char *id, struct override *o)
{
    (void)id;
    if (!o->enabled)
        return true;
    note_edge(ctx, o->not_before_s);
    if (o->not_after_s != 0) /* its last second belongs to it */
        note_edge(ctx, o->not_after_s + 1);
    return true;
}

enum mxhop_status ovtable_next_edge(struct ovtable_snap *s,
                                    enum ovtable_index by, const char *key,
                                    int64_t now_s, int64_t *edge_s,
                                    struct mxhop_error *err)
{
    struct edge edge = {now_s, edge_s};

    return ovtable_under(s, by, key, note_edges, &edge, err);
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

static enum mxhop_status walk(struct ovtable_snap *s, MDB_cursor *cursor,
                              bool (*fn)(void *ctx, struct override *o),
                              void *ctx, struct mxhop_error *err)
{
    uint32_t n = 0;
    MDB_val k, v;
    int rc;

    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        struct override o;
        enum mxhop_status status =
            decoded(s, err, override_decode(v.mv_data, v.mv_size, &o));
        bool go_on;

        if (status != MXHOP_OK)
            return status;
        go_on = fn(ctx, &o);
        override_free(&o);
        if (!go_on)
            return MXHOP_OK;
        n++;
    }
    if (rc != MDB_NOTFOUND || n != s->table->info.entries)
        return ovtable_damaged(s, err, "the set");
    return MXHOP_OK;
}

enum mxhop_status ovtable_walk(struct ovtable_snap *s,
                               bool (*fn)(void *ctx, struct override *o),
                               void *ctx, struct mxhop_error *err)
{
    enum mxhop_status status = ovtable_know(s, err);
    MDB_cursor *cursor;

    if (status != MXHOP_OK)
        return status;
    if (mdb_cursor_open(s->table->txn, env_dbi(s->table->env, OVTABLE_DB_ENTRY),
                        &cursor) != 0)
        return err_nomem(err);
    status = walk(s, cursor, fn, ctx, err);
    mdb_cursor_close(cursor);
    return status;
}
