/* Inside the cache: what its files share. */

#ifndef STORE_CACHE_INT_H
#define STORE_CACHE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include "cache/cache.h"
#include "cache/cache_memo.h"
#include "cache/cache_record.h"
#include "cache/codec.h"

#define CACHE_CHUNK 1000 /* entries walked or written in one transaction */

/* How long claims and the command wait for another writer. */
#define CACHE_CLAIM_WAIT_MS  20
#define CACHE_FORGET_WAIT_MS 1000

#define PENDING_MAX          4096
#define PENDING_BYTES_MAX    (4u << 20)
#define TOUCHED_SLOTS        1024 /* power of two */

/* Something to be written at the next flush. */
struct pending {
    STAILQ_ENTRY(pending) link;
    enum pending_op {
        PENDING_ANSWER,       /* bytes: the site's content */
        PENDING_FAILURE,      /* bytes: why */
        PENDING_REFRESH,      /* a domain's */
        PENDING_HOST,         /* bytes: struct hostaddrs */
        PENDING_HOST_REFRESH, /* bytes: none */
        PENDING_ROUTE,        /* bytes: a record, at key or the domain's */
        PENDING_SERVER        /* bytes: a record, at key */
    } op;
    uint64_t now_ms;
    uint64_t key;
    uint32_t ttl_s; /* of an answer: clamped */
    enum mx_outcome outcome;
    struct site_id site;
    size_t name_len, len;
    char data[]; /* name, bytes */
};

STAILQ_HEAD(pending_list, pending);

struct touched {
    size_t n;
    uint64_t key[TOUCHED_SLOTS]; /* of domains; 0: free */
};

struct cache {
    struct kv *kv;
    struct cache_policy policy;

    /* The queue. Never held across anything that waits. */
    pthread_mutex_t lock;
    struct pending_list queue;
    size_t queued, queued_bytes;
    struct touched touched;
    atomic_size_t waiting; /* queued and touched together */

    pthread_mutex_t flushing; /* held by the one that flushes */
    struct touched touching;  /* its own */
};

struct cache_view {
    struct cache *cache;
    struct kv_view *kv;
    struct memo *memo;       /* may be NULL; by MX set, and */
    struct memo *overridden; /* by key; may be NULL, too */
};

/* ---- cache.c ---- */

/* false: nothing of that name is kept. The name is not copied. */
bool name_chars(const char *name, struct chars *name_r);
uint64_t name_key(const struct cache *c, enum kv_kind kind, struct chars name);
uint64_t route_key(const struct cache *c, struct site_id site,
                   uint64_t made_of);
/* Whether a record that was decoded is of that name (another may have the same
   key), and to be believed at now_ms. */
bool domain_is(const struct domain_record *r, struct chars name,
               uint64_t now_ms);
/* Decode; false also where it is not that. */
bool domain_accept(struct kv_value value, struct chars name, uint64_t now_ms,
                   struct domain_record *r_r);
bool host_accept(struct kv_value value, struct chars name, uint64_t now_ms,
                 struct host_record *r_r);
/* false also where it is another set's. */
bool site_accept(const struct cache *c, struct kv_value value,
                 struct site_id id, struct site_record *r_r);
bool server_accept(struct kv_value value, struct cache_server *s_r);

/* ---- cache_queue.c ---- */

/* All that was put off, now the caller's. The caller holds `flushing`, and
   gets the touched domains in c->touching. */
void queue_take(struct cache *c, struct pending_list *taken_r);
void queue_free(struct pending_list *list);

/* ---- cache_write.c: between write_begin() and commit() ---- */

struct writer {
    struct cache *cache;
    struct buf record;  /* being encoded */
    struct buf content; /* kept, out of the backend's memory */
    size_t puts;
};

void writer_free(struct writer *w);
bool writer_find(struct writer *w, uint64_t key, struct kv_value *value_r);
/* The record of a name, pointing into the backend's memory: good until the
   next put. false: there is none, *r_r has only the name. */
bool writer_domain(struct writer *w, struct chars name, uint64_t now_ms,
                   struct domain_record *r_r);
/* Where there is no memory to encode it, nothing is written. */
void writer_put_domain(struct writer *w, const struct domain_record *r);
/* Empty, to be encoded into; then put. */
struct buf *writer_start_record(struct writer *w);
void writer_put_record(struct writer *w, uint64_t key);
/* A copy, in w->content, of what a put would take away. */
void writer_keep(struct writer *w, const void *bytes, size_t len);
void writer_apply(struct writer *w, const struct pending *p);

/* ---- cache_site.c: the same ---- */

/* false: the set is not there. *r_r points as writer_domain() says. */
bool writer_site(struct writer *w, struct site_id id, struct site_record *r_r);
/* Whether the domain that is put now already had the set: else, where the set
   is known (then the result is true), it is some other domain's, too. */
bool writer_put_site(struct writer *w, const struct pending *p, bool had,
                     uint8_t worth);
/* The domain at this key was asked for again. */
void writer_touch(struct writer *w, uint64_t key);

/* ---- cache_list.c ---- */

/* false: stop. No transaction is open meanwhile. */
typedef bool chunk_fn(void *ctx, uint64_t key, struct kv_value value);
/* All entries of kinds first to last, a copy of each, a chunk a transaction.
   Ends early where there is no memory for a chunk. */
void walk_chunks(struct cache_view *v, enum kv_kind first, enum kv_kind last,
                 chunk_fn *fn, void *ctx);

#endif
