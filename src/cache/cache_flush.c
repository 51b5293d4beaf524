/*
 * cache_flush - the transactions that write
 *
 * What was put off is written in transactions of about CACHE_CHUNK puts, so
 * that other processes get their turn. Where one cannot be begun or kept, the
 * rest is dropped: it is a cache. Claims are written at once, in a transaction
 * of their own.
 */

#include "cache/cache_int.h"
#include "store/wait.h"
#include "util/clock.h"

#include <stdlib.h>

/* ---- flush ---- */

/* Up to a chunk of puts; false: nothing is left. */
static bool apply_some(struct writer *w, struct pending_list *list,
                       size_t *slot)
{
    struct touched *t = &w->cache->touching;
    struct pending *p;

    for (w->puts = 0; w->puts < CACHE_CHUNK;) {
        p = STAILQ_FIRST(list);
        if (p == NULL)
            break;
        writer_apply(w, p);
        STAILQ_REMOVE_HEAD(list, link);
        free(p);
    }
    for (; w->puts < CACHE_CHUNK && t->n > 0 && *slot < TOUCHED_SLOTS; ++*slot)
        if (t->key[*slot] != 0)
            writer_touch(w, t->key[*slot]);
    return w->puts >= CACHE_CHUNK;
}

static bool write_all(struct cache *c, struct pending_list *list,
                      uint32_t wait_ms)
{
    struct writer w = {.cache = c};
    size_t slot = 0;
    bool more = true, kept = true;

    while (more && kept) {
        kept = c->kv->ops->write_begin(c->kv, wait_ms);
        if (!kept)
            break;
        more = apply_some(&w, list, &slot);
        kept = c->kv->ops->commit(c->kv);
    }
    writer_free(&w);
    return kept;
}

bool cache_flush(struct cache *c, uint32_t wait_ms)
{
    struct pending_list list;
    bool kept;

    if (cache_pending(c) == 0)
        return true;
    if (!wait_mutex(&c->flushing, clock_boot_ms() + wait_ms))
        return cache_pending(c) == 0;
    queue_take(c, &list);
    kept = write_all(c, &list, wait_ms);
    pthread_mutex_unlock(&c->flushing);
    queue_free(&list);
    return kept;
}

/* ---- claims ---- */

static bool may_ask(const struct cache_entry_state *state)
{
    switch (state->verdict) {
    case CACHE_MISS:
        return !state->claimed;
    case CACHE_FAILING:
        return false;
    case CACHE_FRESH:
    case CACHE_STALE:
        break;
    }
    return state->refresh_due;
}

static bool claim(struct writer *w, struct chars name, uint64_t now_ms)
{
    struct cache_entry_state state;
    struct domain_record r;
    struct site_record site;

    writer_domain(w, name, now_ms, &r);
    if (r.has_answer && !writer_site(w, r.site, &site))
        domain_drop_answer(&r); /* to readers it is a miss */
    state = domain_judge(&w->cache->policy, &r, now_ms);
    if (!may_ask(&state))
        return false;
    r.claim = state.verdict == CACHE_MISS;
    r.refresh_ms =
        now_ms + (r.claim ? CACHE_CLAIM_MS : CACHE_STALE_REFRESH_S * 1000);
    if (r.written_ms < now_ms)
        r.written_ms = now_ms;
    writer_put_domain(w, &r);
    return true;
}

void cache_claim(struct cache *c, const char *const *domains, size_t n,
                 uint64_t now_ms, bool *granted)
{
    struct writer w = {.cache = c};
    struct chars name;

    for (size_t i = 0; i < n; i++)
        granted[i] = true;
    if (n == 0 || !c->kv->shared ||
        !c->kv->ops->write_begin(c->kv, CACHE_CLAIM_WAIT_MS))
        return;
    for (size_t i = 0; i < n; i++)
        if (name_chars(domains[i], &name))
            granted[i] = claim(&w, name, now_ms);
    c->kv->ops->commit(c->kv);
    writer_free(&w);
}
