/*
 * resolve - from a domain to its MX set and the addresses of its hosts
 *
 * A task goes through two rounds of questions: MX (resolve_mx.c), then the
 * addresses of the exchanges that the owner picks, all at once
 * (resolve_host.c). A domain costs one MX query and one query for each family
 * of each host that the owner does not know and nobody else is asking for;
 * only a reply that ends in the middle of a CNAME chain costs one more.
 *
 * Everything happens in resolver_step(): it begins tasks, lets the engine
 * work, ends what is past its deadline, and last calls back for what ended.
 * So a callback may start tasks; it must not close the resolver.
 *
 * A query ends with the last task that wants it, but calls back once more: a
 * task that ends before its MX question does is kept as a zombie for it, and a
 * lookup lives until its queries are over; it still tells the owner what it
 * learnt. After
 * resolver_close() the engine must not be stepped any more: close it.
 *
 * The resolver owns its tasks and lookups. Out of memory: a task cannot be
 * started, or ends with hosts ADDR_FAILED or as MX_FAILURE, with its text.
 */

#include "dns/resolve_int.h"

#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/err.h"

enum mxhop_status resolver_open(struct resolver **r_r, struct engine *engine,
                                const struct resolver_owner *owner,
                                unsigned families, struct mxhop_error *err)
{
    struct resolver *r = calloc(1, sizeof(*r));

    *r_r = NULL;
    if (r == NULL)
        return err_nomem(err);
    r->engine = engine;
    r->owner = *owner;
    r->families = families & (FAMILY_BIT(FAMILIES) - 1);
    r->n_families = (unsigned)__builtin_popcount(r->families);
    r->seed = clock_boot_ms() ^ (uintptr_t)r;
    TAILQ_INIT(&r->fresh);
    TAILQ_INIT(&r->live);
    TAILQ_INIT(&r->ended);
    TAILQ_INIT(&r->zombies);
    *r_r = r;
    return MXHOP_OK;
}

static void task_free(struct task *t)
{
    mxset_free(&t->set);
    free(t->failure);
    free(t->waiters);
    free(t);
}

static void free_tasks(struct task_list *list)
{
    struct task *t;

    while ((t = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, t, link);
        task_free(t);
    }
}

void resolver_close(struct resolver **rp)
{
    struct resolver *r = *rp;
    struct lookup *l;

    if (r == NULL)
        return;
    *rp = NULL;
    free_tasks(&r->fresh);
    free_tasks(&r->live);
    free_tasks(&r->ended);
    free_tasks(&r->zombies);
    for (size_t i = 0; i < LOOKUP_BUCKETS; i++)
        while ((l = LIST_FIRST(&r->buckets[i])) != NULL) {
            LIST_REMOVE(l, link);
            free(l);
        }
    free(r);
}

static struct task *task_new(struct resolver *r, const char *name,
                             uint64_t deadline_ms, resolved_fn *fn, void *ctx)
{
    size_t size = strlen(name) + 1;
    struct task *t = calloc(1, sizeof(*t) + size);

    if (t == NULL)
        return NULL;
    t->failure = calloc(1, FAILURE_TEXT);
    if (t->failure == NULL) {
        free(t);
        return NULL;
    }
    memcpy(t->name, name, size);
    t->resolver = r;
    t->start_ms = clock_boot_ms();
    t->deadline_ms = deadline_ms;
    t->fn = fn;
    t->ctx = ctx;
    return t;
}

static enum mxhop_status task_start(struct task *t)
{
    TAILQ_INSERT_TAIL(&t->resolver->fresh, t, link);
    t->resolver->n_tasks++;
    return MXHOP_OK;
}

enum mxhop_status resolver_start_domain(struct resolver *r, const char *domain,
                                        const struct mxset *known,
                                        uint64_t deadline_ms, resolved_fn *fn,
                                        void *ctx)
{
    struct task *t = task_new(r, domain, deadline_ms, fn, ctx);

    if (t == NULL)
        return MXHOP_ERR_MEMORY;
    if (known == NULL)
        return task_start(t);
    if (!mxset_copy(&t->set, known)) {
        task_free(t);
        return MXHOP_ERR_MEMORY;
    }
    t->known = true;
    return task_start(t);
}

enum mxhop_status resolver_start_host(struct resolver *r, const char *host,
                                      uint64_t deadline_ms, resolved_fn *fn,
                                      void *ctx)
{
    struct task *t = task_new(r, host, deadline_ms, fn, ctx);

    if (t == NULL)
        return MXHOP_ERR_MEMORY;
    t->is_host = true;
    return task_start(t);
}

static void hurry(struct task_list *list, resolved_fn *fn, const void *ctx,
                  uint64_t deadline_ms)
{
    struct task *t;

    for (t = TAILQ_FIRST(list); t != NULL; t = TAILQ_NEXT(t, link))
        if (t->fn == fn && t->ctx == ctx && t->deadline_ms > deadline_ms) {
            t->deadline_ms = deadline_ms;
            engine_hurry(t->resolver->engine, t, deadline_ms); /* for MX */
        }
}

void resolver_hurry(struct resolver *r, resolved_fn *fn, const void *ctx,
                    uint64_t deadline_ms)
{
    hurry(&r->fresh, fn, ctx, deadline_ms);
    hurry(&r->live, fn, ctx, deadline_ms);
}

size_t resolver_tasks(const struct resolver *r)
{
    return r->n_tasks;
}

void task_end(struct task *t)
{
    struct resolver *r = t->resolver;

    t->state = TASK_ENDED;
    TAILQ_REMOVE(&r->live, t, link);
    TAILQ_INSERT_TAIL(&r->ended, t, link);
}

void task_bury(struct task *zombie)
{
    TAILQ_REMOVE(&zombie->resolver->zombies, zombie, link);
    task_free(zombie);
}

static void begin(struct resolver *r)
{
    struct task *t;

    while ((t = TAILQ_FIRST(&r->fresh)) != NULL) {
        TAILQ_REMOVE(&r->fresh, t, link);
        TAILQ_INSERT_TAIL(&r->live, t, link);
        if (t->is_host)
            host_begin(t);
        else if (t->known)
            hosts_begin(t);
        else
            mx_begin(t);
    }
}

/* Until when the engine may wait: not past a deadline, and not at all while
   somebody is to be called back. */
static uint64_t wait_until(const struct resolver *r, uint64_t until_ms)
{
    const struct task *t;

    if (!TAILQ_EMPTY(&r->ended))
        return 0;
    for (t = TAILQ_FIRST(&r->live); t != NULL; t = TAILQ_NEXT(t, link))
        if (t->deadline_ms < until_ms)
            until_ms = t->deadline_ms;
    return until_ms;
}

static void expire(struct resolver *r)
{
    uint64_t now_ms = clock_boot_ms();
    struct task *t, *next;

    for (t = TAILQ_FIRST(&r->live); t != NULL; t = next) {
        next = TAILQ_NEXT(t, link);
        if (t->deadline_ms > now_ms)
            continue;
        if (t->state == TASK_MX)
            mx_expire(t);
        else
            hosts_expire(t);
    }
}

static void call_back(struct resolver *r)
{
    struct task *t;

    while ((t = TAILQ_FIRST(&r->ended)) != NULL) {
        TAILQ_REMOVE(&r->ended, t, link);
        r->n_tasks--;
        t->fn(t->ctx, t->name, t->is_host ? NULL : &t->set);
        t->state = TASK_ZOMBIE;
        TAILQ_INSERT_TAIL(&r->zombies, t, link);
        if (!t->asking)
            task_bury(t);
    }
}

void resolver_step(struct resolver *r, uint64_t until_ms, int wake_fd)
{
    begin(r);
    engine_step(r->engine, wait_until(r, until_ms), wake_fd);
    expire(r);
    call_back(r);
}
