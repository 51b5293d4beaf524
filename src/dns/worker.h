/*
 * One thread that runs the resolver for a process whose own thread must not
 * wait (DESIGN 6). Owns a resolver and an engine.
 */

#ifndef DNS_WORKER_H
#define DNS_WORKER_H

#include "dns/resolve.h"

struct worker;

#define WORKER_QUEUE_MAX 1024  /* names waiting; more are refused */
#define WORKER_TASKS_MAX 128   /* names being resolved at a time */
#define WORKER_KNOWN_MAX 16384 /* exchanges in known sets; more are refused */

struct worker_options {
    struct dns_servers servers;  /* read before the jail */
    struct resolver_owner owner; /* called on the worker's thread: the owner
                                    locks what it shares */
    unsigned families;
    uint32_t timeout_ms; /* for one name, from when it is started */
};

/* Allocates only; the thread starts at the first request. */
enum mxhop_status worker_open(struct worker **w_r,
                              const struct worker_options *options,
                              struct mxhop_error *err);
/* Ends the thread and frees; NULL is allowed. Names in work are dropped. */
void worker_close(struct worker **w);

enum worker_verdict {
    WORKER_DONE,   /* *set_r is the answer, the caller's to mxset_free() */
    WORKER_LATE,   /* not within wait_ms; the worker goes on */
    WORKER_REFUSED /* queue full, no thread to be had, out of memory */
};

/*
 * Ask for a domain and wait for it at most wait_ms (0: do not wait). known as
 * in resolver_start_domain(), copied. A name already queued or in work is
 * joined, not asked twice.
 */
enum worker_verdict worker_domain(struct worker *w, const char *domain,
                                  const struct mxset *known, uint32_t wait_ms,
                                  struct mxset *set_r);
/* Use these name servers from now on (resolv.conf changed). */
void worker_set_servers(struct worker *w, const struct dns_servers *servers);

/* Ask for a host's addresses in the background. Never waits. */
void worker_host(struct worker *w, const char *host);

#endif
