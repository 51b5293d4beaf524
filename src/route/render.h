/* A route in the words of an MTA, a person or a program. Pure. */

#ifndef ROUTE_RENDER_H
#define ROUTE_RENDER_H

#include <mxhop/mxhop.h>
#include "util/buf.h"

/*
 * Each appends to out; false: the format has no words for this disposition
 * (the MTA's "not found") and nothing was appended. Hosts were cleaned before:
 * a host that is not clean is left out all the same, as the last guard.
 */
bool render_postfix(const struct mxhop_route *r, struct buf *out);
bool render_exim(const struct mxhop_route *r, struct buf *out);
bool render_json(const struct mxhop_route *r, struct buf *out);
bool render_text(const struct mxhop_route *r, struct buf *out);

const char *render_disposition(enum mxhop_disposition d);
const char *render_cache_state(enum mxhop_cache_state s);

#endif
