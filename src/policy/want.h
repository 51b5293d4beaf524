/*
 * What lookups want of mxhop-tls: datagrams over an abstract socket, which is
 * reached from within a jail. A stranger who takes its name gets the names of
 * domains, and nothing else.
 */

#ifndef POLICY_WANT_H
#define POLICY_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum want_kind {
    WANT_SOON = 's',   /* a policy that may be of use */
    WANT_URGENT = 'u', /* the same, and somebody waits */
    WANT_FETCH = 'f',  /* an administrator: whatever is known */
    WANT_FORGET = 'x'  /* an administrator */
};

/* A socket for want_send(), which outlives jails; -1: none. */
int want_open(void);
/* Tell the service whose store is in `dir`. What is lost is lost: the next
   lookup says it again. WANT_SOON never waits, others a tenth of a second for
   room. false: nobody is there, or errno is EAGAIN, and there is no room. */
bool want_send(int fd, const char *dir, const char *domain,
               enum want_kind kind);

/* Whether anybody has the service's name for this store. */
bool want_is_heard(const char *dir);

/* The service's end; -1 and errno, EADDRINUSE: another one has it. */
int want_bind(const char *dir);

struct want {
    enum want_kind kind;
    uid_t uid;        /* the sender's, as the kernel says */
    char domain[254]; /* in normal form */
};
/* One datagram, so that nobody who sends many holds up the caller. false: there
   is none now. Of one that is not well formed, or from another user than root,
   `mta` and our own, the domain is "". */
bool want_receive(int fd, uid_t mta, struct want *w_r);

#endif
