/* A decision of libmxhop for this process. Internal to plugins/exim. */

#ifndef EXIM_ANSWER_H
#define EXIM_ANSWER_H

#include <mxhop/mxhop.h>

/* What an expansion asked for. */
struct question {
    const char *config;
    const char *key; /* domain or recipient */
    unsigned flags;  /* of mxhop_lookup() */
};

/* The handle for q->config, opened at the first call of this process and user.
   NULL with *err. */
struct mxhop *answer_handle(const struct question *q, struct mxhop_error *err);

/*
 * The route. It is kept for a moment, so that the routers that a message passes
 * one after another are told the same, and wait once. It belongs to this module
 * and is valid until the next call. NULL with *err.
 */
const struct mxhop_route *answer_route(const struct question *q,
                                       struct mxhop **mx_r,
                                       struct mxhop_error *err);

#endif
