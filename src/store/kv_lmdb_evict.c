/*
 * kv_lmdb_evict - which entries of a shared cache have to go
 *
 * Of a handful of random entries the one with the lowest rank. A kind of
 * entries is looked at in proportion to how many it has: a few MX sets that a
 * million domains share are rarely in danger, and a flood of one kind pays for
 * itself.
 *
 * Keys are hashes, so their order is random with respect to rank: neighbours
 * are as good a sample as strangers and cost less. For the same reason the
 * number of entries of a kind follows from how close together some of them
 * are.
 */

#include "store/kv_lmdb_int.h"

#include <string.h>

#define SEEKS      4 /* SEEKS * NEIGHBOURS entries are looked at */
#define NEIGHBOURS 4
#define COUNTED    64 /* entries that an estimate is based on */
#define WEIGHT_MAX ((uint64_t)1 << 40)
#define EVICTABLE  KV_SERVER /* kinds before it */

struct evictor {
    MDB_cursor *cursor;
    kv_rank_fn *rank;
    uint64_t *random;
    uint64_t weight[EVICTABLE], total;
};

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u; /* splitmix64 */

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

uint64_t kv_lmdb_live(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_stat st;

    if (mdb_stat(txn, dbi, &st) != 0)
        return 0;
    return (uint64_t)(st.ms_branch_pages + st.ms_leaf_pages +
                      st.ms_overflow_pages) *
           st.ms_psize;
}

/* MDB_SET_RANGE: from *key on; MDB_NEXT. 0, MDB_NOTFOUND at the end of the
   kind, or an error. */
static int move(struct evictor *v, MDB_cursor_op op, enum kv_kind kind,
                uint64_t *key, MDB_val *value)
{
    MDB_val k = {sizeof(*key), key};
    int rc = mdb_cursor_get(v->cursor, &k, value, op);

    if (rc == 0 && k.mv_size != sizeof(*key))
        rc = MDB_CORRUPTED;
    if (rc != 0)
        return rc;
    memcpy(key, k.mv_data, sizeof(*key));
    return kv_kind_of(*key) == kind ? 0 : MDB_NOTFOUND;
}

static int weigh(struct evictor *v, enum kv_kind kind)
{
    uint64_t key = kv_key(kind, 0), n = 0, span;
    MDB_val value;
    int rc = move(v, MDB_SET_RANGE, kind, &key, &value);

    while (rc == 0 && ++n < COUNTED)
        rc = move(v, MDB_NEXT, kind, &key, &value);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    v->weight[kind] = n;
    if (n == COUNTED) {
        span = (key - kv_key(kind, 0)) / COUNTED + 1;
        v->weight[kind] = ((uint64_t)1 << KV_KIND_SHIFT) / span;
        if (v->weight[kind] > WEIGHT_MAX)
            v->weight[kind] = WEIGHT_MAX;
    }
    v->total += v->weight[kind];
    return 0;
}

static enum kv_kind draw_kind(struct evictor *v)
{
    uint64_t at = draw(v->random) % v->total;
    enum kv_kind kind = 0;

    while (at >= v->weight[kind])
        at -= v->weight[kind++];
    return kind;
}

/* Some neighbours in a random place; the lowest so far is *key_r. */
static int sample(struct evictor *v, bool *any, uint64_t *key_r,
                  uint64_t *lowest)
{
    enum kv_kind kind = draw_kind(v);
    uint64_t key = kv_key(kind, draw(v->random)), rank;
    MDB_val value;
    int rc = move(v, MDB_SET_RANGE, kind, &key, &value);

    if (rc == MDB_NOTFOUND) {
        key = kv_key(kind, 0);
        rc = move(v, MDB_SET_RANGE, kind, &key, &value);
    }
    for (int i = 0; rc == 0 && i < NEIGHBOURS; i++) {
        rank = v->rank(key, (struct kv_value){value.mv_data, value.mv_size});
        if (!*any || rank < *lowest) {
            *any = true;
            *lowest = rank;
            *key_r = key;
        }
        rc = move(v, MDB_NEXT, kind, &key, &value);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int evict_one(struct evictor *v, MDB_txn *txn, MDB_dbi dbi)
{
    uint64_t key = 0, lowest = 0;
    MDB_val k = {sizeof(key), &key};
    bool any = false;
    int rc = 0;

    for (int i = 0; rc == 0 && i < SEEKS; i++)
        rc = sample(v, &any, &key, &lowest);
    if (rc != 0)
        return rc;
    return any ? mdb_del(txn, dbi, &k, NULL) : MDB_NOTFOUND;
}

int kv_lmdb_evict(MDB_txn *txn, MDB_dbi dbi, kv_rank_fn *rank, uint64_t n,
                  uint64_t keep_bytes, uint64_t *random)
{
    struct evictor v = {.rank = rank, .random = random};
    int rc = mdb_cursor_open(txn, dbi, &v.cursor);

    if (rc != 0)
        return rc;
    for (enum kv_kind kind = 0; rc == 0 && kind < EVICTABLE; kind++)
        rc = weigh(&v, kind);
    while (rc == 0 && v.total > 0 && n-- > 0 &&
           kv_lmdb_live(txn, dbi) > keep_bytes)
        rc = evict_one(&v, txn, dbi);
    mdb_cursor_close(v.cursor);
    return rc == MDB_NOTFOUND ? 0 : rc; /* nothing is left to evict */
}
