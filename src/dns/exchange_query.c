/*
 * exchange_query - the life of one query
 *
 * Servers are asked in turns (exchange_turn.c); a pass over all of them is a
 * round, and the time an attempt is given grows with the round. A server that
 * failed (refusal, garbage, unreachable) makes the next attempt due at once;
 * when all have failed in one round the query ends, and so it does when the
 * breakers of all are open. Silence is waited out until the deadline. The
 * sockets of the last attempts stay open, so that a slow answer still counts
 * after a retransmission.
 *
 * There is no busy loop: a round in which not every server fails contains the
 * wait for one that is silent, and a shortage of our own (descriptors, memory)
 * is not the server's fault and waits SHORTAGE_WAIT_MS. Only the timers start
 * attempts, except that an attempt changes over to TCP or to a query without
 * OPT where it stands, each at most once.
 *
 * A query belongs to its engine. It ends in query_finish(), which calls back
 * once and frees it: who calls what may end it does not look at it again.
 */

#include "dns/exchange_int.h"

#include <stdlib.h>
#include <string.h>
#include "util/clock.h"

/* How long an attempt is waited for, by round. */
static const uint16_t round_ms[] = {400, 800, 1600, 3000};
#define ROUNDS (sizeof(round_ms) / sizeof(round_ms[0]))

/* TCP takes two round trips more and may carry 64 KiB. */
#define TCP_MS 1500u

void query_init(struct query *q, struct engine *e, const char *name,
                uint16_t type)
{
    memset(q, 0, sizeof(*q));
    q->engine = e;
    q->q.type = type;
    memcpy(q->q.name, name, strlen(name) + 1);
    for (size_t i = 0; i < ATTEMPTS_OPEN; i++)
        q->attempt[i].query = q;
}

struct query *query_new(struct engine *e, const char *name, uint16_t type)
{
    struct query *q = malloc(sizeof(*q));

    if (q == NULL)
        return NULL;
    query_init(q, e, name, type);
    q->ad = e->servers.trust_ad;
    q->n_servers = (uint8_t)e->servers.n;
    for (size_t i = 0; i < e->servers.n; i++)
        memcpy(&q->server[i].addr, &e->servers.addr[i],
               sizeof(q->server[i].addr));
    return q;
}

void query_close(struct query *q)
{
    for (size_t i = 0; i < ATTEMPTS_OPEN; i++)
        attempt_close(&q->attempt[i]);
}

void query_free(struct query *q)
{
    query_close(q);
    free(q);
}

static void query_finish(struct query *q, enum exchange_outcome outcome,
                         const uint8_t *msg, size_t len)
{
    struct engine *e = q->engine;
    char why[WHY_MAX] = "";

    if (outcome == EXCHANGE_DOWN)
        query_why_down(q, why);
    else if (outcome != EXCHANGE_ANSWER)
        query_why(q, why);
    heap_remove(&e->heap, q);
    e->n_done++;
    q->fn(q->ctx, outcome, &q->q, msg, len, why);
    query_free(q); /* only now: msg may be in a stream of it */
}

static void query_set_due(struct query *q, uint64_t at_ms)
{
    q->due_ms = at_ms < q->deadline_ms ? at_ms : q->deadline_ms;
    heap_moved(&q->engine->heap, q);
}

struct attempt *query_attempt(struct query *q, unsigned k)
{
    return &q->attempt[k % ATTEMPTS_OPEN];
}

static bool query_is_newest(const struct attempt *a)
{
    return a == query_attempt(a->query, a->query->tries - 1);
}

static void query_run_short(struct query *q, int error)
{
    q->shortage = error;
    query_set_due(q, clock_boot_ms() + SHORTAGE_WAIT_MS);
}

static bool query_close_oldest(struct query *q)
{
    for (unsigned i = 0; i < ATTEMPTS_OPEN; i++)
        if (query_attempt(q, q->tries + i)->sock != NULL) {
            attempt_close(query_attempt(q, q->tries + i));
            return true;
        }
    return false;
}

static uint32_t query_patience_ms(const struct attempt *a)
{
    unsigned round = (a->query->turns - 1) / a->query->n_servers;
    uint32_t ms = round_ms[round < ROUNDS ? round : ROUNDS - 1];

    return a->stream != NULL && ms < TCP_MS ? TCP_MS : ms;
}

/* Where sockets are getting scarce, late answers are worth less than room for
   the queries of others. */
static void query_make_room(struct query *q)
{
    const struct engine *e = q->engine;

    while (e->n_sockets > e->sockets_max / 2 && query_close_oldest(q))
        continue;
}

/* Send attempt `a`. False: there was no socket to be had. */
static bool query_send(struct attempt *a, bool tcp)
{
    struct query *q = a->query;
    int error;

    a->sent_ms = clock_boot_ms();
    do {
        error = attempt_open(a, tcp);
    } while (is_shortage(error) && query_close_oldest(q));
    if (is_shortage(error)) {
        query_run_short(q, error);
        return false;
    }
    if (error != 0) {
        query_failed(a, FAULT_ERRNO, error);
        return true;
    }
    q->server[a->server].asked = true;
    q->shortage = 0;
    a->until_ms = a->sent_ms + query_patience_ms(a);
    if (query_is_newest(a))
        query_set_due(q, a->until_ms);
    return true;
}

static void query_next_attempt(struct query *q)
{
    struct attempt *a = query_attempt(q, q->tries);
    unsigned turns = q->turns;

    attempt_close(a);
    a->server = turn_next(q);
    q->tries++;
    query_make_room(q);
    if (query_send(a, false))
        return;
    q->tries--;
    q->turns = turns;
}

static void query_note_silence(struct query *q, uint64_t now_ms)
{
    const struct attempt *a;

    if (q->tries == 0)
        return;
    a = query_attempt(q, q->tries - 1);
    if (a->sock != NULL && now_ms >= a->until_ms)
        peer_silent(a);
}

/* Whether nothing that happened has to do with the name. */
static bool query_is_unasked(const struct query *q)
{
    for (size_t i = 0; i < q->n_servers; i++) {
        const struct server *s = &q->server[i];

        if (s->spoke || (s->asked && s->fault != FAULT_ERRNO))
            return false;
    }
    return true;
}

static void query_give_up(struct query *q, enum exchange_outcome outcome)
{
    query_finish(q, query_is_unasked(q) ? EXCHANGE_UNASKED : outcome, NULL, 0);
}

void query_due(struct query *q, uint64_t now_ms)
{
    query_note_silence(q, now_ms);
    if (turn_all_down(q))
        query_finish(q, EXCHANGE_DOWN, NULL, 0);
    else if (now_ms >= q->deadline_ms)
        query_give_up(q, EXCHANGE_TIMEOUT);
    else if (turn_all_failed(q)) /* or there is none */
        query_give_up(q, EXCHANGE_FAILED);
    else
        query_next_attempt(q);
}

void query_hurry(struct query *q, uint64_t deadline_ms)
{
    if (deadline_ms >= q->deadline_ms)
        return;
    q->deadline_ms = deadline_ms;
    query_set_due(q, q->due_ms);
}

void query_reask(struct query *q)
{
    query_set_due(q, 0);
}

void query_reconsider(struct query *q)
{
    const struct attempt *a;

    if (q->tries == 0)
        return; /* it is about to choose */
    a = query_attempt(q, q->tries - 1);
    if (peer_state(q, a->server) == BREAKER_OPEN)
        query_set_due(q, 0);
}

void query_failed(struct attempt *a, enum fault fault, int detail)
{
    struct query *q = a->query;
    struct server *s = &q->server[a->server];

    if (fault == FAULT_ERRNO)
        peer_silent(a);
    attempt_close(a);
    s->failed = true;
    s->fault = fault;
    s->detail = detail;
    if (turn_all_failed(q))
        query_give_up(q, EXCHANGE_FAILED);
    else if (query_is_newest(a))
        query_set_due(q, 0);
}

void query_socket_error(struct attempt *a, int error)
{
    if (a->query->fn == NULL) {
        attempt_close(a); /* the next probe comes in its time */
        return;
    }
    if (!is_shortage(error)) {
        query_failed(a, FAULT_ERRNO, error);
        return;
    }
    attempt_close(a);
    query_run_short(a->query, error);
}

static void query_ask_again(struct attempt *a, bool tcp)
{
    attempt_close(a);
    (void)query_send(a, tcp); /* without a socket the timer goes on */
}

bool query_message(struct attempt *a, const uint8_t *msg, size_t len)
{
    struct query *q = a->query;
    bool tcp = a->stream != NULL;
    int rcode = 0;

    if (q->fn == NULL)
        return true; /* that something came is all that counts */
    q->q.id = a->id;
    if (len > 0)
        q->server[a->server].spoke = true;
    switch (reply_judge(msg, len, &q->q, &rcode)) {
    case REPLY_ANSWER:
        query_finish(q, EXCHANGE_ANSWER, msg, len);
        return true;
    case REPLY_ALIEN:
        return false;
    case REPLY_TRUNCATED:
        if (tcp)
            query_failed(a, FAULT_TRUNCATED, 0);
        else
            query_ask_again(a, true);
        return true;
    case REPLY_NO_EDNS:
        q->server[a->server].plain = true;
        if (a->edns)
            query_ask_again(a, tcp);
        else
            query_failed(a, FAULT_RCODE, rcode);
        return true;
    case REPLY_REFUSAL:
        query_failed(a, FAULT_RCODE, rcode);
        return true;
    case REPLY_MALFORMED:
        break;
    }
    query_failed(a, FAULT_MALFORMED, 0);
    return true;
}
