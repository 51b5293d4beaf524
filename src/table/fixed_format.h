/*
 * The file of an immutable bucket table. For fixed.c and fixed_build.c only.
 *
 * Little-endian, pages of 4,096 octets: the header; as many buckets as it says;
 * then overflow pages and pieces of long values as they came; then the filter,
 * filled up to a whole page. A bucket goes on in overflow pages, each behind
 * the one before it. Keys are hashed with a seed that a table takes over from
 * the one before it. The check of a page is a hash of all of it, keyed with the
 * id of the table and the number of the page: one that was swapped, or is of
 * another table, does not check.
 */

#ifndef TABLE_FIXED_FORMAT_H
#define TABLE_FIXED_FORMAT_H

#include "table/fixed.h"
#include "util/codec.h"
#include "util/hash.h"

#define FIXED_MAGIC     "mxhopTab"
#define FIXED_FORMAT    2u /* 1 was LMDB */
#define FIXED_PAGE      4096u
#define FIXED_CHAIN_MAX 16 /* overflow pages of a bucket */

enum { /* the header */
       HEADER_CHECK = 0,
       HEADER_MAGIC = 8,
       HEADER_FORMAT = 16,
       HEADER_ID = 20,
       HEADER_PAGES = 36,   /* before the filter */
       HEADER_BUCKETS = 40, /* they are the pages from 1 on */
       HEADER_BLOCKS = 44,  /* of the filter */
       HEADER_RECORDS = 48, /* u64 */
       HEADER_FILTER = 56,  /* check of the filter */
       HEADER_SEED = 64,    /* of the hash of keys */
       HEADER_BLOB_LEN = 72,
       HEADER_BLOB = 74
};

enum { /* any other page */
       PAGE_CHECK = 0,
       PAGE_NEXT = 8,  /* where the bucket goes on, or 0 */
       PAGE_USED = 12, /* octets, with this head */
       PAGE_ROLE = 14,
       PAGE_DATA = 16
};
#define PAGE_ROOM (FIXED_PAGE - PAGE_DATA)

enum page_role { PAGE_BUCKET = 1, PAGE_OVERFLOW, PAGE_PIECE };

enum { /* a record in a bucket */
       RECORD_TAG = 0,
       RECORD_KEY_LEN = 4,
       RECORD_LEN = 6, /* of what stands behind the key */
       RECORD_KIND = 8,
       RECORD_IN_PIECES =
           9, /* 1: behind the key stand the number of the first
                 of the pages that hold the value, and its length */
       RECORD_HEAD = 10,
       RECORD_PIECES_LEN = 8
};
#define RECORD_INLINE_MAX 2000u /* octets of a value that is not in pieces */

#define FILTER_BLOCK      64u /* octets: a cache line; a key has all bits in one */
#define FILTER_KEY_BITS   20u
#define FILTER_MAX        (UINT32_C(1) << 26) /* octets: of 26 million keys */
#define FILTER_PAGE       16u /* blocks that a page's keys need at most */
#define FILTER_PROBES     7   /* of 9 bits of a hash each */

struct fixed_keys { /* what hashes are keyed with */
    uint64_t page, record;
};

/* Seeds that are alike let short inputs that are alike collide. */
static inline uint64_t fixed_spread(uint64_t n)
{
    return n * UINT64_C(0x9e3779b97f4a7c15);
}

static inline struct fixed_keys fixed_keys_of(const unsigned char *header)
{
    return (
        struct fixed_keys){load_u64(header + HEADER_ID) ^
                               fixed_spread(load_u64(header + HEADER_ID + 8)),
                           load_u64(header + HEADER_SEED)};
}

static inline uint64_t page_check(const struct fixed_keys *k, uint32_t number,
                                  const unsigned char *page)
{
    return hash_bytes(k->page + fixed_spread(number), page + 8, FIXED_PAGE - 8);
}

static inline uint64_t filter_check(const struct fixed_keys *k,
                                    const unsigned char *bits, size_t len)
{
    return hash_bytes(~k->page, bits, len);
}

static inline uint64_t record_hash(const struct fixed_keys *k, fixed_kind kind,
                                   const void *key, size_t len)
{
    return hash_bytes(k->record + fixed_spread(kind), key, len);
}

static inline uint32_t record_bucket(uint64_t hash, uint32_t buckets)
{
    return 1 + (uint32_t)((hash & UINT32_MAX) * buckets >> 32);
}

static inline uint32_t record_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

static inline size_t filter_block(uint64_t hash, uint32_t blocks)
{
    return (size_t)((hash >> 32) * blocks >> 32) * FILTER_BLOCK;
}

/* The nth bit of a key in its block. */
static inline unsigned filter_bit(uint64_t hash, int n)
{
    uint64_t bits = fixed_spread(hash);

    return (unsigned)(bits >> (64 - 9 * (n + 1))) & (FILTER_BLOCK * 8 - 1);
}

static inline uint64_t filter_octets(uint32_t blocks)
{
    return (uint64_t)blocks * FILTER_BLOCK;
}

/* Of a whole file. */
static inline uint64_t fixed_file_octets(uint32_t pages, uint32_t blocks)
{
    return ((uint64_t)pages +
            (filter_octets(blocks) + FIXED_PAGE - 1) / FIXED_PAGE) *
           FIXED_PAGE;
}

#endif
