/*
 * breaker - the circuit breaker of a name server
 *
 * The state machine that breaker.h describes. Times are the caller's, in
 * milliseconds and never zero; they do not run backwards.
 *
 *     CLOSED --silent--> SUSPECT --probe and quiet time over--> OPEN
 *        ^------heard-------+------------------heard--------------+
 *
 * No failure, no memory; a struct breaker may be copied.
 */

#include "dns/breaker.h"

static void breaker_enter(struct breaker *b, enum breaker_state state,
                          uint64_t now_ms)
{
    b->state = state;
    b->since_ms = now_ms;
    if (state == BREAKER_OPEN)
        b->opened++;
}

void breaker_init(struct breaker *b, uint64_t now_ms)
{
    *b = (struct breaker){.state = BREAKER_CLOSED, .since_ms = now_ms};
}

void breaker_heard(struct breaker *b, uint64_t now_ms)
{
    b->heard_ms = now_ms;
    b->probing = false;
    if (b->state != BREAKER_CLOSED)
        breaker_enter(b, BREAKER_CLOSED, now_ms);
}

void breaker_silent(struct breaker *b, uint64_t now_ms)
{
    if (b->state == BREAKER_CLOSED)
        breaker_enter(b, BREAKER_SUSPECT, now_ms);
}

/* Until when what was heard keeps it from opening. */
static uint64_t breaker_quiet_until_ms(const struct breaker *b)
{
    return b->heard_ms == 0 ? 0 : b->heard_ms + BREAKER_QUIET_MS;
}

void breaker_assume_open(struct breaker *b, uint64_t now_ms)
{
    if (b->state != BREAKER_OPEN && now_ms >= breaker_quiet_until_ms(b))
        breaker_enter(b, BREAKER_OPEN, now_ms);
}

/* The last probe counts though the breaker was closed since: were it not for
   that, a name that is silent among others would cost a probe each time. */
static uint64_t breaker_probe_due_ms(const struct breaker *b)
{
    if (b->probed_ms == 0)
        return b->since_ms;
    return b->probed_ms + (b->state == BREAKER_OPEN ? BREAKER_PROBE_EVERY_MS
                                                    : BREAKER_PROBE_AGAIN_MS);
}

bool breaker_wants_probe(const struct breaker *b, uint64_t now_ms)
{
    return b->state != BREAKER_CLOSED && now_ms >= breaker_probe_due_ms(b);
}

void breaker_probed(struct breaker *b, uint64_t now_ms)
{
    b->probed_ms = now_ms;
    if (!b->probing)
        b->unanswered_ms = now_ms;
    b->probing = true;
}

static uint64_t breaker_opens_ms(const struct breaker *b)
{
    uint64_t waited_ms = b->unanswered_ms + BREAKER_PROBE_WAIT_MS;
    uint64_t quiet_ms = breaker_quiet_until_ms(b);

    return waited_ms > quiet_ms ? waited_ms : quiet_ms;
}

void breaker_tick(struct breaker *b, uint64_t now_ms)
{
    if (b->state == BREAKER_SUSPECT && b->probing &&
        now_ms >= breaker_opens_ms(b))
        breaker_enter(b, BREAKER_OPEN, now_ms);
}

bool breaker_is_sure(const struct breaker *b, uint64_t now_ms)
{
    return b->state == BREAKER_OPEN && b->probing &&
           now_ms >= b->unanswered_ms + BREAKER_PROBE_WAIT_MS;
}

uint64_t breaker_next_ms(const struct breaker *b)
{
    uint64_t next_ms = breaker_probe_due_ms(b);

    if (b->state == BREAKER_CLOSED)
        return UINT64_MAX;
    if (b->state == BREAKER_SUSPECT && b->probing &&
        breaker_opens_ms(b) < next_ms)
        return breaker_opens_ms(b);
    return next_ms;
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {[BREAKER_CLOSED] = "closed",
                                        [BREAKER_SUSPECT] = "suspect",
                                        [BREAKER_OPEN] = "open"};

    if ((unsigned)state >= sizeof(names) / sizeof(names[0]))
        return "unknown"; /* it may come from a shared record */
    return names[state];
}
