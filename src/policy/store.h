/*
 * The TLS store: what mxhop-tls has found out about the policies of domains, in
 * an immutable file (table/fixed.h). A domain that is in it has been asked
 * about, and has a policy, or has none for the reason that is given.
 */

#ifndef POLICY_STORE_H
#define POLICY_STORE_H

#include <sys/stat.h>
#include <mxhop/error.h>
#include "model/sts.h"
#include "table/fixed.h"
#include "util/buf.h"

#define STORE_FILE       "policies" /* in the directory of the store */
#define STORE_ERROR_MAX  160
#define STORE_DOMAIN_MAX 253

struct store_entry {
    bool has_policy; /* perhaps one that is over: sts_in_force() */
    struct sts_policy policy;
    uint64_t policy_hash;            /* of all that is stored of it */
    int64_t tried_s, next_s;         /* wall time: of the last try, the next */
    uint32_t failures;               /* of the last tries, in a row */
    char error[STORE_ERROR_MAX + 1]; /* of the last try; "" where it was well */
};

void store_entry_free(struct store_entry *e); /* and zero it */

struct store;

/*
 * Open the file in the directory `dir`, with its filter if `often`: for a
 * process that asks often. MXHOP_ERR_TABLE says what is wrong with it, and how
 * it is mended; *missing_r (may be NULL) whether there is none.
 */
enum mxhop_status store_open(struct store **s_r, const char *dir, bool often,
                             bool *missing_r, struct mxhop_error *err);
/* The same for `name` below the directory dir_fd; `dir` is for messages. */
enum mxhop_status store_open_at(struct store **s_r, int dir_fd,
                                const char *name, const char *dir, bool often,
                                bool *missing_r, struct mxhop_error *err);
void store_close(struct store **s); /* NULL is allowed */
const struct fixed *store_file(const struct store *s);

/* Of the file, when it was opened. */
const struct stat *store_stat(const struct store *s);
const unsigned char *store_id(const struct store *s); /* FIXED_ID_LEN octets */
uint32_t store_count(const struct store *s);          /* of domains */
int64_t store_written_s(const struct store *s);

/* false: the domain is certainly not in it. Without the filter always true. No
   system call. */
bool store_may_have(const struct store *s, const char *domain);
/* FIXED_FOUND: *e_r is to be freed; else it is empty. FIXED_DAMAGED is never
   absence. */
enum fixed_found store_get(struct store *s, const char *domain,
                           struct store_entry *e_r);
/* The same but for the patterns, which nobody looks at, damaged or not: no
   memory is used. */
enum fixed_found store_peek(struct store *s, const char *domain,
                            struct store_entry *e_r);

/* Call fn for every domain, in no particular order, until it returns false; it
   may take what is in *e and zero it. FIXED_ABSENT: all were seen. */
typedef bool store_walk_fn(void *ctx, const char *domain,
                           struct store_entry *e);
enum fixed_found store_walk(struct store *s, store_walk_fn *fn, void *ctx);

/* ---- for the one who writes it ---- */

void store_encode(struct buf *b, const struct store_entry *e);
/* false: damaged, or no memory; *e_r is then empty. */
bool store_decode(const void *bytes, size_t len, struct store_entry *e_r);

struct store_record {
    const char *domain; /* none twice */
    struct fixed_bytes entry;
};
/* Put a whole new file in the place of the old one, in the directory dir_fd. 0,
   or an errno value: what was there then stays. */
int store_write(int dir_fd, const struct store_record *records, size_t n,
                int64_t now_s, unsigned char id_r[FIXED_ID_LEN]);

#endif
