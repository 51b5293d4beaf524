/* What the parts of the resolver share; resolve.h is the interface. */

#ifndef DNS_RESOLVE_INT_H
#define DNS_RESOLVE_INT_H

#include <sys/queue.h>
#include "dns/resolve.h"

#define LOOKUP_BUCKETS 256
#define FAILURE_TEXT   256
#define NO_INDEX       SIZE_MAX

struct task;
struct lookup;

/* That a task wants what a lookup finds out. */
struct waiter {
    LIST_ENTRY(waiter) link; /* of the lookup's, while lookup is not NULL */
    struct lookup *lookup;
    struct task *task;
    size_t index; /* of task->set.mx, NO_INDEX: for the cache only */
};

LIST_HEAD(waiter_list, waiter);

/* One family of a lookup. */
struct ask {
    struct lookup *lookup;
    unsigned family;
    unsigned links; /* questions asked for the end of a CNAME chain */
};

/* The questions for the addresses of one host, whoever wants them. */
struct lookup {
    LIST_ENTRY(lookup) link; /* of its bucket */
    struct resolver *resolver;
    struct task *starter; /* whose share of queries it uses, or NULL */
    unsigned pending;     /* queries in flight */
    unsigned known;       /* families that are not asked for */
    uint64_t start_ms;
    uint64_t deadline_ms;   /* the latest of all that want it */
    struct hostaddrs addrs; /* a family cut short stays ADDR_UNKNOWN */
    struct waiter_list waiters;
    struct ask ask[FAMILIES];
    char host[]; /* as in the MX set */
};

LIST_HEAD(lookup_list, lookup);

enum task_state {
    TASK_FRESH, /* nothing asked yet */
    TASK_MX,    /* the MX question is out */
    TASK_HOSTS, /* waiting for addresses */
    TASK_ENDED, /* to be called back, then to be freed */
    TASK_ZOMBIE /* called back; to be freed after its MX query */
};

struct task {
    TAILQ_ENTRY(task) link; /* of one of the resolver's lists */
    struct resolver *resolver;
    enum task_state state;
    bool is_host;
    bool known;  /* the MX set was given */
    bool asking; /* the engine holds a pointer to it */
    uint64_t start_ms, deadline_ms;
    resolved_fn *fn;
    void *ctx;
    struct mxset set;
    char *failure;  /* FAILURE_TEXT bytes, so that a failure can be told */
    unsigned links; /* MX questions asked for the end of a CNAME chain */
    struct waiter *waiters; /* hosts to be asked for */
    size_t n_waiters;
    size_t next;        /* first one not attached to a lookup yet */
    size_t waiting;     /* attached ones that have no answer yet */
    unsigned in_flight; /* queries of lookups that it started */
    char name[];
};

TAILQ_HEAD(task_list, task);

struct resolver {
    struct engine *engine;
    struct resolver_owner owner;
    unsigned families;
    unsigned n_families;
    uint64_t seed; /* of the buckets: strangers choose host names */
    size_t n_tasks;
    struct task_list fresh, live, ended;
    struct task_list zombies; /* freed when the engine lets go of them */
    struct lookup_list buckets[LOOKUP_BUCKETS];
};

/* resolve.c: nothing more to be done for it but the callback. */
void task_end(struct task *t);
void task_bury(struct task *zombie);

/* resolve_mx.c */
void mx_begin(struct task *t);
void mx_expire(struct task *t);

/* resolve_host.c */
void hosts_begin(struct task *t); /* for the exchanges of t->set */
void host_begin(struct task *t);  /* for the host t->name */
void hosts_expire(struct task *t);
/* Ask for as many hosts as may be in flight; end the task after the last. */
void hosts_pump(struct task *t);
/* A host's addresses into the task's set. */
void hosts_deliver(const struct waiter *w, const struct hostaddrs *found);

/* resolve_lookup.c: see to it that hosts_deliver() is called for w; false:
   nothing can be asked. families: what *known has already. */
bool lookup_join(struct waiter *w, const char *host, unsigned families,
                 const struct hostaddrs *known);
void lookup_leave(struct waiter *w);
/* The same, of a task whose time is over: if nobody else wants the answer, its
   questions end, too. */
void lookup_abandon(struct waiter *w);

#endif
