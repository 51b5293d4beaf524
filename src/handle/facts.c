/*
 * facts - what the cache and DNS say about the names of one lookup
 *
 * The cache answers first, through the view of the calling thread. A stale
 * answer is used at once where a worker can refresh it; without one it is used
 * when asking again failed. What is near its end is refreshed in the
 * background before it gets there.
 *
 * Where it is wanted, what DNS says about TLS is asked for with the rest. A
 * lookup waits for it as for an address, but is answered without it when that
 * takes too long: what to do then is decided elsewhere.
 */

#include "handle/handle.h"
#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether addresses are to be asked for (again). What failed is let alone
   until its time comes, and what is stale is refreshed once in 30 s, or every
   lookup would cost a query (RFC 9520). While a host has a fresh address only a
   worker asks: before the end of that, and for the other family. */
static bool facts_is_due(const struct mxhop *mx,
                         const struct cache_entry_state *st)
{
    return st->verdict == CACHE_MISS ||
           (st->refresh_due &&
            (mx->dns.worker != NULL || st->verdict == CACHE_STALE));
}

/* Beside a set that is no domain's nothing is asked for. */
static const struct mxset facts_no_domain = {
    .outcome = MX_HOSTS,
    .sts = {.state = TXT_NONE, .ttl_s = UINT32_MAX},
    .rpt = {.state = TXT_NONE, .ttl_s = UINT32_MAX}};

/* Of the hosts of a set: TLSA records count behind a signed one only. */
static unsigned facts_wanted(const struct mxhop *mx, const struct mxset *set)
{
    bool tlsa = (mx->tls_wanted & TLS_WANT_DANE) != 0 && set->secure;

    return mx->rules.families | (tlsa ? HOST_TLSA : 0);
}

static struct cache_entry_state facts_get_host(struct cache_view *view,
                                               const char *host,
                                               unsigned wanted,
                                               struct hostaddrs *addrs)
{
    struct cache_entry_state st = {0};

    if (view != NULL)
        st = cache_get_host(view, host, wanted, clock_boot_ms(), addrs);
    return st;
}

unsigned facts_missing(const struct mxhop *mx, struct cache_view *view,
                       struct mxset *set)
{
    uint16_t index[RESOLVE_PICK_MAX];
    size_t n =
        decide_pick(&mx->rules, set, clock_wall_s(), index, RESOLVE_PICK_MAX);
    unsigned wanted = facts_wanted(mx, set), missing = 0;

    for (size_t i = 0; i < n; i++) {
        struct mx *host = &set->mx[index[i]];
        struct cache_entry_state st =
            facts_get_host(view, host->host, wanted, &host->addrs);

        if (facts_is_due(mx, &st))
            missing |= FACTS_DUE;
        if (st.verdict == CACHE_MISS)
            missing |= FACTS_VAGUE;
        if ((wanted & HOST_TLSA & ~st.known) != 0 &&
            host->addrs.tlsa.state == TLSA_UNKNOWN)
            missing |= FACTS_DUE | FACTS_TLS;
    }
    for (int i = 0; i < TLS_TXTS; i++)
        if ((mx->tls_wanted & TLS_WANT_TXT(i)) != 0 &&
            !domain_txt_holds(&set->txt[i]))
            missing |= FACTS_DUE | FACTS_TLS;
    return missing;
}

/* They are asked for now: others need not, for 30 s. */
static void facts_note_due_hosts(const struct mxhop *mx,
                                 const struct mxset *set)
{
    uint16_t index[RESOLVE_PICK_MAX];
    size_t n =
        decide_pick(&mx->rules, set, clock_wall_s(), index, RESOLVE_PICK_MAX);

    for (size_t i = 0; i < n; i++) {
        const char *host = set->mx[index[i]].host;
        struct hostaddrs addrs;

        if (facts_get_host(mx->store.view, host, facts_wanted(mx, set), &addrs)
                .refresh_due)
            cache_note_host_refresh(mx->store.cache, host, clock_boot_ms());
    }
}

/* Nobody waits where a worker can do it; else it is asked for here. */
static bool facts_refresh_stale(struct lookup *l, const char *name,
                                struct mxset *better_r)
{
    const struct ask q = {.name = name};
    struct mxhop *mx = l->mx;

    if (mx->dns.worker != NULL) {
        ask_refresh(mx, name);
        return false;
    }
    cache_note_refresh(mx->store.cache, name, clock_boot_ms());
    if (!ask_dns(l, &q, better_r))
        return false;
    if (better_r->outcome != MX_FAILURE)
        return true;
    mxset_free(better_r);
    return false;
}

static enum mxhop_cache_state facts_from_stale(struct lookup *l,
                                               const char *name, bool due,
                                               struct mxset *set)
{
    struct mxset better;

    (void)facts_missing(l->mx, l->mx->store.view, set);
    if (!due || !facts_refresh_stale(l, name, &better))
        return MXHOP_CACHE_STALE;
    mxset_free(set);
    *set = better;
    return MXHOP_CACHE_MISS;
}

/* The MX set is known: complete its addresses, and what there is about TLS. */
static enum mxhop_cache_state facts_from_fresh(struct lookup *l,
                                               const char *name, bool wait,
                                               struct mxset *set)
{
    struct mxhop *mx = l->mx;
    struct ask q = {.name = name, .known = set};
    struct mxset better;
    unsigned missing = facts_missing(mx, mx->store.view, set);

    if (missing == 0)
        return MXHOP_CACHE_HIT;
    facts_note_due_hosts(mx, set);
    q.wait = wait && missing != FACTS_DUE;
    q.strange = (missing & FACTS_TLS) != 0; /* their servers may be silent */
    if (!ask_dns(l, &q, &better)) {
        if (q.wait) /* addresses come before TLSA records */
            missing = facts_missing(mx, mx->store.view, set);
        l->vague = q.wait && (missing & FACTS_VAGUE) != 0;
        return MXHOP_CACHE_HIT;
    }
    mxset_free(set);
    *set = better;
    return MXHOP_CACHE_MISS;
}

/* That somebody asked again has to be in the cache before a flood of names is,
   whoever lets that in; and each writing costs a system call here. */
static void facts_write_touches(struct mxhop *mx)
{
    uint64_t now_ms = clock_boot_ms();

    if (mx->store.touched_ms == 0)
        mx->store.touched_ms = now_ms;
    if (cache_pending(mx->store.cache) <= FACTS_PENDING_MAX &&
        now_ms < mx->store.touched_ms + FACTS_PENDING_MS)
        return;
    mx->store.touched_ms = 0;
    worker_flush_soon(mx->dns.worker);
}

/* What a lookup that was answered from the cache leaves to be done. */
void facts_used(struct mxhop *mx, const char *domain, bool refresh_due,
                bool once)
{
    if (once)
        cache_touch(mx->store.cache, domain);
    if (refresh_due)
        ask_refresh(mx, domain);
    else if (once && mx->dns.worker != NULL)
        facts_write_touches(mx);
}

/* It took too long, but perhaps only what there is about TLS did. */
static bool facts_in_time(const struct mxhop *mx, const char *name,
                          struct mxset *set_r,
                          struct cache_entry_state *entry_r)
{
    struct cache_entry_state entry;

    if (mx->tls_wanted == 0 || mx->store.view == NULL)
        return false;
    entry = cache_get_domain(mx->store.view, name, clock_boot_ms(), set_r);
    if (entry.verdict == CACHE_FRESH &&
        (facts_missing(mx, mx->store.view, set_r) & FACTS_VAGUE) == 0) {
        *entry_r = entry;
        return true;
    }
    mxset_free(set_r);
    return false;
}

static bool facts_of(struct lookup *l, const char *name, bool wait,
                     struct mxset *set_r, struct cache_entry_state *entry_r,
                     enum mxhop_cache_state *state_r)
{
    struct ask q = {.name = name, .wait = wait};
    struct mxhop *mx = l->mx;

    *entry_r = (struct cache_entry_state){0};
    if (mx->store.view != NULL)
        *entry_r =
            cache_get_domain(mx->store.view, name, clock_boot_ms(), set_r);
    switch (entry_r->verdict) {
    case CACHE_FRESH:
        *state_r = facts_from_fresh(l, name, wait, set_r);
        facts_used(mx, name, entry_r->refresh_due, entry_r->once);
        return true;
    case CACHE_STALE:
        *state_r = facts_from_stale(l, name, entry_r->refresh_due, set_r);
        facts_used(mx, name, false, entry_r->once);
        return true;
    case CACHE_FAILING:
        *state_r = MXHOP_CACHE_HIT;
        return true;
    case CACHE_MISS:
        break;
    }
    *state_r = MXHOP_CACHE_MISS;
    q.flags = entry_r->failed_before ? WORKER_FAILED_BEFORE : 0;
    return ask_dns(l, &q, set_r) || facts_in_time(mx, name, set_r, entry_r);
}

void facts_domain(struct lookup *l, bool wait)
{
    if (l->asked_dns)
        return;
    l->asked_dns = true;
    l->cold =
        !facts_of(l, l->key.domain, wait, &l->set, &l->entry, &l->cache_state);
}

static bool facts_unknown(const struct lookup *l, const struct hostaddrs *a)
{
    return hostaddrs_state(a, l->mx->rules.families) == ADDR_UNKNOWN;
}

/* What is known now, in the set and where it is spliced. */
static void facts_take_addresses(struct lookup *l, const struct mx *known)
{
    for (size_t i = 0; i < l->set.n_mx; i++)
        if (strcmp(l->set.mx[i].host, known->host) == 0)
            l->set.mx[i].addrs = known->addrs;
    for (size_t i = 0; l->facts != NULL && i < l->override.n_hops; i++)
        for (size_t j = 0; j < l->facts[i].set.n_mx; j++)
            if (strcmp(l->facts[i].set.mx[j].host, known->host) == 0)
                l->facts[i].set.mx[j].addrs = known->addrs;
}

bool facts_kept(struct lookup *l, bool *again_r)
{
    struct mxset kept = facts_no_domain, better;
    struct ask q = {.known = &kept, .wait = true};
    bool dns = false, ok = true;
    char name[NAME_MAX_TEXT + 16];
    unsigned missing;

    kept.secure = l->set.secure;
    for (size_t i = 0; i < l->decision.n && ok; i++) {
        const struct candidate *c = &l->decision.c[i];
        bool wanted = i < l->decision.n_kept || c->drop == DROP_NOT_KNOWN ||
                      c->drop == DROP_CLASS_UNKNOWN;

        if (wanted && (c->is_dns || c->via != NULL) &&
            facts_unknown(l, c->addrs)) {
            ok = mxset_add(&kept, c->host, 0);
            dns = dns || c->is_dns;
        }
    }
    *again_r = kept.n_mx > 0;
    if (!ok || kept.n_mx == 0) {
        mxset_free(&kept);
        return ok;
    }
    /* No domain's name: those are asked for whole. */
    snprintf(name, sizeof(name), "hosts of %s", l->key.domain);
    q.name = l->override.dn != NULL ? l->override.dn : name;
    missing = facts_missing(l->mx, l->mx->store.view, &kept) & ~FACTS_DUE;
    if (missing != 0 && ask_dns(l, &q, &better)) {
        mxset_free(&kept);
        kept = better;
    } else if ((missing & FACTS_VAGUE) != 0) {
        l->vague = dns;
        *again_r = dns; /* at others the list ends, as at all unknown hops */
    }
    for (size_t i = 0; i < kept.n_mx; i++)
        facts_take_addresses(l, &kept.mx[i]);
    mxset_free(&kept);
    return true;
}

/* What is known of an override's host decides; what is near its end is asked
   for in the background. false: nothing is known. */
static bool facts_host(struct lookup *l, const char *host,
                       struct hostaddrs *addrs)
{
    struct mxhop *mx = l->mx;
    struct cache_entry_state st =
        facts_get_host(mx->store.view, host, mx->rules.families, addrs);

    if (st.verdict == CACHE_MISS)
        return false;
    if (facts_is_due(mx, &st) && mx->dns.worker != NULL) {
        cache_note_host_refresh(mx->store.cache, host, clock_boot_ms());
        worker_host(mx->dns.worker, host);
    }
    return true;
}

/* A host that turns out to be this system must not get into a list, or mail is
   bounced (5.4.6): what is not known is waited for. */
static void facts_wait_for_hosts(struct lookup *l, const struct mxset *hosts)
{
    const struct ask q = {.name = l->override.dn, .known = hosts, .wait = true};
    struct mxset set;

    if (!ask_dns(l, &q, &set))
        return;
    for (size_t i = 0; i < l->override.n_hops; i++)
        for (size_t j = 0; j < set.n_mx; j++)
            if (l->override.hops[i].kind == HOP_HOST &&
                strcmp(l->override.hops[i].host, set.mx[j].host) == 0)
                l->facts[i].addrs = set.mx[j].addrs;
    mxset_free(&set);
}

bool facts_hops(struct lookup *l)
{
    struct cache_entry_state entry;
    enum mxhop_cache_state state;
    struct mxset hosts = facts_no_domain;
    bool vague = l->vague, ok = true;

    if (l->override.n_hops == 0 || l->facts != NULL)
        return true;
    l->facts = calloc(l->override.n_hops, sizeof(*l->facts));
    if (l->facts == NULL)
        return false;
    for (size_t i = 0; i < l->override.n_hops && ok; i++) {
        const struct hopspec *hop = &l->override.hops[i];
        struct hop_facts *f = &l->facts[i];

        if (hop->kind == HOP_HOST && !facts_host(l, hop->host, &f->addrs))
            ok = mxset_add(&hosts, hop->host, hop->preference);
        if (hop->kind == HOP_MX)
            f->spliced = facts_of(l, hop->host, true, &f->set, &entry, &state);
    }
    l->vague = vague; /* that is about the hosts of the domain */
    if (ok && hosts.n_mx > 0) {
        mxset_sort(&hosts);
        facts_wait_for_hosts(l, &hosts);
    }
    mxset_free(&hosts);
    return ok;
}
