/* What the parts of resolver and worker share; resolve.h and worker.h are the
   interfaces. */

#ifndef DNS_RESOLVE_INT_H
#define DNS_RESOLVE_INT_H

#include <sys/queue.h>
#include "dns/resolve.h"

#define LOOKUP_BUCKETS 256
#define FAILURE_TEXT   256
#define NO_INDEX       SIZE_MAX
#define SILENCE_MS     1000 /* less time is no test of a name server */

struct task;
struct host_lookup;

/* That a task wants what a lookup finds out. */
struct host_waiter {
    LIST_ENTRY(host_waiter) link; /* of the lookup's, while it is not NULL */
    struct host_lookup *lookup;
    struct task *task;
    size_t index; /* of task->set.mx, NO_INDEX: for the cache only */
};

/* One family of a lookup, or TLSA. */
struct host_ask {
    struct host_lookup *lookup;
    unsigned family; /* FAMILIES: TLSA */
    unsigned links;  /* questions asked for the end of a CNAME chain */
};

/* The questions for the addresses of one host, and its TLSA, whoever wants
   them. */
struct host_lookup {
    LIST_ENTRY(host_lookup) link; /* of its bucket */
    struct resolver *resolver;
    struct task *starter; /* whose share of queries it uses, or NULL */
    unsigned pending;     /* queries in flight */
    unsigned known;       /* families that are not asked for */
    bool known_secure;    /* what addrs.secure does not say of them */
    uint64_t start_ms;
    uint64_t deadline_ms;   /* the latest of all that want it */
    struct hostaddrs addrs; /* a family cut short stays ADDR_UNKNOWN */
    bool tlsa_wanted;       /* by one of those that want the lookup */
    bool tlsa_asked;        /* the addresses were told */
    bool heard;             /* a reply led to the end of the CNAME chain, */
    char *alias; /* which is another name, and not yet asked about; or NULL */
    struct tlsa found; /* TLSA_UNKNOWN: nothing */
    bool found_secure;
    LIST_HEAD(, host_waiter) waiters;
    struct host_ask ask[FAMILIES + 1];
    char host[]; /* as in the MX set */
};

LIST_HEAD(host_lookups, host_lookup);

/* The question for a TXT record of a task's domain. */
struct txt_ask {
    struct task *task;
    enum tls_txt which;
    bool pending;
    unsigned links;          /* asked for the end of a CNAME chain */
    struct domain_txt found; /* in the replies so far */
    struct domain_txt known; /* for the task's set, in the end */
};

enum task_state {
    TASK_QUEUED,  /* in a queue of the worker, or asked for elsewhere */
    TASK_STARTED, /* the resolver has it */
    TASK_DONE     /* out of the worker's table: waiters take the result */
};

/* A name to be resolved: for one caller of the resolver, or in the table of a
   worker, for all who ask it. */
struct task {
    TAILQ_ENTRY(task) link; /* of the one list that it is in */
    bool is_host;
    bool known; /* the MX set was given */
    struct mxset set;
    char *failure; /* FAILURE_TEXT octets, so that a failure can be told */

    /* The resolver's. */
    struct resolver *resolver;
    resolved_fn *fn; /* NULL: it is a worker's */
    void *ctx;
    uint64_t start_ms, deadline_ms;
    unsigned links;    /* MX questions asked for the end of a CNAME chain */
    unsigned queries;  /* asked for it, RESOLVE_QUERIES_MAX at most */
    bool asking_hosts; /* the MX set is there */
    struct txt_ask txt[TLS_TXTS];
    unsigned txt_pending;
    struct host_waiter *waiters; /* hosts to be asked for */
    size_t n_waiters;
    size_t next;        /* first one not attached to a lookup yet */
    size_t waiting;     /* attached ones that have no answer yet */
    unsigned in_flight; /* queries of lookups that it started */

    /* The worker's, under its lock. */
    LIST_ENTRY(task) table_link; /* until TASK_DONE */
    enum task_state state;
    bool in_queue;
    bool failed_before;
    bool is_refresh;  /* the answer is not needed here */
    bool answered;    /* set is an answer */
    unsigned callers; /* that wait for it */
    int64_t order;    /* in the queue: the least is next */
    bool left_alone;  /* the thread's: others have had WORKER_PEEK_FOR_MS */

    char name[];
};

TAILQ_HEAD(task_list, task);
LIST_HEAD(task_bucket, task);

struct resolver {
    struct engine *engine;
    struct resolver_owner owner;
    unsigned families;
    unsigned n_families;
    uint64_t seed;          /* of the buckets: strangers choose host names */
    struct task_list live;  /* the oldest first */
    struct task_list ended; /* to be told to who asked, then to be freed */
    size_t n_live;
    bool told; /* the owner learnt something: the worker resets it */
    struct host_lookups buckets[LOOKUP_BUCKETS];
};

/* resolve.c. The name and the set are copied; NULL: out of memory. */
struct task *task_new(const char *name, bool is_host,
                      const struct mxset *known);
void task_free(struct task *t);
void task_start(struct task *t, struct resolver *r, uint64_t deadline_ms);
/* Let it end at deadline_ms, if that is earlier than its own. Its questions end
   with it, but for those that it shares with others. */
void task_hurry(struct task *t, uint64_t deadline_ms);
void task_end(struct task *t); /* nothing more to be asked for it */
/* resolver_step() but for the calling back: who ended is in r->ended. */
void resolver_run(struct resolver *r, uint64_t until_ms, int wake_fd);

/* resolve_mx.c */
void mx_begin(struct task *t);

/* resolve_txt.c: t ends with what is in t->txt[].known, and not before this is
   over. */
void txt_begin(struct task *t);

/* resolve_host.c */
/* Not the name of a host: never asked for. */
bool hosts_is_odd(const char *host);
void hosts_begin(struct task *t); /* for the exchanges of t->set, or t->name */
void hosts_expire(struct task *t);
/* Ask for as many hosts as may be in flight; end the task after the last answer
   of all, TXT too. */
void hosts_pump(struct task *t);
/* A host's addresses into the task's set. */
void hosts_deliver(const struct host_waiter *w, const struct hostaddrs *found);

/* resolve_lookup.c: see to it that hosts_deliver() is called for w; false:
   nothing can be asked. families: what *known has already; HOST_TLSA is there
   where that is not wanted. */
bool lookup_join(struct host_waiter *w, const char *host, unsigned families,
                 const struct hostaddrs *known);
/* The time of w's task is over: if nobody else wants the answer, the questions
   end, too. */
void lookup_abandon(struct host_waiter *w);

#endif
