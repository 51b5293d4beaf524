/*
 * facts - what the cache and DNS say about the names of one lookup
 *
 * The cache answers first. What it does not know is asked by the worker
 * thread, for which the caller waits as long as its budget and its ration of
 * waiting allow, or, in a process without worker, by the calling thread. A
 * stale answer is used at once where a worker can refresh it; without one it
 * is used when asking again failed.
 *
 * The owner functions at the end run on the worker's thread: they touch the
 * cache, which locks itself, and rules, which nobody changes.
 */

#include "handle.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

static uint32_t time_left_ms(const struct lookup *l)
{
    uint64_t now_ms = clock_boot_ms();

    return now_ms < l->deadline_ms ? (uint32_t)(l->deadline_ms - now_ms) : 0;
}

/* Whether addresses are to be asked for (again). What failed is let alone
   until its time comes, and what is stale is refreshed once in 30 s, or every
   lookup would cost a query (RFC 9520). */
static bool is_due(const struct cache_entry_state *st)
{
    return st->verdict == CACHE_MISS || st->refresh_due;
}

/* Addresses of the hosts worth examining, from the cache. Returns whether none
   is to be asked for; *usable_r whether enough is known of each: a host with
   an address is one, whatever its other family says. */
static bool fill_addresses(struct mxhop *mx, struct mxset *set, int64_t now_s,
                           bool *usable_r)
{
    uint16_t index[RESOLVE_PICK_MAX];
    size_t n = decide_pick(&mx->rules, set, now_s, index, RESOLVE_PICK_MAX);
    unsigned families = mx->rules.families;
    bool settled = true;

    *usable_r = true;
    for (size_t i = 0; i < n; i++) {
        struct mx *host = &set->mx[index[i]];
        struct cache_entry_state st = {0};

        if (mx->cache != NULL)
            st = cache_get_host(mx->cache, host->host, families,
                                clock_boot_ms(), &host->addrs);
        if (st.verdict == CACHE_FRESH)
            host->addrs.ttl_s = st.ttl_s; /* what is left of it */
        settled = settled && !is_due(&st);
        *usable_r =
            *usable_r && (st.verdict != CACHE_MISS ||
                          hostaddrs_state(&host->addrs, families) == ADDR_SOME);
    }
    return settled;
}

struct waiting {
    struct mxset *set;
    bool done;
};

static void take_result(void *ctx, const char *name, struct mxset *set)
{
    struct waiting *w = ctx;

    (void)name;
    *w->set = *set;
    *set = (struct mxset){0};
    w->done = true;
}

/* On the calling thread: it may take the whole budget of the lookup. */
static bool ask_here(struct lookup *l, const char *name,
                     const struct mxset *known, struct mxset *set_r)
{
    struct waiting w = {.set = set_r};
    struct resolver *r = l->mx->resolver;

    if (r == NULL || time_left_ms(l) == 0)
        return false;
    if (resolver_start_domain(r, name, known, l->deadline_ms, take_result,
                              &w) != MXHOP_OK)
        return false;
    while (!w.done)
        resolver_step(r, l->deadline_ms, -1);
    return true;
}

static bool ask_worker(struct lookup *l, const char *name,
                       const struct mxset *known, bool wait,
                       struct mxset *set_r)
{
    struct mxhop *mx = l->mx;
    uint64_t start_ms = clock_boot_ms();
    uint32_t allowed_ms =
        wait ? ration_allow(&mx->ration, start_ms, time_left_ms(l)) : 0;
    enum worker_verdict verdict =
        worker_domain(mx->worker, name, known, allowed_ms, set_r);
    uint64_t end_ms = clock_boot_ms();

    if (allowed_ms > 0)
        ration_spend(&mx->ration, end_ms, (uint32_t)(end_ms - start_ms));
    return verdict == WORKER_DONE;
}

/* Ask for `name`; false: not known (now). *set_r is then empty. */
static bool ask(struct lookup *l, const char *name, const struct mxset *known,
                bool wait, struct mxset *set_r)
{
    *set_r = (struct mxset){0};
    facts_reload_servers(l->mx);
    if (l->mx->worker != NULL)
        return ask_worker(l, name, known, wait, set_r);
    return ask_here(l, name, known, set_r);
}

/* A name whose MX set the cache has: complete its addresses, or refresh it.
   Replaces *set where something better was learnt. */
static enum mxhop_cache_state from_cache(struct lookup *l, const char *name,
                                         const struct cache_entry_state *st,
                                         bool wait, struct mxset *set)
{
    struct mxhop *mx = l->mx;
    struct mxset better;
    bool usable, settled = fill_addresses(mx, set, l->now_s, &usable);

    if (st->verdict == CACHE_STALE) {
        if (!st->refresh_due)
            return MXHOP_CACHE_STALE;
        cache_note_refresh(mx->cache, name, clock_boot_ms());
        if (!ask(l, name, NULL, false, &better))
            return MXHOP_CACHE_STALE;
        if (better.outcome == MX_FAILURE) {
            mxset_free(&better);
            return MXHOP_CACHE_STALE;
        }
    } else {
        if (settled)
            return MXHOP_CACHE_HIT;
        if (!ask(l, name, set, wait && !usable, &better)) {
            l->vague = wait && !usable;
            return MXHOP_CACHE_HIT;
        }
    }
    mxset_free(set);
    *set = better;
    return MXHOP_CACHE_MISS;
}

static bool facts_of(struct lookup *l, const char *name, bool wait,
                     struct mxset *set_r, struct cache_entry_state *entry_r,
                     enum mxhop_cache_state *state_r)
{
    struct mxhop *mx = l->mx;

    *entry_r = (struct cache_entry_state){0};
    if (mx->cache != NULL)
        *entry_r = cache_get_domain(mx->cache, name, clock_boot_ms(), set_r);
    switch (entry_r->verdict) {
    case CACHE_FRESH:
    case CACHE_STALE:
        *state_r = from_cache(l, name, entry_r, wait, set_r);
        return true;
    case CACHE_FAILING:
        *state_r = MXHOP_CACHE_HIT;
        return true;
    case CACHE_MISS:
        break;
    }
    *state_r = MXHOP_CACHE_MISS;
    return ask(l, name, NULL, wait, set_r);
}

void facts_domain(struct lookup *l)
{
    l->asked_dns = true;
    l->cold =
        !facts_of(l, l->key.domain, true, &l->set, &l->entry, &l->cache_state);
}

/* Nobody waits for the address of an override's host: what is known decides,
   the rest is asked for in the background. */
static void facts_host(struct lookup *l, const char *host,
                       struct hostaddrs *addrs)
{
    struct mxhop *mx = l->mx;
    struct cache_entry_state st = {0};

    if (mx->cache != NULL)
        st = cache_get_host(mx->cache, host, mx->rules.families,
                            clock_boot_ms(), addrs);
    if (is_due(&st) && mx->worker != NULL)
        worker_host(mx->worker, host);
}

bool facts_hops(struct lookup *l)
{
    struct cache_entry_state entry;
    enum mxhop_cache_state state;

    if (l->override.n_hops == 0)
        return true;
    l->facts = calloc(l->override.n_hops, sizeof(*l->facts));
    if (l->facts == NULL)
        return false;
    for (size_t i = 0; i < l->override.n_hops; i++) {
        const struct hopspec *hop = &l->override.hops[i];
        struct hop_facts *f = &l->facts[i];

        if (hop->kind == HOP_HOST)
            facts_host(l, hop->host, &f->addrs);
        if (hop->kind == HOP_MX)
            f->spliced = facts_of(l, hop->host, false, &f->set, &entry, &state);
    }
    return true;
}

/* Inside a jail /etc/resolv.conf is another file, perhaps none: only the
   root directory that the handle was opened under counts. */
static bool resolv_conf_changed(struct mxhop *mx)
{
    struct stat st, root;

    if (stat("/", &root) != 0 || root.st_ino != mx->root.st_ino ||
        root.st_dev != mx->root.st_dev)
        return false;
    if (stat("/etc/resolv.conf", &st) != 0)
        return false;
    if (st.st_ino == mx->resolv_conf.st_ino &&
        st.st_dev == mx->resolv_conf.st_dev &&
        st.st_size == mx->resolv_conf.st_size && /* times are coarse */
        st.st_mtim.tv_sec == mx->resolv_conf.st_mtim.tv_sec &&
        st.st_mtim.tv_nsec == mx->resolv_conf.st_mtim.tv_nsec)
        return false;
    mx->resolv_conf = st;
    return true;
}

void facts_reload_servers(struct mxhop *mx)
{
    struct dns_servers servers;
    uint64_t now_ms = clock_boot_ms();

    if (mx->conf.dns_servers[0] != '\0' ||
        now_ms < mx->resolv_checked_ms + 1000)
        return;
    mx->resolv_checked_ms = now_ms;
    if (!resolv_conf_changed(mx))
        return;
    if (dns_servers_load(&servers, NULL, NULL) != MXHOP_OK)
        return;
    if (mx->worker != NULL)
        worker_set_servers(mx->worker, &servers);
    if (mx->engine != NULL)
        engine_set_servers(mx->engine, &servers);
    log_info(&mx->log, "/etc/resolv.conf changed: name servers read again");
}

/* ---- owner functions: on the thread that runs the resolver ---- */

/* A failure that is too young to ask again is known too. */
static bool host_known(void *ctx, const char *host, unsigned families,
                       struct hostaddrs *addrs_r)
{
    struct mxhop *mx = ctx;
    struct cache_entry_state st = {0};

    if (mx->cache != NULL)
        st =
            cache_get_host(mx->cache, host, families, clock_boot_ms(), addrs_r);
    return st.verdict == CACHE_FRESH || st.verdict == CACHE_FAILING;
}

static void host_learned(void *ctx, const char *host,
                         const struct hostaddrs *addrs)
{
    struct mxhop *mx = ctx;

    if (mx->cache != NULL)
        cache_put_host(mx->cache, host, clock_boot_ms(), addrs);
}

static void mx_learned(void *ctx, const char *domain, const struct mxset *set)
{
    struct mxhop *mx = ctx;

    if (mx->cache != NULL)
        cache_put_domain(mx->cache, domain, clock_boot_ms(), set);
}

static size_t pick(void *ctx, const struct mxset *set, uint16_t *index,
                   size_t cap)
{
    const struct mxhop *mx = ctx;

    return decide_pick(&mx->rules, set, clock_wall_s(), index, cap);
}

const struct resolver_owner facts_owner_functions = {
    .host_known = host_known,
    .host_learned = host_learned,
    .mx_learned = mx_learned,
    .pick = pick,
};
