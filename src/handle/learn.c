/*
 * learn - what the thread that runs the resolver tells and asks the cache
 *
 * With a worker all of this runs on its thread, else on the caller's. It
 * touches the cache, through the view of that thread, and rules, which nobody
 * changes. What is learnt is put off by the cache until learn_write(), which
 * the worker calls after each of its steps, before it tells anybody.
 */

#include "handle/handle.h"
#include "util/clock.h"

#include <stdatomic.h>

#define WRITE_WAIT_MS         20    /* for another process that writes */
#define UNWRITTEN_PATIENCE_MS 10000 /* a write that was missed is no fault */

/* The view of the thread that runs the resolver. */
static struct cache_view *learn_view(const struct mxhop *mx)
{
    return mx->dns.worker != NULL ? mx->store.worker_view : mx->store.view;
}

static unsigned learn_host_known(void *ctx, const char *host, unsigned families,
                                 struct hostaddrs *addrs_r)
{
    const struct mxhop *mx = ctx;

    if (mx->store.cache == NULL)
        return 0;
    return cache_get_host(learn_view(mx), host, families, clock_boot_ms(),
                          addrs_r)
        .known;
}

static void learn_host_learned(void *ctx, const char *host,
                               const struct hostaddrs *addrs)
{
    const struct mxhop *mx = ctx;

    if (mx->store.cache != NULL)
        cache_put_host(mx->store.cache, host, clock_boot_ms(), addrs);
}

static void learn_mx_learned(void *ctx, const char *domain,
                             const struct mxset *set)
{
    const struct mxhop *mx = ctx;

    if (mx->store.cache != NULL)
        cache_put_domain(mx->store.cache, domain, clock_boot_ms(), set);
}

static void learn_txt_learned(void *ctx, const char *domain, enum tls_txt which,
                              const struct domain_txt *txt)
{
    const struct mxhop *mx = ctx;

    if (mx->store.cache != NULL)
        cache_put_txt(mx->store.cache, domain, which, clock_boot_ms(), txt);
}

_Static_assert(EXAMINE_MAX <= RESOLVE_PICK_MAX,
               "each exchange that may be listed is asked for");

static size_t learn_pick(void *ctx, const struct mxset *set, uint16_t *index,
                         size_t cap)
{
    const struct mxhop *mx = ctx;

    return decide_pick(&mx->rules, set, clock_wall_s(), index, cap);
}

const struct resolver_owner facts_owner_functions = {
    .host_known = learn_host_known,
    .host_learned = learn_host_learned,
    .mx_learned = learn_mx_learned,
    .pick = learn_pick,
    .txt_learned = learn_txt_learned,
};

/* ---- what processes share: for the worker ---- */

static void learn_claim(void *ctx, const char *const *domains, size_t n,
                        bool *granted)
{
    const struct mxhop *mx = ctx;

    if (mx->store.dir != NULL) {
        cache_claim(mx->store.cache, domains, n, clock_boot_ms(), granted);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        granted[i] = true;
        if (mx->store.cache != NULL) /* of others nothing is noted */
            cache_note_refresh(mx->store.cache, domains[i], clock_boot_ms());
    }
}

static bool learn_peek(void *ctx, const char *domain, struct mxset *set_r)
{
    const struct mxhop *mx = ctx;
    struct cache_entry_state st;
    unsigned missing = FACTS_VAGUE;

    *set_r = (struct mxset){0};
    if (mx->store.cache == NULL)
        return false;
    st =
        cache_get_domain(mx->store.worker_view, domain, clock_boot_ms(), set_r);
    if (st.verdict == CACHE_FRESH)
        missing = facts_missing(mx, mx->store.worker_view, set_r);
    if (st.verdict == CACHE_FAILING || (missing & ~FACTS_DUE) == 0)
        return true;
    mxset_free(set_r);
    return false;
}

/* On any thread: the log is the host's thread's (learn_report). */
static void learn_write(void *ctx)
{
    struct mxhop *mx = ctx;
    uint64_t never = 0;

    if (mx->store.cache == NULL)
        return;
    if (cache_flush(mx->store.cache, WRITE_WAIT_MS)) {
        atomic_store(&mx->store.unwritten_ms, 0);
        return;
    }
    atomic_compare_exchange_strong(&mx->store.unwritten_ms, &never,
                                   clock_boot_ms());
    if (mx->store.dir != NULL)
        cache_place_renew(&mx->store.place);
}

struct worker_store learn_store(struct mxhop *mx)
{
    return (struct worker_store){
        .ctx = mx,
        .claim = learn_claim,
        .peek = learn_peek,
        .flush = learn_write,
        .server_changed = servers_report,
    };
}

void learn_flush(struct mxhop *mx)
{
    if (mx->store.cache == NULL || cache_pending(mx->store.cache) == 0)
        return;
    if (mx->dns.worker != NULL)
        worker_flush_soon(mx->dns.worker);
    else
        learn_write(mx);
}

void learn_report(struct mxhop *mx)
{
    uint64_t since_ms = atomic_load(&mx->store.unwritten_ms);
    bool bad =
        since_ms != 0 && clock_boot_ms() > since_ms + UNWRITTEN_PATIENCE_MS;

    if (mx->store.dir == NULL || bad == mx->store.unwritten_said ||
        (mx->store.unwritten_said && since_ms != 0))
        return;
    mx->store.unwritten_said = bad;
    if (bad)
        log_warn(&mx->log,
                 "cache %s cannot be written: it is full, or a process that "
                 "uses it is stopped; what is learnt is asked for again",
                 mx->store.dir);
    else
        log_info(&mx->log, "cache %s is written again", mx->store.dir);
}
