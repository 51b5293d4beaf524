/*
 * kv_lmdb_write - writing to the shared DNS cache
 *
 * For one process at a time: besides LMDB's own lock, which is waited for
 * without end, the state file's is taken, which is not. It goes with a process
 * that dies, as LMDB's does. write_begin() to commit() is for one thread:
 * LMDB's lock belongs to it.
 *
 * A batch may be large: LMDB copies each page that it changes, and pages of
 * the transaction before are not free yet. So a large one is written in
 * several transactions, each of a small part of the map. Each evicts twice as
 * many entries as it put, while more than four fifths of the size are in use.
 *
 * What goes wrong in a transaction (no room, most of all) ends it: the rest of
 * the batch is ignored, and commit() says so, after it has tried to make room.
 * Where even that does not work, because a reader that was stopped holds on to
 * old pages or the file system is full to the last page, the cache stays as it
 * is, readable, until that passes.
 */

#include "store/kv_lmdb_int.h"
#include "store/wait.h"
#include "util/clock.h"

#define CHECK_COMMITS    1000  /* dead readers are looked for this often, */
#define CHECK_MS         10000 /* or after this time */
#define EVICT_PER_PUT    2
#define EVICT_OVER_SIZE  512 /* more where even size_bytes is exceeded */
#define EVICT_FULL_FIRST 64  /* when there is no room: this many, */
#define EVICT_FULL_LESS  8   /* or this many times fewer */

static void unlock(struct kv_lmdb *k)
{
    wait_file_done(k->env->fd);
    pthread_mutex_unlock(&k->env->write);
}

static void abandon(struct kv_lmdb *k)
{
    mdb_txn_abort(k->edit.txn);
    k->edit.txn = NULL;
}

static int begin(struct kv_lmdb *k)
{
    struct kv_lmdb_edit *e = &k->edit;
    int rc;

    k->puts = k->dirty = 0;
    e->dbi = k->env->dbi[0];
    rc = mdb_txn_begin(k->env->lmdb, NULL, 0, &e->txn);
    if (rc == 0)
        rc = mdb_cursor_open(e->txn, e->dbi, &e->cursor);
    else
        e->txn = NULL;
    if (rc != 0 && e->txn != NULL)
        abandon(k);
    return rc;
}

bool kv_lmdb_write_begin(struct kv *kv, uint32_t wait_ms)
{
    struct kv_lmdb *k = (struct kv_lmdb *)kv;
    uint64_t until = clock_boot_ms() + wait_ms;
    long holder;

    if (kv_lmdb_inherited(k) || !wait_mutex(&k->env->write, until))
        return false;
    if (!wait_file(k->env->fd, until, &holder)) {
        pthread_mutex_unlock(&k->env->write);
        return false;
    }
    k->rc = begin(k);
    if (k->rc == 0)
        return true;
    unlock(k);
    return false;
}

bool kv_lmdb_write_get(struct kv *kv, uint64_t key, struct kv_value *value_r)
{
    struct kv_lmdb *k = (struct kv_lmdb *)kv;

    return k->rc == 0 && kv_lmdb_find(k->edit.cursor, key, value_r);
}

/* ---- ending a transaction ---- */

static uint64_t keep_bytes(const struct kv_lmdb *k)
{
    return k->size_bytes / 5 * 4;
}

static int make_room(struct kv_lmdb *k)
{
    uint64_t n = EVICT_PER_PUT * k->puts;

    if (kv_lmdb_live(k->edit.txn, k->edit.dbi) > k->size_bytes)
        n += EVICT_OVER_SIZE;
    return kv_lmdb_evict(&k->edit, k->rank, n, keep_bytes(k), &k->random);
}

static void end(struct kv_lmdb *k)
{
    if (k->rc == 0)
        k->rc = make_room(k);
    if (k->rc != 0) {
        abandon(k);
        return;
    }
    k->rc = mdb_txn_commit(k->edit.txn);
    k->edit.txn = NULL;
}

/*
 * Nothing could be kept. Less can perhaps be given up: the fewer entries, the
 * fewer pages that takes. A full map that is full of old pages is not helped
 * so; a file system that is full, is.
 */
static void make_room_only(struct kv_lmdb *k)
{
    uint64_t keep = k->rc == MDB_MAP_FULL ? keep_bytes(k) : 0;
    int rc = -1;

    mdb_reader_check(k->env->lmdb, NULL);
    for (unsigned n = EVICT_FULL_FIRST; rc != 0 && n > 0;
         n /= EVICT_FULL_LESS) {
        if (begin(k) != 0)
            return;
        rc = kv_lmdb_evict(&k->edit, k->rank, n, keep, &k->random);
        if (rc == 0)
            rc = mdb_txn_commit(k->edit.txn);
        else
            mdb_txn_abort(k->edit.txn);
        k->edit.txn = NULL;
    }
}

static void check_readers(struct env *e)
{
    uint64_t now_ms = clock_boot_ms();

    if (++e->commits < CHECK_COMMITS && now_ms - e->checked_ms < CHECK_MS)
        return;
    e->commits = 0;
    e->checked_ms = now_ms;
    mdb_reader_check(e->lmdb, NULL);
}

bool kv_lmdb_commit(struct kv *kv)
{
    struct kv_lmdb *k = (struct kv_lmdb *)kv;
    bool kept;

    if (k->edit.txn != NULL)
        end(k);
    kept = k->rc == 0;
    if (kept)
        check_readers(k->env);
    else
        make_room_only(k);
    unlock(k);
    return kept;
}

/* ---- changing it ---- */

/* So many pages more were written: perhaps enough for a transaction. */
static void count_dirty(struct kv_lmdb *k, size_t pages)
{
    k->dirty += pages;
    if (k->rc != 0 || k->dirty < k->dirty_max)
        return;
    end(k);
    if (k->rc == 0)
        k->rc = begin(k);
}

void kv_lmdb_put(struct kv *kv, uint64_t key, const void *value, size_t len)
{
    struct kv_lmdb *k = (struct kv_lmdb *)kv;

    if (k->rc != 0 || len == 0 || len > KV_VALUE_MAX)
        return;
    k->rc = kv_lmdb_pack_put(&k->edit, key, (struct kv_value){value, len});
    k->puts++;
    count_dirty(k, 1 + len / PAGE);
}

void kv_lmdb_del(struct kv *kv, uint64_t key)
{
    struct kv_lmdb *k = (struct kv_lmdb *)kv;
    int rc;

    if (k->rc != 0)
        return;
    rc = kv_lmdb_pack_del(&k->edit, key);
    k->rc = rc == MDB_NOTFOUND ? 0 : rc;
    count_dirty(k, 1);
}

void kv_lmdb_clear(struct kv *kv)
{
    struct kv_lmdb *k = (struct kv_lmdb *)kv;

    if (k->rc == 0)
        k->rc = mdb_drop(k->edit.txn, k->edit.dbi, 0);
}
