/*
 * probe - questions that only the command asks of a handle
 *
 * `mxhop check` reports override hosts without an address; the lookups of an
 * MTA never wait for that. `mxhop cache` and `mxhop warm` look into the cache.
 */

#include "handle/handle.h"
#include "handle/probe.h"
#include "util/clock.h"

struct probe {
    struct hostaddrs addrs;
    bool done;
};

static void probe_done(void *ctx, const char *name, struct mxset *set)
{
    struct probe *p = ctx;

    (void)name;
    if (set != NULL && set->n_mx > 0)
        p->addrs = set->mx[0].addrs;
    p->done = true;
}

/* The host is put where a domain's only exchange would be, so that its
   addresses come back with the result even without a cache. */
enum addr_state probe_host(struct mxhop *mx, const char *host)
{
    uint64_t deadline_ms = clock_boot_ms() + mx->budget_ms;
    struct mxset alone = {.outcome = MX_HOSTS};
    struct probe p = {.done = false};

    handle_open_cache(mx);
    if (handle_resolver(mx, NULL) != MXHOP_OK || !mxset_add(&alone, host, 0))
        return ADDR_UNKNOWN;
    if (resolver_start_domain(mx->dns.resolver, host, &alone, deadline_ms,
                              probe_done, &p) != MXHOP_OK)
        p.done = true;
    mxset_free(&alone);
    while (!p.done)
        resolver_step(mx->dns.resolver, deadline_ms, -1);
    return hostaddrs_state(&p.addrs, mx->rules.families);
}

void probe_as(struct mxhop *mx, struct probe_as as)
{
    mx->as = as;
}

const struct conf *probe_conf(const struct mxhop *mx)
{
    return &mx->conf;
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
