/*
 * kv_lmdb_place - where packs lie in the snapshot that a view reads
 *
 * The search in LMDB's tree takes a dozen comparisons that the processor
 * cannot foresee, for the same few thousand packs again and again. As long as
 * no writer has committed, a pack that was found once is found here with one
 * access to memory: keys are hashes, so some bits of them choose a row. What
 * was noted in a snapshot counts in no other, as LMDB may use its pages again.
 *
 * The table must stay in the processor's cache beside everything else, so of
 * keys it has the upper half: a key that cannot be told from the edge of a
 * pack by that is searched for. A row has room for two packs, because the
 * keys of a row are in one pack or two, mostly, where there are as many rows as
 * packs.
 */

#include "store/kv_lmdb_place.h"
#include "store/kv_pack.h"

#include <stdlib.h>
#include <string.h>

#define LINE      64 /* of the processor's cache */
#define BITS_MIN  6
#define BITS_MAX  16 /* 2 MiB */
#define KIND_BITS (64 - KV_KIND_SHIFT)
#define PAGE      4096
#define PAGE_HEAD 16 /* LMDB's, before a value that has pages of its own */

struct place {
    uint32_t first, bound; /* upper halves; what is between them is in it */
    int32_t page;          /* from the base */
    uint32_t snapshot;
};

struct place_row {
    struct place place[2];
};

void places_free(struct places *p)
{
    free(p->memory);
    *p = (struct places){0};
}

/* Where there is no memory, everything is searched for. */
static void allocate(struct places *p, unsigned bits)
{
    free(p->memory);
    p->bits = bits;
    p->memory = calloc(1, (sizeof(struct place_row) << bits) + LINE - 1);
    p->rows = NULL;
    if (p->memory != NULL)
        p->rows = (void *)(((uintptr_t)p->memory + LINE - 1) / LINE * LINE);
}

void places_begin(struct places *p, size_t txn, size_t packs)
{
    unsigned bits = BITS_MIN;

    if (p->txn == txn)
        return;
    p->txn = txn;
    while (bits < BITS_MAX && (size_t)1 << bits < packs)
        bits++;
    if (bits > p->bits)
        allocate(p, bits);
    p->snapshot++;
    if (p->snapshot > 0)
        return;
    if (p->rows != NULL) /* once around */
        memset(p->rows, 0, sizeof(struct place_row) << p->bits);
    p->snapshot = 1;
}

/* The kind is left out: nearly all that is asked for is of one. */
static struct place_row *row_of(const struct places *p, uint64_t key)
{
    return &p->rows[key << KIND_BITS >> (64 - p->bits)];
}

bool places_find(const struct places *p, uint64_t key, struct kv_value *bytes_r)
{
    uint32_t half = (uint32_t)(key >> 32);
    const struct place_row *row;

    if (p->rows == NULL)
        return false;
    row = row_of(p, key);
    for (size_t i = 0; i < 2; i++) {
        const struct place *at = &row->place[i];

        if (half <= at->first || half >= at->bound ||
            at->snapshot != p->snapshot)
            continue;
        *bytes_r = (struct kv_value){p->base + (ptrdiff_t)at->page * PAGE,
                                     KV_PACK_MAX};
        return true;
    }
    return false;
}

void places_note(struct places *p, uint64_t key, uint64_t first, uint64_t bound,
                 struct kv_value bytes)
{
    struct place_row *row;
    ptrdiff_t page;

    /* Then all KV_PACK_MAX octets of it are in the map, whatever they are. */
    if (p->rows == NULL || bytes.len > KV_PACK_MAX ||
        (uintptr_t)bytes.data % PAGE != PAGE_HEAD)
        return;
    if (p->base == NULL)
        p->base = bytes.data;
    page = (bytes.data - p->base) / PAGE;
    if (page > INT32_MAX || page < INT32_MIN)
        return;
    row = row_of(p, key);
    row->place[1] = row->place[0];
    row->place[0] =
        (struct place){(uint32_t)(first >> 32), (uint32_t)(bound >> 32),
                       (int32_t)page, p->snapshot};
}
