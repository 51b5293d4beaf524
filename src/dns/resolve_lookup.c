/*
 * resolve_lookup - the questions for the addresses of one host
 *
 * A lookup asks at once for all families that its owner does not know, and
 * exists once however many tasks want it: many domains share few hosts. Its
 * queries count for the task that started it. What joins a lookup may have a
 * later deadline than what started it: it is asked again for then. A lookup
 * lives until its queries are over, which end when the time of all who wanted
 * it is over.
 *
 * The owner learns only what DNS said: a family that was cut short, for which
 * no query could be sent or no server is to be reached, is ADDR_UNKNOWN, and a
 * host of which nothing was learnt is not mentioned. Silence that lasted counts
 * as a failure, or everybody would ask, and wait, for a silent host again and
 * again.
 */

#include "dns/resolve_int.h"

#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/hash.h"

/* Less time than this is no test of a name server. */
#define SILENCE_MS 1000

static exchange_fn lookup_reply;

static const uint16_t lookup_type[FAMILIES] = {
    [FAMILY_V4] = WIRE_TYPE_A, [FAMILY_V6] = WIRE_TYPE_AAAA};

static struct host_lookups *lookup_bucket(struct resolver *r, const char *host)
{
    return &r->buckets[hash_bytes(r->seed, host, strlen(host)) %
                       LOOKUP_BUCKETS];
}

static struct host_lookup *lookup_find(struct resolver *r, const char *host)
{
    struct host_lookup *l = LIST_FIRST(lookup_bucket(r, host));

    while (l != NULL && strcmp(l->host, host) != 0)
        l = LIST_NEXT(l, link);
    return l;
}

/* A family for which no query can be sent stays ADDR_UNKNOWN. */
static bool lookup_ask(struct host_ask *ask, const char *name)
{
    struct host_lookup *l = ask->lookup;
    struct task *t = l->starter;

    if ((t != NULL && t->queries == RESOLVE_QUERIES_MAX) ||
        engine_ask(l->resolver->engine, name, lookup_type[ask->family],
                   l->deadline_ms, lookup_reply, ask) != MXHOP_OK)
        return false;
    l->pending++;
    if (t != NULL) {
        t->queries++;
        t->in_flight++;
    }
    return true;
}

static struct host_lookup *lookup_new(struct task *t, const char *host,
                                      unsigned families,
                                      const struct hostaddrs *known)
{
    struct resolver *r = t->resolver;
    size_t size = strlen(host) + 1;
    struct host_lookup *l = calloc(1, sizeof(*l) + size);

    if (l == NULL)
        return NULL;
    memcpy(l->host, host, size);
    l->resolver = r;
    l->starter = t;
    l->start_ms = clock_boot_ms();
    l->deadline_ms = t->deadline_ms;
    l->known = families;
    l->known_secure = true;
    if (families != 0) {
        l->addrs = *known;
        l->known_secure = known->secure;
    }
    l->addrs.secure = engine_trusts_ad(r->engine);
    for (unsigned f = 0; f < FAMILIES; f++) {
        l->ask[f] = (struct host_ask){.lookup = l, .family = f};
        if ((r->families & ~families & FAMILY_BIT(f)) == 0)
            continue;
        l->addrs.state[f] = ADDR_UNKNOWN;
        l->addrs.n[f] = 0;
        l->addrs.ttl_s[f] = UINT32_MAX;
        (void)lookup_ask(&l->ask[f], host);
    }
    if (l->pending == 0) {
        free(l);
        return NULL;
    }
    LIST_INSERT_HEAD(lookup_bucket(r, host), l, link);
    return l;
}

bool lookup_join(struct host_waiter *w, const char *host, unsigned families,
                 const struct hostaddrs *known)
{
    struct task *t = w->task;
    struct host_lookup *l = lookup_find(t->resolver, host);

    if (l == NULL)
        l = lookup_new(t, host, families, known);
    if (l == NULL)
        return false;
    if (l->deadline_ms < t->deadline_ms)
        l->deadline_ms = t->deadline_ms;
    w->lookup = l;
    LIST_INSERT_HEAD(&l->waiters, w, link);
    t->waiting++;
    return true;
}

static void lookup_leave(struct host_waiter *w)
{
    LIST_REMOVE(w, link);
    if (w->lookup->starter == w->task)
        w->lookup->starter = NULL;
    w->lookup = NULL;
    w->task->waiting--;
}

void lookup_abandon(struct host_waiter *w)
{
    struct host_lookup *l = w->lookup;
    uint64_t until_ms = l->deadline_ms;

    l->deadline_ms = w->task->deadline_ms;
    lookup_leave(w);
    for (w = LIST_FIRST(&l->waiters); w != NULL; w = LIST_NEXT(w, link))
        if (w->task->deadline_ms > l->deadline_ms)
            l->deadline_ms = w->task->deadline_ms;
    for (unsigned f = 0; f < FAMILIES && l->deadline_ms < until_ms; f++)
        engine_hurry(l->resolver->engine, &l->ask[f], l->deadline_ms);
}

static void lookup_tell_owner(const struct host_lookup *l)
{
    struct resolver *r = l->resolver;
    struct hostaddrs a = l->addrs;
    bool learnt = false;

    for (unsigned f = 0; f < FAMILIES; f++) {
        if ((l->known & FAMILY_BIT(f)) != 0) {
            a.state[f] = ADDR_UNKNOWN;
            a.n[f] = 0;
        }
        if (a.ttl_s[f] == UINT32_MAX)
            a.ttl_s[f] = 0;
        learnt = learnt || a.state[f] != ADDR_UNKNOWN;
    }
    if (!learnt)
        return;
    r->told = true;
    r->owner.host_learned(r->owner.ctx, l->host, &a);
}

static void lookup_end(struct host_lookup *l)
{
    struct host_waiter *w;

    LIST_REMOVE(l, link);
    lookup_tell_owner(l);
    while ((w = LIST_FIRST(&l->waiters)) != NULL) {
        hosts_deliver(w, &l->addrs);
        lookup_leave(w);
        hosts_pump(w->task);
    }
    free(l);
}

static void lookup_take_answer(struct host_ask *ask, const struct question *q,
                               const uint8_t *msg, size_t len)
{
    struct host_lookup *l = ask->lookup;
    char last[WIRE_NAME_TEXT];
    enum records_status status = reply_addrs(msg, len, q, &l->addrs, last);

    if (status != RECORDS_BAD && status != RECORDS_PARTIAL)
        return;
    if (status == RECORDS_BAD || strcmp(last, l->host) == 0 ||
        strcmp(last, q->name) == 0 || ++ask->links > WIRE_CNAME_MAX)
        l->addrs.state[ask->family] = ADDR_FAILED; /* a loop, or nearly one */
    else
        (void)lookup_ask(ask, last);
}

static void lookup_reply(void *ctx, enum exchange_outcome outcome,
                         const struct question *q, const uint8_t *msg,
                         size_t len, const char *why)
{
    struct host_ask *ask = ctx;
    struct host_lookup *l = ask->lookup;
    struct task *starter = l->starter;
    uint64_t now_ms = clock_boot_ms();

    (void)why;
    l->pending--;
    if (starter != NULL)
        starter->in_flight--;
    if (outcome == EXCHANGE_ANSWER)
        lookup_take_answer(ask, q, msg, len);
    else if (outcome == EXCHANGE_FAILED)
        l->addrs.state[ask->family] = ADDR_FAILED;
    else if (outcome == EXCHANGE_TIMEOUT && l->deadline_ms > now_ms)
        (void)lookup_ask(ask, q->name); /* who joined has time left */
    else if (outcome == EXCHANGE_TIMEOUT && now_ms - l->start_ms >= SILENCE_MS)
        l->addrs.state[ask->family] = ADDR_FAILED;
    if (l->pending == 0)
        lookup_end(l);
    if (starter != NULL)
        hosts_pump(starter);
}
