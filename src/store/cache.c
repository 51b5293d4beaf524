/*
 * cache - the policy of the DNS cache
 *
 * Keeps, per domain and per host, the last usable answer and beside it what
 * is known about failed attempts since, in a backend (store/kv.h) that only
 * sees bytes. Says of each what it is worth now:
 *
 *   - an answer counts for its TTL, clamped: [ttl_min, ttl_max], or at most
 *     negative_ttl_max where it came from an SOA record;
 *   - then it is stale (RFC 8767) for stale_max, "no address" of a host for
 *     negative_ttl_max, unless a newer answer replaces it; a failure is none.
 *     Null MX and NXDOMAIN are never used stale: they may bounce mail;
 *   - a failure forbids the next attempt for 5 s, doubling to 300 s while
 *     failures go on (RFC 9520); the first answer ends the row.
 *
 * Thread-safe: one mutex, taken in the six functions of the interface only.
 * Owns the backend. A record that is damaged, does not decode for want of
 * memory, or has times from the future (another boot) is a miss.
 */

#include "store/cache.h"
#include "store/cache_record.h"
#include "store/codec.h"
#include "store/kv.h"
#include "util/err.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FAILURE_TEXT_MAX 256

struct cache {
    pthread_mutex_t lock;
    struct kv *kv;
    struct cache_policy policy;
    unsigned char value[KV_VALUE_MAX]; /* scratch, under the lock */
};

enum mxhop_status cache_open(struct cache **c_r, struct kv *kv,
                             const struct cache_policy *policy,
                             struct mxhop_error *err)
{
    struct cache *c = calloc(1, sizeof(*c));

    *c_r = NULL;
    if (c == NULL || pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        kv->ops->close(kv);
        return err_nomem(err);
    }
    c->kv = kv;
    c->policy = *policy;
    *c_r = c;
    return MXHOP_OK;
}

void cache_close(struct cache **c)
{
    if (*c == NULL)
        return;
    (*c)->kv->ops->close((*c)->kv);
    pthread_mutex_destroy(&(*c)->lock);
    free(*c);
    *c = NULL;
}

/* ---- keys ---- */

struct cache_key {
    size_t len; /* 0: too long to be kept */
    char bytes[KV_KEY_MAX];
};

static struct cache_key make_key(char type, const char *name)
{
    struct cache_key key = {0};
    size_t n = strlen(name);

    if (n == 0 || n >= KV_KEY_MAX)
        return key;
    key.bytes[0] = type;
    memcpy(key.bytes + 1, name, n);
    key.len = n + 1;
    return key;
}

/* ---- domains; callers hold the lock ---- */

/* CODEC_BAD: nothing usable is known. Unless CODEC_OK *r_r is empty. */
static enum codec_status load_domain(struct cache *c,
                                     const struct cache_key *key,
                                     uint64_t now_ms, struct domain_record *r_r)
{
    enum codec_status status;
    size_t n = 0;

    memset(r_r, 0, sizeof(*r_r));
    if (key->len > 0)
        n = c->kv->ops->get(c->kv, key->bytes, key->len, c->value,
                            sizeof(c->value));
    if (n == 0 || n > sizeof(c->value))
        return CODEC_BAD;
    status = domain_record_decode(c->value, n, r_r);
    if (status != CODEC_OK)
        return status;
    if (record_plausible(r_r->written_ms, r_r->refresh_ms, now_ms) &&
        failure_plausible(&r_r->failure, r_r->written_ms) &&
        (!r_r->has_answer ||
         answer_plausible(r_r->stored_ms, r_r->expires_ms, r_r->written_ms)))
        return CODEC_OK;
    domain_record_free(r_r);
    return CODEC_BAD;
}

static void store_domain(struct cache *c, const struct cache_key *key,
                         const struct domain_record *r)
{
    bool positive = r->has_answer && r->answer.outcome != MX_NXDOMAIN;
    struct buf b = {0};

    if (domain_record_encode(&b, r, KV_VALUE_MAX) && b.len <= KV_VALUE_MAX)
        c->kv->ops->put(c->kv, key->bytes, key->len, b.data, b.len,
                        positive ? KV_POSITIVE : KV_NEGATIVE);
    buf_free(&b);
}

/* Null MX and NXDOMAIN may be rejected, and only what DNS says now may bounce
   mail: the domain may have got mail hosts since. */
static uint32_t domain_stale_max_s(const struct cache *c,
                                   const struct mxset *set)
{
    return set->outcome == MX_HOSTS ? stale_limit_s(&c->policy, false) : 0;
}

/* *set_r takes what the verdict is about out of the record. */
static struct cache_entry_state judge_domain(const struct cache *c,
                                             struct domain_record *r,
                                             uint64_t now_ms,
                                             struct mxset *set_r)
{
    struct timing t = {r->has_answer, r->stored_ms,
                       r->expires_ms, r->refresh_ms,
                       r->failure,    domain_stale_max_s(c, &r->answer)};
    struct cache_entry_state state = timing_judge(&t, now_ms);

    if (state.verdict == CACHE_FRESH || state.verdict == CACHE_STALE) {
        *set_r = r->answer;
        memset(&r->answer, 0, sizeof(r->answer));
    } else if (state.verdict == CACHE_FAILING) {
        set_r->outcome = MX_FAILURE;
        set_r->ttl_s = state.ttl_s;
        set_r->failure = r->failure_text;
        r->failure_text = NULL;
    }
    return state;
}

struct cache_entry_state cache_get_domain(struct cache *c, const char *domain,
                                          uint64_t now_ms, struct mxset *set_r)
{
    struct cache_key key = make_key('d', domain);
    struct cache_entry_state state = {0};
    struct domain_record r;

    memset(set_r, 0, sizeof(*set_r));
    pthread_mutex_lock(&c->lock);
    if (load_domain(c, &key, now_ms, &r) == CODEC_OK) {
        state = judge_domain(c, &r, now_ms, set_r);
        domain_record_free(&r);
    }
    pthread_mutex_unlock(&c->lock);
    return state;
}

static void put_failure(struct cache *c, const struct cache_key *key,
                        uint64_t now_ms, const char *text)
{
    struct domain_record r;

    if (load_domain(c, key, now_ms, &r) == CODEC_MEMORY)
        return; /* there may be an answer: not to be lost */
    r.written_ms = now_ms;
    failure_note(&r.failure, now_ms);
    free(r.failure_text);
    r.failure_text = text != NULL ? strndup(text, FAILURE_TEXT_MAX) : NULL;
    store_domain(c, key, &r);
    domain_record_free(&r);
}

static void put_answer(struct cache *c, const struct cache_key *key,
                       uint64_t now_ms, const struct mxset *set)
{
    bool negative = set->outcome == MX_NXDOMAIN || set->implicit;
    struct domain_record r = {0};

    r.written_ms = r.stored_ms = now_ms;
    r.has_answer = true;
    r.answer = *set; /* borrowed: encoded here and now, never freed */
    r.answer.ttl_s = clamp_ttl_s(&c->policy, set->ttl_s, negative);
    r.expires_ms = now_ms + (uint64_t)r.answer.ttl_s * 1000;
    store_domain(c, key, &r);
}

void cache_put_domain(struct cache *c, const char *domain, uint64_t now_ms,
                      const struct mxset *set)
{
    struct cache_key key = make_key('d', domain);

    if (key.len == 0)
        return;
    pthread_mutex_lock(&c->lock);
    if (set->outcome == MX_FAILURE)
        put_failure(c, &key, now_ms, set->failure);
    else if ((set->outcome == MX_HOSTS) == (set->n_mx > 0))
        put_answer(c, &key, now_ms, set);
    pthread_mutex_unlock(&c->lock);
}

void cache_note_refresh(struct cache *c, const char *domain, uint64_t now_ms)
{
    struct cache_key key = make_key('d', domain);
    struct domain_record r;

    pthread_mutex_lock(&c->lock);
    if (load_domain(c, &key, now_ms, &r) == CODEC_OK) {
        r.written_ms = now_ms;
        r.refresh_ms = now_ms + CACHE_STALE_REFRESH_S * 1000;
        store_domain(c, &key, &r);
        domain_record_free(&r);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- hosts; callers hold the lock ---- */

static bool load_host(struct cache *c, const struct cache_key *key,
                      uint64_t now_ms, struct host_record *r_r)
{
    size_t n = 0;

    memset(r_r, 0, sizeof(*r_r));
    if (key->len > 0)
        n = c->kv->ops->get(c->kv, key->bytes, key->len, c->value,
                            sizeof(c->value));
    if (n == 0 || n > sizeof(c->value) ||
        host_record_decode(c->value, n, r_r) != CODEC_OK)
        return false;
    if (host_plausible(r_r, now_ms))
        return true;
    memset(r_r, 0, sizeof(*r_r));
    return false;
}

static void store_host(struct cache *c, const struct cache_key *key,
                       const struct host_record *r)
{
    bool positive = r->family[FAMILY_V4].state == ADDR_SOME ||
                    r->family[FAMILY_V6].state == ADDR_SOME;
    struct buf b = {0};

    if (host_record_encode(&b, r))
        c->kv->ops->put(c->kv, key->bytes, key->len, b.data, b.len,
                        positive ? KV_POSITIVE : KV_NEGATIVE);
    buf_free(&b);
}

/* A caller that is told that a refresh is due asks for it: unlike for domains
   that is noted here, so that others are not told for 30 s. */
struct cache_entry_state cache_get_host(struct cache *c, const char *host,
                                        unsigned families, uint64_t now_ms,
                                        struct hostaddrs *addrs_r)
{
    struct cache_key key = make_key('h', host);
    struct cache_entry_state state;
    struct host_record r;

    pthread_mutex_lock(&c->lock);
    load_host(c, &key, now_ms, &r); /* empty, if there is none: a miss */
    state = host_judge(&c->policy, &r, families, now_ms, addrs_r);
    if (state.refresh_due) {
        r.written_ms = now_ms;
        r.refresh_ms = now_ms + CACHE_STALE_REFRESH_S * 1000;
        store_host(c, &key, &r);
    }
    pthread_mutex_unlock(&c->lock);
    return state;
}

void cache_put_host(struct cache *c, const char *host, uint64_t now_ms,
                    const struct hostaddrs *addrs)
{
    struct cache_key key = make_key('h', host);
    struct host_record r;

    if (key.len == 0)
        return;
    pthread_mutex_lock(&c->lock);
    load_host(c, &key, now_ms, &r);
    host_update(&c->policy, &r, addrs, now_ms);
    store_host(c, &key, &r);
    pthread_mutex_unlock(&c->lock);
}
