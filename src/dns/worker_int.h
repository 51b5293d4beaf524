/* What the parts of the worker share; worker.h is the interface. */

#ifndef DNS_WORKER_INT_H
#define DNS_WORKER_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/types.h>
#include "dns/worker.h"

#define JOB_BUCKETS 256

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_DONE /* out of the table; waiters take the result, the last frees */
};

/* One name to be resolved. */
struct job {
    TAILQ_ENTRY(job) queue_link; /* JOB_QUEUED */
    LIST_ENTRY(job) table_link;  /* until JOB_DONE */
    struct worker *worker;
    enum job_state state;
    bool is_host;
    bool has_known;
    bool answered; /* JOB_DONE: result is an answer */
    unsigned waiters;
    struct mxset known;
    struct mxset result;
    char name[];
};

TAILQ_HEAD(job_queue, job);
LIST_HEAD(job_list, job);

struct worker {
    struct worker_options options;

    /* Shared with the thread. */
    pthread_mutex_t lock; /* never held across anything that waits */
    pthread_cond_t done;  /* some job became JOB_DONE */
    struct job_queue queue;
    struct job_list table[JOB_BUCKETS];
    size_t n_queued;
    size_t n_known;   /* exchanges in the known sets of all jobs */
    bool new_servers; /* options.servers changed */
    uint64_t seed;    /* of the table */

    /* Shared with the thread and with worker_exit.c, without a lock. */
    atomic_bool stop;  /* the thread is to end */
    atomic_bool ended; /* it touches nothing of ours any more */
    int wake_fd;       /* eventfd, -1 until the thread is started */

    /* The thread's own, once it is started. */
    pthread_t thread;
    _Atomic pid_t pid; /* of the process that has it, 0: not started */
    struct engine *engine;
    struct resolver *resolver;
    size_t n_running;

    LIST_ENTRY(worker) exit_link; /* worker_exit.c */
};

/* worker_job.c: callers hold the lock. */
struct job *job_find(struct worker *w, const char *name, bool is_host);
struct job *job_add(struct worker *w, const char *name, bool is_host,
                    const struct mxset *known); /* NULL: full or no memory */
struct job *job_next(struct worker *w);         /* the oldest queued, or NULL */
void job_done(struct job *job, struct mxset *result); /* NULL: no answer */
void job_free(struct job *job);
void jobs_free(struct worker *w); /* all in the table */

/* worker_thread.c */
void worker_wake(struct worker *w);
bool worker_start(struct worker *w); /* false: no thread to be had */
void worker_stop(struct worker *w);  /* ends the thread, if there is one */

/* worker_exit.c */
void exit_enrol(struct worker *w);
void exit_forget(struct worker *w);

#endif
