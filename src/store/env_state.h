/* What the data of the DNS cache is good for. For env_cache.c only. */

#ifndef STORE_ENV_STATE_H
#define STORE_ENV_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <mxhop/error.h>

/* Version of keys and records: what others wrote is thrown away. */
#define ENV_STATE_VERSION 2u

struct env_state {
    unsigned char magic[8];
    uint32_t version;
    uint32_t unused;
    char boot_id[40]; /* clock_boot_ms() begins anew with each */
    uint64_t seed;    /* of the hashes in keys */
    uint64_t ino;     /* of the data: no other file's */
    uint64_t check;
};

enum env_state_verdict {
    ENV_STATE_GOOD,
    ENV_STATE_EMPTY,
    ENV_STATE_DAMAGED,
    ENV_STATE_OTHER_VERSION,
    ENV_STATE_OTHER_BOOT,
    ENV_STATE_OTHER_DATA
};

/* One for data made now, but for its ino. */
enum mxhop_status env_state_new(struct env_state *s, struct mxhop_error *err);
/* *seed_r: where it is good. `now` is of env_state_new(), with the ino of the
   data that is there. */
enum env_state_verdict env_state_read(int fd, const struct env_state *now,
                                      uint64_t *seed_r);
bool env_state_write(int fd, struct env_state *s); /* errno */

#endif
