/*
 * cache - the policy of the DNS cache
 *
 * Keeps, per domain and per host, the last usable answer and beside it what
 * is known about failed attempts since, in a backend (store/kv.h) that only
 * sees bytes. Says of each what it is worth now:
 *
 *   - an answer counts for its TTL, clamped: [ttl_min, ttl_max], or at most
 *     negative_ttl_max where it came from an SOA record; near its end it is to
 *     be refreshed (prefetch);
 *   - then it is stale (RFC 8767) for stale_max, "no address" of a host for
 *     negative_ttl_max, unless a newer answer replaces it; a failure is none.
 *     Null MX and NXDOMAIN are never used stale: they may bounce mail;
 *   - a failure forbids the next attempt for 5 s, doubling to 300 s while
 *     failures go on (RFC 9520); the first answer ends the row.
 *
 * What is worth keeping: strangers choose names, so what has no answer goes
 * first, then what was asked for once. An MX set is kept once for all domains
 * that have it, a finished answer once for all of those; domains, sets and
 * hosts that are asked for again, or that another domain refers to, are used.
 * A finished answer is made again in no time: it goes before others as good.
 *
 * A record that is damaged, is another name's, or has times from the future
 * (another boot) is a miss.
 *
 *     cache_read.c     what a lookup asks, through a view
 *     cache_queue.c    what is to be written, until somebody may wait
 *     cache_write.c    the writing of it; cache_site.c for MX sets
 *     cache_flush.c    transactions: flush, claim
 *     cache_list.c     walks over everything; cache_forget.c
 *     cache_record.c   the arithmetic; codec_cache.c, codec_site.c the bytes
 *
 * Owns the backend. Threads: a view is one thread's, all else is anybody's;
 * two mutexes, one of which is held only for a few instructions.
 */

#include "cache/cache_int.h"
#include "util/err.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

static bool init_locks(struct cache *c)
{
    if (pthread_mutex_init(&c->lock, NULL) != 0)
        return false;
    if (pthread_mutex_init(&c->flushing, NULL) == 0)
        return true;
    pthread_mutex_destroy(&c->lock);
    return false;
}

enum mxhop_status cache_open(struct cache **c_r, struct kv *kv,
                             const struct cache_policy *policy,
                             struct mxhop_error *err)
{
    struct cache *c = calloc(1, sizeof(*c));

    *c_r = NULL;
    if (c == NULL || !init_locks(c)) {
        free(c);
        kv->ops->close(kv);
        return err_nomem(err);
    }
    c->kv = kv;
    c->policy = *policy;
    STAILQ_INIT(&c->queue);
    atomic_init(&c->waiting, 0);
    *c_r = c;
    return MXHOP_OK;
}

void cache_close(struct cache **c)
{
    if (*c == NULL)
        return;
    queue_free(&(*c)->queue);
    (*c)->kv->ops->close((*c)->kv);
    pthread_mutex_destroy(&(*c)->lock);
    pthread_mutex_destroy(&(*c)->flushing);
    free(*c);
    *c = NULL;
}

struct cache_view *cache_view_open(struct cache *c)
{
    struct cache_view *v = calloc(1, sizeof(*v));

    if (v == NULL)
        return NULL;
    v->cache = c;
    v->kv = c->kv->ops->view_open(c->kv);
    if (v->kv != NULL) {
        v->memo = memo_open();
        v->overridden = memo_open();
        return v;
    }
    free(v);
    return NULL;
}

void cache_view_close(struct cache_view **v)
{
    if (*v == NULL)
        return;
    (*v)->cache->kv->ops->view_close((*v)->kv);
    memo_close((*v)->memo);
    memo_close((*v)->overridden);
    free(*v);
    *v = NULL;
}

uint64_t cache_rank(uint64_t key, struct kv_value value)
{
    bool remade = kv_kind_of(key) == KV_ROUTE;
    struct record_head h;

    if (!record_head_decode(value.data, value.len, &h))
        return 0;
    if (kv_kind_of(key) == KV_SERVER)
        return UINT64_MAX;
    return (uint64_t)h.worth << 41 | (uint64_t)!remade << 40 | h.time_ms;
}

/* ---- keys, and what is found under them ---- */

bool name_chars(const char *name, struct chars *name_r)
{
    *name_r = (struct chars){name, strlen(name)};
    return name_r->len > 0 && name_r->len <= RECORD_NAME_MAX;
}

uint64_t name_key(const struct cache *c, enum kv_kind kind, struct chars name)
{
    return kv_key(kind, hash_bytes(c->kv->seed, name.at, name.len));
}

uint64_t route_key(const struct cache *c, struct site_id site, uint64_t made_of)
{
    uint64_t of[] = {site.hash, site.check, made_of};

    return kv_key(KV_ROUTE, hash_bytes(c->kv->seed, of, sizeof(of)));
}

static bool same_chars(struct chars a, struct chars b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

bool domain_is(const struct domain_record *r, struct chars name,
               uint64_t now_ms)
{
    return same_chars(r->name, name) && domain_plausible(r, now_ms);
}

bool domain_accept(struct kv_value value, struct chars name, uint64_t now_ms,
                   struct domain_record *r_r)
{
    return domain_record_decode(value.data, value.len, r_r) &&
           domain_is(r_r, name, now_ms);
}

bool host_accept(struct kv_value value, struct chars name, uint64_t now_ms,
                 struct host_record *r_r)
{
    return host_record_decode(value.data, value.len, r_r) &&
           same_chars(r_r->name, name) && host_plausible(r_r, now_ms);
}

bool site_accept(const struct cache *c, struct kv_value value,
                 struct site_id id, struct site_record *r_r)
{
    struct site_id found;

    if (!site_record_decode(value.data, value.len, r_r))
        return false;
    found = site_content_id(c->kv->seed, r_r->content, r_r->content_len);
    return found.hash == id.hash && found.check == id.check;
}

bool server_accept(struct kv_value value, struct cache_server *s_r)
{
    struct server_record r;

    if (!server_record_decode(value.data, value.len, &r) ||
        r.address.len >= sizeof(s_r->address))
        return false;
    *s_r = (struct cache_server){.state = r.state,
                                 .since_ms = r.since_ms,
                                 .reported_ms = r.reported_ms,
                                 .pid = r.pid,
                                 .opened = r.opened};
    memcpy(s_r->address, r.address.at, r.address.len);
    return true;
}
