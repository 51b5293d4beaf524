/* Questions that only the command asks of a handle. */

#ifndef PROBE_H
#define PROBE_H

#include <mxhop/mxhop.h>
#include "conf/conf.h"
#include "model/mxset.h"
#include "cache/cache.h"

/* mxhop_open() with a configuration that was read from `config` already: *conf
   is the handle's from now on, and empty, whatever comes of it. NULL: as
   mxhop_open(). */
enum mxhop_status probe_open(struct mxhop **mx_r, struct conf *conf,
                             const char *config, const struct mxhop_host *host,
                             struct mxhop_error *err);

/* How the lookups of a handle differ from now on. */
struct probe_as {
    int64_t at_s; /* wall time of all decisions; 0: now */
    /* With MXHOP_ADDRESS, an address without override of its own is tried in
       this form, too; false: it has no other. NULL: none has. */
    bool (*strip)(void *ctx, const char *address, char *out, size_t size);
    void *ctx;
};
void probe_as(struct mxhop *mx, struct probe_as as);

/* Whether `host` has an address, asked now; blocks at most lookup_budget. */
enum addr_state probe_host(struct mxhop *mx, const char *host);

/* The configuration of the handle; belongs to it. */
const struct conf *probe_conf(const struct mxhop *mx);

/* The cache that is shared with other processes, all of it the handle's.
   false: there is none (cache = memory or none, or the log says why not). */
struct probe_cache {
    const char *dir;
    struct cache *cache;
    struct cache_view *view;
    unsigned families; /* of addresses that count */
};
bool probe_shared_cache(struct mxhop *mx, struct probe_cache *c_r);

/* "closed", "open" ...; "unknown" of one that was found open, but not lately.
 */
const char *probe_server_state(const struct cache_server *s);

#endif
