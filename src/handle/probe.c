/*
 * probe - questions that only the command asks of a handle
 *
 * `mxhop check` reports what of an override cannot be used; the lookups of an
 * MTA never wait for that. `mxhop cache` and `mxhop warm` look into the cache.
 */

#include "handle/handle.h"
#include "handle/probe.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

struct probe {
    struct mxset *set;
    bool done;
};

static void probe_done(void *ctx, const char *name, struct mxset *set)
{
    struct probe *p = ctx;

    (void)name;
    if (set != NULL) {
        *p->set = *set;
        *set = (struct mxset){0};
    }
    p->done = true;
}

/* The MX set of a name with its addresses, or (known) the addresses alone.
   false: nothing is known. */
static bool probe_name(struct mxhop *mx, const char *name,
                       const struct mxset *known, struct mxset *set_r)
{
    uint64_t deadline_ms = clock_boot_ms() + mx->budget_ms;
    struct probe p = {.set = set_r};

    *set_r = (struct mxset){.outcome = MX_FAILURE};
    handle_open_cache(mx);
    if (handle_resolver(mx, NULL) != MXHOP_OK)
        return false;
    if (resolver_start_domain(mx->dns.resolver, name, known, deadline_ms,
                              probe_done, &p) != MXHOP_OK)
        p.done = true;
    while (!p.done)
        resolver_step(mx->dns.resolver, deadline_ms, -1);
    return set_r->outcome != MX_FAILURE;
}

/* The host is put where a domain's only exchange would be, so that its
   addresses come back with the result even without a cache. */
static bool probe_addresses(struct mxhop *mx, const char *host,
                            struct hostaddrs *addrs)
{
    struct mxset alone = {.outcome = MX_HOSTS}, set = {0};
    bool known =
        mxset_add(&alone, host, 0) && probe_name(mx, host, &alone, &set);

    if (known && set.n_mx > 0)
        *addrs = set.mx[0].addrs;
    mxset_free(&alone);
    mxset_free(&set);
    return known && hostaddrs_state(addrs, mx->rules.families) != ADDR_FAILED;
}

static struct probe_dropped probe_why(const struct candidate *c)
{
    return (struct probe_dropped){
        .host = c->host,
        .by_dns = c->is_dns || c->via != NULL,
        .why = c->drop == DROP_NO_ADDRESS ? PROBE_NO_ADDRESS
               : c->drop == DROP_SELF     ? PROBE_SELF
               : c->drop == DROP_EXCLUDED ? PROBE_EXCLUDED
                                          : PROBE_OTHER,
        .text = drop_text(c->drop),
    };
}

/* Hops beyond max_hops: hosts of the override's own, and names of which not one
   host is in the list. */
static size_t probe_cut(const struct decision *d)
{
    size_t cut = 0;

    for (size_t i = d->n_kept; i < d->n; i++) {
        const struct candidate *c = &d->c[i];
        size_t j = 0;

        if (c->is_dns || c->drop != DROP_LIMIT)
            continue;
        while (c->via != NULL && j < i &&
               (d->c[j].via == NULL || strcmp(d->c[j].via, c->via) != 0 ||
                (d->c[j].drop != DROP_NO && d->c[j].drop != DROP_LIMIT)))
            j++;
        cut += c->via == NULL || j == i;
    }
    return cut;
}

bool probe_override(struct mxhop *mx, const struct override *o,
                    const char *domain, struct probe_outcome *outcome_r,
                    void (*fn)(void *ctx, const struct probe_dropped *d),
                    void *ctx)
{
    struct hop_facts *facts = calloc(o->n_hops + 1, sizeof(*facts));
    struct mxset set = {0};
    struct decide_input in = {.rules = &mx->rules,
                              .domain = domain != NULL ? domain : "",
                              .override = o,
                              .facts = facts,
                              .cold = domain == NULL,
                              .now_s = clock_wall_s()};
    struct decision d;
    bool ok = facts != NULL;

    *outcome_r = (struct probe_outcome){.known = true};
    for (size_t i = 0; ok && i < o->n_hops; i++) {
        const struct hopspec *hop = &o->hops[i];

        if (hop->kind == HOP_HOST)
            outcome_r->known =
                probe_addresses(mx, hop->host, &facts[i].addrs) &&
                outcome_r->known;
        if (hop->kind == HOP_MX) {
            facts[i].spliced = probe_name(mx, hop->host, NULL, &facts[i].set);
            outcome_r->known = facts[i].spliced && outcome_r->known;
        }
    }
    if (ok && domain != NULL) {
        outcome_r->known =
            probe_name(mx, domain, NULL, &set) && outcome_r->known;
        in.set = &set;
    }
    machine_addresses(mx);
    ok = ok && decide(&in, &d);
    if (ok) {
        outcome_r->kept = d.n_kept;
        outcome_r->cut = probe_cut(&d);
        outcome_r->has_hosts = domain == NULL || set.n_mx > 0;
        for (size_t i = d.n_kept; i < d.n; i++) {
            struct probe_dropped dropped = probe_why(&d.c[i]);

            /* What is left out of a good list is no fault. */
            if (d.c[i].drop != DROP_LIMIT && d.c[i].drop != DROP_DUPLICATE &&
                d.c[i].drop != DROP_UNEXAMINED &&
                d.c[i].drop != DROP_NOT_KNOWN &&
                d.c[i].drop != DROP_BEHIND_UNKNOWN &&
                d.c[i].drop != DROP_UNRESOLVED)
                fn(ctx, &dropped);
        }
        decision_free(&d);
    }
    for (size_t i = 0; facts != NULL && i < o->n_hops; i++)
        mxset_free(&facts[i].set);
    free(facts);
    mxset_free(&set);
    return ok;
}

void probe_as(struct mxhop *mx, struct probe_as as)
{
    mx->as = as;
}

const struct conf *probe_conf(const struct mxhop *mx)
{
    return &mx->conf;
}

bool probe_asks_for_reports(const struct mxhop *mx)
{
    return (mx->tls_wanted & TLS_WANT_RPT) != 0;
}

bool probe_believes_signatures(const struct mxhop *mx)
{
    struct dns_servers servers;
    struct mxhop_error err;

    return dns_servers_load(&servers, mx->conf.dns_servers, &err) == MXHOP_OK &&
           servers.trust_ad;
}

bool probe_libc_believes_signatures(void)
{
    struct dns_servers servers;

    return dns_servers_load(&servers, NULL, NULL) == MXHOP_OK &&
           servers.ad_by_option;
}

bool probe_shared_cache(struct mxhop *mx, struct probe_cache *c_r)
{
    handle_open_cache(mx);
    *c_r = (struct probe_cache){.dir = mx->store.dir,
                                .cache = mx->store.cache,
                                .view = mx->store.view,
                                .families = mx->rules.families};
    return mx->store.dir != NULL;
}

const char *probe_server_state(const struct cache_server *s)
{
    if (s->state > BREAKER_OPEN || servers_report_is_old(s))
        return "unknown";
    return breaker_state_name((enum breaker_state)s->state);
}

void probe_entries(struct ovtable *t, const char *domain,
                   const struct mxset *set, int64_t now_s,
                   void (*fn)(void *ctx, const struct override *o), void *ctx)
{
    struct lookup l = {.now_s = now_s, .edge_s = INT64_MAX, .set = *set};

    key_parse(domain, &l.key);
    if (find_by_key(&l, t) == MXHOP_OK) {
        find_forget_idle(&l);
        (void)find_by_exchange(&l, t);
    }
    if (l.override.dn != NULL)
        fn(ctx, &l.override);
    for (size_t i = 0; i < l.n_also; i++)
        fn(ctx, &l.also[i]);
    l.set = (struct mxset){0}; /* the caller's */
    lookup_free(&l);
}
