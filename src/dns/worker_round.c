/*
 * worker_round - which names a worker's thread asks for next
 *
 * A round takes as many names from the queue as there are free tasks. Those
 * that other processes may be asking for are put to the store's claim() in one
 * call. What is another's is set aside: it needs no task but is looked up every
 * WORKER_PEEK_MS, and once that was in vain for WORKER_PEEK_FOR_MS it goes back
 * to the queue and is asked for here. It is claimed again then, to tell others,
 * but whatever the store says: a name waits for other processes only once. A
 * name to be refreshed does not wait at all: the other process sees to it.
 *
 * Strangers choose names whose servers are silent. So names that failed before
 * get WORKER_FAILED_MAX tasks, and when no task is free for a name in the queue
 * the oldest that has been running for WORKER_SLOW_MS has to end, one a round.
 *
 * What ended is reported after the step, when it has been flushed to the store:
 * who is told an answer finds it there.
 *
 * Everything here runs on the thread; the lock is held for list operations
 * only.
 */

#include "dns/worker_int.h"

#include "util/clock.h"

static void round_start(struct worker *w, struct task *t)
{
    w->n_failed += t->failed_before;
    task_start(t, w->resolver, clock_boot_ms() + w->options.timeout_ms);
}

static void round_set_aside(struct worker *w, struct task *t)
{
    t->start_ms = clock_boot_ms();
    if (TAILQ_EMPTY(&w->elsewhere))
        w->next_peek_ms = t->start_ms + WORKER_PEEK_MS;
    TAILQ_INSERT_TAIL(&w->elsewhere, t, link);
}

/* Nobody is asked while no server is to be reached, so nobody else has to keep
   from asking: what is claimed could not be asked for when one is back. */
static bool round_may_claim(const struct worker *w)
{
    return w->options.store.claim != NULL && !engine_down(w->engine);
}

/* The started task that has to make room for one in the queue, or NULL. */
static struct task *round_in_the_way(const struct worker *w)
{
    bool any = !TAILQ_EMPTY(&w->queue) || w->n_failed < WORKER_FAILED_MAX;
    struct task *t = TAILQ_FIRST(&w->resolver->live);

    if (w->resolver->n_live < WORKER_TASKS_MAX ||
        (TAILQ_EMPTY(&w->queue) && TAILQ_EMPTY(&w->failed)))
        return NULL;
    while (t != NULL && !any && !t->failed_before)
        t = TAILQ_NEXT(t, link);
    return t;
}

static size_t round_take(struct worker *w, struct task **batch)
{
    size_t room = WORKER_TASKS_MAX - w->resolver->n_live, n = 0;
    size_t room_failed = WORKER_FAILED_MAX - w->n_failed;
    struct task *t;

    pthread_mutex_lock(&w->lock);
    while (n < room && (t = tasks_next(w, room_failed > 0)) != NULL) {
        room_failed -= t->failed_before;
        batch[n++] = t;
    }
    w->slow = n == 0 ? round_in_the_way(w) : NULL;
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* Which of a batch are to be asked for here. */
static void round_claim(struct worker *w, struct task *const *batch, size_t n,
                        bool *ours)
{
    const struct worker_store *store = &w->options.store;
    const char *names[WORKER_TASKS_MAX];
    bool granted[WORKER_TASKS_MAX] = {false};
    size_t n_names = 0, at = 0;

    for (size_t i = 0; i < n; i++)
        if (!batch[i]->is_host && !batch[i]->known)
            names[n_names++] = batch[i]->name;
    if (n_names > 0) {
        w->resolver->told = true; /* the store may have put it off */
        if (round_may_claim(w))
            store->claim(store->ctx, names, n_names, granted);
    }
    for (size_t i = 0; i < n; i++)
        ours[i] = batch[i]->is_host || batch[i]->known || granted[at++] ||
                  batch[i]->left_alone || !round_may_claim(w);
}

static void round_start_queued(struct worker *w)
{
    struct task *batch[WORKER_TASKS_MAX];
    bool ours[WORKER_TASKS_MAX];
    size_t n;

    while ((n = round_take(w, batch)) > 0) {
        round_claim(w, batch, n, ours);
        pthread_mutex_lock(&w->lock);
        for (size_t i = 0; i < n; i++)
            if (ours[i]) {
                batch[i]->state = TASK_STARTED;
                w->n_waiting--;
            } else if (batch[i]->callers > 0) {
                batch[i]->is_refresh = false;
            }
        pthread_mutex_unlock(&w->lock);
        for (size_t i = 0; i < n; i++)
            if (ours[i])
                round_start(w, batch[i]);
            else if (batch[i]->is_refresh) /* somebody else sees to it */
                TAILQ_INSERT_TAIL(&w->resolver->ended, batch[i], link);
            else
                round_set_aside(w, batch[i]);
    }
}

static void round_peek(struct worker *w)
{
    const struct worker_store *store = &w->options.store;
    uint64_t now_ms = clock_boot_ms();
    struct task *t, *next;

    if (TAILQ_EMPTY(&w->elsewhere) || now_ms < w->next_peek_ms)
        return;
    w->next_peek_ms = now_ms + WORKER_PEEK_MS;
    for (t = TAILQ_FIRST(&w->elsewhere); t != NULL; t = next) {
        struct mxset set = {0};

        next = TAILQ_NEXT(t, link);
        t->answered =
            store->peek != NULL && store->peek(store->ctx, t->name, &set);
        if (!t->answered && now_ms - t->start_ms < w->peek_for_ms)
            continue;
        TAILQ_REMOVE(&w->elsewhere, t, link);
        if (t->answered) {
            t->set = set;
            TAILQ_INSERT_TAIL(&w->resolver->ended, t, link);
            continue;
        }
        t->left_alone = true;
        pthread_mutex_lock(&w->lock);
        tasks_put(w, t, t->callers > 0);
        pthread_mutex_unlock(&w->lock);
    }
}

void round_begin(struct worker *w)
{
    uint64_t now_ms;

    round_peek(w);
    round_start_queued(w);
    now_ms = clock_boot_ms();
    if (w->slow != NULL && now_ms - w->slow->start_ms >= WORKER_SLOW_MS)
        task_hurry(w->slow, now_ms);
}

uint64_t round_until_ms(const struct worker *w)
{
    uint64_t until_ms = UINT64_MAX;

    if (!TAILQ_EMPTY(&w->elsewhere))
        until_ms = w->next_peek_ms;
    if (w->slow != NULL && w->slow->start_ms + WORKER_SLOW_MS < until_ms)
        until_ms = w->slow->start_ms + WORKER_SLOW_MS;
    if (atomic_load(&w->flush_wanted) && w->flush_after_ms < until_ms)
        until_ms = w->flush_after_ms;
    return until_ms;
}

void round_report(struct worker *w)
{
    struct task_list *ended = &w->resolver->ended;
    struct task *t;

    w->slow = NULL; /* it may be among them */
    if (TAILQ_EMPTY(ended))
        return;
    pthread_mutex_lock(&w->lock);
    while ((t = TAILQ_FIRST(ended)) != NULL) {
        TAILQ_REMOVE(ended, t, link);
        if (t->state == TASK_STARTED) {
            t->answered = !t->is_host;
            w->n_failed -= t->failed_before;
        }
        tasks_done(w, t);
    }
    pthread_mutex_unlock(&w->lock);
}
