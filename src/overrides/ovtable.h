/*
 * The override table: compiled overrides in LMDB, on disk (DESIGN 7). Written
 * by one `mxhop refresh` at a time, read by any number of processes.
 */

#ifndef STORE_OVTABLE_H
#define STORE_OVTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <mxhop/error.h>
#include "model/key.h"
#include "model/override.h"

struct ovtable;      /* open for reading */
struct ovtable_snap; /* one consistent view */

/* Open an existing table for reading. Nothing is created. Must be called
   before a jail is entered; afterwards new sets are seen without reopening.
   Errors: MXHOP_ERR_TABLE with path and reason; the caller may try again
   (a table may appear later). One environment per (device, inode) and
   process, counted. */
enum mxhop_status ovtable_open(struct ovtable **t_r, const char *path,
                               struct mxhop_error *err);
void ovtable_close(struct ovtable **t);

/* Whether *st is of the file that is open: a table that was removed and made
   anew is another one, whose sets are not seen. */
bool ovtable_is_file(const struct ovtable *t, const struct stat *st);

/* Begin and end one lookup. No system call once the reader slot is taken.
   The snapshot belongs to the table; one at a time. */
enum mxhop_status ovtable_begin(struct ovtable *t, struct ovtable_snap **s_r,
                                struct mxhop_error *err);
void ovtable_end(struct ovtable_snap **s);

struct ovtable_info {
    uint64_t version; /* grows by one with each set that differs */
    uint32_t entries;
    bool has_exchanges; /* some entry matches by MX host */
    int64_t compiled_s; /* wall time of the last successful refresh */
    int64_t changed_s;  /* of the last one that made a set that differs */
    const char *source; /* for people; until another set is seen */
};
enum mxhop_status ovtable_info(struct ovtable_snap *s,
                               struct ovtable_info *info_r,
                               struct mxhop_error *err);

/*
 * Find the entry for one index key: of those that are active at now_s the one
 * with the lowest DN. Keys in normal form; by: key index or exchange index.
 * *o_r->dn is NULL when there is none (status MXHOP_OK); else *o_r is the
 * caller's to override_free(). MXHOP_ERR_TABLE: damaged record.
 */
enum ovtable_index { OVTABLE_BY_KEY, OVTABLE_BY_EXCHANGE };
enum mxhop_status ovtable_find(struct ovtable_snap *s, enum ovtable_index by,
                               const char *key, int64_t now_s,
                               struct override *o_r, struct mxhop_error *err);

/* Whether entries stand under a key, active or not; also true where that
   cannot be read. Allocates nothing. */
bool ovtable_has(struct ovtable_snap *s, enum ovtable_index by,
                 const char *key);
/* A hint: ovtable_lacks() of this domain follows in a moment. */
void ovtable_expect(const struct ovtable *t, const char *domain);
/*
 * The same for all keys that next() gives, the first for NULL, in the newest
 * set, and without a snapshot, which costs more than all else: true only if it
 * is certain that nothing stands under any of them. *info_r is of that set.
 */
typedef const char *ovtable_next_fn(const struct key *key, const char *at);
bool ovtable_lacks(struct ovtable *t, ovtable_next_fn *next,
                   const struct key *key, struct ovtable_info *info_r);
/* The next second after now_s in which an entry under `key` may become active
   or cease to be, if that is before *edge_s, into *edge_s. */
enum mxhop_status ovtable_next_edge(struct ovtable_snap *s,
                                    enum ovtable_index by, const char *key,
                                    int64_t now_s, int64_t *edge_s,
                                    struct mxhop_error *err);

/* Call fn for every entry under a key, active or not, in order of DN, until it
   returns false. It may keep what *o owns, and then leaves *o zeroed. */
enum mxhop_status ovtable_under(struct ovtable_snap *s, enum ovtable_index by,
                                const char *key,
                                bool (*fn)(void *ctx, const unsigned char *id,
                                           struct override *o),
                                void *ctx, struct mxhop_error *err);

/* Call fn for every entry until it returns false, in no particular order. It
   may keep what *o owns, and then leaves *o zeroed. */
enum mxhop_status ovtable_walk(struct ovtable_snap *s,
                               bool (*fn)(void *ctx, struct override *o),
                               void *ctx, struct mxhop_error *err);

struct ovtable_write {
    const char *path;
    const char *source;      /* for people: "ldif:/etc/mxhop/..." */
    gid_t reader_gid;        /* may use the lock file; (gid_t)-1: leave */
    uint32_t shrink_percent; /* override_shrink_limit; 100: no limit */
    bool force;              /* ignore shrink_percent */
    int64_t now_s;
};

struct ovtable_change {
    uint32_t before, after; /* entries */
    uint32_t added, modified, removed;
    bool changed;
    bool superseded; /* refused, for that alone: the set is not that of
                        ovtable_delta.since any more */
    uint64_t version;
};

/*
 * An entry is known by an id that outlives its name: what a directory has for
 * it (entryUUID), or for sources that have none, a hash of the DN.
 */
#define OVTABLE_ID_LEN     16
#define OVTABLE_COOKIE_MAX 4096

void ovtable_id_of_dn(const char *dn, unsigned char id_r[OVTABLE_ID_LEN]);

struct ovtable_upsert {
    unsigned char id[OVTABLE_ID_LEN];
    const struct override *o; /* NULL: the source has the entry, but it is no
                                 valid override; nothing of it may stay */
};

/* Where the source stood when the set was committed. */
struct ovtable_where {
    uint64_t fingerprint;
    unsigned char cookie[OVTABLE_COOKIE_MAX];
    size_t cookie_len;
    uint32_t entries;
    int64_t compiled_s;
};

/* What a source has to say, committed in one transaction together with where
   the source then stands. */
struct ovtable_delta {
    const struct ovtable_upsert *upsert; /* an id twice: the last counts */
    size_t n_upsert;
    const unsigned char (*remove)[OVTABLE_ID_LEN]; /* unless in upsert; */
    size_t n_remove;                               /* unknown ids are fine */
    bool complete; /* what is neither in upsert nor in present is removed */
    const unsigned char (*present)[OVTABLE_ID_LEN];
    size_t n_present;
    const struct ovtable_where *since; /* what it says is what is new since
                             then; NULL, or all of the set: whatever is there */
    uint64_t fingerprint; /* of all that the set is made from: source, base,
                             filter, mapping, version of the rules */
    const void *cookie;   /* RFC 4533, opaque */
    size_t cookie_len;    /* 0: none; at most OVTABLE_COOKIE_MAX */
};

/*
 * Apply it in one transaction; creates table and directory entry (data file
 * 0644, lock file 0660 with reader_gid) but not the directory. Writes only
 * what differs; where no entry does, the version of the set stays, and
 * fingerprint, cookie and date are stored. Nothing changes on any error.
 *
 * MXHOP_ERR_HELD when the set would lose more than shrink_percent of the
 * entries that it had within the last day. MXHOP_ERR_TABLE when the table is
 * damaged or of another version; a delta that is complete without `present`
 * makes a new one of it instead, unless the file is none of ours; also where
 * another writer was faster (change_r->superseded).
 * MXHOP_ERR_ARGUMENT while this process has the table open for reading: close
 * it first. Blocks on disk and on another writer.
 */
enum mxhop_status ovtable_apply(const struct ovtable_write *w,
                                const struct ovtable_delta *d,
                                struct ovtable_change *change_r,
                                struct mxhop_error *err);

/* Replace the whole set; ids are those of the DNs, of entries with the same DN
   the first counts. Otherwise as ovtable_apply(). */
enum mxhop_status ovtable_replace(const struct ovtable_write *w,
                                  const struct override *entries, size_t n,
                                  struct ovtable_change *change_r,
                                  struct mxhop_error *err);

/* No table: MXHOP_OK, all zero. Damaged, or of another version:
   MXHOP_ERR_TABLE, all zero. */
enum mxhop_status ovtable_where(const char *path, struct ovtable_where *where_r,
                                struct mxhop_error *err);

#endif
