/*
 * cache_queue - what is to be written, until somebody may wait
 *
 * Puts are copied, an MX set in its encoded form, and queued in their order;
 * the names of touched domains go into a fixed room, so that a lookup that was
 * answered from the cache allocates nothing and waits for nobody. Both are
 * bounded: what does not fit is forgotten, and so is what there is no memory
 * for. The lock is held for a few instructions only.
 */

#include "cache/cache_int.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

#define TOUCH_PROBES 8

static size_t queue_size(const struct pending *p)
{
    return sizeof(*p) + p->name_len + p->len;
}

/* A copy of *head with name and bytes. */
static void queue_put(struct cache *c, const struct pending *head,
                      const char *name, const void *bytes, size_t len)
{
    size_t name_len = strlen(name);
    struct pending *p;
    bool fits;

    if (name_len == 0 || name_len >= LIVE_KEY_MAX)
        return;
    p = malloc(sizeof(*p) + name_len + len);
    if (p == NULL)
        return;
    *p = *head;
    p->name_len = name_len;
    p->len = len;
    memcpy(p->data, name, name_len);
    if (len > 0)
        memcpy(p->data + name_len, bytes, len);
    pthread_mutex_lock(&c->lock);
    fits = c->queued < PENDING_MAX &&
           queue_size(p) <= PENDING_BYTES_MAX - c->queued_bytes;
    if (fits) {
        STAILQ_INSERT_TAIL(&c->queue, p, link);
        c->queued++;
        c->queued_bytes += queue_size(p);
        atomic_fetch_add(&c->waiting, 1);
    }
    pthread_mutex_unlock(&c->lock);
    if (!fits)
        free(p);
}

void queue_take(struct cache *c, struct pending_list *taken_r)
{
    struct pending *p;

    STAILQ_INIT(taken_r);
    c->touching.n = 0;
    pthread_mutex_lock(&c->lock);
    for (int n = 0; n < PENDING_BATCH; n++) {
        p = STAILQ_FIRST(&c->queue);
        if (p == NULL)
            break;
        STAILQ_REMOVE_HEAD(&c->queue, link);
        STAILQ_INSERT_TAIL(taken_r, p, link);
        c->queued--;
        c->queued_bytes -= queue_size(p);
    }
    if (c->queued == 0 && c->touched.n > 0) {
        c->touching = c->touched;
        c->touched.n = 0;
    }
    atomic_store(&c->waiting, c->queued + c->touched.n);
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

void cache_put_domain(struct cache *c, const char *domain, uint64_t now_ms,
                      const struct mxset *set)
{
    struct pending p = {.op = PENDING_FAILURE, .now_ms = now_ms};
    struct buf site = {0};

    if (set->outcome == MX_FAILURE) {
        const char *why = set->failure != NULL ? set->failure : "";
        size_t len = strnlen(why, RECORD_FAILURE_MAX);

        queue_put(c, &p, domain, why, record_is_printable(why, len) ? len : 0);
    } else if (site_record_encode(&site, set, LIVE_VALUE_MAX)) {
        p.op = PENDING_ANSWER;
        p.outcome = set->outcome;
        p.ttl_s =
            judge_clamp_ttl_s(&c->policy, set->ttl_s,
                              set->outcome == MX_NXDOMAIN || set->implicit);
        queue_put(c, &p, domain, site.data, site.len);
    }
    buf_free(&site);
}

void cache_put_txt(struct cache *c, const char *domain, enum tls_txt which,
                   uint64_t now_ms, const struct domain_txt *txt)
{
    struct pending p = {.op = PENDING_TXT, .now_ms = now_ms, .which = which};

    if (txt->state != TXT_UNKNOWN)
        queue_put(c, &p, domain, txt, sizeof(*txt));
}

void cache_note_refresh(struct cache *c, const char *domain, uint64_t now_ms)
{
    struct pending p = {.op = PENDING_REFRESH, .now_ms = now_ms};

    queue_put(c, &p, domain, NULL, 0);
}

void cache_touch(struct cache *c, const char *domain)
{
    size_t size = strlen(domain) + 1;
    uint64_t hash = hash_bytes((uintptr_t)c, domain, size) | 1;
    struct touched *t = &c->touched;
    uint64_t *slot = NULL;

    if (size >= LIVE_KEY_MAX || pthread_mutex_trylock(&c->lock) != 0)
        return;
    if (t->n == 0) {
        memset(t->hash, 0, sizeof(t->hash));
        t->len = 0;
    }
    for (size_t i = 0; i < TOUCH_PROBES; i++) {
        slot = &t->hash[(hash + i) % TOUCHED_SLOTS];
        if (*slot == hash || *slot == 0)
            break;
    }
    if (*slot == 0 && size <= sizeof(t->names) - t->len) {
        *slot = hash;
        memcpy(t->names + t->len, domain, size);
        t->len += size;
        t->n++;
        atomic_fetch_add(&c->waiting, 1);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- finished answers ---- */

static uint32_t queue_wall_s(int64_t t_s)
{
    return t_s < 0 ? 0 : t_s > UINT32_MAX ? UINT32_MAX : (uint32_t)t_s;
}

static void queue_put_route(struct cache *c, struct pending *p,
                            const char *name, struct buf *bytes,
                            const struct cache_route *route)
{
    const char *text = route->text != NULL ? route->text : "";
    struct route_record r = {.f = {.made_of = route->made_of,
                                   .expires_ms = route->expires_ms & INT64_MAX,
                                   .from_s = queue_wall_s(route->from_s),
                                   .until_s = queue_wall_s(route->until_s),
                                   .has_text = route->text != NULL},
                             .text = {text, strlen(text)}};

    p->now_ms = route->now_ms;
    if (route_record_encode(bytes, &r))
        queue_put(c, p, name, bytes->data, bytes->len);
}

void cache_put_route(struct cache *c, const char *domain,
                     const struct mxset *set, const struct cache_route *route)
{
    struct pending p = {.op = PENDING_ROUTE};
    struct buf b = {0};

    if (site_record_encode(&b, set, LIVE_VALUE_MAX)) {
        p.set_len = b.len;
        queue_put_route(c, &p, domain, &b, route);
    }
    buf_free(&b);
}

void cache_put_overridden(struct cache *c, const char *key,
                          const struct cache_route *route)
{
    struct pending p = {.op = PENDING_OVERRIDDEN};
    struct buf b = {0};

    queue_put_route(c, &p, key, &b, route);
    buf_free(&b);
}

/* ---- hosts, name servers ---- */

void cache_put_host(struct cache *c, const char *host, uint64_t now_ms,
                    const struct hostaddrs *addrs)
{
    struct pending p = {.op = PENDING_HOST, .now_ms = now_ms};

    queue_put(c, &p, host, addrs, sizeof(*addrs));
}

void cache_note_host_refresh(struct cache *c, const char *host, uint64_t now_ms)
{
    struct pending p = {.op = PENDING_HOST_REFRESH, .now_ms = now_ms};

    queue_put(c, &p, host, NULL, 0);
}

void cache_put_server(struct cache *c, const struct cache_server *s)
{
    struct pending p = {.op = PENDING_SERVER};
    struct cache_server copy;

    memset(&copy, 0, sizeof(copy)); /* what is between the members, too */
    memcpy(copy.address, s->address, sizeof(copy.address) - 1);
    copy.state = s->state;
    copy.since_ms = s->since_ms;
    copy.reported_ms = s->reported_ms;
    copy.pid = s->pid;
    copy.opened = s->opened;
    queue_put(c, &p, copy.address, &copy, sizeof(copy));
}
