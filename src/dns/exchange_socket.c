/*
 * exchange_socket - the socket of one attempt
 *
 * Every attempt has a fresh connected socket, hence a fresh port, and the
 * kernel drops what comes from another address or port. A UDP attempt is sent
 * in attempt_open(); a TCP one continues in exchange_tcp.c. All sockets are
 * non-blocking and close-on-exec, and their number is bounded by the engine:
 * the host program needs descriptors too.
 *
 * An open attempt owns its descriptor and stream; attempt_close() may be
 * called any number of times.
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

bool is_shortage(int error)
{
    static const int shortages[] = {EMFILE,  ENFILE, ENOMEM,
                                    ENOBUFS, EAGAIN, ENOSPC};

    for (size_t i = 0; i < sizeof(shortages) / sizeof(shortages[0]); i++)
        if (shortages[i] == error)
            return true;
    return false;
}

int attempt_watch(struct attempt *a, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = a}};

    return epoll_ctl(a->query->engine->epoll_fd, op, a->fd, &ev) == 0 ? 0
                                                                      : errno;
}

static int attempt_open_socket(struct attempt *a, bool tcp)
{
    struct engine *e = a->query->engine;
    const struct server *s = &a->query->server[a->server];
    int type = tcp ? SOCK_STREAM : SOCK_DGRAM;

    if (e->n_sockets >= e->sockets_max)
        return EMFILE;
    a->fd =
        socket(s->addr.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0)
        return errno;
    e->n_sockets++;
    return 0;
}

static int attempt_connect(const struct attempt *a)
{
    const struct server *s = &a->query->server[a->server];
    socklen_t len = s->addr.any.sa_family == AF_INET6 ? sizeof(s->addr.v6)
                                                      : sizeof(s->addr.v4);

    if (connect(a->fd, &s->addr.any, len) == 0 || errno == EINPROGRESS)
        return 0;
    return errno;
}

static int attempt_udp_start(struct attempt *a, const uint8_t *wire, size_t len)
{
    int error = attempt_watch(a, EPOLL_CTL_ADD, EPOLLIN);

    if (error != 0)
        return error;
    /* A full queue loses the datagram as any router may: it is sent again. */
    if (send(a->fd, wire, len, MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
        errno != ENOBUFS && errno != EINTR)
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

int attempt_open(struct attempt *a, bool tcp)
{
    struct query *q = a->query;
    uint8_t wire[DNS_QUERY_MAX];
    size_t len;
    int error;

    a->edns = !q->server[a->server].plain;
    if (!attempt_draw_id(q->engine, &a->id))
        return EAGAIN;
    q->q.id = a->id;
    len = dns_query_build(&q->q, a->edns, q->ad, wire);
    error = attempt_open_socket(a, tcp);
    if (error == 0)
        error = attempt_connect(a);
    if (error == 0)
        error = tcp ? tcp_start(a, wire, len) : attempt_udp_start(a, wire, len);
    if (error != 0)
        attempt_close(a);
    return error;
}

void attempt_close(struct attempt *a)
{
    if (a->fd >= 0) {
        /* Closing is not enough to leave the set: a forked child may have it
           open, too. */
        (void)epoll_ctl(a->query->engine->epoll_fd, EPOLL_CTL_DEL, a->fd, NULL);
        close(a->fd);
        a->fd = -1;
        a->query->engine->n_sockets--;
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
        n = recv(a->fd, msg, MESSAGE_MAX, 0);
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

void attempt_event(struct attempt *a)
{
    if (a->fd < 0 || a->query->done)
        return; /* closed by an earlier event of the same batch */
    if (a->stream != NULL)
        tcp_event(a);
    else
        attempt_udp_event(a);
}
