/*
 * exchange_tcp - one query and its reply over TCP
 *
 * RFC 7766 framing on a non-blocking connection: connect, send the query
 * behind its two-byte length, read one message of at most 65,535 octets as it
 * drips in. Nothing here has a time limit of its own: the query's timers go
 * on, and other servers are tried meanwhile. Memory grows with what was
 * received, not with what the server announces.
 */

#include "dns/exchange_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int tcp_start(struct attempt *a, const uint8_t *wire, size_t len)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ENOMEM;
    a->stream = s; /* attempt_close() frees it from here on */
    s->out[0] = (uint8_t)(len >> 8);
    s->out[1] = (uint8_t)len;
    memcpy(s->out + 2, wire, len);
    s->out_len = 2 + len;
    return 0;
}

/* Also learns here how connect() ended: send() returns its error. */
static void tcp_send(struct attempt *a)
{
    struct stream *s = a->stream;
    ssize_t n =
        send(a->sock->fd, s->out + s->sent, s->out_len - s->sent, MSG_NOSIGNAL);
    int error;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        query_socket_error(a, errno);
        return;
    }
    s->sent += (size_t)n;
    if (s->sent < s->out_len)
        return;
    error = sock_watch(a->query->engine, a->sock, EPOLL_CTL_MOD, EPOLLIN);
    if (error != 0)
        query_socket_error(a, error);
}

/* How many octets the stream should hold, as far as it is known. */
static size_t tcp_wanted(const struct stream *s)
{
    const uint8_t *in = (const uint8_t *)s->in.data;

    return s->in.len < 2 ? 2 : 2 + ((size_t)in[0] << 8 | in[1]);
}

static void tcp_read(struct attempt *a)
{
    struct stream *s = a->stream;
    uint8_t *bytes = a->query->engine->scratch;
    ssize_t n;

    while (s->in.len < tcp_wanted(s)) {
        n = recv(a->sock->fd, bytes, tcp_wanted(s) - s->in.len, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            query_socket_error(a, errno);
            return;
        }
        if (n == 0) {
            query_failed(a, FAULT_CLOSED, 0);
            return;
        }
        peer_heard(a);
        buf_add(&s->in, bytes, (size_t)n);
        if (s->in.failed) {
            query_socket_error(a, ENOMEM);
            return;
        }
    }
    /* The connection carries our query only: what is not ours is a fault. */
    if (!query_message(a, (const uint8_t *)s->in.data + 2, s->in.len - 2))
        query_failed(a, FAULT_MALFORMED, 0);
}

void tcp_event(struct attempt *a)
{
    if (a->stream->sent < a->stream->out_len)
        tcp_send(a);
    else
        tcp_read(a);
}
