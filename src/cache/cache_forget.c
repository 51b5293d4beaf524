/*
 * cache_forget - forgetting on demand, for the command
 *
 * A domain is forgotten with all that a lookup of it would be answered from:
 * its record, the addresses of its hosts, and the finished answers of its MX
 * set, which are found by walking over all of them. The set itself stays: it
 * is no older than what other domains say of it.
 */

#include "cache/cache_int.h"

#include <string.h>

/* Deletes the finished answers of a site as they are walked over; chunks are
   copies and no transaction is open meanwhile. */
struct forgetting {
    struct cache *cache;
    struct site_id site;
    bool done; /* false: another process is writing */
};

static bool forget_route(void *ctx, uint64_t key, struct kv_value value)
{
    struct forgetting *f = ctx;
    const struct kv_ops *ops = f->cache->kv->ops;
    struct route_record r;

    if (!route_record_decode(value.data, value.len, &r) ||
        r.check != f->site.check ||
        key != route_key(f->cache, f->site, r.made_of))
        return true;
    f->done = ops->write_begin(f->cache->kv, CACHE_FORGET_WAIT_MS);
    if (!f->done)
        return false;
    ops->del(f->cache->kv, key);
    f->done = ops->commit(f->cache->kv);
    return f->done;
}

static bool forget_routes(struct cache *c, struct site_id site)
{
    struct forgetting f = {c, site, true};
    struct cache_view *v = cache_view_open(c);

    if (v == NULL)
        return false;
    walk_chunks(v, KV_ROUTE, KV_ROUTE, forget_route, &f);
    cache_view_close(&v);
    return f.done;
}

/* The content of the domain's set goes to w->content. */
static bool find_set(struct writer *w, const struct domain_record *d)
{
    struct site_record site;

    if (!d->has_answer || !writer_site(w, d->site, &site))
        return false;
    buf_add(&w->content, site.content, site.content_len);
    return !w->content.failed;
}

static void forget_hosts(struct writer *w)
{
    struct kv *kv = w->cache->kv;
    struct chars host;
    size_t at = 0;

    while (site_content_next(w->content.data, w->content.len, &at, &host))
        kv->ops->del(kv, name_key(w->cache, KV_HOST, host));
}

/* Whatever it says: it may be damaged. */
static bool forget_domain(struct writer *w, struct chars name,
                          struct site_id *site_r, bool *has_site_r)
{
    struct kv *kv = w->cache->kv;
    uint64_t key = name_key(w->cache, KV_DOMAIN, name);
    struct kv_value value;
    struct domain_record d;

    *has_site_r = false;
    if (!writer_find(w, key, &value))
        return false;
    if (domain_record_decode(value.data, value.len, &d)) {
        *site_r = d.site;
        *has_site_r = d.has_answer;
        if (find_set(w, &d))
            forget_hosts(w);
    }
    kv->ops->del(kv, key);
    return true;
}

static bool forget_all(struct cache *c, bool *found_r)
{
    struct cache_view *v = cache_view_open(c);
    struct kv_stats stats = {0};

    if (v != NULL && c->kv->ops->begin(v->kv)) {
        c->kv->ops->stats(v->kv, &stats);
        c->kv->ops->end(v->kv);
    }
    cache_view_close(&v);
    if (!c->kv->ops->write_begin(c->kv, CACHE_FORGET_WAIT_MS))
        return false;
    *found_r = stats.entries > 0;
    c->kv->ops->clear(c->kv);
    return c->kv->ops->commit(c->kv);
}

bool cache_forget(struct cache *c, const char *domain, bool *found_r)
{
    struct writer w = {.cache = c};
    struct site_id site;
    struct chars name;
    bool has_site, done;

    *found_r = false;
    cache_flush(c, CACHE_FORGET_WAIT_MS); /* else it would come back */
    if (domain == NULL)
        return forget_all(c, found_r);
    if (!name_chars(domain, &name))
        return true;
    if (!c->kv->ops->write_begin(c->kv, CACHE_FORGET_WAIT_MS))
        return false;
    *found_r = forget_domain(&w, name, &site, &has_site);
    done = c->kv->ops->commit(c->kv);
    writer_free(&w);
    return done && (!has_site || forget_routes(c, site));
}
