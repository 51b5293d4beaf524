/*
 * exchange - the exchange with name servers
 *
 * Many queries in flight, one thread, one epoll instance, no blocking but in
 * engine_step(). What glibc's res_nsend() cannot promise (docs/design.md 5)
 * holds here: one deadline in milliseconds for all of a query, TCP and failover
 * included; sources, ids and questions are checked; a flood of forged replies
 * ends nothing. Which attempts are made when is told in exchange_query.c,
 * sockets are in exchange_socket.c and exchange_tcp.c, timers in
 * exchange_heap.c.
 *
 * engine_ask() only enrols a query, engine_step() does everything else, so
 * that callbacks come from there alone. A step handles each timer that is due
 * and one batch of events, then returns, even if callbacks keep asking.
 *
 * A forked child may use the engine and close it; each goes on by itself.
 *
 * An engine owns its queries and their sockets: at most half of the
 * descriptors that the process may have. Without a free one a query waits for
 * it, to its deadline at worst. What it remembers about servers from one query
 * to the next are their circuit breakers (exchange_peer.c).
 */

#include "dns/exchange_int.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/err.h"
#include "util/vec.h"

#define EVENTS_BATCH 64

static size_t engine_sockets_allowed(void)
{
    struct rlimit limit;
    rlim_t half;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return SOCKETS_MIN;
    half = limit.rlim_cur / 2; /* RLIM_INFINITY is a large number */
    if (half > SOCKETS_MAX)
        return SOCKETS_MAX;
    return half < SOCKETS_MIN ? SOCKETS_MIN : (size_t)half;
}

enum mxhop_status engine_open(struct engine **e_r,
                              const struct dns_servers *servers,
                              struct mxhop_error *err)
{
    struct engine *e = calloc(1, sizeof(*e));

    *e_r = NULL;
    if (e == NULL)
        return err_nomem(err);
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll_fd < 0) {
        free(e);
        return err_set(err, MXHOP_ERR_IO, "epoll_create1: %s",
                       strerrordesc_np(errno));
    }
    e->pid = getpid();
    e->sockets_max = engine_sockets_allowed();
    e->tell_again_ms = ENGINE_TELL_AGAIN_MS;
    peers_set(e, servers);
    *e_r = e;
    return MXHOP_OK;
}

/* A child has its parent's sockets, and one epoll set with it: what either did
   to that set would be done to the other. So it goes on with a set of its own,
   and asks anew what was in flight. */
static void engine_check_fork(struct engine *e)
{
    pid_t pid = getpid();

    if (e->pid == pid)
        return;
    e->pid = pid;
    e->n_ids = 0; /* the parent will use those */
    close(e->epoll_fd);
    e->epoll_fd = -1; /* so that the parent's sockets are only closed */
    peers_forget_sockets(e);
    for (size_t i = 0; i < e->heap.n; i++) {
        query_close(e->heap.q[i]);
        query_reask(e->heap.q[i]);
    }
    socks_trim(e, 0);
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
}

void engine_close(struct engine **ep)
{
    struct engine *e = *ep;

    if (e == NULL)
        return;
    *ep = NULL;
    engine_check_fork(e);
    for (size_t i = 0; i < e->heap.n; i++)
        query_free(e->heap.q[i]);
    free(e->heap.q);
    peers_close(e);
    socks_trim(e, 0);
    if (e->epoll_fd >= 0)
        close(e->epoll_fd);
    free(e);
}

void engine_set_servers(struct engine *e, const struct dns_servers *servers)
{
    engine_check_fork(e);
    peers_set(e, servers);
}

bool engine_trusts_ad(const struct engine *e)
{
    return e->servers.trust_ad;
}

size_t engine_server_count(const struct engine *e)
{
    return e->servers.n;
}

void engine_server_get(const struct engine *e, size_t i,
                       struct engine_server *s_r)
{
    peer_describe(&e->peers[e->peer_at[i]], s_r);
}

void engine_watch_servers(struct engine *e,
                          void (*fn)(void *ctx, const struct engine_server *s),
                          void *ctx)
{
    e->watch_fn = fn;
    e->watch_ctx = ctx;
}

bool engine_down(const struct engine *e)
{
    for (size_t i = 0; i < e->servers.n; i++)
        if (e->peers[e->peer_at[i]].breaker.state != BREAKER_OPEN)
            return false;
    return e->servers.n > 0;
}

bool engine_is_crowded(const struct engine *e)
{
    return e->heap.n >= e->sockets_max / 4;
}

/* What moves back in the heap meanwhile was looked at already. */
void engine_hurry(struct engine *e, const void *ctx, uint64_t deadline_ms)
{
    for (size_t i = 0; i < e->heap.n; i++)
        if (e->heap.q[i]->ctx == ctx)
            query_hurry(e->heap.q[i], deadline_ms);
}

enum mxhop_status engine_ask(struct engine *e, const char *name, uint16_t type,
                             uint64_t deadline_ms, exchange_fn *fn, void *ctx)
{
    struct query *q;

    if (strlen(name) >= WIRE_NAME_TEXT)
        return MXHOP_ERR_SYNTAX;
    if (!vec_room(&e->heap.q, e->heap.n, &e->heap.cap, sizeof(struct query *)))
        return MXHOP_ERR_MEMORY;
    q = query_new(e, name, type);
    if (q == NULL)
        return MXHOP_ERR_MEMORY;
    q->edns = true;
    q->wire_len = dns_query_build(&q->q, true, q->ad, q->wire);
    if (q->wire_len == 0) {
        query_free(q);
        return MXHOP_ERR_SYNTAX;
    }
    q->fn = fn;
    q->ctx = ctx;
    q->deadline_ms = deadline_ms;
    heap_add(&e->heap, q); /* due at once */
    return MXHOP_OK;
}

/* At most as many as there are now: a callback may ask again and again. */
static void engine_run_timers(struct engine *e)
{
    uint64_t now_ms = clock_boot_ms();

    for (size_t n = e->heap.n; n > 0 && e->heap.n > 0; n--) {
        if (e->heap.q[0]->due_ms > now_ms)
            return;
        query_due(e->heap.q[0], now_ms);
    }
}

static int engine_wait_ms(const struct engine *e, uint64_t until_ms)
{
    uint64_t now_ms = clock_boot_ms();

    if (e->heap.n > 0 && e->heap.q[0]->due_ms < until_ms)
        until_ms = e->heap.q[0]->due_ms;
    if (peers_next_ms(e) < until_ms)
        until_ms = peers_next_ms(e);
    if (until_ms <= now_ms)
        return 0;
    return until_ms - now_ms > INT_MAX ? INT_MAX : (int)(until_ms - now_ms);
}

/* The caller's descriptor is not put into the epoll set: it may be closed, and
   its number used again, without our knowing. */
static int engine_take_events(struct engine *e, int wake_fd, int timeout_ms,
                              struct epoll_event *events)
{
    struct pollfd p[2] = {{.fd = e->epoll_fd, .events = POLLIN},
                          {.fd = wake_fd, .events = POLLIN}};

    if (wake_fd < 0)
        return epoll_wait(e->epoll_fd, events, EVENTS_BATCH, timeout_ms);
    if (poll(p, 2, timeout_ms) <= 0 || p[0].revents == 0)
        return 0;
    return epoll_wait(e->epoll_fd, events, EVENTS_BATCH, 0);
}

void engine_step(struct engine *e, uint64_t until_ms, int wake_fd)
{
    struct epoll_event events[EVENTS_BATCH];
    uint64_t n_done = e->n_done;
    int n;

    engine_check_fork(e);
    engine_run_timers(e);
    /* The caller may have new work or be content: what ended is news. */
    n = engine_take_events(
        e, wake_fd, e->n_done != n_done ? 0 : engine_wait_ms(e, until_ms),
        events);
    for (int i = 0; i < n; i++)
        sock_event(events[i].data.ptr);
    /* Not before the events: who was not stepped for a while may find the
       answer to a probe among them. */
    peers_run(e, clock_boot_ms());
    engine_run_timers(e);
    socks_trim(e, e->heap.n > 0 ? SOCKETS_IDLE : 0);
}
