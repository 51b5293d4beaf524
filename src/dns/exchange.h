/*
 * The exchange with name servers: non-blocking, many queries in flight, one
 * deadline each. Runs on whatever thread calls engine_step(); not thread-safe.
 */

#ifndef DNS_EXCHANGE_H
#define DNS_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxhop/error.h>
#include "dns/breaker.h"
#include "dns/message.h"

struct engine;

enum exchange_outcome {
    EXCHANGE_ANSWER,  /* msg is a whole reply: REPLY_ANSWER */
    EXCHANGE_FAILED,  /* every server refused or failed: `why` says how */
    EXCHANGE_TIMEOUT, /* the deadline passed */
    EXCHANGE_DOWN,    /* the breakers of all servers are open: says nothing
                         about the name */
    EXCHANGE_UNASKED  /* no server got the question (no socket, no time, all
                         unreachable): says nothing about the name */
};

/* Called once for each engine_ask() that returned MXHOP_OK, from
   engine_step() only. msg belongs to the engine and is valid during the call;
   the function may call engine_ask(). */
typedef void exchange_fn(void *ctx, enum exchange_outcome outcome,
                         const struct question *q, const uint8_t *msg,
                         size_t len, const char *why);

enum mxhop_status engine_open(struct engine **e_r,
                              const struct dns_servers *servers,
                              struct mxhop_error *err);
/* Drops all queries without calling back. NULL is allowed. */
void engine_close(struct engine **e);

/* Replace the server list; queries in flight keep theirs. */
void engine_set_servers(struct engine *e, const struct dns_servers *servers);
bool engine_trusts_ad(const struct engine *e);

/* A name server as this engine sees it. */
struct engine_server {
    char address[64]; /* as text, with the port where it is not 53 */
    enum breaker_state state;
    uint64_t since_ms;
    uint32_t opened; /* how often its breaker opened */
};
size_t engine_server_count(const struct engine *e);
void engine_server_get(const struct engine *e, size_t i,
                       struct engine_server *s_r);
/* fn is called from engine_step() whenever a breaker opened or closed again,
   and every ENGINE_TELL_AGAIN_MS while our own probes find that it is rightly
   open; not when one that never opened was suspect, nor of
   engine_assume_open(). */
#define ENGINE_TELL_AGAIN_MS 4000u
void engine_watch_servers(struct engine *e,
                          void (*fn)(void *ctx, const struct engine_server *s),
                          void *ctx);
/* What another process found out a moment ago: start with this server's
   breaker open. It is probed from the first step on. Unknown addresses are
   ignored, and so is a server that was heard here in the last
   BREAKER_QUIET_MS. */
void engine_assume_open(struct engine *e, const char *address);
/* All breakers are open: queries end at once, with EXCHANGE_DOWN. */
bool engine_down(const struct engine *e);

/* Send a query for (name, type). deadline_ms on clock_boot_ms(). Errors:
   MXHOP_ERR_SYNTAX (name cannot be asked), MXHOP_ERR_MEMORY. */
enum mxhop_status engine_ask(struct engine *e, const char *name, uint16_t type,
                             uint64_t deadline_ms, exchange_fn *fn, void *ctx);

/* Let what was asked for ctx end at deadline_ms, if that is earlier. */
void engine_hurry(struct engine *e, const void *ctx, uint64_t deadline_ms);

/* So many queries in flight that those to come may have to wait for a socket:
   ask for no more at once than must be. */
bool engine_is_crowded(const struct engine *e);

/*
 * Wait until something happens or until_ms (clock_boot_ms()) or wake_fd (or
 * -1) becomes readable, handle all that is ready, run callbacks. Returns at
 * once when until_ms has passed. wake_fd is not read.
 */
void engine_step(struct engine *e, uint64_t until_ms, int wake_fd);

#endif
