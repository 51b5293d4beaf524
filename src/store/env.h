/*
 * LMDB environments, one per (device, inode) and process: opening one twice
 * and closing one of the two loses the locks of both. Inside src/store.
 */

#ifndef STORE_ENV_H
#define STORE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <lmdb.h>
#include <mxhop/error.h>

#define ENV_MAX_DBS     4
#define ENV_MAX_READERS 1024
#define ENV_MAP_FIRST   ((size_t)1 << 20) /* of a new environment */
#define ENV_MAP_MAX     ((size_t)1 << (sizeof(size_t) > 4 ? 34 : 30)) /* 16 GiB */

struct env;

/*
 * Open for reading; nothing is created. names: the databases that must exist,
 * n of them. Checks header and size first, so that a foreign or cut file is
 * MXHOP_ERR_TABLE and not SIGBUS. Environments are counted: each open needs
 * an env_close().
 */
enum mxhop_status env_open(struct env **e_r, const char *path,
                           const char *const *names, size_t n,
                           struct mxhop_error *err);
/*
 * Open for writing, alone in this process (others wait, or are refused where
 * this process has it open for reading); creates data and lock file and sets
 * their modes. gid (gid_t)-1: leave the lock file's group.
 */
enum mxhop_status env_open_writer(struct env **e_r, const char *path, gid_t gid,
                                  struct mxhop_error *err);
void env_close(struct env **e);

MDB_env *env_lmdb(const struct env *e); /* writer */
MDB_dbi env_dbi(const struct env *e, size_t i);
const char *env_path(const struct env *e);
bool env_is_file(const struct env *e, const struct stat *st);

/* Begin a read transaction, or renew *txn if it is not NULL; adopts a map
   that another process made larger. env_end() resets it. */
enum mxhop_status env_begin(struct env *e, MDB_txn **txn,
                            struct mxhop_error *err);
void env_end(struct env *e, MDB_txn *txn);
void env_drop_txn(struct env *e, MDB_txn **txn); /* give up a reset one */

/*
 * A glance costs a tenth of a transaction. From env_glance() to
 * env_glance_end() the map stays where it is, but what a writer commits
 * meanwhile may be written over the pages that are looked at: they were those
 * of transaction `txn` if env_glance_end() says so. Briefly: other threads
 * wait. false: nothing can be looked at; then no env_glance_end().
 */
bool env_glance(struct env *e);
bool env_glance_end(struct env *e, size_t txn);

/* Map an LMDB or errno value; `what` says what was being done. */
enum mxhop_status env_error(struct mxhop_error *err, const char *path,
                            const char *what, int rc);

/* ---- env_cache.c: the DNS cache ---- */

#define ENV_CACHE_DATA  "cache.mdb"
#define ENV_CACHE_LOCK  "cache.mdb-lock" /* named by LMDB */
#define ENV_CACHE_STATE "cache.state"

/*
 * Open or make the cache in the directory `dir` (store/kv.h: kv_lmdb_open()),
 * with a map of map_bytes. Its one database is env_dbi(e, 0), with keys of 8
 * octets in the order of uint64_t. *note_r: static text, or NULL if nothing
 * was thrown away.
 */
enum mxhop_status env_open_cache(struct env **e_r, const char *dir, uid_t uid,
                                 gid_t gid, size_t map_bytes,
                                 const char **note_r, struct mxhop_error *err);
uint64_t env_seed(const struct env *e);

/* ---- env_file.c: what is checked and prepared before LMDB sees a file ---- */

#define ENV_REMEDY_REFRESH "run `mxhop refresh`"

#define ENV_LOCK_MIN       4096
#define ENV_LOCK_BYTES     (64 * (ENV_MAX_READERS + 64)) /* 64 octets a reader */

/* NULL, or what is wrong with a data file of that size: "is cut short". */
const char *env_file_wrong(int fd, size_t size);
/* An open descriptor of a plausible data file, or -1 with err. */
int env_file_check(const char *path, struct stat *st_r,
                   struct mxhop_error *err);
/*
 * Directory, data file (created, locked against other writers until the
 * descriptor is closed) and lock file, safe and with the right modes. *fd_r
 * is the data file's. *created_r: it holds nothing yet.
 */
enum mxhop_status env_file_prepare(const char *path, int *fd_r, bool *created_r,
                                   struct mxhop_error *err);
/* After the open of the data file only, and only while no environment on it
   is open in this process: closing a descriptor drops LMDB's locks. */
enum mxhop_status env_file_prepare_lock(const char *path, gid_t gid,
                                        struct mxhop_error *err);
/* Into PATH_MAX octets: the directory that a file is in. false: too long. */
bool env_file_dir(char *out, const char *path);
/* Make the directory entry of a new file durable. Also dates the directory
   anew: readers that could not use the table watch that, and a file that is
   mended where it lies (its mode, its contents) would not show there. */
enum mxhop_status env_file_sync_dir(const char *path, struct mxhop_error *err);

#endif
