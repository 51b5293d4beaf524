/*
 * worker_store - what a worker tells those who share its knowledge
 *
 * The resolver's owner hears everything through here, so that the worker knows
 * when there is something to be flushed: after the step in which it was learnt.
 * What others left to be written (worker_flush_soon()) may wait for
 * WORKER_FLUSH_GAP_MS, so that a caller that asks for it at every lookup costs
 * some 50 flushes and wakes a second, not one a lookup.
 *
 * The state of the name servers is copied under the lock whenever it changes:
 * the engine itself is the thread's.
 */

#include "dns/worker_int.h"

#include "util/clock.h"

static unsigned host_known(void *ctx, const char *host, unsigned families,
                           struct hostaddrs *addrs_r)
{
    const struct worker *w = ctx;
    const struct resolver_owner *owner = &w->options.owner;

    return owner->host_known(owner->ctx, host, families, addrs_r);
}

static void host_learned(void *ctx, const char *host,
                         const struct hostaddrs *addrs)
{
    struct worker *w = ctx;
    const struct resolver_owner *owner = &w->options.owner;

    w->learnt = true;
    owner->host_learned(owner->ctx, host, addrs);
}

static void mx_learned(void *ctx, const char *domain, const struct mxset *set)
{
    struct worker *w = ctx;
    const struct resolver_owner *owner = &w->options.owner;

    w->learnt = true;
    owner->mx_learned(owner->ctx, domain, set);
}

static size_t pick(void *ctx, const struct mxset *set, uint16_t *index,
                   size_t cap)
{
    const struct worker *w = ctx;
    const struct resolver_owner *owner = &w->options.owner;

    return owner->pick(owner->ctx, set, index, cap);
}

struct resolver_owner store_owner(struct worker *w)
{
    return (struct resolver_owner){.ctx = w,
                                   .host_known = host_known,
                                   .host_learned = host_learned,
                                   .mx_learned = mx_learned,
                                   .pick = pick};
}

/* The flag falls before the flush begins: what is added later raises it
   again. */
void store_flush(struct worker *w, bool last)
{
    uint64_t now_ms = clock_boot_ms();
    bool wanted = (last || now_ms >= w->flush_after_ms) &&
                  atomic_exchange(&w->flush_wanted, false);

    if (!wanted && !w->learnt)
        return;
    if (wanted)
        w->flush_after_ms = now_ms + WORKER_FLUSH_GAP_MS;
    w->learnt = false;
    w->options.store.flush(w->options.store.ctx);
}

void store_note_servers(struct worker *w, const struct engine *engine)
{
    size_t n = engine_server_count(engine);

    w->n_servers = n < DNS_SERVERS_MAX ? n : DNS_SERVERS_MAX;
    for (size_t i = 0; i < w->n_servers; i++)
        engine_server_get(engine, i, &w->servers[i]);
}

static void server_changed(void *ctx, const struct engine_server *s)
{
    struct worker *w = ctx;
    const struct worker_store *store = &w->options.store;

    pthread_mutex_lock(&w->lock);
    store_note_servers(w, w->engine);
    pthread_mutex_unlock(&w->lock);
    if (store->server_changed == NULL)
        return;
    w->learnt = true;
    store->server_changed(store->ctx, s);
}

/* What was assumed is no news to the others: they said so. */
void store_watch_servers(struct worker *w)
{
    for (size_t i = 0; i < w->n_assumed_open; i++)
        engine_assume_open(w->engine, w->assumed_open[i]);
    store_note_servers(w, w->engine);
    atomic_store(&w->down, engine_down(w->engine));
    engine_watch_servers(w->engine, server_changed, w);
}
