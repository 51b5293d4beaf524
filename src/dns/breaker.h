/*
 * The circuit breaker of a name server (DESIGN 6): while it is open nobody
 * waits for that server.
 *
 * A resolver stays silent for minutes about a domain whose servers are silent,
 * and strangers choose domains; so silence about some name says nothing. Only
 * a server that sent no datagram at all for BREAKER_QUIET_MS, while queries
 * went unanswered, is suspected; then it is asked for `. NS`, and it is open
 * when that goes unanswered too. While it is open one probe at a time is sent,
 * every BREAKER_PROBE_EVERY_MS; any datagram, SERVFAIL included, closes it.
 *
 * Plain values, no I/O, no clock: the exchange does what it says.
 */

#ifndef DNS_BREAKER_H
#define DNS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_QUIET_MS       5000u
#define BREAKER_PROBE_WAIT_MS  1000u /* how long a probe is waited for */
#define BREAKER_PROBE_EVERY_MS 1000u /* while open */

enum breaker_state {
    BREAKER_CLOSED,
    BREAKER_SUSPECT, /* a probe is out; still used */
    BREAKER_OPEN
};

struct breaker {
    enum breaker_state state;
    uint64_t since_ms;  /* in this state */
    uint64_t heard_ms;  /* last datagram; or when the server was first used */
    uint64_t probed_ms; /* the last probe was sent then; 0: never */
    bool probing;       /* and is not answered yet */
    uint32_t opened;    /* how often */
};

void breaker_init(struct breaker *b, uint64_t now_ms);
/* A datagram (or, over TCP, any octet) came from the server. */
void breaker_heard(struct breaker *b, uint64_t now_ms);
/* An attempt went unanswered for as long as attempts are waited for. */
void breaker_silent(struct breaker *b, uint64_t now_ms);
/* The server cannot be reached at all (ECONNREFUSED, ENETUNREACH): it counts
   as silence, too. */

/* Whether a probe is to be sent now; the caller sends it and the breaker
   notes that. */
bool breaker_wants_probe(struct breaker *b, uint64_t now_ms);
/* Time passed: a probe may have gone unanswered. */
void breaker_tick(struct breaker *b, uint64_t now_ms);
/* When breaker_tick() or breaker_wants_probe() have something to say next;
   UINT64_MAX: not before something happens. */
uint64_t breaker_next_ms(const struct breaker *b);

const char *breaker_state_name(enum breaker_state state); /* "closed" ... */

#endif
