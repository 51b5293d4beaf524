/* What the parts of the worker share; worker.h is the interface. */

#ifndef DNS_WORKER_INT_H
#define DNS_WORKER_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include "dns/resolve_int.h"
#include "dns/worker.h"

#define TASK_BUCKETS        256
#define WORKER_WAITED       0x80u /* a flag as in worker.h: somebody waits */
#define WORKER_FAILED_MAX   (WORKER_TASKS_MAX / 2)
#define WORKER_FLUSH_GAP_MS 20 /* between flushes that nothing learnt needs */

struct worker {
    struct worker_options options;
    uint32_t peek_for_ms; /* WORKER_PEEK_FOR_MS; tests have less time */

    /* Shared with the thread. */
    pthread_mutex_t lock;    /* never held across anything that waits */
    pthread_cond_t done;     /* some task became TASK_DONE */
    struct task_list queue;  /* in_queue, by order */
    struct task_list failed; /* the same, those that failed before */
    int64_t order_first, order_last;
    struct task_bucket table[TASK_BUCKETS];
    size_t n_waiting; /* TASK_QUEUED in the table */
    size_t n_known;   /* exchanges in the given sets of all tasks */
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
    struct resolver *resolver;  /* whose list of ended tasks takes all */
    struct task_list elsewhere; /* claimed by other processes, the oldest first
                                 */
    size_t n_failed;            /* started tasks that failed before */
    struct task *slow;          /* whose place others wait for, or NULL */
    uint64_t next_peek_ms;
    uint64_t flush_after_ms; /* for flushes that nothing learnt needs */

    LIST_ENTRY(worker) exit_link; /* worker_exit.c */
};

/* worker_tasks.c: callers hold the lock. */
struct task *tasks_find(struct worker *w, const char *name, bool is_host);
/* NULL: full or no memory. */
struct task *tasks_add(struct worker *w, const char *name, bool is_host,
                       const struct mxset *known, unsigned flags);
/* Out of the queue; NULL: none, or only such as failed before while these may
   not run. */
struct task *tasks_next(struct worker *w, bool failed_too);
void tasks_take(struct worker *w, struct task *t);
void tasks_put(struct worker *w, struct task *t, bool first);
/* It has its answer, or will get none: out of the table. */
void tasks_done(struct worker *w, struct task *t);
void tasks_free(struct worker *w); /* what is not started */

/* worker_round.c: on the thread */
void round_begin(struct worker *w);              /* start what may be started */
uint64_t round_until_ms(const struct worker *w); /* when to begin the next */
void round_report(struct worker *w);             /* tell those who wait */

/* worker_thread.c */
void thread_wake(const struct worker *w);
bool thread_start(struct worker *w); /* false: no thread to be had */
void thread_stop(struct worker *w);  /* ends it, if there is one */
void thread_note_servers(struct worker *w, const struct engine *engine);

/* worker_exit.c */
void exit_enrol(struct worker *w);
void exit_forget(struct worker *w);

#endif
