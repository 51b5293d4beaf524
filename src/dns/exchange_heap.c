/*
 * exchange_heap - the timers of the exchange
 *
 * A binary heap of queries by the time of their next action. Each query knows
 * its place, so that the end of one query does not search for it. Memory is
 * taken before a query is added, by the caller, so nothing here can fail. The
 * heap does not own the queries.
 */

#include "dns/exchange_int.h"

static void heap_put(struct heap *h, size_t at, struct query *q)
{
    h->q[at] = q;
    q->heap_at = at;
}

static void heap_sift_up(struct heap *h, struct query *q)
{
    size_t at = q->heap_at;

    while (at > 0 && h->q[(at - 1) / 2]->due_ms > q->due_ms) {
        heap_put(h, at, h->q[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(h, at, q);
}

static void heap_sift_down(struct heap *h, struct query *q)
{
    size_t at = q->heap_at;
    size_t child;

    while ((child = 2 * at + 1) < h->n) {
        if (child + 1 < h->n && h->q[child + 1]->due_ms < h->q[child]->due_ms)
            child++;
        if (h->q[child]->due_ms >= q->due_ms)
            break;
        heap_put(h, at, h->q[child]);
        at = child;
    }
    heap_put(h, at, q);
}

void heap_moved(struct heap *h, struct query *q)
{
    heap_sift_up(h, q);
    heap_sift_down(h, q);
}

void heap_add(struct heap *h, struct query *q)
{
    heap_put(h, h->n++, q);
    heap_sift_up(h, q);
}

void heap_remove(struct heap *h, struct query *q)
{
    size_t at = q->heap_at;
    struct query *last = h->q[--h->n];

    if (last == q)
        return;
    heap_put(h, at, last);
    heap_moved(h, last);
}
