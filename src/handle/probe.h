/* Questions that only the command asks of a handle. */

#ifndef PROBE_H
#define PROBE_H

#include <mxhop/mxhop.h>
#include "conf/conf.h"
#include "model/mxset.h"
#include "model/override.h"
#include "cache/cache.h"
#include "overrides/ovtable.h"

/* mxhop_open() with a configuration that was read from `config` already: *conf
   is the handle's from now on, and empty, whatever comes of it. NULL: as
   mxhop_open(). */
enum mxhop_status probe_open(struct mxhop **mx_r, struct conf *conf,
                             const char *config, const struct mxhop_host *host,
                             struct mxhop_error *err);

struct probe_outcome {
    size_t kept;    /* hosts that can be tried */
    bool has_hosts; /* the domain, by its MX records; without a domain: true */
    size_t cut;     /* hops of its own that max_hops leaves no room for */
    bool known;     /* DNS answered about all names */
};
struct probe_dropped { /* a host that cannot be tried */
    const char *host;
    bool by_dns; /* not a hop of the override's own */
    enum { PROBE_NO_ADDRESS, PROBE_SELF, PROBE_EXCLUDED, PROBE_OTHER } why;
    const char *text; /* the same as text */
};

/*
 * What becomes of an override: everything is asked now, each name for at most
 * lookup_budget. domain: whose MX set it changes, or NULL: its own hops alone.
 * fn hears what is dropped. false: out of memory.
 */
bool probe_override(struct mxhop *mx, const struct override *o,
                    const char *domain, struct probe_outcome *outcome_r,
                    void (*fn)(void *ctx, const struct probe_dropped *d),
                    void *ctx);

/* How the lookups of a handle differ from now on. */
struct probe_as {
    int64_t at_s; /* wall time of all decisions; 0: now */
    /* With MXHOP_ADDRESS, an address without override of its own is tried in
       this form, too; false: it has no other. NULL: none has. */
    bool (*strip)(void *ctx, const char *address, char *out, size_t size);
    void *ctx;
    bool filter; /* of the override table, in memory: as in one with a worker */
};
void probe_as(struct mxhop *mx, struct probe_as as);

/* The configuration of the handle; belongs to it. */
const struct conf *probe_conf(const struct mxhop *mx);

/* Whether the AD bit of its name servers counts, so that there is DANE. */
bool probe_believes_signatures(const struct mxhop *mx);
/* The same of programs that leave it to the C library, as Exim does. */
bool probe_libc_believes_signatures(void);

/* Whether domains are asked if they want reports of TLS. */
bool probe_asks_for_reports(const struct mxhop *mx);

/* mxhop_tls_text(), and why, for people. */
enum mxhop_status probe_tls_text(struct mxhop *mx, const char *domain,
                                 unsigned flags, const char **text_r,
                                 const char **why_r, struct mxhop_error *err);

/* The cache that is shared with other processes, all of it the handle's.
   false: there is none (cache = memory or none, or the log says why not). */
struct probe_cache {
    const char *dir;
    struct cache *cache;
    struct cache_view *view;
    unsigned families; /* of addresses that count */
};
bool probe_shared_cache(struct mxhop *mx, struct probe_cache *c_r);

/* Which entries of a table apply to a domain with this MX set: the one that
   decides, and then every exclude beside it. Of a damaged table, what was found
   before. */
void probe_entries(struct ovtable *t, const char *domain,
                   const struct mxset *set, int64_t now_s,
                   void (*fn)(void *ctx, const struct override *o), void *ctx);

/* "closed", "open" ...; "unknown" of one that was found open, but not lately.
 */
const char *probe_server_state(const struct cache_server *s);

#endif
