/* Inside the cache: what its files share. */

#ifndef CACHE_INT_H
#define CACHE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include "cache/cache.h"
#include "cache/record.h"

/* How long claims and the command wait for another writer. */
#define CACHE_CLAIM_WAIT_MS  20
#define CACHE_FORGET_WAIT_MS 1000

#define PENDING_MAX          4096
#define PENDING_BYTES_MAX    (4u << 20)
#define PENDING_BATCH        1000 /* written before others get their turn */
#define TOUCHED_SLOTS        1024 /* power of two */
#define TOUCHED_BYTES        16384

/* Threads read the clock before they take the lock: a record may be a little
   younger than the reader's now. More than this is another boot. */
#define CACHE_CLOCK_SLACK_MS 10000

/* ---- keys: a kind, then a name, or the site's hash ---- */

enum cache_kind {
    CACHE_DOMAIN = 'd',
    CACHE_HOST = 'h',
    CACHE_SITE = 's',
    CACHE_SERVER = 'n',
    CACHE_OVERRIDDEN = 'o'
};

struct cache_key {
    size_t len;
    char text[LIVE_KEY_MAX];
};

/* false: it does not fit, and nothing is kept under it. */
bool cache_key_make(struct cache_key *k_r, enum cache_kind kind,
                    const void *name, size_t len);

/* ---- the queue: cache_queue.c ---- */

/* Something to be written at the next flush. */
struct pending {
    STAILQ_ENTRY(pending) link;
    enum pending_op {
        PENDING_ANSWER,       /* bytes: the set's */
        PENDING_FAILURE,      /* bytes: why */
        PENDING_TXT,          /* bytes: struct domain_txt */
        PENDING_REFRESH,      /* a domain's */
        PENDING_ROUTE,        /* bytes: the set's, then a record */
        PENDING_OVERRIDDEN,   /* bytes: a record */
        PENDING_HOST,         /* bytes: struct hostaddrs */
        PENDING_HOST_REFRESH, /* a host's */
        PENDING_SERVER        /* bytes: a record */
    } op;
    uint64_t now_ms;
    enum mx_outcome outcome;
    enum tls_txt which;
    uint32_t ttl_s; /* of an answer: clamped */
    size_t name_len, set_len, len;
    char data[]; /* name, bytes */
};

STAILQ_HEAD(pending_list, pending);

/* Domains, each once, as texts one behind the other. */
struct touched {
    size_t n, len;                /* with n 0 the rest means nothing */
    uint64_t hash[TOUCHED_SLOTS]; /* 0: free */
    char names[TOUCHED_BYTES];
};

struct cache {
    struct live *live;
    struct cache_policy policy;

    /* The queue. Never held across anything that waits. */
    pthread_mutex_t lock;
    struct pending_list queue;
    size_t queued, queued_bytes;
    atomic_size_t waiting; /* queued and touched together */
    struct touched touched;

    struct touched touching; /* of the one that writes */
};

struct cache_view {
    struct cache *cache;
    struct live_view *live;
};

/* Up to PENDING_BATCH of what was put off, now the caller's; the touched
   domains are in c->touching when the list has ended. Between live_begin() and
   live_end(). */
void queue_take(struct cache *c, struct pending_list *taken_r);
void queue_free(struct pending_list *list);

/* ---- reading: cache.c ---- */

/* Decoded and to be believed at now_ms; points into the value. */
bool cache_accept_domain(const struct live_value *value, uint64_t now_ms,
                         struct domain_record *r_r);
bool cache_accept_host(const struct live_value *value, uint64_t now_ms,
                       struct host_record *r_r);
bool cache_accept_server(const struct live_value *value, const char *address,
                         size_t len, struct cache_server *s_r);

/* ---- arithmetic: cache_judge.c ---- */

static inline uint64_t cache_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether the times of a record fit together and are not from the future. */
bool judge_domain_plausible(const struct domain_record *r, uint64_t now_ms);
bool judge_host_plausible(const struct host_record *r, uint64_t now_ms);

/* An answer, and the attempts since. */
struct timing {
    bool has_answer;
    uint64_t stored_ms;
    uint32_t ttl_s, stale_max_s, prefetch_percent;
    uint64_t refresh_ms;
    const struct failure_note *failure;
};

/* What that is worth. *known_r: there is no need to ask, or no use yet, whoever
   else was asked. */
struct cache_entry_state judge_timing(const struct timing *t, uint64_t now_ms,
                                      bool *known_r);
uint32_t judge_stale_limit_s(const struct cache_policy *p, bool negative);
uint32_t judge_clamp_ttl_s(const struct cache_policy *p, uint32_t ttl_s,
                           bool negative);
void judge_note_failure(struct failure_note *f, uint64_t now_ms);
struct cache_entry_state judge_domain(const struct cache_policy *p,
                                      const struct domain_record *r,
                                      enum live_worth worth, uint64_t now_ms);
/* As cache_get_domain() says; whether it is to be asked for in the background.
 */
bool judge_txt(const struct cache_policy *p, const struct domain_record *r,
               enum tls_txt which, uint64_t now_ms, struct domain_txt *txt_r);
/* Note what became of the question; whether there is another answer now. */
bool judge_update_txt(const struct cache_policy *p, struct domain_record *r,
                      enum tls_txt which, const struct domain_txt *txt,
                      uint64_t now_ms);
/* Fills *addrs_r with what is known of the families in the mask; those that
   are not known, and all others, are ADDR_UNKNOWN. TLSA records alike. */
struct cache_entry_state judge_host(const struct cache_policy *p,
                                    const struct host_record *r,
                                    unsigned families, uint64_t now_ms,
                                    struct hostaddrs *addrs_r);
/* Note the outcome of an address lookup, family by family; r is the record as
   it was, or zeroed. */
void judge_update_host(const struct cache_policy *p, struct host_record *r,
                       const struct hostaddrs *addrs, uint64_t now_ms);
bool judge_has_address(const struct host_fixed *f);
/* TLSA records of a host whose addresses are in *a: into *a, and into what *sum
   says of the host. */
void judge_tlsa(const struct cache_policy *p, const struct host_record *r,
                unsigned families, uint64_t now_ms, struct hostaddrs *a,
                struct cache_entry_state *sum);
void judge_update_tlsa(const struct cache_policy *p, struct host_tlsa *h,
                       const struct tlsa *tlsa, uint64_t now_ms);
/* From when on nobody wants it: for live_put(). */
uint32_t judge_domain_dead_s(const struct cache_policy *p,
                             const struct domain_record *r);
uint32_t judge_host_dead_s(const struct cache_policy *p,
                           const struct host_fixed *f);
uint32_t judge_route_dead_s(const struct route_fixed *f);

#endif
