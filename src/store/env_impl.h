/* What an environment consists of. For env.c and env_txn.c only. */

#ifndef STORE_ENV_IMPL_H
#define STORE_ENV_IMPL_H

#include <pthread.h>
#include "store/env.h"

struct env {
    struct env *next;
    dev_t dev;
    ino_t ino;
    unsigned refs;
    bool writer;
    bool broken; /* the map could not be moved: there is none */
    int fd;      /* writer: holds flock(2); else -1 */
    char *path;
    MDB_env *lmdb;
    MDB_dbi dbi[ENV_MAX_DBS];
    pthread_mutex_t lock;
    unsigned active;             /* transactions, under lock */
    MDB_txn *forgotten;          /* of a parent process: only reachable */
    volatile unsigned char *own; /* 1 in the process that opened it */
};

/* env_error(), but to a reader every fault is one of the table. */
enum mxhop_status env_reader_error(struct mxhop_error *err, const char *path,
                                   const char *what, int rc);

#endif
