/* Between the files of src/overrides. */

#ifndef OVERRIDES_OVTABLE_INT_H
#define OVERRIDES_OVTABLE_INT_H

#include <limits.h>
#include "overrides/codec.h"
#include "overrides/ovtable.h"
#include "table/fixed.h"

/* ---- ovtable.c ---- */

extern const char ovtable_is_first[]; /* a reason, as those of fixed.h */

/* "PATH: why", with what to do. */
enum mxhop_status ovtable_refused(struct mxhop_error *err, const char *path,
                                  const char *why);
const struct table_meta *ovtable_meta(const struct ovtable *t);
#define OVTABLE_ROOM ((size_t)4 * FIXED_VALUE_MAX) /* of entries of one key */
/* Whether a list of ids may have this length, in octets. */
bool ovtable_is_list(size_t len);

/* ---- ovtable_lists.c: the lists of entries under keys ---- */

struct ovtable_records { /* of the table to be */
    struct fixed_record *v;
    size_t n, cap;
};
/* Add one; false: out of memory. */
bool ovtable_keep(struct ovtable_records *r, fixed_kind kind, const void *key,
                  size_t key_len, struct fixed_bytes value);

struct lists_posting;

struct lists_excess { /* an entry that comes to a full key */
    unsigned char id[OVTABLE_ID_LEN];
    enum ovtable_index by;
    struct chars key;
};

struct ovtable_lists { /* zero-initialise, and give what is named first */
    struct fixed *old; /* the old table; NULL: there is none */
    /* Whether an entry of the old table is as it was. */
    bool (*stays)(void *ctx, const unsigned char *id);
    void *ctx;
    uint64_t general; /* of the old table, then of the new one: a hash of all
                         entries by exchange and for `*` */
    struct lists_posting *v;
    size_t n, cap;
    uint32_t *slot; /* a hash table of them by key */
    size_t mask;
    uint64_t seed;
    unsigned char *ids; /* of the lists that were made */
    struct fixed_record
        crowded; /* a list that is too long, or leads to too much */
    struct lists_excess *excess; /* without these none would be; the last by DN
                                    of those that were not in the old list */
    size_t n_excess, cap_excess;
};

/* Note an entry that comes, with its id, or that goes, with NULL; one that
   changes does both. Record and id must stay. */
enum codec_status ovtable_lists_note(struct ovtable_lists *x,
                                     struct fixed_bytes record,
                                     const unsigned char *id);
/* Of the old lists in *r, put those that are not as they were by new ones, and
   tell which kinds of keys there are then. The new ones are x's. */
enum codec_status ovtable_lists_renew(struct ovtable_lists *x,
                                      struct ovtable_records *r,
                                      struct table_kinds *kinds);
void ovtable_lists_free(struct ovtable_lists *x);

/* ---- ovtable_place.c: directory, lock, and what stands beside the table ----
 */

struct ovtable_place {
    int dir_fd, lock_fd; /* -1: not open */
    const char *path;
    const char *name; /* in the directory */
};

/* Open the directory of the table, see that it is safe to write there, and
   become the only refresh. Waits for another one for some seconds. Errors:
   MXHOP_ERR_IO. To be left in any case. */
enum mxhop_status ovtable_enter(struct ovtable_place *p_r, const char *path,
                                struct mxhop_error *err);
void ovtable_leave(struct ovtable_place *p);

/* Where the source stood at last: what stands in the table, unless a later
   refresh left a note beside it. false: damaged, with *err. */
enum mxhop_status ovtable_read_where(struct ovtable *t, const char *path,
                                     struct ovtable_where *where_r,
                                     struct mxhop_error *err);
/* Leave that note, for the table `id`. 0, or an errno value. */
int ovtable_note_where(const struct ovtable_place *p,
                       const unsigned char id[OVTABLE_ID_LEN],
                       const struct table_where *where);

/* Whether the file is an override table of mxhop 1, which was an LMDB
   environment. */
bool ovtable_is_lmdb(int dir_fd, const char *name);

#endif
