/*
 * exchange_socket - the socket of one attempt
 *
 * Every attempt has a connected socket with a fresh port, and the kernel drops
 * what comes from another address or port. A UDP attempt is sent in
 * attempt_open(); a TCP one continues in exchange_tcp.c. All sockets are
 * non-blocking and close-on-exec, and their number is bounded by the engine:
 * the host program needs descriptors too.
 *
 * A UDP socket whose attempt is over is dissolved by connect(2) to AF_UNSPEC,
 * which gives up its port, and emptied: nothing is left of what was sent to it.
 * The next connect(2) binds it to a fresh random port, as it would a new
 * socket. This spares socket(2), close(2) and two epoll_ctl(2) a query, a
 * quarter of its time. Idle sockets are closed at the end of a step in which
 * the last query ended.
 *
 * An open attempt owns its socket and stream; attempt_close() may be called
 * any number of times.
 */

#include "dns/exchange_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* Datagrams taken from one socket before the others get their turn. */
#define UDP_BURST 16
/* Datagrams in a socket that is used again; with more it is closed. */
#define DRAINED_MAX 4

bool is_shortage(int error)
{
    static const int shortages[] = {EMFILE,  ENFILE, ENOMEM,
                                    ENOBUFS, EAGAIN, ENOSPC};

    for (size_t i = 0; i < sizeof(shortages) / sizeof(shortages[0]); i++)
        if (shortages[i] == error)
            return true;
    return false;
}

int sock_watch(const struct engine *e, struct sock *s, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = s}};

    return epoll_ctl(e->epoll_fd, op, s->fd, &ev) == 0 ? 0 : errno;
}

static void sock_close(struct engine *e, struct sock *s)
{
    /* Closing is not enough to leave the set: a forked child may have it open,
       too. */
    (void)epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    close(s->fd);
    s->fd = -1;
    s->attempt = NULL;
    s->next = e->closed;
    e->closed = s;
}

static bool sock_close_idle(struct engine *e)
{
    struct sock *s = e->idle;

    if (s == NULL)
        return false;
    e->idle = s->next;
    e->n_idle--;
    sock_close(e, s);
    return true;
}

void socks_trim(struct engine *e, size_t idle)
{
    struct sock *s;

    while (e->n_idle > idle)
        (void)sock_close_idle(e);
    while ((s = e->closed) != NULL) {
        e->closed = s->next;
        free(s);
    }
}

/* Without its port and whatever came there. */
static bool sock_dissolve(const struct sock *s)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    uint8_t octet;

    if (connect(s->fd, &none, sizeof(none)) != 0)
        return false;
    for (unsigned i = 0; i <= DRAINED_MAX; i++)
        if (recv(s->fd, &octet, sizeof(octet), 0) < 0 && errno == EAGAIN)
            return true;
    return false;
}

static int sock_take_new(struct attempt *a, sa_family_t family, bool tcp)
{
    int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    struct engine *e = a->query->engine;
    struct sock *s = malloc(sizeof(*s));
    int error;

    if (s == NULL)
        return ENOMEM;
    do {
        s->fd = -1;
        error = EMFILE;
        if (e->n_sockets + e->n_idle >= e->sockets_max)
            continue;
        s->fd = socket(family, type, 0);
        error = s->fd < 0 ? errno : 0;
    } while (error != 0 && is_shortage(error) && sock_close_idle(e));
    if (error == 0)
        error = sock_watch(e, s, EPOLL_CTL_ADD, tcp ? EPOLLOUT : EPOLLIN);
    if (error != 0) {
        if (s->fd >= 0)
            close(s->fd);
        free(s);
        return error;
    }
    s->family = family;
    s->attempt = a;
    a->sock = s;
    e->n_sockets++;
    return 0;
}

static int sock_take(struct attempt *a, sa_family_t family, bool tcp)
{
    struct engine *e = a->query->engine;
    struct sock **at = &e->idle, *s;

    while (!tcp && *at != NULL && (*at)->family != family)
        at = &(*at)->next;
    s = *at;
    if (tcp || s == NULL)
        return sock_take_new(a, family, tcp);
    *at = s->next;
    e->n_idle--;
    e->n_sockets++;
    s->attempt = a;
    a->sock = s;
    return 0;
}

static int attempt_connect(const struct attempt *a, const union address *addr)
{
    socklen_t len =
        addr->any.sa_family == AF_INET6 ? sizeof(addr->v6) : sizeof(addr->v4);

    if (connect(a->sock->fd, &addr->any, len) == 0 || errno == EINPROGRESS)
        return 0;
    return errno;
}

/* A full queue loses the datagram as any router may: it is sent again. */
static int attempt_send(const struct attempt *a)
{
    const struct query *q = a->query;

    if (send(a->sock->fd, q->wire, q->wire_len, MSG_NOSIGNAL) < 0 &&
        errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
        return errno;
    return 0;
}

/* Nobody can guess it; many are drawn at once, as each drawing is a system
   call. */
static bool attempt_draw_id(struct engine *e, uint16_t *id_r)
{
    if (e->n_ids == 0) {
        if (getrandom(e->ids, sizeof(e->ids), 0) != (ssize_t)sizeof(e->ids))
            return false;
        e->n_ids = IDS_DRAWN;
    }
    *id_r = e->ids[--e->n_ids];
    return true;
}

/* From one attempt to the next only the id changes, mostly. */
static void attempt_build(const struct attempt *a)
{
    struct query *q = a->query;

    if (q->wire_len == 0 || q->edns != a->edns)
        q->wire_len = dns_query_build(&q->q, a->edns, q->ad, q->wire);
    q->edns = a->edns;
    q->wire[0] = (uint8_t)(a->id >> 8);
    q->wire[1] = (uint8_t)a->id;
}

int attempt_open(struct attempt *a, bool tcp)
{
    struct query *q = a->query;
    const union address *addr = &q->server[a->server].addr;
    int error;

    a->edns = !q->server[a->server].plain;
    if (!attempt_draw_id(q->engine, &a->id))
        return EAGAIN;
    attempt_build(a);
    error = sock_take(a, addr->any.sa_family, tcp);
    if (error == 0)
        error = attempt_connect(a, addr);
    if (error == 0)
        error = tcp ? tcp_start(a, q->wire, q->wire_len) : attempt_send(a);
    if (error != 0)
        attempt_close(a);
    return error;
}

void attempt_close(struct attempt *a)
{
    struct engine *e = a->query->engine;
    struct sock *s = a->sock;

    if (s != NULL) {
        a->sock = NULL;
        s->attempt = NULL;
        e->n_sockets--;
        /* Without an epoll set we are behind a fork: it is not ours alone. */
        if (a->stream == NULL && e->epoll_fd >= 0 && sock_dissolve(s)) {
            s->next = e->idle;
            e->idle = s;
            e->n_idle++;
        } else {
            sock_close(e, s);
        }
    }
    if (a->stream != NULL) {
        buf_free(&a->stream->in);
        free(a->stream);
        a->stream = NULL;
    }
}

static void attempt_udp_event(struct attempt *a)
{
    uint8_t *msg = a->query->engine->scratch;
    ssize_t n;

    for (unsigned i = 0; i < UDP_BURST; i++) {
        n = recv(a->sock->fd, msg, MESSAGE_MAX, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            query_socket_error(a, errno);
            return;
        }
        peer_heard(a); /* whatever it is */
        if (query_message(a, msg, (size_t)n))
            return;
    }
}

void sock_event(struct sock *s)
{
    struct attempt *a = s->attempt;
    char late[1];

    if (a == NULL) { /* given up: what came too late is dropped */
        if (s->fd >= 0)
            (void)recv(s->fd, late, sizeof(late), MSG_DONTWAIT);
        return;
    }
    if (a->stream != NULL)
        tcp_event(a);
    else
        attempt_udp_event(a);
}
