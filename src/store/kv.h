/*
 * A backend of the DNS cache: bytes under 64-bit keys, bounded in size. It may
 * forget anything at any time.
 *
 * Reading goes through a view, of which each thread has its own. From begin()
 * to end() a view shows one consistent state, and what get() gave stays valid.
 * Reading never writes and never waits for a writer's I/O.
 *
 * Writing is for one thread of a process at a time, and for one process:
 * write_begin() sees to both. It is never done on the thread of an MTA.
 */

#ifndef STORE_KV_H
#define STORE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <mxhop/error.h>

struct kv;
struct kv_view;

#define KV_VALUE_MAX 65536 /* octets of a value */

/*
 * Kinds of entries. They share one tree: the kind is in the highest bits of
 * the key, so each is a range of its own (kv_key()).
 */
enum kv_kind {
    KV_DOMAIN, /* what DNS said of a domain, and when */
    KV_SITE,   /* an MX set, shared by domains */
    KV_ROUTE,  /* a finished answer for a site */
    KV_HOST,   /* addresses of a host */
    KV_SERVER, /* the state of a name server */
    KV_KINDS
};
#define KV_KIND_SHIFT 61

static inline uint64_t kv_key(enum kv_kind kind, uint64_t hash)
{
    return (uint64_t)kind << KV_KIND_SHIFT |
           (hash & (UINT64_MAX >> (64 - KV_KIND_SHIFT)));
}

static inline enum kv_kind kv_kind_of(uint64_t key)
{
    return (enum kv_kind)(key >> KV_KIND_SHIFT);
}

struct kv_value {
    const unsigned char *data; /* not aligned */
    size_t len;
};

/*
 * How much an entry is worth keeping: of a handful of random entries the one
 * with the lowest rank is evicted first. Given by the owner of the records
 * (strangers choose names: what was seen once goes first).
 */
typedef uint64_t kv_rank_fn(uint64_t key, struct kv_value value);

/* false: stop. */
typedef bool kv_walk_fn(void *ctx, uint64_t key, struct kv_value value);

struct kv_stats {
    uint64_t used_bytes; /* live pages, or memory with all overhead */
    uint64_t size_bytes; /* cache_size */
    uint64_t entries;    /* of all kinds */
    uint32_t readers;    /* LMDB: reader slots in use; else 0 */
};

struct kv_ops {
    /* NULL: out of memory, or (after a fork) not usable. */
    struct kv_view *(*view_open)(struct kv *kv);
    void (*view_close)(struct kv_view *v);

    /* false: nothing can be read now; then no end(). */
    bool (*begin)(struct kv_view *v);
    bool (*get)(struct kv_view *v, uint64_t key, struct kv_value *value_r);
    /* A hint, begin() or not: get() will be asked for this key in a moment. */
    void (*expect)(struct kv_view *v, uint64_t key);
    /* Entries with a key of at least `from`, in order of keys. */
    void (*walk)(struct kv_view *v, uint64_t from, kv_walk_fn *fn, void *ctx);
    void (*stats)(struct kv_view *v, struct kv_stats *stats_r);
    void (*end)(struct kv_view *v);

    /* false: somebody else writes, and did not end within wait_ms. */
    bool (*write_begin)(struct kv *kv, uint32_t wait_ms);
    /* As put so far; valid until the next put(), del() or commit(). */
    bool (*write_get)(struct kv *kv, uint64_t key, struct kv_value *value_r);
    void (*put)(struct kv *kv, uint64_t key, const void *value, size_t len);
    void (*del)(struct kv *kv, uint64_t key);
    void (*clear)(struct kv *kv); /* drop everything */
    /* Ends the writing in any case. Evicts where more than four fifths of the
       size are in use. false: nothing of it was kept (full). */
    bool (*commit)(struct kv *kv);

    void (*close)(struct kv *kv); /* after all views */
};

struct kv {
    const struct kv_ops *ops;
    uint64_t seed; /* of the hashes in keys: the same in all processes that
                      share the entries, and unknown to strangers */
    bool shared;   /* with other processes */
};

/* In the memory of this process, at most max_bytes with all overhead counted.
   Views and the writer take a lock for a few microseconds. */
enum mxhop_status kv_memory_open(struct kv **kv_r, size_t max_bytes,
                                 kv_rank_fn *rank, struct mxhop_error *err);

/*
 * In LMDB, shared by all processes of an MTA, in the directory `dir` (DESIGN
 * 6): cache.mdb, its lock file, and cache.state (which says what the data is
 * good for, and is locked by writers). Everything is opened here, before a
 * jail; later only descriptors and the map are used.
 *
 * Files are opened and created under the file system ids uid and gid, which
 * the caller must be or be allowed to take (root). Where the directory is
 * missing, root makes it (its parent too, owner root) and gives it to uid.
 * Refused: a directory or file that is not uid's, or that others may write
 * to; a parent that others than root may write to.
 *
 * Data of another boot, another format version, or with a damaged header is
 * thrown away and made anew; *note_r (static text or NULL) says so.
 * Opening it again in the same process gives the same environment, counted.
 * In a child of fork(2) views show nothing and writing is refused.
 *
 * size_bytes is cache_size; the map is twice that.
 * Errors: MXHOP_ERR_IO, MXHOP_ERR_TABLE, with path, reason and remedy.
 */
struct kv_lmdb_options {
    const char *dir;
    uid_t uid;
    gid_t gid;
    uint64_t size_bytes;
    kv_rank_fn *rank;
};
enum mxhop_status kv_lmdb_open(struct kv **kv_r,
                               const struct kv_lmdb_options *options,
                               const char **note_r, struct mxhop_error *err);

#endif
