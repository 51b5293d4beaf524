/*
 * Many domains through one handle, many at a time: for `mxhop warm` and
 * `mxhop survey`. Only in a process without worker. Memory does not grow with
 * the number of domains.
 */

#ifndef BULK_H
#define BULK_H

#include <stdbool.h>
#include <stdint.h>
#include <mxhop/mxhop.h>
#include "model/mxset.h"

struct bulk_answer {
    const char *domain;      /* normal form */
    const struct mxset *set; /* with addresses of the examined hosts */
    bool cached; /* fresh in the cache with all addresses: not asked for */
};

enum bulk_input {
    BULK_KEY,
    BULK_LATER, /* none now: ask again when input_fd becomes readable */
    BULK_END    /* no more: finish those in work */
};

struct bulk {
    void *ctx;
    /* The next key as somebody wrote it, valid until the next call. Must not
       wait: answers come in meanwhile. */
    enum bulk_input (*next)(void *ctx, const char **key_r);
    int input_fd; /* -1: next() never says BULK_LATER */
    /* A key that is no domain; why is static text. */
    void (*refused)(void *ctx, const char *key, const char *why);
    void (*answered)(void *ctx, const struct bulk_answer *answer);
    /* About ten times a second. false: stop, and drop those in work. */
    bool (*tick)(void *ctx);
    unsigned jobs;       /* domains in work at a time, 1 to BULK_JOBS_MAX */
    uint32_t timeout_ms; /* for each of them */
};
#define BULK_JOBS_MAX 4096

/*
 * Runs until next() says that it is over and all are answered. Cached answers
 * are not asked for again; what is learnt is written to the cache in batches.
 * *unwritten_r: how many batches could not be.
 */
enum mxhop_status bulk_run(struct mxhop *mx, const struct bulk *b,
                           uint64_t *unwritten_r, struct mxhop_error *err);

#endif
