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
typedef bool render_fn(const struct mxhop_route *r, struct buf *out);
render_fn render_postfix, render_exim, render_exim_fate, render_json,
    render_text;
render_fn *render_for(enum mxhop_format format); /* NULL: no such format */

const char *render_disposition(enum mxhop_disposition d);
const char *render_cache_state(enum mxhop_cache_state s);
const char *
render_tls_class(enum mxhop_tls_class c); /* "none", "sts", "dane" */

#endif
