/*
 * cache_write - what was put off becomes records
 *
 * Between write_begin() and commit() of the backend, in the order in which it
 * was put off. Each change starts from the record as it is then, which some
 * other process may have written; a record of another name under the same key
 * is overwritten. What was read points into the backend's memory until the
 * next put, so a record is encoded first and put then.
 */

#include "cache/cache_int.h"

#include <string.h>

void writer_free(struct writer *w)
{
    buf_free(&w->record);
    buf_free(&w->content);
}

bool writer_find(struct writer *w, uint64_t key, struct kv_value *value_r)
{
    return w->cache->kv->ops->write_get(w->cache->kv, key, value_r);
}

struct buf *writer_start_record(struct writer *w)
{
    if (w->record.failed)
        buf_free(&w->record);
    buf_reset(&w->record);
    return &w->record;
}

void writer_put_record(struct writer *w, uint64_t key)
{
    struct kv *kv = w->cache->kv;

    if (w->record.failed || w->record.len > KV_VALUE_MAX)
        return;
    kv->ops->put(kv, key, w->record.data, w->record.len);
    w->puts++;
}

void writer_keep(struct writer *w, const void *bytes, size_t len)
{
    if (w->content.failed)
        buf_free(&w->content);
    buf_reset(&w->content);
    buf_add(&w->content, bytes, len);
}

/* ---- domains ---- */

bool writer_domain(struct writer *w, struct chars name, uint64_t now_ms,
                   struct domain_record *r_r)
{
    struct kv_value value;

    if (writer_find(w, name_key(w->cache, KV_DOMAIN, name), &value) &&
        domain_accept(value, name, now_ms, r_r))
        return true;
    *r_r = (struct domain_record){.name = name};
    return false;
}

void writer_put_domain(struct writer *w, const struct domain_record *r)
{
    if (domain_record_encode(writer_start_record(w), r))
        writer_put_record(w, name_key(w->cache, KV_DOMAIN, r->name));
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct chars name_of(const struct pending *p)
{
    return (struct chars){p->data, p->name_len};
}

static struct chars bytes_of(const struct pending *p)
{
    return (struct chars){p->data + p->name_len, p->len};
}

/* The set is the same, so what was made of it holds as long as it did. */
static struct chars keep_route(struct writer *w, const struct domain_record *r)
{
    writer_keep(w, r->route.at, r->route.len);
    if (w->content.failed)
        return (struct chars){0};
    return (struct chars){w->content.data, w->content.len};
}

static void apply_answer(struct writer *w, const struct pending *p)
{
    struct domain_record old, r = {.name = name_of(p),
                                   .written_ms = p->now_ms,
                                   .stored_ms = p->now_ms,
                                   .has_answer = true,
                                   .has_hosts = p->outcome == MX_HOSTS,
                                   .ttl_s = p->ttl_s,
                                   .site = p->site};
    bool had, known;

    writer_domain(w, r.name, p->now_ms, &old);
    had = old.has_answer && old.site.hash == p->site.hash &&
          old.site.check == p->site.check;
    if (p->outcome == MX_NXDOMAIN)
        r.worth = WORTH_NEGATIVE;
    else
        r.worth = old.worth == WORTH_USED ? WORTH_USED : WORTH_ONCE;
    if (had)
        r.route = keep_route(w, &old);
    known = writer_put_site(w, p, had, r.worth);
    r.first = had ? old.first : !known;
    writer_put_domain(w, &r);
}

/* A claim may stay in the record: it ends before the next attempt is due. */
static void apply_failure(struct writer *w, const struct pending *p)
{
    enum cache_verdict verdict;
    struct domain_record r;

    writer_domain(w, name_of(p), p->now_ms, &r);
    verdict = domain_judge(&w->cache->policy, &r, p->now_ms).verdict;
    r.written_ms = later(r.written_ms, p->now_ms);
    failure_note(&r.failure, p->now_ms);
    r.failure_text = bytes_of(p);
    if (verdict != CACHE_FRESH && verdict != CACHE_STALE) {
        domain_drop_answer(&r);
        r.worth = WORTH_NEGATIVE;
    }
    writer_put_domain(w, &r);
}

static void apply_refresh(struct writer *w, const struct pending *p)
{
    struct domain_record r;

    if (!writer_domain(w, name_of(p), p->now_ms, &r))
        return;
    r.written_ms = later(r.written_ms, p->now_ms);
    r.refresh_ms = p->now_ms + CACHE_STALE_REFRESH_S * 1000;
    r.claim = false;
    writer_put_domain(w, &r);
}

/* ---- hosts ---- */

static bool old_host(struct writer *w, const struct pending *p,
                     struct host_record *r_r)
{
    struct kv_value value;

    if (writer_find(w, name_key(w->cache, KV_HOST, name_of(p)), &value) &&
        host_accept(value, name_of(p), p->now_ms, r_r))
        return true;
    *r_r = (struct host_record){.name = name_of(p)};
    return false;
}

static void put_host(struct writer *w, const struct host_record *r)
{
    if (host_record_encode(writer_start_record(w), r))
        writer_put_record(w, name_key(w->cache, KV_HOST, r->name));
}

static void apply_host(struct writer *w, const struct pending *p)
{
    struct hostaddrs addrs;
    struct host_record r;

    memcpy(&addrs, bytes_of(p).at, sizeof(addrs));
    old_host(w, p, &r);
    host_update(&w->cache->policy, &r, &addrs, p->now_ms);
    put_host(w, &r);
}

static void apply_host_refresh(struct writer *w, const struct pending *p)
{
    struct host_record r;

    if (!old_host(w, p, &r))
        return;
    r.written_ms = later(r.written_ms, p->now_ms);
    r.refresh_ms = p->now_ms + CACHE_STALE_REFRESH_S * 1000;
    put_host(w, &r);
}

/* ---- finished answers, name servers ---- */

/* A finished answer that is made again for a later time is used. */
static uint8_t route_worth(const struct record_head *old,
                           const struct record_head *new)
{
    if (old->worth == WORTH_USED || old->time_ms < new->time_ms)
        return WORTH_USED;
    return new->worth;
}

/* With two configurations at work each would push out the other's. */
static bool is_other_route(struct chars old, const struct route_record *new,
                           uint64_t now_ms)
{
    struct route_record r;

    return old.len > 0 && route_record_decode(old.at, old.len, &r) &&
           r.made_of != new->made_of &&r.expires_ms > now_ms;
}

/* With the domain, if the set is its alone. */
static bool put_route_with_domain(struct writer *w, const struct pending *p)
{
    struct route_record new;
    struct domain_record d;

    if (p->name_len == 0 || p->len > RECORD_ROUTE_MAX ||
        !route_record_decode(bytes_of(p).at, p->len, &new) ||
        !writer_domain(w, name_of(p), p->now_ms, &d) || !d.first ||
        d.site.hash != p->site.hash || d.site.check != p->site.check ||
        is_other_route(d.route, &new, p->now_ms))
        return false;
    d.route = bytes_of(p);
    writer_put_domain(w, &d);
    return true;
}

static void apply_route(struct writer *w, const struct pending *p)
{
    struct buf *b;
    struct record_head old, new;
    struct kv_value value;

    if (put_route_with_domain(w, p))
        return;
    b = writer_start_record(w);
    buf_add(b, bytes_of(p).at, p->len);
    if (b->failed)
        return;
    if (writer_find(w, p->key, &value) &&
        record_head_decode(value.data, value.len, &old) &&
        record_head_decode(b->data, b->len, &new))
        record_set_worth(b->data, route_worth(&old, &new));
    writer_put_record(w, p->key);
}

static void apply_server(struct writer *w, const struct pending *p)
{
    buf_add(writer_start_record(w), bytes_of(p).at, p->len);
    writer_put_record(w, p->key);
}

void writer_apply(struct writer *w, const struct pending *p)
{
    static void (*const apply[])(struct writer *, const struct pending *) = {
        [PENDING_ANSWER] = apply_answer,
        [PENDING_FAILURE] = apply_failure,
        [PENDING_REFRESH] = apply_refresh,
        [PENDING_HOST] = apply_host,
        [PENDING_HOST_REFRESH] = apply_host_refresh,
        [PENDING_ROUTE] = apply_route,
        [PENDING_SERVER] = apply_server,
    };

    apply[p->op](w, p);
}
