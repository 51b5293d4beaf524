/*
 * cache_queue - what is to be written, until somebody may wait
 *
 * Puts are copied, an MX set in its encoded form, and queued in their order;
 * touched domains go into a fixed table of keys, so that a lookup that was
 * answered from the cache allocates nothing and waits for nobody. Both are
 * bounded: what does not fit is forgotten, and so is what there is no memory
 * for. The lock is held for a few instructions only.
 */

#include "cache/cache_int.h"

#include <stdlib.h>
#include <string.h>

#define TOUCH_PROBES 8

static size_t size_of(const struct pending *p)
{
    return sizeof(*p) + p->name_len + p->len;
}

/* Takes p. */
static void enqueue(struct cache *c, struct pending *p)
{
    bool fits;

    pthread_mutex_lock(&c->lock);
    fits = c->queued < PENDING_MAX &&
           size_of(p) <= PENDING_BYTES_MAX - c->queued_bytes;
    if (fits) {
        STAILQ_INSERT_TAIL(&c->queue, p, link);
        c->queued++;
        c->queued_bytes += size_of(p);
        atomic_fetch_add(&c->waiting, 1);
    }
    pthread_mutex_unlock(&c->lock);
    if (!fits)
        free(p);
}

/* A copy of *head with name and bytes. */
static void put_off(struct cache *c, const struct pending *head,
                    struct chars name, const void *bytes, size_t len)
{
    struct pending *p = malloc(sizeof(*p) + name.len + len);

    if (p == NULL)
        return;
    *p = *head;
    p->name_len = name.len;
    p->len = len;
    memcpy(p->data, name.at, name.len);
    if (len > 0)
        memcpy(p->data + name.len, bytes, len);
    enqueue(c, p);
}

void queue_take(struct cache *c, struct pending_list *taken_r)
{
    STAILQ_INIT(taken_r);
    pthread_mutex_lock(&c->lock);
    STAILQ_CONCAT(taken_r, &c->queue);
    c->touching = c->touched;
    memset(&c->touched, 0, sizeof(c->touched));
    c->queued = c->queued_bytes = 0;
    atomic_store(&c->waiting, 0);
    pthread_mutex_unlock(&c->lock);
}

void queue_free(struct pending_list *list)
{
    struct pending *p;

    while ((p = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, link);
        free(p);
    }
}

size_t cache_pending(struct cache *c)
{
    return atomic_load(&c->waiting);
}

/* ---- domains ---- */

/* The set's bytes and what they are known by. */
static bool encode_site(const struct cache *c, const struct mxset *set,
                        struct buf *content, struct site_id *id_r)
{
    if ((set->outcome == MX_HOSTS) != (set->n_mx > 0) ||
        !site_content_encode(content, set, KV_VALUE_MAX - SITE_RECORD_HEAD))
        return false;
    *id_r = site_content_id(c->kv->seed, content->data, content->len);
    return true;
}

static void put_answer(struct cache *c, struct chars name, uint64_t now_ms,
                       const struct mxset *set)
{
    bool negative = set->outcome == MX_NXDOMAIN || set->implicit;
    struct pending p = {.op = PENDING_ANSWER,
                        .now_ms = now_ms,
                        .outcome = set->outcome,
                        .ttl_s = clamp_ttl_s(&c->policy, set->ttl_s, negative)};
    struct buf content = {0};

    if (encode_site(c, set, &content, &p.site))
        put_off(c, &p, name, content.data, content.len);
    buf_free(&content);
}

void cache_put_domain(struct cache *c, const char *domain, uint64_t now_ms,
                      const struct mxset *set)
{
    struct pending failure = {.op = PENDING_FAILURE, .now_ms = now_ms};
    struct chars name;
    const char *why = set->failure != NULL ? set->failure : "";

    if (!name_chars(domain, &name))
        return;
    if (set->outcome == MX_FAILURE)
        put_off(c, &failure, name, why, strnlen(why, RECORD_TEXT_MAX));
    else
        put_answer(c, name, now_ms, set);
}

void cache_note_refresh(struct cache *c, const char *domain, uint64_t now_ms)
{
    struct pending p = {.op = PENDING_REFRESH, .now_ms = now_ms};
    struct chars name;

    if (name_chars(domain, &name))
        put_off(c, &p, name, NULL, 0);
}

/* Its place, or a free one; NULL: all are taken. */
static uint64_t *touch_slot(struct touched *t, uint64_t key)
{
    for (size_t i = 0; i < TOUCH_PROBES; i++) {
        uint64_t *slot = &t->key[(key + i) % TOUCHED_SLOTS];

        if (*slot == key || *slot == 0)
            return slot;
    }
    return NULL;
}

void cache_touch(struct cache *c, const char *domain)
{
    struct chars name;
    uint64_t key, *slot;

    if (!name_chars(domain, &name) || pthread_mutex_trylock(&c->lock) != 0)
        return;
    key = name_key(c, KV_DOMAIN, name);
    slot = touch_slot(&c->touched, key);
    if (slot != NULL && *slot == 0) {
        *slot = key;
        c->touched.n++;
        atomic_fetch_add(&c->waiting, 1);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- hosts ---- */

void cache_put_host(struct cache *c, const char *host, uint64_t now_ms,
                    const struct hostaddrs *addrs)
{
    struct pending p = {.op = PENDING_HOST, .now_ms = now_ms};
    struct chars name;

    if (name_chars(host, &name))
        put_off(c, &p, name, addrs, sizeof(*addrs));
}

void cache_note_host_refresh(struct cache *c, const char *host, uint64_t now_ms)
{
    struct pending p = {.op = PENDING_HOST_REFRESH, .now_ms = now_ms};
    struct chars name;

    if (name_chars(host, &name))
        put_off(c, &p, name, NULL, 0);
}

/* ---- records that are complete ---- */

void cache_put_route(struct cache *c, const struct mxset *set,
                     const struct cache_route *route)
{
    struct route_record r = {.worth = WORTH_ONCE,
                             .made_of = route->made_of,
                             .expires_ms = route->expires_ms,
                             .from_s = route->from_s,
                             .until_s = route->until_s,
                             .has_text = route->text != NULL,
                             .by_domain = route->by_domain};
    struct pending p = {.op = PENDING_ROUTE, .now_ms = route->now_ms};
    struct chars name = {"", 0};
    struct buf b = {0};

    if (encode_site(c, set, &b, &p.site)) {
        buf_reset(&b);
        r.check = p.site.check;
        if (route->text != NULL)
            r.text = (struct chars){route->text, strlen(route->text)};
        if (route->domain != NULL)
            name_chars(route->domain, &name);
        p.key = route_key(c, p.site, route->made_of);
        if (route_record_encode(&b, &r) && b.len <= KV_VALUE_MAX)
            put_off(c, &p, name, b.data, b.len);
    }
    buf_free(&b);
}

void cache_put_server(struct cache *c, const struct cache_server *s)
{
    struct server_record r = {
        .since_ms = s->since_ms,
        .reported_ms = s->reported_ms,
        .pid = s->pid,
        .opened = s->opened,
        .state = s->state,
        .address = {s->address, strnlen(s->address, sizeof(s->address))}};
    struct pending p = {.op = PENDING_SERVER};
    struct chars none = {"", 0};
    struct buf b = {0};

    p.key = name_key(c, KV_SERVER, r.address);
    if (server_record_encode(&b, &r))
        put_off(c, &p, none, b.data, b.len);
    buf_free(&b);
}
