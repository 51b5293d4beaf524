/*
 * The DNS cache: policy (TTLs, negative answers, failures, stale, what is
 * worth keeping) over a live bucket table (table/live.h).
 *
 * Reading needs a view, one a thread. Writing is put off: cache_put_*(),
 * cache_touch() and cache_note_refresh() only enqueue, from any thread;
 * cache_flush(), on a thread that may wait, writes all of it in one go. The
 * queue is bounded; what does not fit is forgotten.
 *
 * now_ms is always on clock_boot_ms(). Any fault is a miss.
 */

#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxhop/error.h>
#include "model/mxset.h"
#include "table/live.h"
#include "util/buf.h"

struct cache;
struct cache_view;

struct cache_policy {
    uint32_t ttl_min_s;
    uint32_t ttl_max_s;
    uint32_t negative_ttl_max_s;
    uint32_t stale_max_s;
    uint32_t prefetch_percent; /* of the TTL, at its end; 0: no prefetch */
};

/* Failures are kept 5 s, doubling to 5 min while they go on (RFC 9520). */
#define CACHE_FAILURE_FIRST_S 5
#define CACHE_FAILURE_MAX_S   300
#define CACHE_STALE_REFRESH_S 30   /* a stale answer is refreshed this often */
#define CACHE_CLAIM_MS        2000 /* how long a cold name is one process's */

enum cache_verdict {
    CACHE_MISS,
    CACHE_FRESH,
    CACHE_STALE,  /* past its TTL but within stale_max: usable */
    CACHE_FAILING /* the last attempt failed, nothing stale is left, and it is
                     not yet time to ask again: *set_r is MX_FAILURE */
};

struct cache_entry_state {
    enum cache_verdict verdict;
    bool refresh_due;   /* fresh: near its end (prefetch); stale: ask again. Not
                           while somebody was asked to (cache_claim) */
    bool claimed;       /* miss: another process is asking for it now */
    bool once;          /* not asked for again since it was first learnt: worth
                           a cache_touch() */
    bool failed_before; /* miss, stale: the last attempt failed */
    uint32_t ttl_s;     /* fresh: seconds left; stale, failing: seconds until
                           the next attempt */
    uint32_t stale_s;   /* stale: seconds since it expired */
    unsigned known;     /* of a host: the families that need not be asked for,
                           or are of no use to ask for yet; and HOST_TLSA */
};

/* Takes ownership of live (also on failure). */
enum mxhop_status cache_open(struct cache **c_r, struct live *live,
                             const struct cache_policy *policy,
                             struct mxhop_error *err);
/* Drops what was not flushed. NULL is allowed. */
void cache_close(struct cache **c);

/* NULL: out of memory. To be closed before the cache. */
struct cache_view *cache_view_open(struct cache *c);
void cache_view_close(struct cache_view **v); /* NULL is allowed */

/* ---- reading ---- */

/* *set_r is filled (the caller frees it) unless the verdict is CACHE_MISS;
   addresses are not filled in. The state of its texts is that of the last
   answer, also past its time (as stale as an answer may be), else that of the
   last attempt. It has ttl_s 0 if it is to be asked for before it is used:
   that nothing is there is believed for negative_ttl_max longer only, while
   refresh_due has it asked for in the background. */
struct cache_entry_state cache_get_domain(struct cache_view *v,
                                          const char *domain, uint64_t now_ms,
                                          struct mxset *set_r);
/* The same for a host's addresses. Each family has an end of its own: a host
   with a fresh address in one of those in the mask is fresh for as long as that
   holds, one with a stale address stale, whatever is known of the other family,
   which is then due to be refreshed. Without an address it is a miss if one
   family is a miss, else stale, else failing, else fresh. A failed
   family keeps a stale answer of the family. *addrs_r is always filled with
   what is known; ttl_s is what is left, or until the next attempt. With
   HOST_TLSA in the mask TLSA records are filled in, too, and are due to be
   refreshed as a family is; they have no say in the verdict. */
struct cache_entry_state cache_get_host(struct cache_view *v, const char *host,
                                        unsigned families, uint64_t now_ms,
                                        struct hostaddrs *addrs_r);

/*
 * The finished answer for a domain that is CACHE_FRESH: no allocation once
 * *text (reset first) has grown, no system call. `made_of` is a hash of all
 * that the answer was made from besides the MX set: rules, format, identity of
 * the override table. now_s is wall time. false: there is none (any more).
 */
struct cached_route {
    bool has_text;    /* false: the format has no words for it ("not found") */
    bool refresh_due; /* as in cache_entry_state, of the domain */
    bool once;
};
bool cache_get_route(struct cache_view *v, const char *domain, uint64_t made_of,
                     uint64_t now_ms, int64_t now_s,
                     struct cached_route *route_r, struct buf *text);
/* A finished answer for the domain is about to be asked for: its memory is
   fetched while the caller does something else. */
void cache_ahead(struct cache_view *v, const char *domain);
/* The same for a key that overrides have a say about, whatever is known of its
   domain: neither refresh_due nor once. */
bool cache_get_overridden(struct cache_view *v, const char *key,
                          uint64_t made_of, uint64_t now_ms, int64_t now_s,
                          struct cached_route *route_r, struct buf *text);

/* ---- writing: put off until cache_flush() ---- */

/* An answer, ttl clamped by the policy. MX_FAILURE never replaces a usable
   answer: it is noted beside it. Ends a claim. */
void cache_put_domain(struct cache *c, const char *domain, uint64_t now_ms,
                      const struct mxset *set);
void cache_put_host(struct cache *c, const char *host, uint64_t now_ms,
                    const struct hostaddrs *addrs);
/* A text of it, whatever is known of the domain beside it. TXT_FAILED is
   noted beside an answer. */
void cache_put_txt(struct cache *c, const char *domain, enum tls_txt which,
                   uint64_t now_ms, const struct domain_txt *txt);
/* Somebody was asked to refresh these now: not due for 30 s. */
void cache_note_refresh(struct cache *c, const char *domain, uint64_t now_ms);
void cache_note_host_refresh(struct cache *c, const char *host,
                             uint64_t now_ms);
/* The domain was asked for again: its entry, its MX set and that set's hosts
   are no longer `once`. Never allocates or waits; may be forgotten. */
void cache_touch(struct cache *c, const char *domain);

/* A finished answer. It replaces the one that was there. */
struct cache_route {
    uint64_t now_ms;
    uint64_t made_of;
    uint64_t expires_ms;     /* boot time: the earliest of all TTLs in it */
    int64_t from_s, until_s; /* wall time, until_s excluded: time slot and
                                override windows */
    const char *text;        /* printable ASCII; NULL: no words */
};
/* For the domain, unless it has another MX set than `set` by then. */
void cache_put_route(struct cache *c, const char *domain,
                     const struct mxset *set, const struct cache_route *route);
void cache_put_overridden(struct cache *c, const char *key,
                          const struct cache_route *route);

/* Write what was put off, waiting at most wait_ms for another writer. false:
   that was too short, and it stays put off; or not all of it could be written,
   and the rest is forgotten. Cheap if there is nothing. */
bool cache_flush(struct cache *c, uint32_t wait_ms);
size_t cache_pending(struct cache *c); /* entries put off, about */

/*
 * Of n domains, about to be asked for: which this process may ask. The others
 * were claimed by another process, less than CACHE_CLAIM_MS ago (or are known
 * fresh by now). Writes at once; where it cannot, all are granted.
 */
void cache_claim(struct cache *c, const char *const *domains, size_t n,
                 uint64_t now_ms, bool *granted);

/* ---- name servers: their state as a process last saw it ---- */

struct cache_server {
    char address[64];     /* as text, with the port where it is not 53 */
    uint8_t state;        /* enum breaker_state, dns/breaker.h */
    uint64_t since_ms;    /* in this state */
    uint64_t reported_ms; /* when it was written */
    uint32_t pid;         /* who wrote it */
    uint32_t opened;      /* how often that process saw it open */
};
void cache_put_server(struct cache *c, const struct cache_server *s);
bool cache_get_server(struct cache_view *v, const char *address,
                      struct cache_server *s_r);

/* ---- for the command ---- */

struct cache_stats {
    struct live_stats live;
    uint64_t domains, sites, hosts, servers;
    uint64_t routes;                                /* finished answers */
    uint64_t fresh, stale, failing, negative, once; /* of the domains */
};
/* Walks all entries. */
void cache_stats(struct cache_view *v, uint64_t now_ms,
                 struct cache_stats *stats_r);

/* Domains in no particular order; fn may take its time, and use the view. false
   from it: stop. *set as in cache_get_domain(), freed afterwards. */
typedef bool cache_list_fn(void *ctx, const char *domain,
                           const struct cache_entry_state *state,
                           const struct mxset *set);
void cache_list(struct cache_view *v, uint64_t now_ms, cache_list_fn *fn,
                void *ctx);
void cache_list_servers(struct cache_view *v,
                        bool (*fn)(void *ctx, const struct cache_server *s),
                        void *ctx);

/* Forget a domain, with all that a lookup of it would be answered from: its
   hosts' addresses, and the answers under keys in it. Writes at once. false:
   not now, another process is writing. *found_r: it was there. */
bool cache_forget(struct cache *c, const char *domain, bool *found_r);
/* The same of everything. */
bool cache_clear(struct cache *c);

#endif
