/*
 * The live bucket table: records under whole keys, in a file or in anonymous
 * memory, bounded in size. Any number of threads and processes of one user
 * read it without a lock while one of them writes. It may forget anything at
 * any time, and never gives another value than one that was put under the key.
 *
 * Reading goes through a view, one a thread; it makes no system call (but
 * where the table has grown) and waits for nobody. Writing is for a thread that
 * may wait: live_begin() to live_end(). A fault is a miss.
 */

#ifndef TABLE_LIVE_H
#define TABLE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <mxhop/error.h>

struct live;
struct live_view;

#define LIVE_KEY_MAX 320 /* octets of a key; 1 at least */
#define LIVE_VALUE_MAX                                    \
    32768 /* octets of a value; what is longer than about \
             half a bucket is kept in pieces */

/*
 * How much a record is worth keeping. Room for a new one is made inside its
 * bucket: first by what is past its `dead_s`, then by what is worth least, the
 * oldest first. A record that is LIVE_USED goes for one that is worth less only
 * while used ones fill nearly all of the bucket: a flood of names that
 * strangers choose takes the rest and no more.
 */
enum live_worth { LIVE_NEGATIVE, LIVE_ONCE, LIVE_USED };

struct live_value {
    const unsigned char *data; /* not aligned */
    size_t len;
    enum live_worth worth;
    uint32_t dead_s; /* as it was put */
};

/*
 * A file `name` in the directory `dir_fd`, which stays the caller's and must
 * stay open while the table is: 0600, of the caller's effective uid, which also
 * owns the directory; made if it is not there. Beside it the lock of writers,
 * NAME.lock. Data of another boot, format or machine is thrown away by the
 * first writer, and so is what is damaged. A file that was removed or replaced
 * is noticed by the next writer of the process.
 * size_bytes bounds what this process lets the file grow to; half of the file
 * system does, too. `boot` is live_boot(), from before a jail.
 * Errors: MXHOP_ERR_IO, with reason and remedy, without the path.
 */
enum mxhop_status live_open_file(struct live **t_r, int dir_fd,
                                 const char *name, uint64_t size_bytes,
                                 uint64_t boot, struct mxhop_error *err);
/* Which boot of which machine this is, from /proc; 0: that cannot be read. */
uint64_t live_boot(void);
/* In anonymous memory. A child of fork(2) can read it, and not write. */
enum mxhop_status live_open_memory(struct live **t_r, uint64_t size_bytes,
                                   struct mxhop_error *err);
void live_close(struct live **t); /* after all views; NULL is allowed */
bool live_is_shared(const struct live *t); /* a file */
/* Secret, and the same in all processes that share the table; it changes when
   the table was thrown away. For hashes of what strangers choose. */
uint64_t live_seed(const struct live *t);

struct live_view *live_view_open(struct live *t); /* NULL: out of memory */
void live_view_close(struct live_view **v);       /* NULL is allowed */

/* The key will be asked for: the memory that this needs is fetched meanwhile.
 */
void live_ahead(struct live_view *v, const void *key, size_t key_len);
/* The value is a copy in the view, until its next call. */
bool live_get(struct live_view *v, const void *key, size_t key_len,
              struct live_value *value_r);
/* All records (pieces put together), in no particular order; what is written
   meanwhile may be missed or seen twice. false from fn: stop. fn may use
   another view, and write. */
typedef bool live_walk_fn(void *ctx, const void *key, size_t key_len,
                          const struct live_value *value);
void live_walk(struct live_view *v, live_walk_fn *fn, void *ctx);

struct live_stats {
    uint64_t used_bytes; /* of records, with their overhead */
    uint64_t file_bytes; /* taken from the file system, or memory */
    uint64_t size_bytes; /* it may become */
};
void live_stats(const struct live *t, struct live_stats *stats_r);

/* ---- writing: one thread at a time ---- */

/* false: somebody else writes, and did not end within wait_ms. */
bool live_begin(struct live *t, uint32_t wait_ms);
/* As put so far; valid until the next call of any live_ function. */
bool live_find(struct live *t, const void *key, size_t key_len,
               struct live_value *value_r);
/* May be forgotten at once where nothing less worth can go. dead_s: second of
   clock_boot_ms() from which on nobody wants it; UINT32_MAX: no such. */
void live_put(struct live *t, const void *key, size_t key_len,
              const void *value, size_t len, enum live_worth worth,
              uint32_t dead_s);
void live_del(struct live *t, const void *key, size_t key_len);
void live_clear(struct live *t);
/* false: something could not be written, or was forgotten because the file
   system is full. That the table has become as large as it may is no fault. */
bool live_end(struct live *t);

#endif
