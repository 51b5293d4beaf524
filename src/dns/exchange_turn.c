/*
 * exchange_turn - whose turn it is among the servers of a query
 *
 * Servers are asked in the order of the list, again and again, and those whose
 * breaker is open are left out. The first turn is that of the first server
 * about which there is nothing to complain: a dead one at the head of the list
 * costs the queries that find it out, and no other.
 *
 * A pass over all servers, those left out included, is a round. A server
 * fails for the rest of its round; of one that is open nothing is expected.
 */

#include "dns/exchange_int.h"

static uint8_t turn_best(const struct query *q)
{
    uint8_t best = 0;

    for (uint8_t i = 1; i < q->n_servers; i++)
        if (peer_state(q, i) < peer_state(q, best))
            best = i;
    return best;
}

uint8_t turn_next(struct query *q)
{
    uint8_t next;

    if (q->turns == 0)
        q->first = turn_best(q);
    do {
        for (size_t i = 0; q->turns % q->n_servers == 0 && i < q->n_servers;
             i++)
            q->server[i].failed = false; /* a new round */
        next = (uint8_t)((q->first + q->turns++) % q->n_servers);
    } while (peer_state(q, next) == BREAKER_OPEN);
    return next;
}

bool turn_all_down(const struct query *q)
{
    for (size_t i = 0; i < q->n_servers; i++)
        if (peer_state(q, i) != BREAKER_OPEN)
            return false;
    return q->n_servers > 0;
}

bool turn_all_failed(const struct query *q)
{
    for (size_t i = 0; i < q->n_servers; i++)
        if (!q->server[i].failed && peer_state(q, i) != BREAKER_OPEN)
            return false;
    return true;
}
