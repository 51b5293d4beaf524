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

#define SEEKS      4 /* SEEKS * NEIGHBOURS entries are looked at */
#define NEIGHBOURS 4
#define COUNTED    64 /* entries that an estimate is based on */
#define WEIGHT_MAX ((uint64_t)1 << 40)
#define EVICTABLE  KV_SERVER /* kinds before it */

struct evictor {
    struct kv_lmdb_edit *edit;
    struct kv_lmdb_at at;
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

/* From *key on; 0, MDB_NOTFOUND at the end of its kind, or an error. */
static int seek(struct evictor *v, uint64_t *key, struct kv_value *value)
{
    enum kv_kind kind = kv_kind_of(*key);
    int rc = kv_lmdb_seek(&v->at, *key, key, value);

    return rc == 0 && kv_kind_of(*key) != kind ? MDB_NOTFOUND : rc;
}

static int next(struct evictor *v, uint64_t *key, struct kv_value *value)
{
    enum kv_kind kind = kv_kind_of(*key);
    int rc = kv_lmdb_next(&v->at, key, value);

    return rc == 0 && kv_kind_of(*key) != kind ? MDB_NOTFOUND : rc;
}

static int weigh(struct evictor *v, enum kv_kind kind)
{
    uint64_t key = kv_key(kind, 0), n = 0, span;
    struct kv_value value;
    int rc = seek(v, &key, &value);

    while (rc == 0 && ++n < COUNTED)
        rc = next(v, &key, &value);
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
    struct kv_value value;
    int rc = seek(v, &key, &value);

    if (rc == MDB_NOTFOUND) {
        key = kv_key(kind, 0);
        rc = seek(v, &key, &value);
    }
    for (int i = 0; rc == 0 && i < NEIGHBOURS; i++) {
        rank = v->rank(key, value);
        if (!*any || rank < *lowest) {
            *any = true;
            *lowest = rank;
            *key_r = key;
        }
        rc = next(v, &key, &value);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int evict_one(struct evictor *v)
{
    uint64_t key = 0, lowest = 0;
    bool any = false;
    int rc = 0;

    for (int i = 0; rc == 0 && i < SEEKS; i++)
        rc = sample(v, &any, &key, &lowest);
    if (rc != 0)
        return rc;
    return any ? kv_lmdb_pack_del(v->edit, key) : MDB_NOTFOUND;
}

int kv_lmdb_evict(struct kv_lmdb_edit *e, kv_rank_fn *rank, uint64_t n,
                  uint64_t keep_bytes, uint64_t *random)
{
    struct evictor v = {
        .edit = e, .at.cursor = e->cursor, .rank = rank, .random = random};
    int rc = 0;

    for (enum kv_kind kind = 0; rc == 0 && kind < EVICTABLE; kind++)
        rc = weigh(&v, kind);
    while (rc == 0 && v.total > 0 && n-- > 0 &&
           kv_lmdb_live(e->txn, e->dbi) > keep_bytes)
        rc = evict_one(&v);
    return rc == MDB_NOTFOUND ? 0 : rc; /* nothing is left to evict */
}
