/*
 * exchange_query - the life of one query
 *
 * Attempt k goes to server k modulo their number; a pass over all servers is a
 * round, and the time an attempt is given grows with the round. A server that
 * failed (refusal, garbage, unreachable) makes the next attempt due at once;
 * when all have failed in one round the query ends. Silence is waited out
 * until the deadline. The sockets of the last attempts stay open, so that a
 * slow answer still counts after a retransmission.
 *
 * There is no busy loop: a round in which not every server fails contains the
 * wait for one that is silent, and a shortage of our own (descriptors, memory)
 * is not the server's fault and waits SHORTAGE_WAIT_MS. Only the timers start
 * attempts, except that an attempt changes over to TCP or to a query without
 * OPT where it stands, each at most once.
 *
 * A query belongs to its engine. It ends in finish(), which calls back once;
 * its memory lives to the end of the step, because events already taken from
 * the kernel may point to it.
 */

#include "dns/exchange_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"

/* How long an attempt is waited for, by round. */
static const uint16_t round_ms[] = {400, 800, 1600, 3000};
#define ROUNDS (sizeof(round_ms) / sizeof(round_ms[0]))

/* TCP takes two round trips more and may carry 64 KiB. */
#define TCP_MS 1500u

struct query *query_new(struct engine *e, const char *name, uint16_t type)
{
    struct query *q = calloc(1, sizeof(*q));

    if (q == NULL)
        return NULL;
    q->engine = e;
    q->q.type = type;
    memcpy(q->q.name, name, strlen(name) + 1);
    q->ad = e->servers.trust_ad;
    q->n_servers = (uint8_t)e->servers.n;
    for (size_t i = 0; i < e->servers.n; i++)
        memcpy(&q->server[i].addr, &e->servers.addr[i],
               sizeof(q->server[i].addr));
    for (size_t i = 0; i < ATTEMPTS_OPEN; i++) {
        q->attempt[i].query = q;
        q->attempt[i].fd = -1;
    }
    return q;
}

static void close_all(struct query *q)
{
    for (size_t i = 0; i < ATTEMPTS_OPEN; i++)
        attempt_close(&q->attempt[i]);
}

void query_free(struct query *q)
{
    close_all(q);
    free(q);
}

static void finish(struct query *q, enum exchange_outcome outcome,
                   const uint8_t *msg, size_t len)
{
    struct engine *e = q->engine;
    char why[WHY_MAX] = "";

    if (outcome != EXCHANGE_ANSWER)
        query_why(q, why);
    heap_remove(&e->heap, q);
    q->done = true;
    q->next_dead = e->dead;
    e->dead = q;
    e->n_done++;
    q->fn(q->ctx, outcome, &q->q, msg, len, why);
    close_all(q); /* only now: msg may be in a stream of it */
}

static void set_due(struct query *q, uint64_t at_ms)
{
    q->due_ms = at_ms < q->deadline_ms ? at_ms : q->deadline_ms;
    heap_moved(&q->engine->heap, q);
}

static struct attempt *slot(struct query *q, unsigned k)
{
    return &q->attempt[k % ATTEMPTS_OPEN];
}

static bool is_newest(const struct attempt *a)
{
    return a == slot(a->query, a->query->tries - 1);
}

/* Errors that say something about us and nothing about the server. */
static bool is_shortage(int error)
{
    static const int shortages[] = {EMFILE,  ENFILE, ENOMEM,
                                    ENOBUFS, EAGAIN, ENOSPC};

    for (size_t i = 0; i < sizeof(shortages) / sizeof(shortages[0]); i++)
        if (shortages[i] == error)
            return true;
    return false;
}

static void run_short(struct query *q, int error)
{
    q->shortage = error;
    set_due(q, clock_boot_ms() + SHORTAGE_WAIT_MS);
}

static bool close_oldest(struct query *q)
{
    for (unsigned i = 0; i < ATTEMPTS_OPEN; i++)
        if (slot(q, q->tries + i)->fd >= 0) {
            attempt_close(slot(q, q->tries + i));
            return true;
        }
    return false;
}

static uint32_t patience_ms(const struct attempt *a)
{
    unsigned round = (a->query->tries - 1) / a->query->n_servers;
    uint32_t ms = round_ms[round < ROUNDS ? round : ROUNDS - 1];

    return a->stream != NULL && ms < TCP_MS ? TCP_MS : ms;
}

/* Where sockets are getting scarce, late answers are worth less than room for
   the queries of others. */
static void make_room(struct query *q)
{
    const struct engine *e = q->engine;

    while (e->n_sockets > e->sockets_max / 2 && close_oldest(q))
        continue;
}

/* Send attempt `a`. False: there was no socket to be had. */
static bool send_attempt(struct attempt *a, bool tcp)
{
    struct query *q = a->query;
    int error;

    do {
        error = attempt_open(a, tcp);
    } while (is_shortage(error) && close_oldest(q));
    if (is_shortage(error)) {
        run_short(q, error);
        return false;
    }
    if (error != 0) {
        query_failed(a, FAULT_ERRNO, error);
        return true;
    }
    q->server[a->server].asked = true;
    q->shortage = 0;
    if (is_newest(a))
        set_due(q, clock_boot_ms() + patience_ms(a));
    return true;
}

static void next_attempt(struct query *q)
{
    struct attempt *a = slot(q, q->tries);

    attempt_close(a);
    a->server = (uint8_t)(q->tries % q->n_servers);
    for (size_t i = 0; a->server == 0 && i < q->n_servers; i++)
        q->server[i].failed = false; /* a new round */
    q->tries++;
    make_room(q);
    if (!send_attempt(a, false))
        q->tries--;
}

void query_due(struct query *q, uint64_t now_ms)
{
    if (now_ms >= q->deadline_ms)
        finish(q, EXCHANGE_TIMEOUT, NULL, 0);
    else if (q->n_servers == 0)
        finish(q, EXCHANGE_FAILED, NULL, 0);
    else
        next_attempt(q);
}

static bool all_failed(const struct query *q)
{
    for (size_t i = 0; i < q->n_servers; i++)
        if (!q->server[i].failed)
            return false;
    return true;
}

void query_failed(struct attempt *a, enum fault fault, int detail)
{
    struct query *q = a->query;
    struct server *s = &q->server[a->server];

    attempt_close(a);
    s->failed = true;
    s->fault = fault;
    s->detail = detail;
    if (all_failed(q))
        finish(q, EXCHANGE_FAILED, NULL, 0);
    else if (is_newest(a))
        set_due(q, 0);
}

void query_socket_error(struct attempt *a, int error)
{
    if (!is_shortage(error)) {
        query_failed(a, FAULT_ERRNO, error);
        return;
    }
    attempt_close(a);
    run_short(a->query, error);
}

static void ask_again(struct attempt *a, bool tcp)
{
    attempt_close(a);
    (void)send_attempt(a, tcp); /* without a socket the timer goes on */
}

bool query_message(struct attempt *a, const uint8_t *msg, size_t len)
{
    struct query *q = a->query;
    bool tcp = a->stream != NULL;
    int rcode = 0;

    q->q.id = a->id;
    switch (reply_judge(msg, len, &q->q, &rcode)) {
    case REPLY_ANSWER:
        finish(q, EXCHANGE_ANSWER, msg, len);
        return true;
    case REPLY_ALIEN:
        return false;
    case REPLY_TRUNCATED:
        if (tcp)
            query_failed(a, FAULT_TRUNCATED, 0);
        else
            ask_again(a, true);
        return true;
    case REPLY_NO_EDNS:
        q->server[a->server].plain = true;
        if (a->edns)
            ask_again(a, tcp);
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
