/*
 * Where packs lie in the snapshot that a view reads, as it found them by
 * searching. Inside the shared cache's backend; one thread's, as the view is.
 */

#ifndef STORE_KV_LMDB_PLACE_H
#define STORE_KV_LMDB_PLACE_H

#include "store/kv.h"

struct place_row;

struct places {
    struct place_row *rows;    /* aligned, in */
    void *memory;              /* or NULL */
    unsigned bits;             /* of a key, that choose a row */
    uint32_t snapshot;         /* counted; what was noted in others is gone */
    size_t txn;                /* LMDB's number of it; 0: none */
    const unsigned char *base; /* a pack; others are pages away from it */
};

/* A zeroed struct is an empty one, which this makes again. */
void places_free(struct places *p);
/* From now on the view reads snapshot txn, which has about so many packs. */
void places_begin(struct places *p, size_t txn, size_t packs);
/* false: search, and note it. */
bool places_find(const struct places *p, uint64_t key,
                 struct kv_value *bytes_r);
/* The key's pack; all keys from first to bound are in it or in none. */
void places_note(struct places *p, uint64_t key, uint64_t first, uint64_t bound,
                 struct kv_value bytes);

#endif
