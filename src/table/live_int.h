/*
 * The format of the live table, in the order of octets of this machine, and
 * what live.c (opening, reading) and live_write.c share.
 *
 *     page 0        struct live_head
 *     page 1 + i    bucket i: struct live_bucket, then records, then zeroes
 *
 * A record is at home in the bucket that the low half of its hash tells, or,
 * where that is full, in the one that the high half tells.
 * Buckets are counted by linear hashing: bucket n comes from splitting bucket
 * n - 2^k, so the table grows in place, a bucket at a time.
 */

#ifndef TABLE_LIVE_INT_H
#define TABLE_LIVE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "table/live.h"
#include "util/hash.h"

#define LIVE_MAGIC   UINT64_C(0x3156494c706f6878) /* "xhopLIV1" */
#define LIVE_MACHINE (0x01020300u + (uint32_t)sizeof(void *))
#define LIVE_PAGE    4096
#define LIVE_SLOTS   29
#define LIVE_ROOM    (LIVE_PAGE - (int)sizeof(struct live_bucket))
#define LIVE_PAGES   3
#define LIVE_FIRST_N 16 /* buckets of an empty table */

/* Readers load each member alone, while it may be written: they are aligned,
   and a wrong mixture of them finds nothing. */
struct live_head {
    uint64_t magic;
    uint32_t machine;
    uint32_t n; /* buckets */
    uint64_t boot, seed;
    uint64_t used;  /* octets of records; a slot's share at least */
    uint64_t check; /* of the members above */
};

struct live_slot {
    uint16_t tag; /* of the hash */
    uint16_t at;  /* offset of the record in the page */
};

struct live_bucket {
    uint64_t check; /* of the rest, keyed with seed and number of the bucket */
    uint16_t count;
    uint16_t used; /* the same, here; for writers */
    struct live_slot slot[LIVE_SLOTS];
};
_Static_assert(sizeof(struct live_bucket) == 128, "two cache lines");

struct live_record {
    uint64_t check; /* of the rest, key and value, keyed with the seed */
    uint32_t dead_s;
    uint16_t value_len;
    uint16_t key_len : 10, worth : 2, kind : 2, : 2;
    /* key, value */
};
_Static_assert(sizeof(struct live_record) == 16, "no padding");

enum live_kind { LIVE_WHOLE, LIVE_LONG, LIVE_PIECE };

/* A long value: the record under its key has this, and the pieces stand under
   the key with their number, a nonce before each. */
struct live_long {
    uint64_t nonce; /* of this put */
    uint64_t check; /* of the whole value */
    uint32_t len;
};
#define LIVE_PIECE_MAX 1800 /* octets of a value in one record */

struct live {
    int fd;     /* of the file; dup'ed over when it was replaced */
    int dir_fd; /* -1: memory */
    char name[64], lock_name[64 + sizeof(".lock")];
    uint64_t boot;
    uint32_t max_n;          /* buckets it may grow to */
    uint32_t most_n;         /* and more have holes: half of the file system */
    pid_t pid;               /* that opened it */
    atomic_uint replaced;    /* counts what `fd` was */
    pthread_mutex_t writing; /* the threads of this process */

    /* Of the writer, between begin and end. */
    int lock_fd;
    struct live_head head;
    uint32_t now_s;
    uint64_t pages; /* of the file */
    bool failed, no_room;
    struct live_page *page;   /* LIVE_PAGES: the home, the other, a third */
    struct live_view *writer; /* to read without a system call */
};

struct live_view {
    struct live *t;
    const unsigned char *map;
    size_t map_len;
    unsigned replaced;             /* as it was when the map was made */
    unsigned char page[LIVE_PAGE]; /* the copy of a record, or of a bucket */
    unsigned char *value;          /* a long value; or NULL */
};

/* ---- where things are ---- */

static inline uint16_t live_tag(uint64_t hash)
{
    return (uint16_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 48);
}

static inline uint32_t live_bucket_of(uint32_t half, uint32_t n)
{
    uint32_t mask = UINT32_MAX >> __builtin_clz(n | 1);
    uint32_t i = half & mask;

    return i < n ? i : i & mask >> 1;
}

static inline uint32_t live_home(uint64_t hash, uint32_t n)
{
    return live_bucket_of((uint32_t)hash, n);
}

static inline uint32_t live_other(uint64_t hash, uint32_t n)
{
    return live_bucket_of((uint32_t)(hash >> 32), n);
}

/* ---- checks ---- */

static inline uint64_t live_bucket_check(const struct live_bucket *b,
                                         uint64_t seed, uint32_t i)
{
    return hash_bytes(seed + i, &b->count, sizeof(*b) - sizeof(b->check));
}

static inline size_t live_record_len(const struct live_record *r)
{
    return sizeof(*r) + r->key_len + r->value_len;
}

/* r is whole, with key and value behind it. */
static inline uint64_t live_record_check(const void *r, uint64_t seed)
{
    struct live_record head; /* r need not be aligned */

    memcpy(&head, r, sizeof(head));
    return hash_bytes(seed, (const unsigned char *)r + sizeof(head.check),
                      live_record_len(&head) - sizeof(head.check));
}

static inline uint64_t live_head_check(const struct live_head *h)
{
    return hash_bytes(LIVE_MAGIC, h, sizeof(*h) - sizeof(h->check));
}

/* The file, made if need be, and no other's: -1 with *err. */
int live_open_own(int dir_fd, const char *name, struct mxhop_error *err);

/* A bucket as it lies in the map, which others may write, until the next call;
   NULL: it is beyond the end of the file. */
const unsigned char *live_page_at(struct live_view *v, uint32_t i);

/* The key of a piece; octets of it. */
size_t live_piece_key(unsigned char key_r[LIVE_KEY_MAX + 1], const void *key,
                      size_t key_len, size_t number);
/* Whether a long value stands under the key, with as many pieces as l_r has. */
bool live_get_long(struct live_view *v, const void *key, size_t key_len,
                   struct live_long *l_r);

#endif
