/* What an environment consists of. For env*.c and kv_lmdb*.c only. */

#ifndef STORE_ENV_IMPL_H
#define STORE_ENV_IMPL_H

#include <pthread.h>
#include "store/env.h"

enum env_use {
    ENV_READER,
    ENV_WRITER,
    ENV_CACHE /* the DNS cache: reads and writes, one unnamed database */
};

struct env {
    struct env *next;
    dev_t dev;
    ino_t ino;
    unsigned refs;
    enum env_use use;
    bool broken; /* the map could not be moved: there is none */
    int fd;      /* writer: holds flock(2); cache: its state file; reader: -1 */
    char *path;
    MDB_env *lmdb;
    MDB_dbi dbi[ENV_MAX_DBS];
    pthread_mutex_t lock;
    unsigned active;             /* transactions, under lock */
    MDB_txn *forgotten;          /* of a parent process: only reachable */
    volatile unsigned char *own; /* 1 in the process that opened it */
    /* Of a cache: */
    uint64_t seed;         /* of the hashes in its keys */
    pthread_mutex_t write; /* held while a thread of this process writes */
    unsigned commits;      /* these two under `write`: when dead readers */
    uint64_t checked_ms;   /* were looked for */
    void *forgotten_views; /* as `forgotten` */
};

/* ---- env.c: the registry, of which the caller takes the lock ---- */

void env_registry_lock(void);
void env_registry_unlock(void);
/* What a parent process opened does not count. */
struct env *env_registry_find(const struct stat *st);
void env_registry_add(struct env *e);

/* One that is not open and not registered. NULL: out of memory. */
struct env *env_new(const char *path, const struct stat *st);
void env_free(struct env *e);
/* mdb_env_open() with what all of ours have in common. */
int env_lmdb_open(struct env *e, unsigned flags, mode_t mode);
/* The file that LMDB opened by name must be the one that was checked. */
bool env_same_file(const struct env *e);

/* env_error(), but to a reader every fault is one of the table. */
enum mxhop_status env_reader_error(struct mxhop_error *err, const char *path,
                                   const char *what, int rc);

#endif
