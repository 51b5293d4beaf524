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

static struct hostaddrs hosts_all_families(const struct resolver *r,
                                           enum addr_state state)
{
    struct hostaddrs a = {0};

    for (unsigned f = 0; f < FAMILIES; f++)
        if ((r->families & FAMILY_BIT(f)) != 0)
            a.state[f] = (uint8_t)state;
    return a;
}

/* A given set may hold old addresses: better than a failure. */
static void hosts_keep_family(struct hostaddrs *a, const struct hostaddrs *old,
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
    a->alias = a->alias || old->alias;
    if (family == FAMILY_V4)
        memcpy(a->v4, old->v4, sizeof(a->v4));
    else
        memcpy(a->v6, old->v6, sizeof(a->v6));
}

/* TLSA records count behind a signed MX answer only (RFC 7672 2.2.1). */
static bool hosts_want_tlsa(const struct task *t)
{
    return (t->resolver->owner.tls_wanted & TLS_WANT_DANE) != 0 &&
           !t->is_host && t->set.secure;
}

void hosts_deliver(const struct host_waiter *w, const struct hostaddrs *found)
{
    const struct resolver *r = w->task->resolver;
    struct hostaddrs old, *a;

    if (w->index == NO_INDEX)
        return;
    a = &w->task->set.mx[w->index].addrs;
    old = *a;
    *a = *found;
    if (w->lookup != NULL)
        a->secure = a->secure && w->lookup->known_secure;
    for (unsigned f = 0; f < FAMILIES; f++)
        if ((r->families & FAMILY_BIT(f)) != 0)
            hosts_keep_family(a, &old, f);
    if (a->tlsa.state == TLSA_UNKNOWN || a->tlsa.state == TLSA_FAILED)
        a->tlsa = old.tlsa.state != TLSA_UNKNOWN ? old.tlsa : a->tlsa;
    for (unsigned f = 0; f < FAMILIES; f++)
        if (a->ttl_s[f] == UINT32_MAX) /* not one answer */
            a->ttl_s[f] = 0;
    if (hosts_want_tlsa(w->task))
        hostaddrs_settle_tlsa(a, r->families);
    else
        a->tlsa = (struct tlsa){0};
}

bool hosts_is_odd(const char *host)
{
    char normal[NAME_MAX_TEXT + 1];

    return name_normalise(host, normal) != NULL || strcmp(host, normal) != 0;
}

/* Deliver what is known without asking: a name that is no host name has no
   address, and the owner may know the others. A family that is not known is no
   reason to wait for it if another has an address: whoever has the set asks
   again, for the cache. TLSA records are: they decide how mail is sent. What is
   not known is asked for by a lookup, or has failed. */
static void hosts_attach(struct host_waiter *w, bool may_ask)
{
    const struct task *t = w->task;
    const struct resolver *r = t->resolver;
    const char *host =
        w->index == NO_INDEX ? t->name : t->set.mx[w->index].host;
    unsigned wanted = r->families | (hosts_want_tlsa(t) ? HOST_TLSA : 0);
    unsigned have = HOST_TLSA | r->families;
    struct hostaddrs known;

    if (hosts_is_odd(host)) {
        known = hosts_all_families(r, ADDR_NONE);
        for (unsigned f = 0; f < FAMILIES; f++)
            known.ttl_s[f] = t->set.ttl_s;
        known.secure = t->set.secure;
    } else {
        have = r->owner.host_known(r->owner.ctx, host, wanted, &known);
        have |= HOST_TLSA & ~wanted;
    }
    if ((wanted & ~have) != 0 &&
        (t->known || t->is_host || (have & HOST_TLSA) == 0 ||
         hostaddrs_state(&known, have & r->families) != ADDR_SOME)) {
        if (may_ask && lookup_join(w, host, have, &known))
            return;
        if ((have & r->families) == 0)
            known = hosts_all_families(r, ADDR_FAILED);
    }
    hosts_deliver(w, &known);
}

void hosts_pump(struct task *t)
{
    const struct resolver *r = t->resolver;
    /* Strangers' domains with many silent hosts must not take all sockets. */
    unsigned in_flight_max =
        engine_is_crowded(r->engine) ? r->n_families : RESOLVE_IN_FLIGHT_MAX;

    if (!t->asking_hosts)
        return;
    if (t->txt_pending > 0 && in_flight_max > r->n_families)
        in_flight_max -= t->txt_pending;
    while (t->next < t->n_waiters &&
           t->in_flight + r->n_families <= in_flight_max)
        hosts_attach(&t->waiters[t->next++], true);
    if (t->next == t->n_waiters && t->waiting == 0 && t->txt_pending == 0)
        task_end(t);
}

void hosts_begin(struct task *t)
{
    const struct resolver *r = t->resolver;
    uint16_t index[RESOLVE_PICK_MAX];
    size_t n = 0;

    t->asking_hosts = true;
    if (t->is_host)
        n = r->families != 0;
    else if (t->set.outcome == MX_HOSTS && r->families != 0)
        n = r->owner.pick(r->owner.ctx, &t->set, index, RESOLVE_PICK_MAX);
    t->waiters = n > 0 ? calloc(n, sizeof(*t->waiters)) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct host_waiter w = {.task = t,
                                .index = t->is_host ? NO_INDEX : index[i]};

        if (t->waiters != NULL)
            t->waiters[t->n_waiters++] = w;
        else
            hosts_attach(&w, false);
    }
    hosts_pump(t);
}

void hosts_expire(struct task *t)
{
    for (size_t i = 0; i < t->n_waiters; i++) {
        struct host_waiter *w = &t->waiters[i];

        if (i >= t->next)
            hosts_attach(w, false);
        if (w->lookup == NULL)
            continue;
        hosts_deliver(w, &w->lookup->addrs);
        lookup_abandon(w);
    }
    t->next = t->n_waiters;
    hosts_pump(t); /* where TXT is not over the engine will end it now */
}
