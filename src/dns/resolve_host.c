/*
 * resolve_host - the addresses of the exchanges of a task
 *
 * The exchanges that the owner picks are asked for unless he knows them, all
 * at once as far as RESOLVE_IN_FLIGHT_MAX allows, the rest as answers come
 * in. The asking itself is done by lookups (resolve_lookup.c), which tasks
 * share. A name that is no host name is not asked for and has no address.
 *
 * Whatever happens, every picked host has a state at the end: what could not
 * be asked for, or was cut short by the deadline, is ADDR_FAILED.
 */

#include "dns/resolve_int.h"

#include <stdlib.h>
#include <string.h>
#include "model/key.h"

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

void hosts_deliver(const struct waiter *w, const struct hostaddrs *found)
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
    for (unsigned f = 0; f < FAMILIES; f++)
        if (a->ttl_s[f] == UINT32_MAX) /* not one answer */
            a->ttl_s[f] = 0;
}

static void deliver_failure(const struct waiter *w)
{
    struct hostaddrs failed = all_families(w->task->resolver, ADDR_FAILED);

    hosts_deliver(w, &failed);
}

static const char *waiter_host(const struct waiter *w)
{
    return w->index == NO_INDEX ? w->task->name
                                : w->task->set.mx[w->index].host;
}

/* Without asking: not a host name, or known to the owner. A family that is not
   known is no reason to wait for it where another has an address: whoever has
   the set asks again, for the cache. false: but for the families in *known_r,
   whose addresses are in *known, it is not known. */
static bool deliver_known(const struct waiter *w, unsigned *known_r,
                          struct hostaddrs *known)
{
    const struct task *t = w->task;
    const struct resolver *r = t->resolver;
    const char *host = waiter_host(w);
    char normal[NAME_MAX_TEXT + 1];

    if (name_normalise(host, normal) != NULL || strcmp(host, normal) != 0) {
        *known = all_families(r, ADDR_NONE);
        *known_r = r->families;
        for (unsigned f = 0; f < FAMILIES; f++)
            known->ttl_s[f] = t->set.ttl_s;
        known->secure = t->set.secure;
    } else {
        *known_r = r->owner.host_known(r->owner.ctx, host, r->families, known);
    }
    if (*known_r != r->families &&
        (t->known || t->is_host ||
         hostaddrs_state(known, *known_r) != ADDR_SOME))
        return false;
    hosts_deliver(w, known);
    return true;
}

/* Deliver, or see to it that a lookup does. */
static void attach(struct waiter *w)
{
    struct hostaddrs known;
    unsigned families;

    if (!deliver_known(w, &families, &known) &&
        !lookup_join(w, waiter_host(w), families, &known))
        deliver_failure(w);
}

/* Strangers' domains with many silent hosts must not take all sockets. */
static unsigned in_flight_max(const struct resolver *r)
{
    return engine_is_crowded(r->engine) ? r->n_families : RESOLVE_IN_FLIGHT_MAX;
}

/* Ask for as many hosts as may be in flight; end the task after the last. */
void hosts_pump(struct task *t)
{
    const struct resolver *r = t->resolver;

    if (t->state != TASK_HOSTS)
        return;
    while (t->next < t->n_waiters &&
           t->in_flight + r->n_families <= in_flight_max(r))
        attach(&t->waiters[t->next++]);
    if (t->next == t->n_waiters && t->waiting == 0)
        task_end(t);
}

static void want(struct task *t, size_t index)
{
    t->waiters[t->n_waiters++] = (struct waiter){.task = t, .index = index};
}

static void fail_all(struct task *t, const uint16_t *index, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct waiter w = {.task = t, .index = index[i]};
        struct hostaddrs known;
        unsigned families;

        if (index[i] < t->set.n_mx && !deliver_known(&w, &families, &known))
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
    hosts_pump(t);
}

void host_begin(struct task *t)
{
    t->state = TASK_HOSTS;
    t->waiters = calloc(1, sizeof(*t->waiters));
    if (t->waiters != NULL && t->resolver->families != 0)
        want(t, NO_INDEX);
    hosts_pump(t);
}

void hosts_expire(struct task *t)
{
    for (size_t i = 0; i < t->n_waiters; i++) {
        struct waiter *w = &t->waiters[i];
        struct hostaddrs known;
        unsigned families;

        if (i >= t->next && !deliver_known(w, &families, &known))
            deliver_failure(w);
        if (w->lookup == NULL)
            continue;
        hosts_deliver(w, &w->lookup->addrs);
        lookup_abandon(w);
    }
    task_end(t);
}
