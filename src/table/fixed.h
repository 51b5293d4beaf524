/*
 * The immutable bucket table: records under whole keys in one file, which is
 * built whole, renamed into place, and never changed. Readers trust nobody: the
 * file is read with pread(2) only, never mapped and never locked, and every
 * page proves by its check that it belongs to this table and stands where it
 * stands. A record is found, or it is certain that there is none, or the file
 * is damaged: damage is never absence.
 */

#ifndef TABLE_FIXED_H
#define TABLE_FIXED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define FIXED_ID_LEN    16
#define FIXED_KEY_MAX   1024 /* octets of a key; 1 at least */
#define FIXED_BLOB_MAX  1024 /* what the header keeps for the owner */
#define FIXED_VALUE_MAX (UINT32_C(1) << 22)
#define FIXED_SIZE_MAX  (INT64_C(1) << 31) /* octets of a file */

struct fixed; /* open for reading, by one thread at a time */

/* What a record belongs to: keys of two kinds are never the same. */
typedef uint8_t fixed_kind;

struct fixed_bytes {
    const unsigned char *at; /* not aligned */
    size_t len;
};

/* ---- reading: fixed.c ---- */

/* Reasons of fixed_open() that callers tell apart by their address. */
extern const char fixed_no_memory[], fixed_is_link[], fixed_is_foreign[];

/*
 * Open `name` in the directory dir_fd (AT_FDCWD is allowed), and load the
 * filter if `filtered`: for a process that asks often. *t_r is to be closed
 * with fixed_close(). NULL, or the reason why it cannot be used: text that is
 * static, goes behind "PATH: ", and says how where it can be mended by hand.
 */
const char *fixed_open(struct fixed **t_r, int dir_fd, const char *name,
                       bool filtered);
void fixed_close(struct fixed **t); /* NULL is allowed */

/* The blob of a regular file whose header checks, whatever became of the rest;
   its length, or 0. */
size_t fixed_read_blob(int dir_fd, const char *name,
                       unsigned char blob_r[FIXED_BLOB_MAX]);

/* Random, made with the file. */
const unsigned char *fixed_id(const struct fixed *t);
struct fixed_bytes fixed_blob(const struct fixed *t);
const struct stat *fixed_stat(const struct fixed *t); /* when it was opened */
/* What its keys are hashed with; never 0. */
uint64_t fixed_seed(const struct fixed *t);
/* Whether the header is still the one that was read. */
bool fixed_is_unchanged(const struct fixed *t);

enum fixed_found { FIXED_FOUND, FIXED_ABSENT, FIXED_DAMAGED, FIXED_MEMORY };

/* The value stays until the next call for this table. */
enum fixed_found fixed_get(struct fixed *t, fixed_kind kind, const void *key,
                           size_t len, struct fixed_bytes *value_r);
/* false: there is certainly no such record among those that are in the filter.
   Without a filter always true. No system call. */
bool fixed_may_have(const struct fixed *t, fixed_kind kind, const void *key,
                    size_t len);
bool fixed_has_filter(const struct fixed *t);

/* Call fn for every record, in no particular order, until it returns false.
   Reads and checks the whole file, but for the filter; keys and values stay
   until the table is closed. FIXED_ABSENT: all were seen; FIXED_FOUND: fn
   returned false. */
typedef bool fixed_walk_fn(void *ctx, fixed_kind kind, struct fixed_bytes key,
                           struct fixed_bytes value);
enum fixed_found fixed_walk(struct fixed *t, fixed_walk_fn *fn, void *ctx);

/* ---- building: fixed_build.c ---- */

struct fixed_record {
    fixed_kind kind;
    bool filtered; /* in the filter */
    struct fixed_bytes key, value;
};

struct fixed_set {
    const struct fixed_record *records; /* no key twice */
    size_t n;
    struct fixed_bytes blob;
    uint64_t seed; /* of the table that most records come from: then they are in
                      order, and what stands together in memory is written
                      together, which takes half the time; 0: a new one */
};

/*
 * Build the table beside its place (NAME.new) and rename it over `name`:
 * readers see what was there or all of the new one. 0644, on disk when this
 * returns. id_r: of the new table. 0, or an errno value (EBUSY: another builder
 * has begun); what was there then
 * stays, unless only the directory could not be synced.
 */
int fixed_build(int dir_fd, const char *name, const struct fixed_set *set,
                unsigned char id_r[FIXED_ID_LEN]);

#endif
