/*
 * The circuit breaker of a name server: while it is open nobody
 * waits for that server.
 *
 * A resolver stays silent for minutes about a domain whose servers are silent,
 * and strangers choose domains; so silence about some name says nothing. It
 * only makes the server suspect: it is asked for `. NS`, and others that are
 * closed are preferred to it meanwhile. The breaker opens when such a probe
 * was waited for in vain for BREAKER_PROBE_WAIT_MS and the server sent nothing
 * else either, not for BREAKER_QUIET_MS. A server that was never heard has no
 * history that speaks for it: there the probe alone decides. While it is open
 * a probe is sent every BREAKER_PROBE_EVERY_MS. Whatever datagram comes from
 * the server, SERVFAIL included, closes it in any state.
 *
 * So a server that dies opens 5 s after its last datagram, one that was idle
 * or dead from the beginning about 1.4 s after the first query (the patience
 * for an attempt, then that for a probe); and one that is back is used within
 * a second.
 *
 * Plain values, no I/O, no clock: the exchange does what it says.
 */

#ifndef DNS_BREAKER_H
#define DNS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_QUIET_MS       5000u
#define BREAKER_PROBE_WAIT_MS  1000u /* how long a probe is waited for */
#define BREAKER_PROBE_AGAIN_MS 500u  /* while suspect: one may get lost */
#define BREAKER_PROBE_EVERY_MS 1000u /* while open */

/* In order of preference. */
enum breaker_state {
    BREAKER_CLOSED,
    BREAKER_SUSPECT, /* silent, and being probed; used if there is no better */
    BREAKER_OPEN
};

struct breaker {
    enum breaker_state state;
    uint64_t since_ms;      /* in this state */
    uint64_t heard_ms;      /* last datagram; 0: never */
    uint64_t probed_ms;     /* the last probe was sent then; 0: never */
    uint64_t unanswered_ms; /* probing: the first that is unanswered was */
    bool probing;           /* probes were sent and none is answered yet */
    uint32_t opened;        /* how often */
};

void breaker_init(struct breaker *b, uint64_t now_ms);
/* A datagram (or, over TCP, any octet) came from the server. */
void breaker_heard(struct breaker *b, uint64_t now_ms);
/* An attempt went unanswered for as long as attempts are waited for, and
   nothing else was heard meanwhile; or the server cannot be reached at all
   (ECONNREFUSED, ENETUNREACH). */
void breaker_silent(struct breaker *b, uint64_t now_ms);
/* Somebody else found it open. What was heard here lately is better news. */
void breaker_assume_open(struct breaker *b, uint64_t now_ms);

/* Whether a probe is to be sent now, and that it was. */
bool breaker_wants_probe(const struct breaker *b, uint64_t now_ms);
void breaker_probed(struct breaker *b, uint64_t now_ms);
/* Time passed: a probe may have gone unanswered. To be called when all that
   came in has been told to breaker_heard(). */
void breaker_tick(struct breaker *b, uint64_t now_ms);
/* It is open, and not on somebody else's word alone: probes of our own went
   unanswered. */
bool breaker_is_sure(const struct breaker *b, uint64_t now_ms);
/* When breaker_tick() or breaker_wants_probe() have something to say next;
   UINT64_MAX: not before something happens. */
uint64_t breaker_next_ms(const struct breaker *b);

const char *breaker_state_name(enum breaker_state state); /* "closed" ... */

#endif
