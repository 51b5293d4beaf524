/*
 * The DNS cache: policy (TTLs, negative answers, failures, stale) over a
 * backend that stores bytes. Thread-safe: one lock, never held across I/O
 * other than the backend's own.
 */

#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxhop/error.h>
#include "model/mxset.h"

struct cache;
struct kv; /* store/kv.h: a backend */

struct cache_policy {
    uint32_t ttl_min_s;
    uint32_t ttl_max_s;
    uint32_t negative_ttl_max_s;
    uint32_t stale_max_s;
};

/* Failures are kept 5 s, doubling to 5 min while they go on (RFC 9520). */
#define CACHE_FAILURE_FIRST_S 5
#define CACHE_FAILURE_MAX_S   300
#define CACHE_STALE_REFRESH_S 30 /* a stale answer is refreshed this often */

enum cache_verdict {
    CACHE_MISS,
    CACHE_FRESH,
    CACHE_STALE,  /* past its TTL but within stale_max: usable */
    CACHE_FAILING /* the last attempt failed, nothing stale is left, and it is
                     not yet time to ask again: *set_r is MX_FAILURE */
};

struct cache_entry_state {
    enum cache_verdict verdict;
    bool refresh_due; /* stale: ask again (not more than once in 30 s) */
    uint32_t ttl_s;   /* fresh: seconds left; stale, failing: seconds until
                         the next attempt */
    uint32_t stale_s; /* stale: seconds since it expired */
};

/* Takes ownership of kv (also on failure). */
enum mxhop_status cache_open(struct cache **c_r, struct kv *kv,
                             const struct cache_policy *policy,
                             struct mxhop_error *err);
void cache_close(struct cache **c);

/* now_ms is on clock_boot_ms(). *set_r is filled (the caller frees it) unless
   the verdict is CACHE_MISS; addresses are not filled in. Any fault is a
   miss. */
struct cache_entry_state cache_get_domain(struct cache *c, const char *domain,
                                          uint64_t now_ms, struct mxset *set_r);
/* Keep an answer, ttl clamped by the policy. MX_FAILURE never replaces a
   usable answer: it is noted beside it. */
void cache_put_domain(struct cache *c, const char *domain, uint64_t now_ms,
                      const struct mxset *set);
/* Somebody was asked to refresh `domain` now: not due for 30 s. */
void cache_note_refresh(struct cache *c, const char *domain, uint64_t now_ms);

/* The same for a host's addresses; per family. A failed family keeps a stale
   answer of the family. *addrs_r is always filled with what is known. Verdict
   over the families in the mask: a miss if one is a miss, else stale, else
   failing, else fresh. refresh_due is told once in 30 s: ask then. */
struct cache_entry_state cache_get_host(struct cache *c, const char *host,
                                        unsigned families, uint64_t now_ms,
                                        struct hostaddrs *addrs_r);
void cache_put_host(struct cache *c, const char *host, uint64_t now_ms,
                    const struct hostaddrs *addrs);

#endif
