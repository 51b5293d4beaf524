/*
 * exchange_peer - what an engine knows of its name servers
 *
 * A peer is a server of the engine's list: its address, its circuit breaker
 * (breaker.h) and the probes for it. It keeps its place for as long as its
 * address is in the list, however the list changes, so that epoll may hold
 * pointers into it. Queries know addresses only: one that was made for an
 * older list finds the peers that are still there.
 *
 * A probe is the question `. NS` without OPT, in a struct query of its own
 * that is not among the engine's queries: it has no timer, no deadline and
 * nobody to call back. Its last sockets stay open until the server is heard,
 * so that a slow answer counts. Without a free descriptor there is no probe,
 * and without a probe no breaker opens.
 */

#include "dns/exchange_int.h"

#include <string.h>
#include "util/clock.h"

#define TYPE_NS 2

static bool peer_same_address(const union address *a, const union address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port &&
               a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_port == b->v6.sin6_port &&
           a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr,
                  sizeof(a->v6.sin6_addr)) == 0;
}

/* NULL: not in the list. */
static struct peer *peer_find(struct engine *e, const union address *addr)
{
    for (struct peer *p = e->peers; p < e->peers + DNS_SERVERS_MAX; p++)
        if (p->listed && peer_same_address(&p->addr, addr))
            return p;
    return NULL;
}

static struct peer *peer_of(const struct attempt *a)
{
    return peer_find(a->query->engine, &a->query->server[a->server].addr);
}

enum breaker_state peer_state(const struct query *q, size_t i)
{
    const struct peer *p = peer_find(q->engine, &q->server[i].addr);

    return p != NULL ? p->breaker.state : BREAKER_CLOSED;
}

/* ---- the list ---- */

static void peer_init(struct peer *p, struct engine *e,
                      const union address *addr)
{
    memset(p, 0, sizeof(*p));
    p->addr = *addr;
    p->listed = true;
    breaker_init(&p->breaker, clock_boot_ms());
    query_init(&p->probe, e, ".", TYPE_NS);
    p->probe.n_servers = 1;
    p->probe.server[0].addr = *addr;
    p->probe.server[0].plain = true;
}

static void peer_drop(struct peer *p)
{
    query_close(&p->probe);
    p->listed = false;
}

void peers_set(struct engine *e, const struct dns_servers *servers)
{
    bool stays[DNS_SERVERS_MAX] = {false};
    union address addr[DNS_SERVERS_MAX];
    struct peer *p;

    e->servers = *servers;
    for (size_t i = 0; i < servers->n; i++) {
        memcpy(&addr[i], &servers->addr[i], sizeof(addr[i]));
        p = peer_find(e, &addr[i]);
        if (p != NULL)
            stays[p - e->peers] = true;
    }
    for (size_t i = 0; i < DNS_SERVERS_MAX; i++)
        if (e->peers[i].listed && !stays[i])
            peer_drop(&e->peers[i]);
    for (size_t i = 0; i < servers->n; i++) {
        p = peer_find(e, &addr[i]);
        if (p == NULL) {
            /* No more peers than servers in a list: there is a free place. */
            for (p = e->peers; p->listed;)
                p++;
            peer_init(p, e, &addr[i]);
        }
        e->peer_at[i] = (uint8_t)(p - e->peers);
    }
}

void peers_close(struct engine *e)
{
    for (size_t i = 0; i < DNS_SERVERS_MAX; i++)
        if (e->peers[i].listed)
            peer_drop(&e->peers[i]);
}

void peers_forget_sockets(struct engine *e)
{
    for (size_t i = 0; i < DNS_SERVERS_MAX; i++)
        if (e->peers[i].listed) {
            query_close(&e->peers[i].probe);
            e->peers[i].breaker.probing = false; /* nobody listens */
        }
}

/* ---- what happens to a server ---- */

void peer_heard(const struct attempt *a)
{
    struct peer *p = peer_of(a);

    if (p == NULL)
        return;
    breaker_heard(&p->breaker, clock_boot_ms());
    query_close(&p->probe);
}

void peer_silent(const struct attempt *a)
{
    struct peer *p = peer_of(a);

    if (p != NULL && p->breaker.heard_ms <= a->sent_ms)
        breaker_silent(&p->breaker, clock_boot_ms());
}

static void peer_send_probe(struct peer *p, uint64_t now_ms)
{
    struct attempt *a = query_attempt(&p->probe, p->probe.tries);
    int error;

    attempt_close(a);
    error = attempt_open(a, false);
    p->socketless_ms = is_shortage(error) ? now_ms : 0;
    if (p->socketless_ms != 0)
        return;
    p->probe.tries++;
    breaker_probed(&p->breaker, now_ms);
}

static uint64_t peer_next_ms(const struct peer *p)
{
    uint64_t breaker_ms = breaker_next_ms(&p->breaker);
    uint64_t socket_ms = p->socketless_ms + SHORTAGE_WAIT_MS;

    return p->socketless_ms != 0 && breaker_ms < socket_ms ? socket_ms
                                                           : breaker_ms;
}

uint64_t peers_next_ms(const struct engine *e)
{
    uint64_t earliest_ms = UINT64_MAX;

    for (size_t i = 0; i < DNS_SERVERS_MAX; i++)
        if (e->peers[i].listed && peer_next_ms(&e->peers[i]) < earliest_ms)
            earliest_ms = peer_next_ms(&e->peers[i]);
    return earliest_ms;
}

/* ---- telling others ---- */

/* A query that is due at once moves towards the front of the heap, and only
   those that were looked at already move back: nobody is left out. */
static void peers_wake_queries(const struct engine *e)
{
    for (size_t i = 0; i < e->heap.n; i++)
        query_reconsider(e->heap.q[i]);
}

void peer_describe(const struct peer *p, struct engine_server *s_r)
{
    char *port;

    memset(s_r, 0, sizeof(*s_r));
    dns_server_text(&p->addr.any, s_r->address);
    port = strrchr(s_r->address, ':');
    if (port != NULL && strcmp(port, ":53") == 0)
        *port = '\0';
    s_r->state = p->breaker.state;
    s_r->since_ms = p->breaker.since_ms;
    s_r->opened = p->breaker.opened;
}

static bool peer_is_news(const struct engine *e, const struct peer *p,
                         uint64_t now_ms)
{
    if ((p->breaker.state == BREAKER_OPEN) != p->told_open)
        return true;
    return now_ms >= p->told_ms + e->tell_again_ms &&
           breaker_is_sure(&p->breaker, now_ms);
}

static void peer_note_told(struct peer *p, uint64_t now_ms)
{
    p->told_open = p->breaker.state == BREAKER_OPEN;
    p->told_ms = now_ms;
}

static void peer_tell(struct engine *e, struct peer *p, uint64_t now_ms)
{
    struct engine_server s;

    if (!peer_is_news(e, p, now_ms))
        return;
    peer_note_told(p, now_ms);
    if (p->told_open)
        peers_wake_queries(e);
    if (e->watch_fn == NULL)
        return;
    peer_describe(p, &s);
    e->watch_fn(e->watch_ctx, &s);
}

void peers_run(struct engine *e, uint64_t now_ms)
{
    for (size_t i = 0; i < DNS_SERVERS_MAX; i++) {
        struct peer *p = &e->peers[i];

        if (!p->listed)
            continue;
        if (peer_next_ms(p) <= now_ms) {
            breaker_tick(&p->breaker, now_ms);
            if (breaker_wants_probe(&p->breaker, now_ms))
                peer_send_probe(p, now_ms);
        }
        peer_tell(e, p, now_ms); /* the function may have changed the list */
    }
}

void engine_assume_open(struct engine *e, const char *address)
{
    uint64_t now_ms = clock_boot_ms();
    struct engine_server s;

    for (size_t i = 0; i < DNS_SERVERS_MAX; i++) {
        struct peer *p = &e->peers[i];

        if (!p->listed)
            continue;
        peer_describe(p, &s);
        if (strcmp(s.address, address) != 0)
            continue;
        breaker_assume_open(&p->breaker, now_ms);
        peer_note_told(p, now_ms); /* it is no news */
        peers_wake_queries(e);
    }
}
