/* Questions that only the command asks of a handle. */

#ifndef PROBE_H
#define PROBE_H

#include <mxhop/mxhop.h>
#include "conf/conf.h"
#include "model/mxset.h"

/* Whether `host` has an address, asked now; blocks at most lookup_budget. */
enum addr_state probe_host(struct mxhop *mx, const char *host);

/* The configuration of the handle; belongs to it. */
const struct conf *probe_conf(const struct mxhop *mx);

#endif
