/*
 * Many domains through one handle, many at a time: for `mxhop warm` and
 * `mxhop survey`. Only in a process without worker. Memory does not grow with
 * the number of domains.
 */

#ifndef BULK_H
#define BULK_H

#include "handle.h"

struct bulk_answer {
    const char *domain;      /* normal form */
    const struct mxset *set; /* with addresses of the examined hosts */
    bool cached; /* fresh in the cache with all addresses: not asked for */
};

struct bulk {
    void *ctx;
    /* The next key as somebody wrote it, into a buffer of the callee that is
       valid until the next call; NULL: no more. */
    const char *(*next)(void *ctx);
    /* A key that is no domain; why is static text. */
    void (*refused)(void *ctx, const char *key, const char *why);
    void (*answered)(void *ctx, const struct bulk_answer *answer);
    void (*tick)(void *ctx); /* about ten times a second; may be NULL */
    unsigned jobs;           /* domains in work at a time, 1 to BULK_JOBS_MAX */
    uint32_t timeout_ms;     /* for each of them */
};
#define BULK_JOBS_MAX 4096

/* Runs until next() says NULL and all are answered. Cached answers are not
   asked for again. */
enum mxhop_status bulk_run(struct mxhop *mx, const struct bulk *b,
                           struct mxhop_error *err);

#endif
