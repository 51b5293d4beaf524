/*
 * worker_tasks - the names a worker was asked for
 *
 * A name is in the table from when it is asked for until its answer is there,
 * so that whoever asks meanwhile joins. Up to WORKER_QUEUE_MAX names wait to be
 * started, and all tasks together hold WORKER_KNOWN_MAX exchanges of given MX
 * sets: a stranger's set has a thousand of them. A task belongs to the table,
 * while it is started to the resolver, then to those who wait for it: the last
 * one frees it, or tasks_done() if there is none.
 *
 * Names that failed before have a queue of their own, so that finding the next
 * name that may run costs the same however many of them may not. A number
 * keeps the order across the two: it grows at the end, and falls below all
 * others for a name that goes to the head.
 *
 * All functions are called with the worker's lock held.
 */

#include "dns/worker_int.h"

#include <string.h>
#include "util/hash.h"

static struct task_bucket *tasks_bucket(struct worker *w, const char *name)
{
    return &w->table[hash_bytes(w->seed, name, strlen(name)) % TASK_BUCKETS];
}

struct task *tasks_find(struct worker *w, const char *name, bool is_host)
{
    struct task *t = LIST_FIRST(tasks_bucket(w, name));

    while (t != NULL && (t->is_host != is_host || strcmp(t->name, name) != 0))
        t = LIST_NEXT(t, table_link);
    return t;
}

static struct task_list *tasks_of(struct worker *w, const struct task *t)
{
    return t->failed_before ? &w->failed : &w->queue;
}

/* The last that nobody waits for and nobody had an answer for yet. */
static struct task *tasks_least_needed(const struct task_list *queue)
{
    struct task *t = TAILQ_LAST(queue, task_list);

    while (t != NULL && (t->callers > 0 || t->is_refresh || t->known))
        t = TAILQ_PREV(t, task_list, link);
    return t;
}

/* For a name that is needed one has to go that is not: strangers fill the queue
   with such. One of those that failed before, or else of the others. */
static bool tasks_make_place(struct worker *w, unsigned flags)
{
    struct task *t;

    if ((flags & (WORKER_WAITED | WORKER_REFRESH)) == 0)
        return false;
    t = tasks_least_needed(&w->failed);
    if (t == NULL)
        t = tasks_least_needed(&w->queue);
    if (t == NULL)
        return false;
    tasks_take(w, t);
    tasks_done(w, t);
    return true;
}

struct task *tasks_add(struct worker *w, const char *name, bool is_host,
                       const struct mxset *known, unsigned flags)
{
    struct task *t;

    if ((w->n_waiting >= WORKER_QUEUE_MAX && !tasks_make_place(w, flags)) ||
        (known != NULL && known->n_mx > WORKER_KNOWN_MAX - w->n_known))
        return NULL;
    t = task_new(name, is_host, known);
    if (t == NULL)
        return NULL;
    t->failed_before = (flags & WORKER_FAILED_BEFORE) != 0;
    t->is_refresh = (flags & WORKER_REFRESH) != 0;
    w->n_known += t->set.n_mx;
    w->n_waiting++;
    LIST_INSERT_HEAD(tasks_bucket(w, name), t, table_link);
    tasks_put(w, t, false);
    return t;
}

void tasks_put(struct worker *w, struct task *t, bool first)
{
    t->in_queue = true;
    t->order = first ? --w->order_first : ++w->order_last;
    if (first)
        TAILQ_INSERT_HEAD(tasks_of(w, t), t, link);
    else
        TAILQ_INSERT_TAIL(tasks_of(w, t), t, link);
}

struct task *tasks_next(struct worker *w, bool failed_too)
{
    struct task *t = TAILQ_FIRST(&w->queue);
    struct task *failed = failed_too ? TAILQ_FIRST(&w->failed) : NULL;

    if (t == NULL || (failed != NULL && failed->order < t->order))
        t = failed;
    if (t != NULL)
        tasks_take(w, t);
    return t;
}

void tasks_take(struct worker *w, struct task *t)
{
    TAILQ_REMOVE(tasks_of(w, t), t, link);
    t->in_queue = false;
}

void tasks_done(struct worker *w, struct task *t)
{
    if (t->state == TASK_QUEUED)
        w->n_waiting--; /* its place went to another, or others found it */
    if (t->known)
        w->n_known -= t->set.n_mx;
    LIST_REMOVE(t, table_link);
    t->state = TASK_DONE;
    if (t->callers == 0)
        task_free(t);
    else
        pthread_cond_broadcast(&w->done);
}

void tasks_free(struct worker *w)
{
    struct task *t;

    for (size_t i = 0; i < TASK_BUCKETS; i++)
        while ((t = LIST_FIRST(&w->table[i])) != NULL) {
            LIST_REMOVE(t, table_link);
            if (t->state != TASK_STARTED)
                task_free(t);
        }
}
