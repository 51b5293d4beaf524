/*
 * answer - the route as the caller gets it
 *
 * A struct mxhop_route is one allocation that owns its texts, so that it
 * outlives the lookup it was made from and is freed in one step.
 */

#include "handle/handle.h"
#include "util/err.h"

#include <stdlib.h>
#include <string.h>

struct answer {
    struct mxhop_route route; /* first: mxhop_route_free() casts back */
    struct mxhop_hop hops[];  /* then the texts */
};

/* Copies texts into the space behind the hops. */
struct text_space {
    char *next;
    size_t need; /* counted in the first run, in which next is NULL */
};

static const char *keep(struct text_space *space, const char *text)
{
    size_t n;
    char *copy;

    if (text == NULL)
        return NULL;
    n = strlen(text) + 1;
    space->need += n;
    if (space->next == NULL)
        return NULL;
    copy = memcpy(space->next, text, n);
    space->next += n;
    return copy;
}

static void fill_hop(const struct lookup *l, size_t i, struct mxhop_hop *hop,
                     struct text_space *space)
{
    const struct candidate *c = &l->decision.c[i];

    *hop = (struct mxhop_hop){
        .host = keep(space, c->host),
        .source = keep(space, c->source),
        .port = c->port,
        .preference = c->preference,
        .is_address = c->is_address,
        .starts_group =
            i > 0 && !candidate_same_group(&l->decision.c[i - 1], c),
        .unresolved =
            c->addrs != NULL &&
            hostaddrs_state(c->addrs, l->mx->rules.families) == ADDR_FAILED,
        .tls_class = c->tls_class,
    };
}

static const char *fill_transport(const struct lookup *l)
{
    const char *transport = l->decision.transport;
    const char *verifies = ststransport_name(l);

    if (verifies != NULL)
        return verifies;
    if (l->local != MXHOP_LOCAL_NO)
        transport = l->override.transport;
    if (transport == NULL ||
        (l->disposition != MXHOP_ROUTE && l->disposition != MXHOP_PASS))
        return "";
    return transport;
}

static void fill(const struct lookup *l, struct mxhop_route *r,
                 struct mxhop_hop *hops, struct text_space *space)
{
    bool route = l->disposition == MXHOP_ROUTE;

    *r = (struct mxhop_route){
        .key = keep(space, l->asked),
        .domain = keep(space, l->key.domain),
        .disposition = l->disposition,
        .reason = keep(space, l->reason),
        .status = keep(space, l->status),
        .transport = keep(space, fill_transport(l)),
        .hops = hops,
        .n_hops = route ? l->decision.n_kept : 0,
        .override = keep(space, l->override.dn),
        .cache = l->cache_state,
        .ttl_s = l->ttl_s,
        .secure = route && l->decision.secure,
        .by_domain = route && l->decision.by_domain,
        .local = l->local != MXHOP_LOCAL_NO && l->override.dn != NULL,
        .stopper = route && l->decision.stopper,
        .only_ipv6 = l->mx->rules.families == FAMILY_BIT(FAMILY_V6),
        .defer_service = keep(space, l->mx->conf.defer_service),
    };
    for (size_t i = 0; i < r->n_hops; i++)
        fill_hop(l, i, &hops[i], space);
}

struct mxhop_route *route_from_lookup(const struct lookup *l)
{
    size_t n = l->disposition == MXHOP_ROUTE ? l->decision.n_kept : 0;
    size_t head = sizeof(struct answer) + n * sizeof(struct mxhop_hop);
    struct text_space space = {0};
    struct answer *a = calloc(1, head);

    if (a == NULL)
        return NULL;
    fill(l, &a->route, a->hops, &space);
    free(a);
    a = calloc(1, head + space.need);
    if (a == NULL)
        return NULL;
    space.next = (char *)a + head;
    fill(l, &a->route, a->hops, &space);
    return &a->route;
}

enum mxhop_status mxhop_lookup(struct mxhop *mx, const char *key,
                               unsigned flags, struct mxhop_route **route_r,
                               struct mxhop_error *err)
{
    struct lookup l;

    *route_r = NULL;
    if (lookup_run(&l, mx, key, flags))
        *route_r = route_from_lookup(&l);
    lookup_free(&l);
    learn_flush(mx);
    return *route_r != NULL ? MXHOP_OK : err_nomem(err);
}

void mxhop_route_free(struct mxhop_route **route)
{
    free(*route);
    *route = NULL;
}
