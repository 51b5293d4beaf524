/*
 * cache_list - walks over everything, for the command; and forgetting
 *
 * A domain is forgotten with all that a lookup of it would be answered from:
 * its record, the addresses of its hosts, and what overrides made of keys in
 * it, which is found by walking over everything. The MX set stays: it is no
 * older than what other domains say of it.
 */

#include "cache/cache_int.h"

#include <string.h>

/* ---- what there is, counted ---- */

struct counting {
    const struct cache_policy *policy;
    uint64_t now_ms;
    struct cache_stats *stats;
};

static void list_count_domain(const struct counting *c,
                              const struct live_value *value)
{
    struct cache_entry_state state;
    struct domain_record r;

    c->stats->domains++;
    if (!cache_accept_domain(value, c->now_ms, &r))
        return;
    state = judge_domain(c->policy, &r, value->worth, c->now_ms);
    c->stats->fresh += state.verdict == CACHE_FRESH;
    c->stats->stale += state.verdict == CACHE_STALE;
    c->stats->failing += state.verdict == CACHE_FAILING;
    c->stats->negative +=
        (r.f.flags & DOMAIN_ANSWER) != 0 && value->worth == LIVE_NEGATIVE;
    c->stats->once += state.once;
    c->stats->routes += (r.f.flags & DOMAIN_ROUTE) != 0;
}

static bool list_count(void *ctx, const void *key, size_t key_len,
                       const struct live_value *value)
{
    struct counting *c = ctx;

    (void)key_len;
    switch (*(const char *)key) {
    case CACHE_DOMAIN:
        list_count_domain(c, value);
        break;
    case CACHE_HOST:
        c->stats->hosts++;
        break;
    case CACHE_SITE:
        c->stats->sites++;
        break;
    case CACHE_SERVER:
        c->stats->servers++;
        break;
    case CACHE_OVERRIDDEN:
        c->stats->routes++;
        break;
    default:
        break;
    }
    return true;
}

void cache_stats(struct cache_view *v, uint64_t now_ms,
                 struct cache_stats *stats_r)
{
    struct counting c = {&v->cache->policy, now_ms, stats_r};

    memset(stats_r, 0, sizeof(*stats_r));
    live_stats(v->cache->live, &stats_r->live);
    live_walk(v->live, list_count, &c);
}

/* ---- what there is, one by one ---- */

struct listing {
    struct cache_view *view;
    uint64_t now_ms;
    cache_list_fn *fn;
    bool (*server_fn)(void *ctx, const struct cache_server *s);
    void *ctx;
};

/* It is read again, with its MX set: one set at a time is in memory. */
static bool list_domain(void *ctx, const void *key, size_t key_len,
                        const struct live_value *value)
{
    struct listing *l = ctx;
    struct cache_entry_state state;
    char name[LIVE_KEY_MAX] = "";
    struct mxset set;
    bool more = true;

    (void)value;
    if (*(const char *)key != CACHE_DOMAIN ||
        !record_is_printable((const char *)key + 1, key_len - 1))
        return true;
    memcpy(name, (const char *)key + 1, key_len - 1);
    state = cache_get_domain(l->view, name, l->now_ms, &set);
    if (state.verdict != CACHE_MISS)
        more = l->fn(l->ctx, name, &state, &set);
    mxset_free(&set);
    return more;
}

static bool list_server(void *ctx, const void *key, size_t key_len,
                        const struct live_value *value)
{
    struct listing *l = ctx;
    struct cache_server s;

    return *(const char *)key != CACHE_SERVER ||
           !cache_accept_server(value, (const char *)key + 1, key_len - 1,
                                &s) ||
           l->server_fn(l->ctx, &s);
}

/* Through a view of its own: the caller's is free for what fn looks at. */
static void list_walk(struct cache *c, live_walk_fn *fn, void *ctx)
{
    struct live_view *v = live_view_open(c->live);

    if (v != NULL)
        live_walk(v, fn, ctx);
    live_view_close(&v);
}

void cache_list(struct cache_view *v, uint64_t now_ms, cache_list_fn *fn,
                void *ctx)
{
    struct listing l = {.view = v, .now_ms = now_ms, .fn = fn, .ctx = ctx};

    list_walk(v->cache, list_domain, &l);
}

void cache_list_servers(struct cache_view *v,
                        bool (*fn)(void *ctx, const struct cache_server *s),
                        void *ctx)
{
    struct listing l = {.server_fn = fn, .ctx = ctx};

    list_walk(v->cache, list_server, &l);
}

/* ---- forgetting ---- */

struct forgetting {
    const char *domain;
    struct buf keys; /* texts, one behind the other */
};

/* Keys of overridden answers for the domain, and for addresses in it. */
static bool list_collect_keys(void *ctx, const void *key, size_t key_len,
                              const struct live_value *value)
{
    struct forgetting *f = ctx;
    const char *name = (const char *)key + 1;
    size_t len = key_len - 1, n = strlen(f->domain);

    (void)value;
    if (*(const char *)key == CACHE_OVERRIDDEN && len >= n &&
        memcmp(name + len - n, f->domain, n) == 0 &&
        (len == n || name[len - n - 1] == '@') &&
        memchr(name, '\0', len) == NULL) {
        buf_add(&f->keys, key, key_len);
        buf_putc(&f->keys, '\0');
    }
    return true;
}

/* Whatever the record says: it may be damaged. */
static bool list_forget_domain(struct live *t, const struct cache_key *k)
{
    struct live_value value;
    struct domain_record d;
    struct cache_key other;
    struct buf set = {0};
    struct chars host;
    size_t at = 0;

    if (!live_find(t, k->text, k->len, &value))
        return false;
    if (domain_record_decode(value.data, value.len, &d) &&
        (d.f.flags & DOMAIN_ANSWER) != 0 &&
        cache_key_make(&other, CACHE_SITE, &d.f.site, sizeof(d.f.site)) &&
        live_find(t, other.text, other.len, &value))
        buf_add(&set, value.data, value.len);
    while (site_record_next(set.data, set.len, &at, &host))
        if (cache_key_make(&other, CACHE_HOST, host.at, host.len))
            live_del(t, other.text, other.len);
    live_del(t, k->text, k->len);
    buf_free(&set);
    return true;
}

bool cache_forget(struct cache *c, const char *domain, bool *found_r)
{
    struct forgetting f = {.domain = domain};
    struct cache_key k;
    bool done = false;

    *found_r = false;
    cache_flush(c, CACHE_FORGET_WAIT_MS); /* else it would come back */
    if (!cache_key_make(&k, CACHE_DOMAIN, domain, strlen(domain)))
        return true;
    list_walk(c, list_collect_keys, &f);
    if (live_begin(c->live, CACHE_FORGET_WAIT_MS)) {
        *found_r = list_forget_domain(c->live, &k) || f.keys.len > 0;
        for (size_t at = 0; at < f.keys.len;) {
            size_t len = strlen(f.keys.data + at);

            live_del(c->live, f.keys.data + at, len);
            at += len + 1;
        }
        done = live_end(c->live) && !f.keys.failed;
    }
    buf_free(&f.keys);
    return done;
}

bool cache_clear(struct cache *c)
{
    cache_flush(c, CACHE_FORGET_WAIT_MS);
    if (!live_begin(c->live, CACHE_FORGET_WAIT_MS))
        return false;
    live_clear(c->live);
    return live_end(c->live);
}
