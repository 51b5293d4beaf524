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
 *
 * Where somebody wants TLSA records and the addresses are signed, the owner is
 * told the addresses, and the lookup goes on: a CNAME's end is asked about
 * first, the host's own name then, if there are none (RFC 7672 2.2.2), as
 * Postfix does. Where a CNAME led to addresses that are not signed only the own
 * name counts: signed records below it are of its zone, so the CNAME is signed.
 */

#include "dns/resolve_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/hash.h"

#define TLSA_PREFIX "_25._tcp."

static exchange_fn lookup_reply;

static const uint16_t lookup_type[] = {[FAMILY_V4] = WIRE_TYPE_A,
                                       [FAMILY_V6] = WIRE_TYPE_AAAA,
                                       [FAMILIES] = WIRE_TYPE_TLSA};

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

/* Only TLSA is missing: one family of known addresses is asked for all the
   same, as its reply says where a CNAME leads, and whether that is signed. */
static void lookup_ask_again(struct host_lookup *l, const char *host)
{
    if (!l->tlsa_wanted || (!l->known_secure && !l->addrs.alias))
        return;
    for (unsigned f = 0; f < FAMILIES && l->pending == 0; f++)
        if ((l->known & FAMILY_BIT(f)) != 0 && l->addrs.state[f] == ADDR_SOME)
            (void)lookup_ask(&l->ask[f], host);
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
    l->known = families & r->families;
    l->known_secure = true;
    l->tlsa_wanted = (families & HOST_TLSA) == 0;
    l->found.ttl_s = UINT32_MAX;
    if (l->known != 0) {
        l->addrs = *known;
        l->known_secure = known->secure;
    }
    l->addrs.secure = engine_trusts_ad(r->engine);
    for (unsigned f = 0; f <= FAMILIES; f++)
        l->ask[f] = (struct host_ask){.lookup = l, .family = f};
    if (l->known == r->families)
        lookup_ask_again(l, host);
    for (unsigned f = 0; f < FAMILIES; f++) {
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
    l->tlsa_wanted = l->tlsa_wanted || (families & HOST_TLSA) == 0;
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
    for (unsigned f = 0; f <= FAMILIES && l->deadline_ms < until_ms; f++)
        engine_hurry(l->resolver->engine, &l->ask[f], l->deadline_ms);
}

static void lookup_tell_owner(const struct host_lookup *l)
{
    struct resolver *r = l->resolver;
    struct hostaddrs a = l->addrs;
    bool learnt = l->found.state != TLSA_UNKNOWN;

    a.tlsa = learnt ? l->found : (struct tlsa){0};

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
    if (l->found.state != TLSA_UNKNOWN &&
        (l->found.state != TLSA_FAILED || l->addrs.tlsa.state == TLSA_UNKNOWN))
        l->addrs.tlsa = l->found;
    while ((w = LIST_FIRST(&l->waiters)) != NULL) {
        hosts_deliver(w, &l->addrs);
        lookup_leave(w);
        hosts_pump(w->task);
    }
    free(l->alias);
    free(l);
}

/* Addresses that were known stay as they were. */
static void lookup_failed(const struct host_ask *ask)
{
    struct host_lookup *l = ask->lookup;

    if (ask->family == FAMILIES || (l->known & FAMILY_BIT(ask->family)) != 0)
        l->found = (struct tlsa){.state = TLSA_FAILED};
    else
        l->addrs.state[ask->family] = ADDR_FAILED;
}

static void lookup_take_answer(struct host_ask *ask, const struct question *q,
                               const uint8_t *msg, size_t len)
{
    struct host_lookup *l = ask->lookup;
    bool tlsa = ask->family == FAMILIES;
    char last[WIRE_NAME_TEXT];
    enum records_status status =
        tlsa ? reply_tlsa(msg, len, q, &l->found, &l->found_secure, last)
             : reply_addrs(msg, len, q, &l->addrs, last);

    if (status == RECORDS_BAD ||
        (status == RECORDS_PARTIAL &&
         (strcmp(last, l->host) == 0 || strcmp(last, q->name) == 0 ||
          ++ask->links > WIRE_CNAME_MAX))) {
        lookup_failed(ask); /* a loop, or nearly one */
    } else if (status == RECORDS_PARTIAL) {
        (void)lookup_ask(ask, last);
    } else if (!tlsa) {
        l->heard = true;
        if (strcmp(last, l->host) == 0)
            return;
        l->addrs.alias = true;
        if (l->alias == NULL)
            l->alias = strdup(last);
        if (l->alias == NULL)
            l->tlsa_wanted = false; /* no memory: not known */
    }
}

/* All addresses are there: ask for TLSA at the end of the CNAME chain, then, if
   there is none, at the host's own name. false: that is not to be asked. */
static bool lookup_ask_tlsa(struct host_lookup *l)
{
    char name[sizeof(TLSA_PREFIX) + WIRE_NAME_TEXT];

    if (!l->tlsa_wanted)
        return false;
    if (l->tlsa_asked) {
        if (l->alias == NULL || l->found.state != TLSA_NONE)
            return false;
        free(l->alias);
        l->alias = NULL;
    } else {
        bool secure = l->addrs.secure && l->known_secure;

        if (!l->heard || (!secure && !l->addrs.alias) ||
            hostaddrs_state(&l->addrs, l->resolver->families) != ADDR_SOME)
            return false;
        lookup_tell_owner(l);
        l->known = l->resolver->families;
        if (!secure) {
            free(l->alias);
            l->alias = NULL;
        }
    }
    l->tlsa_asked = true;
    l->found.state = TLSA_UNKNOWN;
    l->found_secure = engine_trusts_ad(l->resolver->engine);
    l->start_ms = clock_boot_ms();
    snprintf(name, sizeof(name), TLSA_PREFIX "%s",
             l->alias != NULL ? l->alias : l->host);
    return lookup_ask(&l->ask[FAMILIES], name);
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
        lookup_failed(ask);
    else if (outcome == EXCHANGE_TIMEOUT && l->deadline_ms > now_ms)
        (void)lookup_ask(ask, q->name); /* who joined has time left */
    else if (outcome == EXCHANGE_TIMEOUT && now_ms - l->start_ms >= SILENCE_MS)
        lookup_failed(ask);
    if (l->pending == 0 && !lookup_ask_tlsa(l))
        lookup_end(l);
    if (starter != NULL)
        hosts_pump(starter);
}
