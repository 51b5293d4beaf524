/*
 * cache_read - what a lookup asks the cache
 *
 * Each call is one short transaction of the view; what is found is decoded
 * where it lies and copied out before the transaction ends. cache_get_route()
 * is the hot path: one read if the domain's record has the finished answer, or
 * it was read a moment ago for another domain (cache_memo.c), else two; no
 * allocation once the caller's buffer has grown, no system call.
 */

#include "cache/cache_int.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

static bool find(struct cache_view *v, uint64_t key, struct kv_value *value_r)
{
    return v->cache->kv->ops->get(v->kv, key, value_r);
}

static bool begin(struct cache_view *v)
{
    return v->cache->kv->ops->begin(v->kv);
}

static void end(struct cache_view *v)
{
    v->cache->kv->ops->end(v->kv);
}

/* Not yet whether it is that domain's: domain_is(). */
static bool read_record(struct cache_view *v, const char *domain,
                        struct chars *name_r, struct domain_record *r_r)
{
    struct kv_value value;

    return name_chars(domain, name_r) &&
           find(v, name_key(v->cache, KV_DOMAIN, *name_r), &value) &&
           domain_record_decode(value.data, value.len, r_r);
}

void cache_expect(struct cache_view *v, const char *domain)
{
    struct chars name;

    if (v->cache->kv->ops->expect != NULL && name_chars(domain, &name))
        v->cache->kv->ops->expect(v->kv, name_key(v->cache, KV_DOMAIN, name));
}

/* ---- domains ---- */

/* false: it is not there (any more), or there is no memory for it. */
static bool fill_answer(struct cache_view *v, const struct domain_record *r,
                        struct mxset *set)
{
    struct kv_value value;
    struct site_record site;

    if (!find(v, kv_key(KV_SITE, r->site.hash), &value) ||
        !site_accept(v->cache, value, r->site, &site) ||
        site_content_decode(site.content, site.content_len, set) != CODEC_OK)
        return false;
    set->ttl_s = r->ttl_s;
    if ((set->outcome == MX_HOSTS) == r->has_hosts)
        return true;
    mxset_free(set);
    return false;
}

static bool fill_failure(const struct domain_record *r, uint32_t ttl_s,
                         struct mxset *set)
{
    set->failure = strndup(r->failure_text.at != NULL ? r->failure_text.at : "",
                           r->failure_text.len);
    if (set->failure == NULL)
        return false;
    set->outcome = MX_FAILURE;
    set->ttl_s = ttl_s;
    return true;
}

static struct cache_entry_state read_domain(struct cache_view *v,
                                            const struct domain_record *r,
                                            uint64_t now_ms, struct mxset *set)
{
    struct cache_entry_state state = domain_judge(&v->cache->policy, r, now_ms);
    bool filled = true;

    if (state.verdict == CACHE_FRESH || state.verdict == CACHE_STALE)
        filled = fill_answer(v, r, set);
    else if (state.verdict == CACHE_FAILING)
        filled = fill_failure(r, state.ttl_s, set);
    if (!filled)
        state =
            (struct cache_entry_state){.failed_before = state.failed_before};
    return state;
}

struct cache_entry_state cache_get_domain(struct cache_view *v,
                                          const char *domain, uint64_t now_ms,
                                          struct mxset *set_r)
{
    struct cache_entry_state state = {0};
    struct domain_record r;
    struct chars name;

    memset(set_r, 0, sizeof(*set_r));
    if (!begin(v))
        return state;
    if (read_record(v, domain, &name, &r) && domain_is(&r, name, now_ms))
        state = read_domain(v, &r, now_ms, set_r);
    end(v);
    return state;
}

/* ---- hosts ---- */

static bool read_host(struct cache_view *v, const char *host, uint64_t now_ms,
                      struct host_record *r_r)
{
    struct kv_value value;
    struct chars name;
    bool found;

    if (!name_chars(host, &name) || !begin(v))
        return false;
    found = find(v, name_key(v->cache, KV_HOST, name), &value) &&
            host_accept(value, name, now_ms, r_r);
    end(v);
    return found;
}

struct cache_entry_state cache_get_host(struct cache_view *v, const char *host,
                                        unsigned families, uint64_t now_ms,
                                        struct hostaddrs *addrs_r)
{
    struct host_record r;

    if (!read_host(v, host, now_ms, &r))
        memset(&r, 0, sizeof(r)); /* a miss */
    return host_judge(&v->cache->policy, &r, families, now_ms, addrs_r);
}

/* ---- finished answers ---- */

static bool route_holds(const struct route_record *r, struct site_id site,
                        uint64_t made_of, uint64_t now_ms, int64_t now_s)
{
    return r->check == site.check && r->made_of == made_of &&
           r->expires_ms > now_ms && r->from_s <= now_s && now_s < r->until_s;
}

static bool find_route(struct cache_view *v, const struct domain_record *d,
                       uint64_t made_of, uint64_t now_ms, int64_t now_s,
                       struct route_record *r_r)
{
    struct site_id site = d->site;
    struct kv_value value;

    if (d->route.len > 0 &&
        route_record_decode(d->route.at, d->route.len, r_r) &&
        route_holds(r_r, site, made_of, now_ms, now_s))
        return true;
    if (memo_get(v->memo, site, made_of, now_ms, now_s, r_r))
        return true;
    if (!find(v, route_key(v->cache, site, made_of), &value) ||
        !route_record_decode(value.data, value.len, r_r) ||
        !route_holds(r_r, site, made_of, now_ms, now_s))
        return false;
    memo_put(v->memo, site, now_ms, r_r);
    return true;
}

static bool read_route(struct cache_view *v, const char *domain,
                       uint64_t made_of, uint64_t now_ms, int64_t now_s,
                       struct cached_route *route_r, struct buf *text)
{
    struct cache_entry_state state;
    struct domain_record d;
    struct route_record r;
    struct chars name;

    if (!read_record(v, domain, &name, &d))
        return false;
    memo_expect(v->memo, d.site);
    if (!domain_is(&d, name, now_ms))
        return false;
    state = domain_judge(&v->cache->policy, &d, now_ms);
    if (state.verdict != CACHE_FRESH ||
        !find_route(v, &d, made_of, now_ms, now_s, &r))
        return false;
    *route_r = (struct cached_route){.has_text = r.has_text,
                                     .by_domain = r.by_domain,
                                     .refresh_due = state.refresh_due,
                                     .once = state.once};
    buf_add(text, r.text.at, r.text.len);
    return !text->failed;
}

bool cache_get_route(struct cache_view *v, const char *domain, uint64_t made_of,
                     uint64_t now_ms, int64_t now_s,
                     struct cached_route *route_r, struct buf *text)
{
    bool found;

    buf_reset(text);
    if (!begin(v))
        return false;
    found = read_route(v, domain, made_of, now_ms, now_s, route_r, text);
    end(v);
    return found;
}

/* ---- finished answers that overrides have a say about ---- */

/* No stranger can find two keys with the same: the seed is secret. */
static struct site_id id_of_key(const struct cache *c, const char *key)
{
    size_t len = strlen(key);
    uint64_t hash = hash_bytes(c->kv->seed, key, len);

    return (struct site_id){hash, (uint32_t)hash_bytes(~c->kv->seed, key, len)};
}

bool cache_get_overridden(struct cache_view *v, const char *key,
                          uint64_t made_of, uint64_t now_ms, int64_t now_s,
                          struct cached_route *route_r, struct buf *text)
{
    struct route_record r;

    buf_reset(text);
    if (!memo_get(v->overridden, id_of_key(v->cache, key), made_of, now_ms,
                  now_s, &r))
        return false;
    *route_r =
        (struct cached_route){.has_text = r.has_text, .by_domain = r.by_domain};
    buf_add(text, r.text.at, r.text.len);
    return !text->failed;
}

void cache_keep_overridden(struct cache_view *v, const char *key,
                           const struct cache_route *route)
{
    const char *text = route->text != NULL ? route->text : "";
    struct route_record r = {
        .made_of = route->made_of,
        .expires_ms = route->expires_ms,
        .from_s = route->from_s,
        .until_s = route->until_s,
        .has_text = route->text != NULL,
        .by_domain = route->by_domain,
        .text = {text, strlen(text)},
    };

    memo_put(v->overridden, id_of_key(v->cache, key), route->now_ms, &r);
}

/* ---- name servers ---- */

bool cache_get_server(struct cache_view *v, const char *address,
                      struct cache_server *s_r)
{
    struct kv_value value;
    struct chars name;
    bool found;

    if (!name_chars(address, &name) || !begin(v))
        return false;
    found = find(v, name_key(v->cache, KV_SERVER, name), &value) &&
            server_accept(value, s_r) && strcmp(s_r->address, address) == 0;
    end(v);
    return found;
}
