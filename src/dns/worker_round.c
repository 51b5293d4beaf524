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

static void finish(struct job *job, struct mxset *result)
{
    if (result != NULL) {
        job->result = *result;
        *result = (struct mxset){0};
        job->answered = true;
    }
    TAILQ_INSERT_TAIL(&job->worker->finished, job, link);
}

static void end_running(struct job *job, struct mxset *result)
{
    struct worker *w = job->worker;

    TAILQ_REMOVE(&w->running, job, link);
    w->n_running--;
    w->n_running_failed -= job->failed_before;
    finish(job, result);
}

static void resolved(void *ctx, const char *name, struct mxset *set)
{
    (void)name;
    end_running(ctx, set);
}

static void start(struct worker *w, struct job *job)
{
    enum mxhop_status status;
    uint64_t deadline_ms;

    job->since_ms = clock_boot_ms();
    deadline_ms = job->since_ms + w->options.timeout_ms;
    TAILQ_INSERT_TAIL(&w->running, job, link);
    w->n_running++;
    w->n_running_failed += job->failed_before;
    if (job->is_host)
        status = resolver_start_host(w->resolver, job->name, deadline_ms,
                                     resolved, job);
    else
        status = resolver_start_domain(w->resolver, job->name,
                                       job->has_known ? &job->known : NULL,
                                       deadline_ms, resolved, job);
    if (status != MXHOP_OK)
        end_running(job, NULL);
}

static void set_aside(struct worker *w, struct job *job)
{
    job->since_ms = clock_boot_ms();
    if (TAILQ_EMPTY(&w->elsewhere))
        w->next_peek_ms = job->since_ms + WORKER_PEEK_MS;
    TAILQ_INSERT_TAIL(&w->elsewhere, job, link);
}

/* Nobody is asked while no server is to be reached, so nobody else has to keep
   from asking: what is claimed could not be asked for when one is back. */
static bool may_claim(const struct worker *w)
{
    return w->options.store.claim != NULL && !engine_down(w->engine);
}

/* The running job that has to make room for one in the queue, or NULL. */
static struct job *in_the_way(const struct worker *w)
{
    bool any =
        !TAILQ_EMPTY(&w->queue) || w->n_running_failed < WORKER_FAILED_MAX;
    struct job *job = TAILQ_FIRST(&w->running);

    if (w->n_running < WORKER_TASKS_MAX ||
        (TAILQ_EMPTY(&w->queue) && TAILQ_EMPTY(&w->failed)))
        return NULL;
    while (job != NULL && !any && !job->failed_before)
        job = TAILQ_NEXT(job, link);
    return job;
}

static size_t take_batch(struct worker *w, struct job **batch)
{
    size_t room = WORKER_TASKS_MAX - w->n_running, n = 0;
    size_t room_failed = WORKER_FAILED_MAX - w->n_running_failed;
    struct job *job;

    pthread_mutex_lock(&w->lock);
    while (n < room && (job = job_next(w, room_failed > 0)) != NULL) {
        room_failed -= job->failed_before;
        batch[n++] = job;
    }
    w->slow = n == 0 ? in_the_way(w) : NULL;
    pthread_mutex_unlock(&w->lock);
    return n;
}

static void claim(struct worker *w, struct job *const *batch, size_t n)
{
    const struct worker_store *store = &w->options.store;
    const char *names[WORKER_TASKS_MAX];
    bool granted[WORKER_TASKS_MAX] = {false};
    size_t n_names = 0, at = 0;

    for (size_t i = 0; i < n; i++)
        if (batch[i]->to_claim)
            names[n_names++] = batch[i]->name;
    if (may_claim(w) && n_names > 0)
        store->claim(store->ctx, names, n_names, granted);
    w->learnt = w->learnt || n_names > 0; /* the store may have put it off */
    for (size_t i = 0; i < n; i++) {
        struct job *job = batch[i];

        job->ours = !may_claim(w) || !job->to_claim || granted[at];
        job->ours |= job->left_alone;
        at += job->to_claim;
    }
}

static void start_queued(struct worker *w)
{
    struct job *batch[WORKER_TASKS_MAX];
    size_t n;

    while ((n = take_batch(w, batch)) > 0) {
        claim(w, batch, n);
        pthread_mutex_lock(&w->lock);
        for (size_t i = 0; i < n; i++)
            if (batch[i]->ours)
                job_started(batch[i]);
            else if (batch[i]->waiters > 0)
                batch[i]->is_refresh = false;
        pthread_mutex_unlock(&w->lock);
        for (size_t i = 0; i < n; i++)
            if (batch[i]->ours)
                start(w, batch[i]);
            else if (batch[i]->is_refresh)
                finish(batch[i], NULL); /* somebody else sees to it */
            else
                set_aside(w, batch[i]);
    }
}

static void ask_here(struct worker *w, struct job *job)
{
    job->left_alone = true;
    pthread_mutex_lock(&w->lock);
    job_put_back(job);
    if (job->waiters > 0)
        job_hasten(job);
    pthread_mutex_unlock(&w->lock);
}

static void peek(struct worker *w)
{
    const struct worker_store *store = &w->options.store;
    uint64_t now_ms = clock_boot_ms();
    struct job *job, *next;

    if (TAILQ_EMPTY(&w->elsewhere) || now_ms < w->next_peek_ms)
        return;
    w->next_peek_ms = now_ms + WORKER_PEEK_MS;
    for (job = TAILQ_FIRST(&w->elsewhere); job != NULL; job = next) {
        struct mxset set = {0};
        bool known =
            store->peek != NULL && store->peek(store->ctx, job->name, &set);

        next = TAILQ_NEXT(job, link);
        if (!known && now_ms - job->since_ms < w->peek_for_ms)
            continue;
        TAILQ_REMOVE(&w->elsewhere, job, link);
        if (known)
            finish(job, &set);
        else
            ask_here(w, job);
    }
}

void round_begin(struct worker *w)
{
    uint64_t now_ms;

    peek(w);
    start_queued(w);
    now_ms = clock_boot_ms();
    if (w->slow != NULL && now_ms - w->slow->since_ms >= WORKER_SLOW_MS)
        resolver_hurry(w->resolver, resolved, w->slow, now_ms);
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

uint64_t round_until_ms(const struct worker *w)
{
    uint64_t until_ms = UINT64_MAX;

    if (!TAILQ_EMPTY(&w->finished))
        return 0;
    if (!TAILQ_EMPTY(&w->elsewhere))
        until_ms = w->next_peek_ms;
    if (w->slow != NULL)
        until_ms = earlier(until_ms, w->slow->since_ms + WORKER_SLOW_MS);
    if (atomic_load(&w->flush_wanted))
        until_ms = earlier(until_ms, w->flush_after_ms);
    return until_ms;
}

void round_report(struct worker *w)
{
    struct job *job;

    w->slow = NULL; /* it may be among them */
    if (TAILQ_EMPTY(&w->finished))
        return;
    pthread_mutex_lock(&w->lock);
    while ((job = TAILQ_FIRST(&w->finished)) != NULL) {
        TAILQ_REMOVE(&w->finished, job, link);
        job_done(job);
    }
    pthread_mutex_unlock(&w->lock);
}
