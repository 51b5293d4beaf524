/* What a shared cache consists of. For kv_lmdb*.c only. */

#ifndef STORE_KV_LMDB_INT_H
#define STORE_KV_LMDB_INT_H

#include "store/env_impl.h"
#include "store/kv.h"
#include "store/kv_pack.h"

#define PAGE 4096 /* LMDB's, about: for estimates only */

/* What changing the entries of a transaction takes. */
struct kv_lmdb_edit {
    MDB_txn *txn; /* NULL: there is none, or it failed and is gone */
    MDB_dbi dbi;
    MDB_cursor *cursor; /* ends with the transaction */
    struct kv_pack_list list;
    size_t used; /* of: two packs and a value, before they were changed */
    unsigned char bytes[2 * KV_PACK_ONE(KV_VALUE_MAX) + KV_VALUE_MAX];
};

struct kv_lmdb {
    struct kv kv;
    struct env *env;
    kv_rank_fn *rank;
    uint64_t size_bytes;
    uint64_t random;
    /* Between write_begin() and commit(): */
    struct kv_lmdb_edit edit;
    int rc;             /* what it failed of, or 0 */
    uint64_t puts;      /* in this transaction, */
    uint64_t dirty;     /* and pages that it wrote, about */
    uint64_t dirty_max; /* in one transaction */
};

/* Whether this is the child of the process that opened it. */
static inline bool kv_lmdb_inherited(const struct kv_lmdb *k)
{
    return *k->env->own == 0;
}

/* ---- kv_lmdb_pack.c: 0, or an error of LMDB ---- */

bool kv_lmdb_find(MDB_cursor *c, uint64_t key, struct kv_value *value_r);
/* The pack of a key, and the first and the last key that would be in it. false:
   there is none. */
bool kv_lmdb_search(MDB_cursor *c, uint64_t key, uint64_t *first_r,
                    uint64_t *bound_r, struct kv_value *bytes_r);

/* A walk. MDB_NOTFOUND at its end. */
struct kv_lmdb_at {
    MDB_cursor *cursor;
    struct kv_pack pack;
    size_t i; /* the next in it */
};
int kv_lmdb_seek(struct kv_lmdb_at *at, uint64_t from, uint64_t *key_r,
                 struct kv_value *value_r);
int kv_lmdb_next(struct kv_lmdb_at *at, uint64_t *key_r,
                 struct kv_value *value_r);

/* The value is of 1 to KV_VALUE_MAX octets, and may be of kv_lmdb_find(). */
int kv_lmdb_pack_put(struct kv_lmdb_edit *e, uint64_t key,
                     struct kv_value value);
int kv_lmdb_pack_del(struct kv_lmdb_edit *e, uint64_t key);

/* ---- kv_lmdb_write.c ---- */

bool kv_lmdb_write_begin(struct kv *kv, uint32_t wait_ms);
bool kv_lmdb_write_get(struct kv *kv, uint64_t key, struct kv_value *value_r);
void kv_lmdb_put(struct kv *kv, uint64_t key, const void *value, size_t len);
void kv_lmdb_del(struct kv *kv, uint64_t key);
void kv_lmdb_clear(struct kv *kv);
bool kv_lmdb_commit(struct kv *kv);

/* ---- kv_lmdb_evict.c ---- */

/* Octets in pages that hold something, in the view of txn. */
uint64_t kv_lmdb_live(MDB_txn *txn, MDB_dbi dbi);

/*
 * Drop n entries, each the lowest in rank of a handful, but none of
 * KV_SERVER; fewer if live octets fall to keep_bytes before. *random is the
 * state of a generator. 0 or an error of LMDB, after which the transaction
 * can only be aborted.
 */
int kv_lmdb_evict(struct kv_lmdb_edit *e, kv_rank_fn *rank, uint64_t n,
                  uint64_t keep_bytes, uint64_t *random);

#endif
