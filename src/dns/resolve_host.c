/*
 * resolve_host - the addresses of the exchanges of a task
 *
 * A lookup asks for one host, all families at once, and exists once however
 * many tasks want it: many domains share few hosts. Its queries count for the
 * task that started it, which has at most RESOLVE_IN_FLIGHT_MAX of them; the
 * rest of its hosts is asked for as answers come in. What joins a lookup may
 * have a later deadline than what started it: it is asked again for then.
 *
 * A name that is no host name is not asked for and has no address. A family
 * that was cut short by the deadline, or for which no query could be sent, is
 * ADDR_FAILED in the result but ADDR_UNKNOWN towards the owner, who learns
 * only what DNS said; a host of which nothing was learnt is not mentioned.
 */

#include "dns/resolve_int.h"

#include <stdlib.h>
#include <string.h>
#include "model/key.h"
#include "util/clock.h"
#include "util/hash.h"

static exchange_fn family_reply;

static const uint16_t family_type[FAMILIES] = {
    [FAMILY_V4] = WIRE_TYPE_A, [FAMILY_V6] = WIRE_TYPE_AAAA};

/* ---- results ---- */

static struct hostaddrs all_families(const struct resolver *r,
                                     enum addr_state state)
{
    struct hostaddrs a = {0};

    for (unsigned f = 0; f < FAMILIES; f++)
        if ((r->families & FAMILY_BIT(f)) != 0)
            a.state[f] = (uint8_t)state;
    return a;
}

/* A given set may hold old addresses: better than a failure. */
static void keep_family(struct hostaddrs *a, const struct hostaddrs *old,
                        unsigned family)
{
    if (a->state[family] == ADDR_SOME || a->state[family] == ADDR_NONE)
        return;
    a->state[family] = ADDR_FAILED;
    if (old->state[family] != ADDR_SOME)
        return;
    a->state[family] = ADDR_SOME;
    a->n[family] = old->n[family];
    a->secure = a->secure && old->secure;
    if (family == FAMILY_V4)
        memcpy(a->v4, old->v4, sizeof(a->v4));
    else
        memcpy(a->v6, old->v6, sizeof(a->v6));
}

static void deliver(const struct waiter *w, const struct hostaddrs *found)
{
    const struct resolver *r = w->task->resolver;
    struct hostaddrs old;
    struct hostaddrs *a;

    if (w->index == NO_INDEX)
        return;
    a = &w->task->set.mx[w->index].addrs;
    old = *a;
    *a = *found;
    for (unsigned f = 0; f < FAMILIES; f++)
        if ((r->families & FAMILY_BIT(f)) != 0)
            keep_family(a, &old, f);
    if (a->ttl_s == UINT32_MAX) /* not one answer */
        a->ttl_s = 0;
}

static void deliver_failure(const struct waiter *w)
{
    struct hostaddrs failed = all_families(w->task->resolver, ADDR_FAILED);

    deliver(w, &failed);
}

static const char *waiter_host(const struct waiter *w)
{
    return w->index == NO_INDEX ? w->task->name
                                : w->task->set.mx[w->index].host;
}

/* Without asking: not a host name, or known to the owner. A task for a host
   is there to ask again. */
static bool deliver_known(const struct waiter *w)
{
    const struct task *t = w->task;
    const struct resolver *r = t->resolver;
    const char *host = waiter_host(w);
    char normal[NAME_MAX_TEXT + 1];
    struct hostaddrs known;

    if (name_normalise(host, normal) != NULL || strcmp(host, normal) != 0) {
        known = all_families(r, ADDR_NONE);
        known.ttl_s = t->set.ttl_s;
        known.secure = t->set.secure;
    } else if (w->index == NO_INDEX ||
               !r->owner.host_known(r->owner.ctx, host, r->families, &known)) {
        return false;
    }
    deliver(w, &known);
    return true;
}

/* ---- lookups ---- */

static struct lookup_list *bucket(struct resolver *r, const char *host)
{
    return &r->buckets[hash_bytes(r->seed, host, strlen(host)) %
                       LOOKUP_BUCKETS];
}

static struct lookup *lookup_find(struct resolver *r, const char *host)
{
    struct lookup *l = LIST_FIRST(bucket(r, host));

    while (l != NULL && strcmp(l->host, host) != 0)
        l = LIST_NEXT(l, link);
    return l;
}

/* A family for which no query can be sent stays ADDR_UNKNOWN. */
static void ask_family(struct ask *ask, const char *name)
{
    struct lookup *l = ask->lookup;

    if (engine_ask(l->resolver->engine, name, family_type[ask->family],
                   l->deadline_ms, family_reply, ask) != MXHOP_OK)
        return;
    l->pending++;
    if (l->starter != NULL)
        l->starter->in_flight++;
}

static struct lookup *lookup_new(struct task *t, const char *host)
{
    struct resolver *r = t->resolver;
    size_t size = strlen(host) + 1;
    struct lookup *l = calloc(1, sizeof(*l) + size);

    if (l == NULL)
        return NULL;
    memcpy(l->host, host, size);
    l->resolver = r;
    l->starter = t;
    l->deadline_ms = t->deadline_ms;
    l->addrs.ttl_s = UINT32_MAX;
    l->addrs.secure = engine_trusts_ad(r->engine);
    for (unsigned f = 0; f < FAMILIES; f++) {
        l->ask[f] = (struct ask){.lookup = l, .family = f};
        if ((r->families & FAMILY_BIT(f)) != 0)
            ask_family(&l->ask[f], host);
    }
    if (l->pending == 0) {
        free(l);
        return NULL;
    }
    LIST_INSERT_HEAD(bucket(r, host), l, link);
    return l;
}

/* Deliver, or see to it that a lookup does. */
static void attach(struct waiter *w)
{
    struct task *t = w->task;
    struct lookup *l;

    if (deliver_known(w))
        return;
    l = lookup_find(t->resolver, waiter_host(w));
    if (l == NULL)
        l = lookup_new(t, waiter_host(w));
    if (l == NULL) {
        deliver_failure(w);
        return;
    }
    if (l->deadline_ms < t->deadline_ms)
        l->deadline_ms = t->deadline_ms;
    w->lookup = l;
    LIST_INSERT_HEAD(&l->waiters, w, link);
    t->waiting++;
}

/* Ask for as many hosts as may be in flight; end the task after the last. */
static void pump(struct task *t)
{
    const struct resolver *r = t->resolver;

    if (t->state != TASK_HOSTS)
        return;
    while (t->next < t->n_waiters &&
           t->in_flight + r->n_families <= RESOLVE_IN_FLIGHT_MAX)
        attach(&t->waiters[t->next++]);
    if (t->next == t->n_waiters && t->waiting == 0)
        task_end(t);
}

static void detach(struct waiter *w)
{
    LIST_REMOVE(w, link);
    w->lookup = NULL;
    w->task->waiting--;
}

static void tell_owner(const struct lookup *l)
{
    const struct resolver_owner *owner = &l->resolver->owner;

    for (unsigned f = 0; f < FAMILIES; f++)
        if (l->addrs.state[f] != ADDR_UNKNOWN) {
            struct hostaddrs a = l->addrs;

            if (a.ttl_s == UINT32_MAX)
                a.ttl_s = 0;
            owner->host_learned(owner->ctx, l->host, &a);
            return;
        }
}

static void lookup_end(struct lookup *l)
{
    struct waiter *w;

    LIST_REMOVE(l, link);
    tell_owner(l);
    while ((w = LIST_FIRST(&l->waiters)) != NULL) {
        detach(w);
        deliver(w, &l->addrs);
        pump(w->task);
    }
    free(l);
}

/* ---- replies ---- */

static void follow(struct ask *ask, const struct question *q, const char *last)
{
    struct lookup *l = ask->lookup;

    if (strcmp(last, l->host) == 0 || strcmp(last, q->name) == 0 ||
        ++ask->links > WIRE_CNAME_MAX)
        l->addrs.state[ask->family] = ADDR_FAILED; /* a loop, or nearly one */
    else
        ask_family(ask, last);
}

static void take_answer(struct ask *ask, const struct question *q,
                        const uint8_t *msg, size_t len)
{
    struct hostaddrs *addrs = &ask->lookup->addrs;
    struct hostaddrs found = *addrs;
    char last[WIRE_NAME_TEXT];
    enum records_status status = reply_addrs(msg, len, q, &found, last);

    if (status == RECORDS_BAD) {
        addrs->state[ask->family] = ADDR_FAILED;
        return;
    }
    *addrs = found;
    if (status != RECORDS_PARTIAL)
        return;
    addrs->state[ask->family] = ADDR_UNKNOWN;
    follow(ask, q, last);
}

static void family_reply(void *ctx, enum exchange_outcome outcome,
                         const struct question *q, const uint8_t *msg,
                         size_t len, const char *why)
{
    struct ask *ask = ctx;
    struct lookup *l = ask->lookup;
    struct task *starter = l->starter;

    (void)why;
    l->pending--;
    if (starter != NULL)
        starter->in_flight--;
    if (outcome == EXCHANGE_ANSWER)
        take_answer(ask, q, msg, len);
    else if (outcome == EXCHANGE_FAILED)
        l->addrs.state[ask->family] = ADDR_FAILED;
    else if (l->deadline_ms > clock_boot_ms())
        ask_family(ask, q->name); /* somebody who joined has time left */
    if (l->pending == 0)
        lookup_end(l);
    if (starter != NULL)
        pump(starter);
}

/* ---- tasks ---- */

static void want(struct task *t, size_t index)
{
    t->waiters[t->n_waiters++] = (struct waiter){.task = t, .index = index};
}

static void fail_all(struct task *t, const uint16_t *index, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct waiter w = {.task = t, .index = index[i]};

        if (index[i] < t->set.n_mx && !deliver_known(&w))
            deliver_failure(&w);
    }
}

void hosts_begin(struct task *t)
{
    const struct resolver *r = t->resolver;
    uint16_t index[RESOLVE_PICK_MAX];
    size_t n = 0;

    t->state = TASK_HOSTS;
    if (t->set.outcome == MX_HOSTS && r->families != 0)
        n = r->owner.pick(r->owner.ctx, &t->set, index, RESOLVE_PICK_MAX);
    t->waiters = n > 0 ? calloc(n, sizeof(*t->waiters)) : NULL;
    if (t->waiters == NULL)
        fail_all(t, index, n);
    for (size_t i = 0; t->waiters != NULL && i < n; i++)
        if (index[i] < t->set.n_mx)
            want(t, index[i]);
    pump(t);
}

void host_begin(struct task *t)
{
    t->state = TASK_HOSTS;
    t->waiters = calloc(1, sizeof(*t->waiters));
    if (t->waiters != NULL && t->resolver->families != 0)
        want(t, NO_INDEX);
    pump(t);
}

void hosts_expire(struct task *t)
{
    for (size_t i = 0; i < t->n_waiters; i++) {
        struct waiter *w = &t->waiters[i];
        struct lookup *l = w->lookup;

        if (i >= t->next && !deliver_known(w))
            deliver_failure(w);
        if (l == NULL)
            continue;
        if (l->starter == t)
            l->starter = NULL;
        deliver(w, &l->addrs);
        detach(w);
    }
    task_end(t);
}
