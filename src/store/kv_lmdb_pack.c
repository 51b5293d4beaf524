/*
 * kv_lmdb_pack - entries in LMDB, neighbours packed together
 *
 * What LMDB stores is packs (kv_pack.c), each under the highest key that it
 * may hold, its bound: the pack of a key is the first whose bound is not
 * lower. A pack that grows too large shares its entries with the next, or is
 * cut in two where that is well filled, too; the second keeps the bound. One
 * that became small is joined with the next, so that what was deleted gives
 * pages back. There is no pack above the last bound, which is then the next
 * one to be made.
 *
 * A pack is changed by making it anew, from a copy: LMDB reuses the page that
 * it was read from. One that is damaged counts as empty.
 */

#include "store/kv_lmdb_int.h"

#include <string.h>

#define SMALL (KV_PACK_MAX / 2)
#define FULL  (KV_PACK_MAX / 8 * 7) /* not so full that it is cut again soon */

static int get(MDB_cursor *c, MDB_cursor_op op, uint64_t *bound,
               struct kv_value *bytes_r)
{
    MDB_val k = {sizeof(*bound), bound}, value;
    int rc = mdb_cursor_get(c, &k, &value, op);

    if (rc == 0 && k.mv_size != sizeof(*bound))
        rc = MDB_CORRUPTED;
    if (rc != 0)
        return rc;
    memcpy(bound, k.mv_data, sizeof(*bound));
    *bytes_r = (struct kv_value){value.mv_data, value.mv_size};
    return 0;
}

bool kv_lmdb_find(MDB_cursor *c, uint64_t key, struct kv_value *value_r)
{
    struct kv_value bytes;
    uint64_t bound = key;

    return get(c, MDB_SET_RANGE, &bound, &bytes) == 0 &&
           kv_pack_find(bytes, key, value_r);
}

bool kv_lmdb_search(MDB_cursor *c, uint64_t key, uint64_t *first_r,
                    uint64_t *bound_r, struct kv_value *bytes_r)
{
    struct kv_value before;
    int rc;

    *bound_r = key;
    if (get(c, MDB_SET_RANGE, bound_r, bytes_r) != 0)
        return false;
    rc = get(c, MDB_PREV, first_r, &before);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return false;
    *first_r = rc == 0 ? *first_r + 1 : 0;
    return true;
}

/* ---- one after the other ---- */

static int enter(struct kv_lmdb_at *at, MDB_cursor_op op, uint64_t *bound)
{
    struct kv_value bytes;
    int rc = get(at->cursor, op, bound, &bytes);

    at->i = 0;
    if (rc != 0 || !kv_pack_open(&at->pack, bytes))
        at->pack.n = 0;
    return rc;
}

int kv_lmdb_next(struct kv_lmdb_at *at, uint64_t *key_r,
                 struct kv_value *value_r)
{
    uint64_t bound;
    int rc = 0;

    while (rc == 0) {
        while (at->i < at->pack.n)
            if (kv_pack_entry(&at->pack, at->i++, key_r, value_r))
                return 0;
        rc = enter(at, MDB_NEXT, &bound);
    }
    return rc;
}

int kv_lmdb_seek(struct kv_lmdb_at *at, uint64_t from, uint64_t *key_r,
                 struct kv_value *value_r)
{
    uint64_t bound = from;
    int rc = enter(at, MDB_SET_RANGE, &bound);

    if (rc != 0)
        return rc;
    at->i = kv_pack_seek(&at->pack, from);
    return kv_lmdb_next(at, key_r, value_r);
}

/* ---- changing it ---- */

static struct kv_value keep(struct kv_lmdb_edit *e, struct kv_value v)
{
    unsigned char *at = e->bytes + e->used;

    memcpy(at, v.data, v.len);
    e->used += v.len;
    return (struct kv_value){at, v.len};
}

/* A copy of the pack's entries, behind those in the list. */
static bool take(struct kv_lmdb_edit *e, struct kv_value bytes)
{
    struct kv_pack p;

    return bytes.len <= KV_PACK_ONE(KV_VALUE_MAX) &&
           kv_pack_open(&p, keep(e, bytes)) && kv_pack_list_add(&e->list, &p);
}

/* The entries of the key's pack. MDB_NOTFOUND: none, the last is to be made. */
static int start(struct kv_lmdb_edit *e, uint64_t key, uint64_t *bound_r)
{
    struct kv_value bytes;
    int rc;

    e->used = e->list.n = 0;
    *bound_r = key;
    rc = get(e->cursor, MDB_SET_RANGE, bound_r, &bytes);
    if (rc == 0)
        take(e, bytes);
    else
        *bound_r = UINT64_MAX;
    return rc;
}

static int drop(struct kv_lmdb_edit *e, uint64_t bound)
{
    MDB_val k = {sizeof(bound), &bound};

    return mdb_del(e->txn, e->dbi, &k, NULL);
}

static int put_pack(struct kv_lmdb_edit *e, size_t from, size_t to,
                    uint64_t bound)
{
    size_t size = kv_pack_list_size(&e->list, from, to);
    MDB_val k = {sizeof(bound), &bound}, value = {size, NULL};
    int rc;

    if (size < KV_PACK_MIN)
        value.mv_size = KV_PACK_MIN;
    rc = mdb_put(e->txn, e->dbi, &k, &value, MDB_RESERVE);
    if (rc == 0)
        kv_pack_list_write(&e->list, from, to, value.mv_data, value.mv_size);
    return rc;
}

/* The list, from..to-1, in one pack or more; the last has the bound. */
static int put_packs(struct kv_lmdb_edit *e, size_t from, size_t to,
                     uint64_t bound)
{
    size_t middle;
    int rc;

    if (to - from == 1 || kv_pack_list_size(&e->list, from, to) <= KV_PACK_MAX)
        return put_pack(e, from, to, bound);
    middle = kv_pack_list_middle(&e->list, from, to);
    rc = put_packs(e, from, middle, e->list.entry[middle - 1].key);
    return rc == 0 ? put_packs(e, middle, to, bound) : rc;
}

/* The list with the pack behind it, if both take max octets at most. */
static int take_next(struct kv_lmdb_edit *e, size_t max, uint64_t *bound)
{
    size_t size = kv_pack_list_size(&e->list, 0, e->list.n);
    uint64_t own = *bound, next = own;
    struct kv_value bytes;
    struct kv_pack p;
    int rc = get(e->cursor, MDB_NEXT, &next, &bytes);

    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (!kv_pack_open(&p, bytes) || size + p.len - KV_PACK_HEAD > max ||
        !take(e, bytes))
        return 0;
    *bound = next;
    return drop(e, own);
}

int kv_lmdb_pack_put(struct kv_lmdb_edit *e, uint64_t key,
                     struct kv_value value)
{
    uint64_t bound;
    int rc = start(e, key, &bound);

    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    kv_pack_list_put(&e->list, key, keep(e, value));
    if (rc == 0 && kv_pack_list_size(&e->list, 0, e->list.n) > KV_PACK_MAX)
        rc = take_next(e, 2 * FULL, &bound);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    return put_packs(e, 0, e->list.n, bound);
}

int kv_lmdb_pack_del(struct kv_lmdb_edit *e, uint64_t key)
{
    uint64_t bound;
    int rc = start(e, key, &bound);

    if (rc != 0)
        return rc;
    if (e->list.n > 0 && !kv_pack_list_del(&e->list, key))
        return MDB_NOTFOUND;
    if (e->list.n == 0)
        return drop(e, bound);
    if (kv_pack_list_size(&e->list, 0, e->list.n) < SMALL)
        rc = take_next(e, FULL, &bound);
    return rc == 0 ? put_pack(e, 0, e->list.n, bound) : rc;
}
