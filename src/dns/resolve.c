/*
 * resolve - from a domain to its MX set and the addresses of its hosts
 *
 * A task goes through two rounds of questions: MX (resolve_mx.c), then the
 * addresses of the exchanges that the owner picks, all at once
 * (resolve_host.c). A domain costs one MX query and one query for each family
 * of each host that the owner does not know and nobody else is asking for;
 * only a reply that ends in the middle of a CNAME chain costs one more. Where
 * the owner wants it, TXT is asked for beside MX (resolve_txt.c), and TLSA of a
 * signed host behind its addresses (resolve_lookup.c).
 *
 * A task begins when it is started. All else happens in resolver_step(): it
 * lets the engine work, ends what is past its deadline, and last calls back
 * for what ended. So a callback may start tasks; it must not close the
 * resolver. The engine ends the questions for MX and TXT of a task at the
 * task's deadline; a lookup may outlive the task that started it, until its own
 * queries are over: it still tells the owner what it learnt. After
 * resolver_close() the engine must not be stepped any more: close it.
 *
 * A task that was started with a function is the resolver's, who calls and
 * frees it. One of a worker (fn NULL) is left in the list of those that ended.
 * Out of memory: a task cannot be made, or ends with hosts ADDR_FAILED or as
 * MX_FAILURE, with its text.
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
    TAILQ_INIT(&r->live);
    TAILQ_INIT(&r->ended);
    *r_r = r;
    return MXHOP_OK;
}

void resolver_close(struct resolver **rp)
{
    struct resolver *r = *rp;
    struct host_lookup *l;
    struct task *t;

    if (r == NULL)
        return;
    *rp = NULL;
    TAILQ_CONCAT(&r->live, &r->ended, link);
    while ((t = TAILQ_FIRST(&r->live)) != NULL) {
        TAILQ_REMOVE(&r->live, t, link);
        task_free(t);
    }
    for (size_t i = 0; i < LOOKUP_BUCKETS; i++)
        while ((l = LIST_FIRST(&r->buckets[i])) != NULL) {
            LIST_REMOVE(l, link);
            free(l->alias);
            free(l);
        }
    free(r);
}

struct task *task_new(const char *name, bool is_host, const struct mxset *known)
{
    size_t size = strlen(name) + 1;
    struct task *t = calloc(1, sizeof(*t) + size);

    if (t == NULL)
        return NULL;
    memcpy(t->name, name, size);
    t->is_host = is_host;
    t->known = known != NULL;
    t->failure = malloc(FAILURE_TEXT);
    if (t->failure == NULL || (t->known && !mxset_copy(&t->set, known))) {
        task_free(t);
        return NULL;
    }
    return t;
}

void task_free(struct task *t)
{
    mxset_free(&t->set);
    free(t->failure);
    free(t->waiters);
    free(t);
}

void task_start(struct task *t, struct resolver *r, uint64_t deadline_ms)
{
    t->resolver = r;
    t->start_ms = clock_boot_ms();
    t->deadline_ms = deadline_ms;
    TAILQ_INSERT_TAIL(&r->live, t, link);
    r->n_live++;
    txt_begin(t);
    if (t->is_host || t->known)
        hosts_begin(t);
    else
        mx_begin(t);
}

void task_hurry(struct task *t, uint64_t deadline_ms)
{
    if (deadline_ms >= t->deadline_ms)
        return;
    t->deadline_ms = deadline_ms;
    engine_hurry(t->resolver->engine, t, deadline_ms); /* for MX */
    for (int i = 0; i < TLS_TXTS; i++)
        engine_hurry(t->resolver->engine, &t->txt[i], deadline_ms);
}

void task_end(struct task *t)
{
    struct resolver *r = t->resolver;

    TAILQ_REMOVE(&r->live, t, link);
    TAILQ_INSERT_TAIL(&r->ended, t, link);
    r->n_live--;
    t->asking_hosts = false;
    for (int i = 0; i < TLS_TXTS; i++)
        t->set.txt[i] = t->txt[i].known;
}

enum mxhop_status resolver_start_domain(struct resolver *r, const char *domain,
                                        const struct mxset *known,
                                        uint64_t deadline_ms, resolved_fn *fn,
                                        void *ctx)
{
    struct task *t = task_new(domain, false, known);

    if (t == NULL)
        return MXHOP_ERR_MEMORY;
    t->fn = fn;
    t->ctx = ctx;
    task_start(t, r, deadline_ms);
    return MXHOP_OK;
}

void resolver_run(struct resolver *r, uint64_t until_ms, int wake_fd)
{
    struct task *t, *next;
    uint64_t now_ms;

    TAILQ_FOREACH(t, &r->live, link)
    if (t->deadline_ms < until_ms)
        until_ms = t->deadline_ms;
    engine_step(r->engine, TAILQ_EMPTY(&r->ended) ? until_ms : 0, wake_fd);
    now_ms = clock_boot_ms();
    for (t = TAILQ_FIRST(&r->live); t != NULL; t = next) {
        next = TAILQ_NEXT(t, link);
        if (t->asking_hosts && t->deadline_ms <= now_ms)
            hosts_expire(t);
    }
}

void resolver_step(struct resolver *r, uint64_t until_ms, int wake_fd)
{
    struct task_list ended = TAILQ_HEAD_INITIALIZER(ended);
    struct task *t;

    resolver_run(r, until_ms, wake_fd);
    TAILQ_CONCAT(&ended, &r->ended, link); /* more may be started, and end */
    while ((t = TAILQ_FIRST(&ended)) != NULL) {
        TAILQ_REMOVE(&ended, t, link);
        t->fn(t->ctx, t->name, &t->set);
        task_free(t);
    }
}
