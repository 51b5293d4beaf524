/*
 * Which index keys cannot be in an override table: a blocked Bloom filter over
 * the keys of both indexes, and which kinds of key there are. Inside src/store.
 */

#ifndef STORE_OVTABLE_FILTER_H
#define STORE_OVTABLE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "overrides/ovtable.h"

/* ---- reading ---- */

struct ovtable_filter {
    uint8_t kinds;
    uint32_t blocks;
    uint64_t parents[2];       /* .parent keys by number of labels, an index */
    const unsigned char *bits; /* in the record that it was loaded from */
};

/* false: no such record, or damaged. Reads all of it. */
bool ovtable_filter_load(struct ovtable_filter *f, const void *bytes,
                         size_t len);
/* A hint that ovtable_filter_has() is asked for this key in a moment. */
void ovtable_filter_expect(const struct ovtable_filter *f,
                           enum ovtable_index by, const char *key, size_t len);
/* false: the key is certainly not in the index. */
bool ovtable_filter_has(const struct ovtable_filter *f, enum ovtable_index by,
                        const char *key, size_t len);

/* ---- writing ---- */

struct ovtable_filter_edit {
    unsigned char *record; /* NULL: there is none that can be used */
    size_t len;
    bool changed;
};

/* Take a copy of a record; a damaged one is left alone. false: memory. */
bool ovtable_filter_edit(struct ovtable_filter_edit *e, const void *bytes,
                         size_t len);
/* An empty one for n keys and some more. false: memory. */
bool ovtable_filter_make(struct ovtable_filter_edit *e, size_t n);
/* Without a record these do nothing. */
void ovtable_filter_add(struct ovtable_filter_edit *e, enum ovtable_index by,
                        const char *key, size_t len);
void ovtable_filter_note_gone(struct ovtable_filter_edit *e);
/* There is none, it is full, or most of its keys are gone. */
bool ovtable_filter_is_spent(const struct ovtable_filter_edit *e);
/* After the last change, before it is stored. */
void ovtable_filter_seal(struct ovtable_filter_edit *e);
void ovtable_filter_drop(struct ovtable_filter_edit *e);

#endif
