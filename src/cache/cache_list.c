/*
 * cache_list - walks over everything, for the command
 *
 * A transaction that lasts keeps the backend from using pages again, so a walk
 * is cut into chunks: entries are copied, the transaction ends, then they are
 * looked at. Between two chunks entries may come and go.
 */

#include "cache/cache_int.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES_MAX (1u << 20)

struct chunk {
    enum kv_kind last;
    uint64_t from; /* the next chunk begins there */
    bool more;
    size_t n;
    uint64_t key[CACHE_CHUNK];
    size_t end[CACHE_CHUNK]; /* of the value, in bytes */
    struct buf bytes;
};

static bool collect(void *ctx, uint64_t key, struct kv_value value)
{
    struct chunk *c = ctx;

    if (kv_kind_of(key) > c->last)
        return false;
    if (c->n == CACHE_CHUNK || c->bytes.len > CHUNK_BYTES_MAX) {
        c->more = true;
        c->from = key;
        return false;
    }
    buf_add(&c->bytes, value.data, value.len);
    c->key[c->n] = key;
    c->end[c->n++] = c->bytes.len;
    return !c->bytes.failed;
}

/* false: nothing more can be read. */
static bool read_chunk(struct cache_view *v, struct chunk *c)
{
    const struct kv_ops *ops = v->cache->kv->ops;

    buf_reset(&c->bytes);
    c->n = 0;
    c->more = false;
    if (!ops->begin(v->kv))
        return false;
    ops->walk(v->kv, c->from, collect, c);
    ops->end(v->kv);
    return !c->bytes.failed;
}

static bool show_chunk(const struct chunk *c, chunk_fn *fn, void *ctx)
{
    size_t at = 0;

    for (size_t i = 0; i < c->n; i++) {
        struct kv_value value = {(unsigned char *)c->bytes.data + at,
                                 c->end[i] - at};

        if (!fn(ctx, c->key[i], value))
            return false;
        at = c->end[i];
    }
    return true;
}

void walk_chunks(struct cache_view *v, enum kv_kind first, enum kv_kind last,
                 chunk_fn *fn, void *ctx)
{
    struct chunk *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return;
    c->from = kv_key(first, 0);
    c->last = last;
    do
        if (!read_chunk(v, c) || !show_chunk(c, fn, ctx))
            break;
    while (c->more);
    buf_free(&c->bytes);
    free(c);
}

/* ---- what there is, counted ---- */

struct counting {
    const struct cache_policy *policy;
    uint64_t now_ms;
    struct cache_stats *stats;
};

static void count_domain(const struct counting *c, struct kv_value value)
{
    struct cache_entry_state state;
    struct domain_record r;

    if (!domain_record_decode(value.data, value.len, &r) ||
        !domain_plausible(&r, c->now_ms))
        return;
    state = domain_judge(c->policy, &r, c->now_ms);
    c->stats->fresh += state.verdict == CACHE_FRESH;
    c->stats->stale += state.verdict == CACHE_STALE;
    c->stats->failing += state.verdict == CACHE_FAILING;
    c->stats->negative += r.has_answer && r.worth == WORTH_NEGATIVE;
    c->stats->once += state.once;
    c->stats->entries[KV_ROUTE] += r.route.len > 0;
}

static bool count(void *ctx, uint64_t key, struct kv_value value)
{
    struct counting *c = ctx;

    c->stats->entries[kv_kind_of(key)]++;
    if (kv_kind_of(key) == KV_DOMAIN)
        count_domain(c, value);
    return true;
}

void cache_stats(struct cache_view *v, uint64_t now_ms,
                 struct cache_stats *stats_r)
{
    const struct kv_ops *ops = v->cache->kv->ops;
    struct counting c = {&v->cache->policy, now_ms, stats_r};

    memset(stats_r, 0, sizeof(*stats_r));
    if (!ops->begin(v->kv))
        return;
    ops->stats(v->kv, &stats_r->kv);
    ops->end(v->kv);
    walk_chunks(v, KV_DOMAIN, KV_KINDS - 1, count, &c);
}

/* ---- what there is, one by one ---- */

struct listing {
    struct cache_view *view;
    uint64_t now_ms;
    cache_list_fn *fn;
    void *ctx;
};

/* It is read again, with its MX set: one set at a time is in memory. */
static bool list_domain(void *ctx, uint64_t key, struct kv_value value)
{
    struct listing *l = ctx;
    struct cache_entry_state state;
    char name[RECORD_NAME_MAX + 1] = "";
    struct domain_record r;
    struct mxset set;
    bool more = true;

    (void)key;
    if (!domain_record_decode(value.data, value.len, &r))
        return true;
    memcpy(name, r.name.at, r.name.len);
    state = cache_get_domain(l->view, name, l->now_ms, &set);
    if (state.verdict != CACHE_MISS)
        more = l->fn(l->ctx, name, &state, &set);
    mxset_free(&set);
    return more;
}

void cache_list(struct cache_view *v, uint64_t now_ms, cache_list_fn *fn,
                void *ctx)
{
    struct listing l = {v, now_ms, fn, ctx};

    walk_chunks(v, KV_DOMAIN, KV_DOMAIN, list_domain, &l);
}

struct server_listing {
    bool (*fn)(void *ctx, const struct cache_server *s);
    void *ctx;
};

static bool list_server(void *ctx, uint64_t key, struct kv_value value)
{
    struct server_listing *l = ctx;
    struct cache_server s;

    (void)key;
    return !server_accept(value, &s) || l->fn(l->ctx, &s);
}

void cache_list_servers(struct cache_view *v,
                        bool (*fn)(void *ctx, const struct cache_server *s),
                        void *ctx)
{
    struct server_listing l = {fn, ctx};

    walk_chunks(v, KV_SERVER, KV_SERVER, list_server, &l);
}
