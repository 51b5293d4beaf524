/*
 * One thread that runs the resolver for a process whose own thread must not
 * wait (docs/design.md 6.2). Owns a resolver and an engine.
 */

#ifndef DNS_WORKER_H
#define DNS_WORKER_H

#include "dns/resolve.h"

struct worker;

#define WORKER_QUEUE_MAX 1024  /* names waiting; see worker_domain() */
#define WORKER_TASKS_MAX 128   /* names being resolved at a time */
#define WORKER_KNOWN_MAX 16384 /* exchanges in known sets; more are refused */

/*
 * What several processes share, so that only one of them asks for a name. All
 * are called on the worker's thread. flush must be there, the others may be
 * NULL.
 */
struct worker_store {
    void *ctx;
    /* Of n domains about to be asked for: which are ours to ask. A domain
       that another process did not learn within WORKER_PEEK_FOR_MS is put to
       it once more, and asked for whatever it says; one to be refreshed is
       left to the other process. Not called while no server is to be reached:
       then nothing is asked. */
    void (*claim)(void *ctx, const char *const *domains, size_t n,
                  bool *granted);
    /* A domain that another process is asking for: whether it is known by
       now; *set_r then has its addresses too. Asked every WORKER_PEEK_MS. */
    bool (*peek)(void *ctx, const char *domain, struct mxset *set_r);
    /* Write what was learnt: after every step, before anybody is told. */
    void (*flush)(void *ctx);
    /* A name server's breaker opened or closed, or is open still: as
       engine_watch_servers() says. */
    void (*server_changed)(void *ctx, const struct engine_server *s);
};
#define WORKER_PEEK_MS     10
#define WORKER_PEEK_FOR_MS 2000 /* then the name is asked for here */

struct worker_options {
    struct dns_servers servers;  /* read before the jail */
    struct resolver_owner owner; /* called on the worker's thread: the owner
                                    locks what it shares */
    unsigned families;
    uint32_t timeout_ms; /* for one name, from when it is started */
    struct worker_store store;
};

/* Allocates only; the thread starts at the first request. */
enum mxhop_status worker_open(struct worker **w_r,
                              const struct worker_options *options,
                              struct mxhop_error *err);
/* Ends the thread and frees; NULL is allowed. Names in work are dropped. *w
   is set to NULL after the thread has ended: its owner may look at it. */
void worker_close(struct worker **w);

enum worker_verdict {
    WORKER_DONE,   /* *set_r is the answer, the caller's to mxset_free() */
    WORKER_LATE,   /* not within wait_ms; the worker goes on */
    WORKER_REFUSED /* queue full, no thread to be had, out of memory */
};

#define WORKER_FAILED_BEFORE 0x1u /* the last attempt at this name failed */
#define WORKER_REFRESH       0x2u /* it is known, and near its end or past it */

/*
 * Ask for a domain and wait for it at most wait_ms (0: do not wait). known as
 * in resolver_start_domain(), copied. A name already queued or in work is
 * joined, not asked twice. Names that somebody waits for come first. Names
 * that failed before get at most half of the tasks; when all tasks are taken
 * and others queue, the oldest that has been silent for WORKER_SLOW_MS is
 * given up. When the queue is full a name that somebody waits for, or to be
 * refreshed, takes the place of one for which neither is true.
 */
#define WORKER_SLOW_MS 1000
enum worker_verdict worker_domain(struct worker *w, const char *domain,
                                  const struct mxset *known, unsigned flags,
                                  uint32_t wait_ms, struct mxset *set_r);
/* No name server is to be reached (engine_down()): do not wait. Lock-free. */
bool worker_down(const struct worker *w);
/* See to it that store.flush is called soon, on the worker's thread (which is
   started if need be). */
void worker_flush_soon(struct worker *w);
/* As engine_assume_open(), before the first name is asked for. */
void worker_assume_open(struct worker *w, const char *address);
/* As engine_server_count() and engine_server_get(), as of the last change. */
size_t worker_servers(struct worker *w, struct engine_server *out, size_t cap);
/* Use these name servers from now on (resolv.conf changed). */
void worker_set_servers(struct worker *w, const struct dns_servers *servers);

/* Ask for a host's addresses in the background. Never waits. */
void worker_host(struct worker *w, const char *host);

#endif
