/*
 * worker_job - the names a worker was asked for
 *
 * A name is in the table from when it is asked for until its answer is there,
 * so that whoever asks meanwhile joins. Up to WORKER_QUEUE_MAX names wait to be
 * started, and all jobs together hold WORKER_KNOWN_MAX exchanges of given MX
 * sets: a stranger's set has a thousand of them. A job belongs to the table,
 * then to those who wait for it: the last one frees it, or job_done() if there
 * is none.
 *
 * Names that failed before have a queue of their own, so that finding the next
 * name that may run costs the same however many of them may not. A number
 * keeps the order across the two: it grows at the end, and falls below all
 * others for a name that goes to the head.
 *
 * All functions are called with the worker's lock held.
 */

#include "dns/worker_int.h"

#include <stdlib.h>
#include <string.h>
#include "util/hash.h"

static struct job_list *bucket(struct worker *w, const char *name)
{
    return &w->table[hash_bytes(w->seed, name, strlen(name)) % JOB_BUCKETS];
}

struct job *job_find(struct worker *w, const char *name, bool is_host)
{
    struct job *job = LIST_FIRST(bucket(w, name));

    while (job != NULL &&
           (job->is_host != is_host || strcmp(job->name, name) != 0))
        job = LIST_NEXT(job, table_link);
    return job;
}

static struct job_queue *queue_of(struct job *job)
{
    return job->failed_before ? &job->worker->failed : &job->worker->queue;
}

static struct job *job_new(const char *name, const struct mxset *known)
{
    size_t size = strlen(name) + 1;
    struct job *job = calloc(1, sizeof(*job) + size);

    if (job == NULL)
        return NULL;
    if (known != NULL && !mxset_copy(&job->known, known)) {
        free(job);
        return NULL;
    }
    memcpy(job->name, name, size);
    return job;
}

static struct job *least_needed(struct job_queue *queue)
{
    struct job *job = TAILQ_LAST(queue, job_queue);

    while (job != NULL &&
           (job->waiters > 0 || job->is_refresh || job->has_known))
        job = TAILQ_PREV(job, job_queue, link);
    return job;
}

/* For a name that is needed one has to go that nobody waits for and nobody had
   an answer for yet: strangers fill the queue with such. The last of those
   that failed before, or else of the others. */
static bool make_place(struct worker *w, unsigned flags)
{
    struct job *job;

    if ((flags & (WORKER_WAITED | WORKER_REFRESH)) == 0)
        return false;
    job = least_needed(&w->failed);
    if (job == NULL)
        job = least_needed(&w->queue);
    if (job == NULL)
        return false;
    TAILQ_REMOVE(queue_of(job), job, link);
    job_done(job);
    return true;
}

struct job *job_add(struct worker *w, const char *name, bool is_host,
                    const struct mxset *known, unsigned flags)
{
    struct job *job;

    if ((w->n_waiting >= WORKER_QUEUE_MAX && !make_place(w, flags)) ||
        (known != NULL && known->n_mx > WORKER_KNOWN_MAX - w->n_known))
        return NULL;
    job = job_new(name, known);
    if (job == NULL)
        return NULL;
    job->worker = w;
    job->is_host = is_host;
    job->has_known = known != NULL;
    job->failed_before = (flags & WORKER_FAILED_BEFORE) != 0;
    job->to_claim = !is_host && known == NULL;
    job->is_refresh = (flags & WORKER_REFRESH) != 0;
    w->n_known += job->known.n_mx;
    LIST_INSERT_HEAD(bucket(w, name), job, table_link);
    job->counted = true;
    w->n_waiting++;
    job_put_back(job);
    return job;
}

void job_put_back(struct job *job)
{
    job->state = JOB_QUEUED;
    job->order = ++job->worker->order_last;
    TAILQ_INSERT_TAIL(queue_of(job), job, link);
}

void job_hasten(struct job *job)
{
    if (job->state != JOB_QUEUED)
        return;
    TAILQ_REMOVE(queue_of(job), job, link);
    job->order = --job->worker->order_first;
    TAILQ_INSERT_HEAD(queue_of(job), job, link);
}

struct job *job_next(struct worker *w, bool failed_too)
{
    struct job *job = TAILQ_FIRST(&w->queue);
    struct job *failed = failed_too ? TAILQ_FIRST(&w->failed) : NULL;

    if (job == NULL || (failed != NULL && failed->order < job->order))
        job = failed;
    if (job == NULL)
        return NULL;
    TAILQ_REMOVE(queue_of(job), job, link);
    job->state = JOB_TAKEN;
    return job;
}

void job_started(struct job *job)
{
    job->worker->n_waiting -= job->counted;
    job->counted = false;
}

void job_free(struct job *job)
{
    mxset_free(&job->known);
    mxset_free(&job->result);
    free(job);
}

void job_done(struct job *job)
{
    job_started(job); /* unless somebody else found its answer */
    LIST_REMOVE(job, table_link);
    job->worker->n_known -= job->known.n_mx;
    mxset_free(&job->known); /* who waits wants the result only */
    job->state = JOB_DONE;
    if (job->waiters == 0)
        job_free(job);
    else
        pthread_cond_broadcast(&job->worker->done);
}

void jobs_free(struct worker *w)
{
    struct job *job;

    for (size_t i = 0; i < JOB_BUCKETS; i++)
        while ((job = LIST_FIRST(&w->table[i])) != NULL) {
            LIST_REMOVE(job, table_link);
            job_free(job);
        }
}
