/*
 * worker_job - the names a worker was asked for
 *
 * A name is in the table from when it is asked for until its answer is there,
 * so that whoever asks meanwhile joins. Up to WORKER_QUEUE_MAX names wait in
 * the queue, and all jobs together hold WORKER_KNOWN_MAX exchanges of given MX
 * sets: a stranger's set has a thousand of them. A job belongs to the table,
 * then to those who wait for it: the last one frees it, or job_done() if there
 * is none.
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

struct job *job_add(struct worker *w, const char *name, bool is_host,
                    const struct mxset *known)
{
    size_t size = strlen(name) + 1;
    struct job *job;

    if (w->n_queued >= WORKER_QUEUE_MAX ||
        (known != NULL && known->n_mx > WORKER_KNOWN_MAX - w->n_known))
        return NULL;
    job = calloc(1, sizeof(*job) + size);
    if (job == NULL)
        return NULL;
    if (known != NULL && !mxset_copy(&job->known, known)) {
        free(job);
        return NULL;
    }
    memcpy(job->name, name, size);
    job->worker = w;
    job->is_host = is_host;
    job->has_known = known != NULL;
    w->n_known += job->known.n_mx;
    LIST_INSERT_HEAD(bucket(w, name), job, table_link);
    TAILQ_INSERT_TAIL(&w->queue, job, queue_link);
    w->n_queued++;
    return job;
}

struct job *job_next(struct worker *w)
{
    struct job *job = TAILQ_FIRST(&w->queue);

    if (job == NULL)
        return NULL;
    TAILQ_REMOVE(&w->queue, job, queue_link);
    w->n_queued--;
    job->state = JOB_RUNNING;
    return job;
}

void job_free(struct job *job)
{
    mxset_free(&job->known);
    mxset_free(&job->result);
    free(job);
}

void job_done(struct job *job, struct mxset *result)
{
    LIST_REMOVE(job, table_link);
    job->worker->n_known -= job->known.n_mx;
    mxset_free(&job->known); /* who waits wants the result only */
    job->state = JOB_DONE;
    if (result != NULL) {
        job->result = *result;
        *result = (struct mxset){0};
        job->answered = true;
    }
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
    TAILQ_INIT(&w->queue);
    w->n_queued = w->n_known = 0;
}
