/*
 * ovtable_filter - which index keys cannot be in an override table
 *
 * A lookup asks for a recipient, a domain, each of its parents and `*`, nearly
 * all of which no override has. The filter answers that from one cache line a
 * key: a blocked Bloom filter, in which a key has all its bits in one block.
 * Before that, one look at which kinds of key there are: with no `*` and no
 * .parent of three labels in the table none of these costs a hash.
 *
 * Bits are only added. A key that was removed leaves its bits, which costs a
 * search in vain, until the filter is made anew: when it has taken as many
 * keys as it was made for, or when half of them are gone.
 *
 * The record is little-endian: version, kinds, 2 octets 0, blocks, parents of
 * both indexes, capacity, keys, keys that are gone, 4 octets 0, a checksum,
 * the blocks. It is verified once for each committed set that a process sees:
 * a bit that fell would hide an override.
 */

#include "overrides/ovtable_filter.h"
#include "util/codec.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

#define FILTER_VERSION 1
#define BLOCK          64 /* octets: a cache line */
#define BITS_A_KEY     12 /* when it is full */
#define PROBES         7  /* of 9 bits of a hash each */
#define KEYS_MIN       64

enum {
    AT_VERSION = 0,
    AT_KINDS = 1,
    AT_BLOCKS = 4,
    AT_PARENTS = 8,
    AT_CAPACITY = 24,
    AT_KEYS = 28,
    AT_GONE = 32,
    AT_CHECK = 40,
    HEAD = 48 /* with the 16 octets of a page's head: blocks are aligned */
};

enum kind { /* of a key; a bit each in kinds, for each index */
            KIND_NAME,
            KIND_PARENT,
            KIND_STAR,
            KIND_RECIPIENT,
            KINDS
};

static void store_u32(unsigned char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void store_u64(unsigned char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static enum kind kind_of(const char *key, size_t len)
{
    if (key[0] == '.')
        return KIND_PARENT;
    if (len == 1 && key[0] == '*')
        return KIND_STAR;
    return memchr(key, '@', len) != NULL ? KIND_RECIPIENT : KIND_NAME;
}

static uint8_t kind_bit(enum ovtable_index by, enum kind kind)
{
    return (uint8_t)(1u << ((unsigned)by * KINDS + kind));
}

/* Parents with more labels than bits share the last one. */
static uint64_t parent_bit(const char *key, size_t len)
{
    unsigned labels = 0;

    for (size_t i = 0; i < len; i++)
        labels += key[i] == '.';
    return (uint64_t)1 << (labels < 63 ? labels : 63);
}

/* Where in the blocks a key is: octet and bit of each probe. */
struct place {
    size_t block;
    uint64_t bits; /* PROBES times nine, from the top */
};

static struct place place_of(uint32_t blocks, enum ovtable_index by,
                             const char *key, size_t len)
{
    uint64_t h = hash_bytes((uint64_t)by, key, len);

    return (struct place){(size_t)((h >> 32) * blocks >> 32) * BLOCK,
                          h * UINT64_C(0x9e3779b97f4a7c15)};
}

static unsigned probe(const struct place *p, int i)
{
    return (unsigned)(p->bits >> (64 - 9 * (i + 1))) & (BLOCK * 8 - 1);
}

static uint64_t checksum(const unsigned char *record, size_t len)
{
    return hash_bytes(hash_bytes(FILTER_VERSION, record, AT_CHECK),
                      record + HEAD, len - HEAD);
}

/* ---- reading ---- */

bool ovtable_filter_load(struct ovtable_filter *f, const void *bytes,
                         size_t len)
{
    const unsigned char *p = bytes;

    memset(f, 0, sizeof(*f));
    if (len < HEAD + BLOCK || p[AT_VERSION] != FILTER_VERSION ||
        (len - HEAD) / BLOCK != load_u32(p + AT_BLOCKS) ||
        (len - HEAD) % BLOCK != 0 || load_u64(p + AT_CHECK) != checksum(p, len))
        return false;
    f->kinds = p[AT_KINDS];
    f->blocks = load_u32(p + AT_BLOCKS);
    f->parents[0] = load_u64(p + AT_PARENTS);
    f->parents[1] = load_u64(p + AT_PARENTS + 8);
    f->bits = p + HEAD;
    return true;
}

void ovtable_filter_expect(const struct ovtable_filter *f,
                           enum ovtable_index by, const char *key, size_t len)
{
    if ((f->kinds & kind_bit(by, KIND_NAME)) != 0)
        __builtin_prefetch(f->bits + place_of(f->blocks, by, key, len).block);
}

bool ovtable_filter_has(const struct ovtable_filter *f, enum ovtable_index by,
                        const char *key, size_t len)
{
    enum kind kind = kind_of(key, len);
    const unsigned char *block;
    struct place place;
    unsigned found = 1;

    if ((f->kinds & kind_bit(by, kind)) == 0)
        return false;
    if (kind == KIND_PARENT && (f->parents[by] & parent_bit(key, len)) == 0)
        return false;
    place = place_of(f->blocks, by, key, len);
    block = f->bits + place.block;
    /* All of them: at which one it ends no processor can foresee. */
    for (int i = 0; i < PROBES; i++) {
        unsigned bit = probe(&place, i);

        found &= (unsigned)block[bit / 8] >> bit % 8;
    }
    return found != 0;
}

/* ---- writing ---- */

bool ovtable_filter_edit(struct ovtable_filter_edit *e, const void *bytes,
                         size_t len)
{
    struct ovtable_filter f;

    *e = (struct ovtable_filter_edit){0};
    if (!ovtable_filter_load(&f, bytes, len))
        return true;
    e->record = malloc(len);
    if (e->record == NULL)
        return false;
    memcpy(e->record, bytes, len);
    e->len = len;
    return true;
}

bool ovtable_filter_make(struct ovtable_filter_edit *e, size_t n)
{
    size_t capacity = n + n / 2 + KEYS_MIN;
    size_t blocks = (capacity * BITS_A_KEY + BLOCK * 8 - 1) / (BLOCK * 8);

    ovtable_filter_drop(e);
    if (capacity > UINT32_MAX)
        return false;
    e->record = calloc(1, HEAD + blocks * BLOCK);
    if (e->record == NULL)
        return false;
    e->len = HEAD + blocks * BLOCK;
    e->changed = true;
    e->record[AT_VERSION] = FILTER_VERSION;
    store_u32(e->record + AT_BLOCKS, (uint32_t)blocks);
    store_u32(e->record + AT_CAPACITY, (uint32_t)capacity);
    return true;
}

static void count(struct ovtable_filter_edit *e, size_t at)
{
    store_u32(e->record + at, load_u32(e->record + at) + 1);
    e->changed = true;
}

void ovtable_filter_add(struct ovtable_filter_edit *e, enum ovtable_index by,
                        const char *key, size_t len)
{
    enum kind kind = kind_of(key, len);
    unsigned char *r = e->record;
    struct place place;

    if (r == NULL)
        return;
    r[AT_KINDS] |= kind_bit(by, kind);
    if (kind == KIND_PARENT) {
        unsigned char *parents = r + AT_PARENTS + 8 * (size_t)by;

        store_u64(parents, load_u64(parents) | parent_bit(key, len));
    }
    place = place_of(load_u32(r + AT_BLOCKS), by, key, len);
    for (int i = 0; i < PROBES; i++) {
        unsigned bit = probe(&place, i);

        r[HEAD + place.block + bit / 8] |= (unsigned char)(1u << bit % 8);
    }
    count(e, AT_KEYS);
}

void ovtable_filter_note_gone(struct ovtable_filter_edit *e)
{
    if (e->record != NULL)
        count(e, AT_GONE);
}

bool ovtable_filter_is_spent(const struct ovtable_filter_edit *e)
{
    uint32_t keys, gone;

    if (e->record == NULL)
        return true;
    keys = load_u32(e->record + AT_KEYS);
    gone = load_u32(e->record + AT_GONE);
    return keys > load_u32(e->record + AT_CAPACITY) ||
           (gone > KEYS_MIN && gone > keys / 2);
}

void ovtable_filter_seal(struct ovtable_filter_edit *e)
{
    store_u64(e->record + AT_CHECK, checksum(e->record, e->len));
}

void ovtable_filter_drop(struct ovtable_filter_edit *e)
{
    free(e->record);
    *e = (struct ovtable_filter_edit){0};
}
