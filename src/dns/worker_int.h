/* What the parts of the worker share; worker.h is the interface. */

#ifndef DNS_WORKER_INT_H
#define DNS_WORKER_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/types.h>
#include "dns/worker.h"

#define JOB_BUCKETS         256
#define WORKER_WAITED       0x80u /* a flag as in worker.h: somebody waits */
#define WORKER_FAILED_MAX   (WORKER_TASKS_MAX / 2)
#define WORKER_FLUSH_GAP_MS 20 /* between flushes that nothing learnt needs */

enum job_state {
    JOB_QUEUED,
    JOB_TAKEN, /* by the thread, which has it in one of its lists */
    JOB_DONE   /* out of the table; waiters take the result, the last frees */
};

/* One name to be resolved. */
struct job {
    TAILQ_ENTRY(job) link;      /* of the one list of the worker it is in */
    LIST_ENTRY(job) table_link; /* until JOB_DONE */
    struct worker *worker;
    enum job_state state;
    bool is_host;
    bool has_known;
    bool failed_before;
    bool to_claim;   /* others may be asking for it */
    bool is_refresh; /* the answer is not needed here */
    bool counted;    /* in n_waiting */
    bool answered;   /* result is an answer */
    unsigned waiters;
    int64_t order; /* JOB_QUEUED: the least is next */
    struct mxset known;
    struct mxset result;
    /* The thread's own while JOB_TAKEN. */
    bool ours;         /* to be asked for here */
    bool left_alone;   /* others have had WORKER_PEEK_FOR_MS for it */
    uint64_t since_ms; /* running, or elsewhere */
    char name[];
};

TAILQ_HEAD(job_queue, job);
LIST_HEAD(job_list, job);

struct worker {
    struct worker_options options;
    uint32_t peek_for_ms; /* WORKER_PEEK_FOR_MS; tests have less time */

    /* Shared with the thread. */
    pthread_mutex_t lock;    /* never held across anything that waits */
    pthread_cond_t done;     /* some job became JOB_DONE */
    struct job_queue queue;  /* JOB_QUEUED, by order */
    struct job_queue failed; /* the same, those that failed before */
    int64_t order_first, order_last;
    struct job_list table[JOB_BUCKETS];
    size_t n_waiting; /* not running yet: queued, or elsewhere */
    size_t n_known;   /* exchanges in the known sets of all jobs */
    bool new_servers; /* options.servers changed */
    uint64_t seed;    /* of the table */
    struct engine_server servers[DNS_SERVERS_MAX]; /* of the engine */
    size_t n_servers;
    char assumed_open[DNS_SERVERS_MAX][64]; /* before the start */
    size_t n_assumed_open;

    /* Shared with the thread and with worker_exit.c, without a lock. */
    atomic_bool stop;         /* the thread is to end */
    atomic_bool ended;        /* it touches nothing of ours any more */
    atomic_bool down;         /* engine_down() */
    atomic_bool flush_wanted; /* and a wake for it is under way */
    int wake_fd;              /* eventfd, -1 until the thread is started */

    /* The thread's own, once it is started. */
    pthread_t thread;
    _Atomic pid_t pid; /* of the process that has it, 0: not started */
    struct engine *engine;
    struct resolver *resolver;
    struct job_queue running;   /* the oldest first */
    struct job_queue elsewhere; /* claimed by other processes; the same */
    struct job_queue finished;  /* to be reported after the flush */
    size_t n_running;
    size_t n_running_failed; /* of these, those that failed before */
    struct job *slow;        /* whose place others wait for, or NULL */
    uint64_t next_peek_ms;
    bool learnt;             /* since the last flush */
    uint64_t flush_after_ms; /* for flushes that nothing learnt needs */

    LIST_ENTRY(worker) exit_link; /* worker_exit.c */
};

/* worker_job.c: callers hold the lock. */
struct job *job_find(struct worker *w, const char *name, bool is_host);
/* NULL: full or no memory. */
struct job *job_add(struct worker *w, const char *name, bool is_host,
                    const struct mxset *known, unsigned flags);
/* The next in the queue; NULL: none, or only such as failed before while these
   may not run. */
struct job *job_next(struct worker *w, bool failed_too);
void job_hasten(struct job *job);   /* to the head, if it is queued */
void job_put_back(struct job *job); /* to the end of the queue */
void job_started(struct job *job);  /* it has left the queue for good */
void job_done(struct job *job);
void job_free(struct job *job);
void jobs_free(struct worker *w); /* all in the table */

/* worker_round.c: on the thread */
void round_begin(struct worker *w);              /* start what may be started */
uint64_t round_until_ms(const struct worker *w); /* when to begin the next */
void round_report(struct worker *w);             /* tell those who wait */

/* worker_store.c */
struct resolver_owner store_owner(struct worker *w);
void store_flush(struct worker *w, bool last);
/* Callers hold the lock. */
void store_note_servers(struct worker *w, const struct engine *engine);
void store_watch_servers(struct worker *w);

/* worker_thread.c */
void worker_wake(struct worker *w);
bool worker_start(struct worker *w); /* false: no thread to be had */
void worker_stop(struct worker *w);  /* ends the thread, if there is one */

/* worker_exit.c */
void exit_enrol(struct worker *w);
void exit_forget(struct worker *w);

#endif
