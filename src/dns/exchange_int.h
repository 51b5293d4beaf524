/* What the parts of the exchange share; exchange.h is the interface. */

#ifndef DNS_EXCHANGE_INT_H
#define DNS_EXCHANGE_INT_H

#include <netinet/in.h>
#include <sys/types.h>
#include "dns/exchange.h"
#include "util/buf.h"

#define ATTEMPTS_OPEN    3     /* attempts of a query still listened to */
#define MESSAGE_MAX      65535 /* what a TCP length can say */
#define WHY_MAX          512
#define SHORTAGE_WAIT_MS 50  /* before a socket is tried for again */
#define IDS_DRAWN        128 /* at once: getrandom(2) gives 256 octets whole */
#define SOCKETS_MIN      16
#define SOCKETS_IDLE     256 /* more than fall free in some steps */
#define SOCKETS_MAX      8192

/* Why a server counts as having failed; FAULT_NONE: it was silent so far. */
enum fault {
    FAULT_NONE,
    FAULT_RCODE, /* detail: the rcode */
    FAULT_ERRNO, /* detail: the errno */
    FAULT_MALFORMED,
    FAULT_TRUNCATED, /* TC over TCP */
    FAULT_CLOSED     /* TCP connection ended before the reply did */
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* A name server as one query sees it. */
struct server {
    union address addr;
    bool asked;
    bool spoke;  /* replied, whatever came of it */
    bool plain;  /* dislikes OPT, so this query asks it without */
    bool failed; /* in this round */
    enum fault fault;
    int detail;
};

/* A socket, in the epoll set from its beginning to its end. */
struct sock {
    struct sock *next;       /* in a list of the engine */
    struct attempt *attempt; /* that has it; NULL: none */
    int fd;
    sa_family_t family;
};

/* The TCP side of an attempt. */
struct stream {
    uint8_t out[2 + DNS_QUERY_MAX];
    size_t out_len;
    size_t sent;
    struct buf in; /* length prefix and message */
};

struct attempt {
    struct query *query;
    struct sock *sock; /* NULL: not open */
    uint16_t id;
    bool edns;
    uint8_t server;
    uint64_t sent_ms;
    uint64_t until_ms;     /* waited for until then; later it is silence */
    struct stream *stream; /* NULL: UDP */
};

struct query {
    struct engine *engine;
    struct question q; /* its id is that of the attempt being judged */
    exchange_fn *fn;   /* NULL: a probe, which has no timer and no end */
    void *ctx;
    uint64_t deadline_ms;
    uint64_t due_ms; /* next action; order of the heap */
    size_t heap_at;
    unsigned tries; /* attempts made; the kth is in slot k % ATTEMPTS_OPEN */
    unsigned turns; /* of servers, those that were skipped included */
    uint8_t first;  /* the server whose turn was the first */
    int shortage;   /* errno of the last local failure, 0: none */
    bool ad;
    bool edns;       /* of what is in `wire` */
    size_t wire_len; /* 0: nothing is */
    uint8_t wire[DNS_QUERY_MAX];
    uint8_t n_servers;
    struct server server[DNS_SERVERS_MAX];
    struct attempt attempt[ATTEMPTS_OPEN];
};

/* Queries by due_ms, the earliest first. */
struct heap {
    struct query **q;
    size_t n;
    size_t cap;
};

/* A name server as the engine sees it. */
struct peer {
    union address addr;
    bool listed;            /* in the engine's list; else the place is free */
    bool told_open;         /* what the watcher was told last */
    uint64_t told_ms;       /* and when */
    uint64_t socketless_ms; /* no socket for a probe then; 0: there was one */
    struct breaker breaker;
    struct query probe;
};

struct engine {
    struct dns_servers servers;
    struct peer peers[DNS_SERVERS_MAX];
    uint8_t peer_at[DNS_SERVERS_MAX]; /* of the server in the list */
    void (*watch_fn)(void *ctx, const struct engine_server *s);
    void *watch_ctx;
    uint32_t tell_again_ms; /* ENGINE_TELL_AGAIN_MS; tests have less time */
    int epoll_fd;           /* -1: none to be had after a fork */
    pid_t pid;              /* of the process that it belongs to */
    size_t n_sockets;       /* that attempts have */
    struct sock *idle;      /* UDP sockets that may be used again */
    size_t n_idle;
    struct sock *closed; /* events of this step may still point to them */
    size_t sockets_max;
    uint64_t n_done;         /* callbacks made */
    uint16_t ids[IDS_DRAWN]; /* for attempts to come: the first n_ids */
    size_t n_ids;
    struct heap heap;
    uint8_t scratch[MESSAGE_MAX + 1]; /* what was just received */
};

/* exchange_heap.c */
void heap_add(struct heap *h, struct query *q); /* there is room, vec_room() */
void heap_remove(struct heap *h, struct query *q);
void heap_moved(struct heap *h, struct query *q); /* its due_ms changed */

/* exchange_query.c */
struct query *query_new(struct engine *e, const char *name, uint16_t type);
void query_init(struct query *q, struct engine *e, const char *name,
                uint16_t type);
void query_close(struct query *q); /* its sockets */
void query_free(struct query *q);
void query_due(struct query *q, uint64_t now_ms);
void query_hurry(struct query *q, uint64_t deadline_ms);
void query_reask(struct query *q); /* its sockets are gone */
/* A breaker opened: go on if it is that server that is being waited for. */
void query_reconsider(struct query *q);
/* A whole message came in on `a`. False: it was not ours, go on listening. */
bool query_message(struct attempt *a, const uint8_t *msg, size_t len);
/* The server of `a` failed, or (error) a socket call on it did. */
void query_failed(struct attempt *a, enum fault fault, int detail);
void query_socket_error(struct attempt *a, int error);
struct attempt *query_attempt(struct query *q, unsigned k);
/* Why a query without an answer has none. */
void query_why(const struct query *q, char why[WHY_MAX]);
void query_why_down(const struct query *q, char why[WHY_MAX]);

/* exchange_peer.c: the engine's servers. */
void peers_set(struct engine *e, const struct dns_servers *servers);
void peers_close(struct engine *e);
void peers_forget_sockets(struct engine *e);
/* What the timers of the breakers ask for, after what came in was handled. */
void peers_run(struct engine *e, uint64_t now_ms);
uint64_t peers_next_ms(const struct engine *e); /* UINT64_MAX: nothing to do */
/* The state of the breaker of server i of a query; a server that left the
   engine's list has none and counts as closed. */
enum breaker_state peer_state(const struct query *q, size_t i);
void peer_describe(const struct peer *p, struct engine_server *s_r);
/* Something came for `a`; `a` went unanswered. */
void peer_heard(const struct attempt *a);
void peer_silent(const struct attempt *a);

/* exchange_turn.c */
uint8_t turn_next(struct query *q); /* not when all are down */
bool turn_all_down(const struct query *q);
bool turn_all_failed(const struct query *q); /* in this round */

/* exchange_socket.c: open returns 0 or an errno. A shortage says something
   about us and nothing about the server. */
int attempt_open(struct attempt *a, bool tcp);
void attempt_close(struct attempt *a);
bool is_shortage(int error);
int sock_watch(const struct engine *e, struct sock *s, int op, uint32_t events);
void sock_event(struct sock *s);
/* At the end of a step: at most `idle` are kept. */
void socks_trim(struct engine *e, size_t idle);

/* exchange_tcp.c */
int tcp_start(struct attempt *a, const uint8_t *wire, size_t len);
void tcp_event(struct attempt *a);

#endif
