/*
 * kv_lmdb - the DNS cache in LMDB, shared by the processes of an MTA
 *
 * Entries are stored in packs (kv_lmdb_pack.c), some dozens to a page. Reading
 * is a transaction of LMDB's that is begun once a view, then reset and
 * renewed: neither takes a lock or makes a system call. Where it cannot be
 * renewed (another process made the map larger, say) there is nothing to read.
 *
 * In a child of fork(2) nothing works, and what LMDB made is not freed there:
 * it would free the parent's reader slots.
 */

#include "store/kv_lmdb_int.h"
#include "store/kv_lmdb_place.h"
#include "util/clock.h"
#include "util/err.h"

#include <stdlib.h>
#include <string.h>

#define MAP_MIN    ((uint64_t)1 << 20)
#define MAP_UNIT   65536 /* the map is a multiple of any page size */
#define DIRTY_PART 16    /* of the map, in one transaction */

struct kv_view {
    struct kv_lmdb *k;
    MDB_txn *txn;       /* reset between end() and begin() */
    MDB_cursor *cursor; /* of get() */
    struct places places;
    struct kv_view *forgotten;
};

/* ---- reading ---- */

static struct kv_view *lmdb_view_open(struct kv *kv)
{
    struct kv_lmdb *k = (struct kv_lmdb *)kv;
    struct kv_view *v = kv_lmdb_inherited(k) ? NULL : calloc(1, sizeof(*v));

    if (v != NULL)
        v->k = k;
    return v;
}

static void lmdb_view_close(struct kv_view *v)
{
    if (kv_lmdb_inherited(v->k)) {
        /* The reader's slot is the parent's: only stay reachable. */
        v->forgotten = v->k->env->forgotten_views;
        v->k->env->forgotten_views = v;
        return;
    }
    if (v->cursor != NULL)
        mdb_cursor_close(v->cursor);
    if (v->txn != NULL)
        mdb_txn_abort(v->txn);
    places_free(&v->places);
    free(v);
}

static bool begin(struct kv_view *v)
{
    const struct env *e = v->k->env;

    if (v->txn != NULL) {
        int rc = mdb_txn_renew(v->txn);

        if (rc != MDB_BAD_RSLOT)
            return rc == 0;
        /* Another process took us for dead and cleared the slot, which may
           be someone else's now: only forget it. */
        v->txn = NULL;
    }
    if (mdb_txn_begin(e->lmdb, NULL, MDB_RDONLY, &v->txn) != 0) {
        v->txn = NULL;
        return false;
    }
    if (v->cursor != NULL ||
        mdb_cursor_open(v->txn, e->dbi[0], &v->cursor) == 0)
        return true;
    v->cursor = NULL;
    mdb_txn_abort(v->txn);
    v->txn = NULL;
    return false;
}

static bool lmdb_begin(struct kv_view *v)
{
    MDB_stat stat;
    size_t id;

    if (kv_lmdb_inherited(v->k) || !begin(v))
        return false;
    id = mdb_txn_id(v->txn);
    if (id == v->places.txn)
        return true;
    if (mdb_stat(v->txn, v->k->env->dbi[0], &stat) != 0)
        stat.ms_entries = 0;
    places_begin(&v->places, id, stat.ms_entries);
    return true;
}

static void lmdb_end(struct kv_view *v)
{
    if (!kv_lmdb_inherited(v->k))
        mdb_txn_reset(v->txn);
}

/* The cursor is made new for each search: where it was left is of no use. */
static bool lmdb_get(struct kv_view *v, uint64_t key, struct kv_value *value_r)
{
    struct kv_value bytes;
    uint64_t first, bound;

    if (kv_lmdb_inherited(v->k))
        return false;
    if (!places_find(&v->places, key, &bytes)) {
        if (mdb_cursor_renew(v->txn, v->cursor) != 0 ||
            !kv_lmdb_search(v->cursor, key, &first, &bound, &bytes))
            return false;
        places_note(&v->places, key, first, bound, bytes);
    }
    return kv_pack_find(bytes, key, value_r);
}

/* The processor reads what leads to the entry while other things are done. */
static void lmdb_expect(struct kv_view *v, uint64_t key)
{
    struct kv_value bytes;

    if (places_find(&v->places, key, &bytes))
        kv_pack_prefetch(bytes);
}

static void lmdb_walk(struct kv_view *v, uint64_t from, kv_walk_fn *fn,
                      void *ctx)
{
    struct kv_lmdb_at at;
    struct kv_value value;
    uint64_t key;
    int rc;

    if (kv_lmdb_inherited(v->k) ||
        mdb_cursor_open(v->txn, v->k->env->dbi[0], &at.cursor) != 0)
        return;
    rc = kv_lmdb_seek(&at, from, &key, &value);
    while (rc == 0 && fn(ctx, key, value))
        rc = kv_lmdb_next(&at, &key, &value);
    mdb_cursor_close(at.cursor);
}

static bool count_entry(void *ctx, uint64_t key, struct kv_value value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)ctx;
    return true;
}

static int count_reader(const char *line, void *ctx)
{
    (void)line;
    ++*(uint32_t *)ctx;
    return 0;
}

static void lmdb_stats(struct kv_view *v, struct kv_stats *stats_r)
{
    uint32_t lines = 0;

    memset(stats_r, 0, sizeof(*stats_r));
    stats_r->size_bytes = v->k->size_bytes;
    if (kv_lmdb_inherited(v->k))
        return;
    stats_r->used_bytes = kv_lmdb_live(v->txn, v->k->env->dbi[0]);
    lmdb_walk(v, 0, count_entry, &stats_r->entries);
    /* The first line is a heading. */
    mdb_reader_list(v->k->env->lmdb, count_reader, &lines);
    stats_r->readers = lines > 0 ? lines - 1 : 0;
}

/* ---- opening and closing ---- */

static void lmdb_close(struct kv *kv)
{
    struct kv_lmdb *k = (struct kv_lmdb *)kv;

    env_close(&k->env);
    free(k);
}

static const struct kv_ops lmdb_ops = {
    .view_open = lmdb_view_open,
    .view_close = lmdb_view_close,
    .begin = lmdb_begin,
    .get = lmdb_get,
    .expect = lmdb_expect,
    .walk = lmdb_walk,
    .stats = lmdb_stats,
    .end = lmdb_end,
    .write_begin = kv_lmdb_write_begin,
    .write_get = kv_lmdb_write_get,
    .put = kv_lmdb_put,
    .del = kv_lmdb_del,
    .clear = kv_lmdb_clear,
    .commit = kv_lmdb_commit,
    .close = lmdb_close,
};

static uint64_t map_size(uint64_t size_bytes)
{
    uint64_t map;

    if (size_bytes > ENV_MAP_MAX / 2)
        return ENV_MAP_MAX;
    map = (2 * size_bytes + MAP_UNIT - 1) / MAP_UNIT * MAP_UNIT;
    return map < MAP_MIN ? MAP_MIN : map;
}

enum mxhop_status kv_lmdb_open(struct kv **kv_r,
                               const struct kv_lmdb_options *options,
                               const char **note_r, struct mxhop_error *err)
{
    uint64_t map = map_size(options->size_bytes);
    enum mxhop_status status;
    struct kv_lmdb *k;

    *kv_r = NULL;
    *note_r = NULL;
    k = calloc(1, sizeof(*k));
    if (k == NULL)
        return err_nomem(err);
    status = env_open_cache(&k->env, options->dir, options->uid, options->gid,
                            (size_t)map, note_r, err);
    if (status != MXHOP_OK) {
        free(k);
        return status;
    }
    k->kv.ops = &lmdb_ops;
    k->kv.seed = env_seed(k->env);
    k->kv.shared = true;
    k->rank = options->rank;
    k->size_bytes = map / 2;
    k->dirty_max = map / PAGE / DIRTY_PART;
    k->random = k->kv.seed ^ clock_boot_ms();
    *kv_r = &k->kv;
    return MXHOP_OK;
}
