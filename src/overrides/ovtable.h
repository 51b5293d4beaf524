/*
 * The override table: compiled overrides in one immutable file (table/fixed.h).
 * Written by one `mxhop refresh` at a time, which renames a new file over the
 * old one; read by any number of processes. What lies under the name is in
 * force.
 */

#ifndef OVERRIDES_OVTABLE_H
#define OVERRIDES_OVTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <mxhop/error.h>
#include "model/override.h"

#define OVTABLE_ID_LEN     16
#define OVTABLE_KEY_MAX    511
#define OVTABLE_COOKIE_MAX 4096
/* What a lookup may have to read is bounded by these. */
#define OVTABLE_LIST_MAX   4096       /* entries under one key */
#define OVTABLE_HOPS_MAX   1000       /* of an entry */
#define OVTABLE_VALUES_MAX 65536      /* of another attribute of it */
#define OVTABLE_ENTRY_MAX  (3u << 20) /* octets of it, but for its hops */

struct ovtable; /* open for reading, by one thread at a time */

/* Open an existing table. Nothing is created, locked or mapped.
   Errors: MXHOP_ERR_TABLE with path, reason and remedy. */
enum mxhop_status ovtable_open(struct ovtable **t_r, const char *path,
                               struct mxhop_error *err);
/* The same for `name` below the directory dir_fd; path is for messages, and
   stays the caller's. often: take the filter of the keys into memory, so that
   ovtable_has() reads nothing. */
enum mxhop_status ovtable_open_at(struct ovtable **t_r, int dir_fd,
                                  const char *name, const char *path,
                                  bool often, struct mxhop_error *err);
void ovtable_close(struct ovtable **t); /* NULL is allowed */

/* Of the file, when it was opened. */
const struct stat *ovtable_stat(const struct ovtable *t);
struct fixed *ovtable_file(struct ovtable *t);

struct ovtable_info {
    unsigned char id[OVTABLE_ID_LEN]; /* random, of this set */
    uint64_t general; /* a hash of all entries by exchange and for `*`, which
                         may concern any domain; 0: there are none */
    uint32_t entries;
    bool has_exchanges; /* some entry matches by MX host */
    int64_t changed_s;  /* wall time when the set was made */
    const char *source; /* for people; as long as the table is open */
};
void ovtable_info(const struct ovtable *t, struct ovtable_info *info_r);

#define OVTABLE_ID_TEXT 9
/* The beginning of an id, for people. */
const char *ovtable_id_text(const unsigned char id[OVTABLE_ID_LEN],
                            char text_r[OVTABLE_ID_TEXT]);

/*
 * Call fn for each entry under one index key that is active at now_s, until it
 * returns false: in order of DN, those that are kept or held back behind all
 * others. It may keep what *o owns, and then leaves *o zeroed. Keys in normal
 * form; by: key index or exchange index. The next second after now_s in which
 * another may be active, of those up to where fn ended it, goes into *edge_s,
 * if that is before it. MXHOP_ERR_TABLE: damaged.
 */
enum ovtable_index { OVTABLE_BY_KEY, OVTABLE_BY_EXCHANGE };
enum mxhop_status ovtable_active(struct ovtable *t, enum ovtable_index by,
                                 const char *key, int64_t now_s,
                                 int64_t *edge_s,
                                 bool (*fn)(void *ctx, struct override *o),
                                 void *ctx, struct mxhop_error *err);

/* false: certainly no entry stands under the key, active or not. Allocates
   nothing. */
bool ovtable_has(struct ovtable *t, enum ovtable_index by, const char *key);

/* Call fn for every entry under a key, active or not, in the same order, until
   it returns false. It may keep what *o owns, and then leaves *o zeroed. */
enum mxhop_status ovtable_under(struct ovtable *t, enum ovtable_index by,
                                const char *key,
                                bool (*fn)(void *ctx, const unsigned char *id,
                                           struct override *o),
                                void *ctx, struct mxhop_error *err);

/* Call fn for every entry until it returns false, in no particular order. It
   may keep what *o owns, and then leaves *o zeroed. */
enum mxhop_status ovtable_walk(struct ovtable *t,
                               bool (*fn)(void *ctx, struct override *o),
                               void *ctx, struct mxhop_error *err);

/* ---- writing ---- */

/* The directory of the table at `path` into out, of PATH_MAX octets. */
bool ovtable_dir(char *out, const char *path);

struct ovtable_note { /* valid during the call */
    const char *dn;
    size_t line;            /* of the upsert; 0: there was none */
    int64_t kept_s, held_s; /* as in struct override; both 0: left out */
    bool off;               /* kept, and switched off by the invalid version */
    const char *why;        /* "": the removal is held back, else what is wrong
                               with the present version */
};

struct ovtable_write {
    const char *path;
    const char *source;      /* for people: "ldif:/etc/mxhop/..." */
    uint32_t shrink_percent; /* override_shrink_limit; 100: no limit */
    bool force;              /* ignore shrink_percent */
    bool strict;             /* all that the source says, or nothing of it */
    const int *trial; /* put the new table, where there is one, under its name
                         into this directory, and change nothing; NULL: no */
    int64_t now_s;
    /* Called for each entry that is, or would be, not as the source has it; may
       be NULL. */
    void (*note)(void *ctx, const struct ovtable_note *n);
    void *ctx;
};

struct ovtable_change {
    uint32_t before, after; /* entries */
    uint32_t added, modified, removed;
    uint32_t kept, held, left_out; /* entries that are so now */
    char held_text[200]; /* held > 0: how many of how many, and the remedy */
    bool changed;
    bool unsettled;  /* no cookie was stored: the next refresh is to read all */
    bool superseded; /* refused, for that alone: the set is not that of
                        ovtable_delta.since any more */
    unsigned char id[OVTABLE_ID_LEN]; /* of the set in force; zero: none */
};

/*
 * An entry is known by an id that outlives its name: what a directory has for
 * it (entryUUID), or for sources that have none, a hash of the DN.
 */
void ovtable_id_of_dn(const char *dn, unsigned char id_r[OVTABLE_ID_LEN]);

struct ovtable_upsert {
    unsigned char id[OVTABLE_ID_LEN];
    const struct override *o; /* NULL: the source has the entry, but it is no
                                 valid override */
    size_t line;
    /* Of one that is not: */
    const char *why; /* what is wrong with it, and the last good version stays;
                        NULL: it is none of ours, and nothing of it may stay */
    const char *dn;  /* noted as left out where there is no such version; NULL:
                        it may be none of ours */
    bool off;        /* mxhopEnabled: FALSE, which counts all the same */
};

/* Where the source stood when the set was committed. */
struct ovtable_where {
    uint64_t fingerprint;
    unsigned char cookie[OVTABLE_COOKIE_MAX];
    size_t cookie_len;
    uint32_t entries;
    int64_t compiled_s; /* wall time of the last successful refresh */
};

/* What a source has to say, committed together with where the source then
   stands. */
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
 * Apply it: a new file takes the place of the old one where some entry differs;
 * else only fingerprint, cookie and date are stored, beside the table. The
 * directory must be there, and safe to write to. Nothing changes on any error.
 *
 * Where the set would lose more than shrink_percent of the entries that it had
 * within the last day, all removals are held back, and the rest is applied. An
 * entry that is held back is marked so in the table, until the source has it
 * again, its removal is within the limit, or it is forced; no cookie is stored
 * meanwhile. An entry whose present version is invalid is marked, too, and so
 * is one that comes to a key with OVTABLE_LIST_MAX others.
 *
 * MXHOP_ERR_HELD where there is nothing to hold back, as the table is damaged,
 * or with `strict`. MXHOP_ERR_SYNTAX, with `strict`, where an entry is invalid.
 * MXHOP_ERR_TABLE when the table is damaged or of another version; a delta that
 * is complete without `present` makes a new one of it instead, unless the file
 * is none of ours (the entries that its header tells of count for
 * shrink_percent); also where another writer was faster (change_r->superseded).
 * MXHOP_ERR_IO, with the reason. Waits for the disk, and some seconds for
 * another refresh.
 */
enum mxhop_status ovtable_apply(const struct ovtable_write *w,
                                const struct ovtable_delta *d,
                                struct ovtable_change *change_r,
                                struct mxhop_error *err);

/* Put a file beside the table, at `path` and suffix, that everybody may read,
   as a whole: under another name, and renamed. As safe as the table is.
   MXHOP_ERR_IO. */
enum mxhop_status ovtable_put_beside(const char *path, const char *suffix,
                                     const void *bytes, size_t len,
                                     struct mxhop_error *err);

/* No table: MXHOP_OK, all zero. Damaged, or of another version:
   MXHOP_ERR_TABLE, all zero. */
enum mxhop_status ovtable_where(const char *path, struct ovtable_where *where_r,
                                struct mxhop_error *err);

#endif
