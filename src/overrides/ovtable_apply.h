/* A refresh of the override table, between the files that do it. */

#ifndef OVERRIDES_OVTABLE_APPLY_H
#define OVERRIDES_OVTABLE_APPLY_H

#include "overrides/ovtable_int.h"

enum apply_says { SAYS_VALID, SAYS_INVALID, SAYS_PRESENT, SAYS_GONE };

struct apply_item { /* an entry that the delta names, or that goes */
    const unsigned char *id;
    enum apply_says says;
    const struct ovtable_upsert *u; /* of the first two */
    bool stays;                     /* as it is in the old table */
    bool left_out;                  /* that is what the record says */
    struct fixed_bytes was;         /* in the old table; no length: not there */
    struct fixed_bytes was_out;     /* the same, where it was left out */
    struct fixed_bytes record;      /* as it is to be */
};

struct apply_refused {        /* an entry that a key has no room for */
    struct ovtable_upsert *v; /* what it counts as; `why' is to be freed */
    size_t n, cap;
    bool again; /* some came to it: begin anew with these */
};

struct apply {
    struct apply_refused *refused;
    const struct ovtable_write *w;
    const struct ovtable_delta *d;
    struct mxhop_error *err;
    struct ovtable_change change;
    struct ovtable_place place;
    struct apply_item *item; /* each id once */
    size_t n_items, cap_items;
    size_t n_named; /* by the delta; those behind are of the old table */
    uint32_t *slot; /* a hash table of them by id: place + 1, or 0 */
    size_t mask;
    uint64_t seed;
    struct buf encoded; /* what the valid items are to be, */
    struct buf marked;  /* and the others */
    bool remarked;      /* the set is as it was, but for marks */
    struct ovtable *t;  /* the old table, as long as its records are in use */
    struct table_meta old, now;
    unsigned char old_id[OVTABLE_ID_LEN];
    bool there;       /* there is an old table, as it should be */
    uint32_t entries; /* that it has for us: none of a damaged one */
    struct ovtable_records r;
    struct ovtable_lists lists;
    enum codec_status codec; /* what went wrong on the walk */
};

/* ---- ovtable_apply.c ---- */

/* What the delta names, or what goes; NULL: the entry is as it was. */
struct apply_item *apply_find(const struct apply *a, const unsigned char *id);

/* ---- ovtable_marks.c ---- */

/* The largest set of the last day, as far as that is known. */
uint32_t apply_peak(const struct apply *a);
/* Whether so many entries are too few to follow those of the last day; then
   change.held_text says so. */
bool apply_holds(struct apply *a, uint64_t after);
/* The record of an item that is not as the source has it, into a->marked;
   `hold`: its removal has to wait. */
void apply_mark(struct apply *a, struct apply_item *item, bool hold);
/* Add lists.excess to *a->refused; false: out of memory. */
bool apply_refuse(struct apply *a);
/* Count the entries of the new set that are not as the source has them, and
   tell the caller of each. MXHOP_ERR_SYNTAX: `strict` allows none that is
   invalid. MXHOP_ERR_TABLE: the old table is damaged. */
enum mxhop_status apply_note(struct apply *a);

#endif
