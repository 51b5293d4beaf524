/*
 * cache - the policy of the DNS cache
 *
 * Keeps, per domain and per host, the last usable answer and beside it what
 * is known about failed attempts since, in a table (table/live.h) that may
 * forget anything at any time. Says of each what it is worth now:
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
 * What DNS says about TLS is kept beside that: texts with the domain, TLSA
 * records with the host.
 *
 * What is worth keeping: strangers choose names, so what has no answer goes
 * first, then what was asked for once. An MX set is kept once for all domains
 * that have it; domains, sets and hosts that are asked for again, or that
 * another domain refers to, are used. The finished answer for a domain stands
 * in the domain's record and takes one search; answers that overrides have a
 * say about have records of their own.
 *
 * A record that is damaged, or has times from the future, is a miss.
 *
 *     cache.c          opening, and what a lookup asks, through a view
 *     cache_queue.c    what is to be written, until somebody may wait
 *     cache_write.c    the writing of it; claims
 *     cache_list.c     walks over everything, and forgetting
 *     cache_judge.c    the arithmetic, and cache_judge_tls.c
 *     record.c         the bytes
 *     cache_file.c     whose the file is, and where
 *
 * Owns the table. Threads: a view is one thread's, all else is anybody's; the
 * one mutex is held only for a few instructions.
 */

#include "cache/cache_int.h"
#include "util/err.h"

#include <stdlib.h>
#include <string.h>

enum mxhop_status cache_open(struct cache **c_r, struct live *live,
                             const struct cache_policy *policy,
                             struct mxhop_error *err)
{
    struct cache *c = malloc(sizeof(*c));

    *c_r = NULL;
    if (c != NULL) /* not all of it: a delivery of Exim touches nothing */
        memset(c, 0, offsetof(struct cache, touched));
    if (c == NULL || pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        live_close(&live);
        return err_nomem(err);
    }
    c->touched.n = c->touching.n = 0;
    c->live = live;
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
    live_close(&(*c)->live);
    pthread_mutex_destroy(&(*c)->lock);
    free(*c);
    *c = NULL;
}

struct cache_view *cache_view_open(struct cache *c)
{
    struct cache_view *v = calloc(1, sizeof(*v));

    if (v == NULL)
        return NULL;
    v->cache = c;
    v->live = live_view_open(c->live);
    if (v->live == NULL) {
        free(v);
        return NULL;
    }
    return v;
}

void cache_view_close(struct cache_view **v)
{
    if (*v == NULL)
        return;
    live_view_close(&(*v)->live);
    free(*v);
    *v = NULL;
}

/* ---- keys, and what is found under them ---- */

bool cache_key_make(struct cache_key *k_r, enum cache_kind kind,
                    const void *name, size_t len)
{
    if (len == 0 || len >= sizeof(k_r->text))
        return false;
    k_r->text[0] = (char)kind;
    memcpy(k_r->text + 1, name, len);
    k_r->len = len + 1;
    return true;
}

static bool cache_get(struct cache_view *v, enum cache_kind kind,
                      const char *name, struct live_value *value_r)
{
    struct cache_key k;

    return cache_key_make(&k, kind, name, strlen(name)) &&
           live_get(v->live, k.text, k.len, value_r);
}

bool cache_accept_domain(const struct live_value *value, uint64_t now_ms,
                         struct domain_record *r_r)
{
    return domain_record_decode(value->data, value->len, r_r) &&
           judge_domain_plausible(r_r, now_ms);
}

bool cache_accept_host(const struct live_value *value, uint64_t now_ms,
                       struct host_record *r_r)
{
    return host_record_decode(value->data, value->len, r_r) &&
           judge_host_plausible(r_r, now_ms);
}

/* ---- domains ---- */

/* false: it is not there (any more), or there is no memory for it. */
static bool cache_fill_answer(struct cache_view *v,
                              const struct domain_fixed *f, struct mxset *set)
{
    struct live_value value;
    struct cache_key k;

    if (!cache_key_make(&k, CACHE_SITE, &f->site, sizeof(f->site)) ||
        !live_get(v->live, k.text, k.len, &value) ||
        site_record_decode(value.data, value.len, set) != CODEC_OK)
        return false;
    set->ttl_s = f->ttl_s;
    if ((set->outcome == MX_HOSTS) == ((f->flags & DOMAIN_HOSTS) != 0))
        return true;
    mxset_free(set);
    return false;
}

struct cache_entry_state cache_get_domain(struct cache_view *v,
                                          const char *domain, uint64_t now_ms,
                                          struct mxset *set_r)
{
    struct cache_entry_state state = {0};
    struct live_value value;
    struct domain_record r;
    struct domain_txt txt[TLS_TXTS];

    memset(set_r, 0, sizeof(*set_r));
    if (!cache_get(v, CACHE_DOMAIN, domain, &value) ||
        !cache_accept_domain(&value, now_ms, &r))
        return state;
    state = judge_domain(&v->cache->policy, &r, value.worth, now_ms);
    if (state.verdict == CACHE_MISS)
        return state;
    for (int i = 0; i < TLS_TXTS; i++)
        (void)judge_txt(&v->cache->policy, &r, (enum tls_txt)i, now_ms,
                        &txt[i]);
    if (state.verdict == CACHE_FAILING) {
        set_r->failure = strndup(r.failure_text.at, r.failure_text.len);
        set_r->outcome = MX_FAILURE;
        set_r->ttl_s = state.ttl_s;
    }
    if (state.verdict == CACHE_FAILING ? set_r->failure != NULL
                                       : cache_fill_answer(v, &r.f, set_r)) {
        memcpy(set_r->txt, txt, sizeof(txt));
        return state;
    }
    memset(set_r, 0, sizeof(*set_r));
    return (struct cache_entry_state){.failed_before = state.failed_before};
}

/* ---- hosts ---- */

struct cache_entry_state cache_get_host(struct cache_view *v, const char *host,
                                        unsigned families, uint64_t now_ms,
                                        struct hostaddrs *addrs_r)
{
    struct live_value value;
    struct host_record r;

    if (!cache_get(v, CACHE_HOST, host, &value) ||
        !cache_accept_host(&value, now_ms, &r))
        memset(&r, 0, sizeof(r)); /* a miss */
    return judge_host(&v->cache->policy, &r, families, now_ms, addrs_r);
}

/* ---- finished answers ---- */

static bool cache_route_holds(const struct route_record *r, uint64_t made_of,
                              uint64_t now_ms, int64_t now_s)
{
    return r->f.made_of == made_of && r->f.expires_ms > now_ms &&
           r->f.from_s <= now_s && now_s < r->f.until_s;
}

bool cache_get_route(struct cache_view *v, const char *domain, uint64_t made_of,
                     uint64_t now_ms, int64_t now_s,
                     struct cached_route *route_r, struct buf *text)
{
    struct cache_entry_state state;
    struct live_value value;
    struct domain_record r;

    buf_reset(text);
    if (!cache_get(v, CACHE_DOMAIN, domain, &value) ||
        !cache_accept_domain(&value, now_ms, &r) ||
        (r.f.flags & DOMAIN_ROUTE) == 0 ||
        !cache_route_holds(&r.route, made_of, now_ms, now_s))
        return false;
    state = judge_domain(&v->cache->policy, &r, value.worth, now_ms);
    if (state.verdict != CACHE_FRESH)
        return false;
    *route_r = (struct cached_route){.has_text = r.route.f.has_text,
                                     .refresh_due = state.refresh_due,
                                     .once = state.once};
    buf_add(text, r.route.text.at, r.route.text.len);
    return !text->failed;
}

void cache_ahead(struct cache_view *v, const char *domain)
{
    struct cache_key k;

    if (cache_key_make(&k, CACHE_DOMAIN, domain, strlen(domain)))
        live_ahead(v->live, k.text, k.len);
}

bool cache_get_overridden(struct cache_view *v, const char *key,
                          uint64_t made_of, uint64_t now_ms, int64_t now_s,
                          struct cached_route *route_r, struct buf *text)
{
    struct live_value value;
    struct route_record r;

    buf_reset(text);
    if (!cache_get(v, CACHE_OVERRIDDEN, key, &value) ||
        !route_record_decode(value.data, value.len, &r) ||
        !cache_route_holds(&r, made_of, now_ms, now_s))
        return false;
    *route_r = (struct cached_route){.has_text = r.f.has_text};
    buf_add(text, r.text.at, r.text.len);
    return !text->failed;
}

/* ---- name servers ---- */

bool cache_accept_server(const struct live_value *value, const char *address,
                         size_t len, struct cache_server *s_r)
{
    if (value->len != sizeof(*s_r) || len >= sizeof(s_r->address) ||
        !record_is_printable(address, len))
        return false;
    memcpy(s_r, value->data, sizeof(*s_r));
    memset(s_r->address, 0, sizeof(s_r->address));
    memcpy(s_r->address, address, len);
    return true;
}

bool cache_get_server(struct cache_view *v, const char *address,
                      struct cache_server *s_r)
{
    struct live_value value;

    return cache_get(v, CACHE_SERVER, address, &value) &&
           cache_accept_server(&value, address, strlen(address), s_r);
}
