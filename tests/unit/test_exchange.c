/*
 * The exchange with name servers, against servers of our own on 127.0.0.1.
 * They run on the thread of the test: their descriptors are in one epoll set,
 * which is the wake_fd of engine_step().
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "support/suite.h"
#include "dns/exchange.h"
#include "dns/exchange_int.h"
#include "support/failmalloc.h"
#include "util/clock.h"
#include "util/vec.h"

#define GUARD_MS 20000 /* a test that takes longer hangs */
#define SEEN     512   /* queries that are remembered */
#define CONNS    16
#define BIG      60000 /* padding of a big reply */

/* What a server does with a query. */
enum act {
    NOTHING,
    ANSWER,
    ANSWER_TWICE,
    WRONG_ID,   /* forged ones, then the answer */
    OTHER_PORT, /* forged from another port, then the answer */
    TRUNCATE,
    FORMERR_IF_EDNS, /* then the answer */
    FORMERR,
    SERVFAIL,
    REFUSED,
    LIE,  /* header and question are right, the counts are not */
    LATE, /* answer the first query when the second has come */
    ONCE_SILENT,
    /* TCP only */
    DRIP,  /* the answer, an octet at a time */
    STALL, /* half of the answer */
    CLOSE,
    BIG_ANSWER,
    /* both */
    ALIEN_ID,
    EMPTY /* a message of no octets */
};

struct conn {
    int fd; /* -1: free */
    uint8_t in[600];
    size_t in_len;
    uint8_t out[BIG + 600];
    size_t out_len, sent;
};

struct tserver {
    enum act udp, tcp;
    enum act probe;     /* to `. NS`, which counts apart */
    int udp_fd, tcp_fd; /* -1: nobody listens */
    struct sockaddr_in addr;
    unsigned n_udp, n_tcp, n_edns; /* queries seen */
    unsigned n_probes;
    uint16_t ports[SEEN]; /* where the first came from */
    uint16_t ids[SEEN];
    struct conn conn[CONNS];
    uint8_t late[600];
    size_t late_len;
    struct sockaddr_in late_from;
};

struct result {
    unsigned calls;
    enum exchange_outcome outcome;
    char why[512];
    uint8_t msg[65536];
    size_t len;
    char name[WIRE_NAME_TEXT];
};

static struct tserver servers[DNS_SERVERS_MAX];
static size_t n_servers;
static int poll_fd;
static struct engine *engine;
static struct result result;

/* ---- servers ---- */

/* ck_assert() allocates, which must not be while allocations fail. */
#define must(condition)                     \
    do {                                    \
        if (!(condition))                   \
            ck_abort_msg("%s", #condition); \
    } while (0)

static void watch(int fd)
{
    struct epoll_event ev = {.events = EPOLLIN};

    must(epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev) == 0);
}

static int bound(int type, struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*addr);

    must(fd >= 0);
    if (bind(fd, (struct sockaddr *)addr, sizeof(*addr)) != 0) {
        close(fd);
        return -1;
    }
    must(getsockname(fd, (struct sockaddr *)addr, &len) == 0);
    return fd;
}

/* UDP and TCP on one port that was free for both. */
static void server_open(struct tserver *s)
{
    do {
        s->addr = (struct sockaddr_in){.sin_family = AF_INET};
        s->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        s->udp_fd = bound(SOCK_DGRAM, &s->addr);
        must(s->udp_fd >= 0);
        s->tcp_fd = bound(SOCK_STREAM, &s->addr);
        if (s->tcp_fd < 0)
            close(s->udp_fd);
    } while (s->tcp_fd < 0);
    must(listen(s->tcp_fd, CONNS) == 0);
    setsockopt(s->udp_fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){1 << 24},
               sizeof(int));
    watch(s->udp_fd);
    watch(s->tcp_fd);
    for (size_t i = 0; i < CONNS; i++)
        s->conn[i].fd = -1;
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void server_close(struct tserver *s)
{
    shut(&s->udp_fd);
    shut(&s->tcp_fd);
    for (size_t i = 0; i < CONNS; i++)
        shut(&s->conn[i].fd);
}

static size_t question_end(const uint8_t *query, size_t len)
{
    size_t at = 12;

    while (at < len && query[at] != 0)
        at += 1u + query[at];
    must(at + 5 <= len);
    return at + 5;
}

/* The reply to `query` into out: header, question, one A record. */
static size_t make_reply(enum act act, const uint8_t *query, size_t len,
                         uint8_t *out)
{
    static const uint8_t record[] = {0xc0, 12, 0, 1, 0,   1, 0, 0,
                                     1,    44, 0, 4, 192, 0, 2, 1};
    size_t n = question_end(query, len);
    bool records = false;

    memcpy(out, query, n);
    out[2] = 0x81;
    out[3] = 0x80;
    memset(out + 6, 0, 6);
    switch (act) {
    case TRUNCATE:
        out[2] |= 2;
        break;
    case FORMERR:
        out[3] |= 1;
        break;
    case SERVFAIL:
        out[3] |= 2;
        break;
    case REFUSED:
        out[3] |= 5;
        break;
    case LIE:
        out[7] = 5;
        break;
    default:
        records = true;
    }
    if (records) {
        out[7] = 1;
        memcpy(out + n, record, sizeof(record));
        n += sizeof(record);
    }
    return n;
}

static void send_reply(const struct tserver *s, enum act act,
                       const uint8_t *query, size_t len,
                       const struct sockaddr_in *to, uint16_t id_xor, int fd)
{
    uint8_t out[700];
    size_t n = make_reply(act, query, len, out);

    out[0] ^= (uint8_t)(id_xor >> 8);
    out[1] ^= (uint8_t)id_xor;
    if (fd < 0)
        fd = s->udp_fd;
    sendto(fd, out, n, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void serve_datagram(struct tserver *s, enum act act,
                           const uint8_t *query, size_t len,
                           const struct sockaddr_in *from)
{
    struct sockaddr_in other = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd;

    switch (act) {
    case NOTHING:
        return;
    case ONCE_SILENT:
        if (s->n_udp == 1)
            return;
        break;
    case WRONG_ID:
        for (uint16_t i = 1; i < 40; i++)
            send_reply(s, SERVFAIL, query, len, from, i, -1);
        sendto(s->udp_fd, "", 0, 0, (const struct sockaddr *)from,
               sizeof(*from));
        break;
    case ALIEN_ID:
        send_reply(s, ANSWER, query, len, from, 1, -1);
        return;
    case EMPTY:
        sendto(s->udp_fd, "", 0, 0, (const struct sockaddr *)from,
               sizeof(*from));
        return;
    case OTHER_PORT:
        fd = bound(SOCK_DGRAM, &other);
        send_reply(s, SERVFAIL, query, len, from, 0, fd);
        close(fd);
        break;
    case ANSWER_TWICE:
        send_reply(s, ANSWER, query, len, from, 0, -1);
        break;
    case FORMERR_IF_EDNS:
        act = query[11] != 0 ? FORMERR : ANSWER;
        break;
    case LATE:
        if (s->n_udp != 2) {
            memcpy(s->late, query, len);
            s->late_len = len;
            s->late_from = *from;
            return;
        }
        send_reply(s, ANSWER, s->late, s->late_len, &s->late_from, 0, -1);
        return;
    default:
        break;
    }
    if (act == TRUNCATE || act == FORMERR || act == SERVFAIL ||
        act == REFUSED || act == LIE)
        send_reply(s, act, query, len, from, 0, -1);
    else
        send_reply(s, ANSWER, query, len, from, 0, -1);
}

static void serve_udp(struct tserver *s)
{
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    uint8_t query[600];
    ssize_t n;

    while ((n = recvfrom(s->udp_fd, query, sizeof(query), 0,
                         (struct sockaddr *)&from, &from_len)) >= 0) {
        must(n >= 17);
        if (query[12] == 0) {
            s->n_probes++;
            must(query[14] == 2 && query[11] == 0); /* NS, no OPT */
            serve_datagram(s, s->probe, query, (size_t)n, &from);
            continue;
        }
        if (s->n_udp < SEEN) {
            s->ports[s->n_udp] = from.sin_port;
            memcpy(&s->ids[s->n_udp], query, 2);
        }
        s->n_udp++;
        s->n_edns += query[11] != 0;
        serve_datagram(s, s->udp, query, (size_t)n, &from);
    }
}

static void answer_conn(struct tserver *s, struct conn *c)
{
    size_t n;

    s->n_tcp++;
    if (s->tcp == NOTHING)
        return;
    if (s->tcp == CLOSE) {
        shut(&c->fd);
        return;
    }
    n = make_reply(s->tcp == FORMERR_IF_EDNS
                       ? (c->in[13] != 0 ? FORMERR : ANSWER)
                       : s->tcp,
                   c->in + 2, c->in_len - 2, c->out + 2);
    if (s->tcp == ALIEN_ID)
        c->out[2] ^= 1;
    if (s->tcp == EMPTY)
        n = 0;
    if (s->tcp == BIG_ANSWER) { /* a TXT-like record of BIG octets at the end */
        static const uint8_t head[] = {0xc0, 12, 0, 16, 0,          1,
                                       0,    0,  1, 44, (BIG) >> 8, BIG & 255};

        c->out[2 + 7] = 2;
        memcpy(c->out + 2 + n, head, sizeof(head));
        memset(c->out + 2 + n + sizeof(head), 'x', BIG);
        n += sizeof(head) + BIG;
    }
    c->out[0] = (uint8_t)(n >> 8);
    c->out[1] = (uint8_t)n;
    c->out_len = s->tcp == STALL ? n / 2 : n + 2;
}

static void serve_conn(struct tserver *s, struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
    size_t want;

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        shut(&c->fd);
        return;
    }
    if (n > 0) {
        c->in_len += (size_t)n;
        if (c->in_len >= 2 &&
            c->in_len == 2 + ((size_t)c->in[0] << 8 | c->in[1]))
            answer_conn(s, c);
    }
    if (c->fd >= 0 && c->sent < c->out_len) {
        want = s->tcp == DRIP ? 1 : c->out_len - c->sent;
        n = send(c->fd, c->out + c->sent, want, MSG_NOSIGNAL);
        c->sent += n > 0 ? (size_t)n : 0;
    }
}

static void serve_tcp(struct tserver *s)
{
    int fd;

    while ((fd = accept4(s->tcp_fd, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = s->conn;

        while (c->fd >= 0)
            must(++c < s->conn + CONNS);
        c->fd = fd;
        c->in_len = c->out_len = c->sent = 0;
        watch(fd);
    }
    for (size_t i = 0; i < CONNS; i++)
        if (s->conn[i].fd >= 0)
            serve_conn(s, &s->conn[i]);
}

static bool sending(void)
{
    for (size_t i = 0; i < n_servers; i++)
        for (size_t k = 0; k < CONNS; k++)
            if (servers[i].conn[k].fd >= 0 &&
                servers[i].conn[k].sent < servers[i].conn[k].out_len)
                return true;
    return false;
}

static void step(uint64_t until_ms)
{
    engine_step(engine, sending() ? clock_boot_ms() + 1 : until_ms, poll_fd);
    for (size_t i = 0; i < n_servers; i++) {
        if (servers[i].udp_fd >= 0)
            serve_udp(&servers[i]);
        if (servers[i].tcp_fd >= 0)
            serve_tcp(&servers[i]);
    }
}

/* Run everything until no query is in flight. */
static void run(void)
{
    uint64_t guard = clock_boot_ms() + GUARD_MS;

    while (engine->heap.n > 0) {
        must(clock_boot_ms() < guard); /* else it hangs */
        step(guard);
    }
}

/* ---- fixtures ---- */

static struct dns_servers list(void)
{
    struct dns_servers l = {.n = n_servers};

    for (size_t i = 0; i < n_servers; i++)
        memcpy(&l.addr[i], &servers[i].addr, sizeof(servers[i].addr));
    return l;
}

static void start(size_t n)
{
    struct dns_servers l;
    struct mxhop_error err;

    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    memset(servers, 0, sizeof(servers));
    memset(&result, 0, sizeof(result));
    for (n_servers = 0; n_servers < n; n_servers++)
        server_open(&servers[n_servers]);
    l = list();
    ck_assert_int_eq(engine_open(&engine, &l, &err), MXHOP_OK);
}

static void stop(void)
{
    engine_close(&engine);
    ck_assert_ptr_null(engine);
    for (size_t i = 0; i < n_servers; i++)
        server_close(&servers[i]);
    close(poll_fd);
}

static void keep(void *ctx, enum exchange_outcome outcome,
                 const struct question *q, const uint8_t *msg, size_t len,
                 const char *why)
{
    struct result *r = ctx;

    r->calls++;
    r->outcome = outcome;
    r->len = len;
    snprintf(r->why, sizeof(r->why), "%s", why);
    snprintf(r->name, sizeof(r->name), "%s", q->name);
    if (msg != NULL)
        memcpy(r->msg, msg, len);
}

static void ask(uint32_t within_ms, exchange_fn *fn, void *ctx)
{
    ck_assert_int_eq(engine_ask(engine, "mx.example.com", WIRE_TYPE_A,
                                clock_boot_ms() + within_ms, fn, ctx),
                     MXHOP_OK);
}

static int open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---- one query ---- */

#define NOT_SET 99

/* A query of 5 s unless within_ms says otherwise. */
static const struct {
    const char *what;
    size_t n;
    enum act udp[3], tcp[3];
    enum exchange_outcome outcome;
    const char *why[2];          /* found in the text */
    unsigned n_udp[3], n_tcp[3]; /* queries each server saw; NOT_SET: any */
    uint32_t within_ms;
} cases[] = {
    {"answer", 1, {ANSWER}, {0}, EXCHANGE_ANSWER, {""}, {1}, {0}, 0},
    {"wrong ids, then right",
     1,
     {WRONG_ID},
     {0},
     EXCHANGE_ANSWER,
     {""},
     {1},
     {0},
     0},
    {"answer from another port",
     1,
     {OTHER_PORT},
     {0},
     EXCHANGE_ANSWER,
     {""},
     {1},
     {0},
     0},
    {"a lost datagram",
     1,
     {ONCE_SILENT},
     {0},
     EXCHANGE_ANSWER,
     {""},
     {2},
     {0},
     0},
    {"a late answer counts",
     1,
     {LATE},
     {0},
     EXCHANGE_ANSWER,
     {""},
     {2},
     {0},
     0},
    {"no OPT after FORMERR",
     1,
     {FORMERR_IF_EDNS},
     {0},
     EXCHANGE_ANSWER,
     {""},
     {2},
     {0},
     0},
    {"FORMERR whatever we do",
     1,
     {FORMERR},
     {0},
     EXCHANGE_FAILED,
     {"FORMERR from 127.0.0.1:"},
     {2},
     {0},
     0},
    {"SERVFAIL",
     1,
     {SERVFAIL},
     {0},
     EXCHANGE_FAILED,
     {"SERVFAIL from 127.0.0.1:"},
     {1},
     {0},
     0},
    {"SERVFAIL, then the next server",
     2,
     {SERVFAIL, ANSWER},
     {0},
     EXCHANGE_ANSWER,
     {""},
     {1, 1},
     {0},
     0},
    {"everybody fails",
     3,
     {SERVFAIL, REFUSED, SERVFAIL},
     {0},
     EXCHANGE_FAILED,
     {"SERVFAIL from 127", "REFUSED from 127"},
     {1, 1, 1},
     {0},
     0},
    {"silence, then the next server",
     2,
     {NOTHING, ANSWER},
     {0},
     EXCHANGE_ANSWER,
     {""},
     {1, 1},
     {0},
     0},
    {"one silent, one failing",
     2,
     {NOTHING, SERVFAIL},
     {0},
     EXCHANGE_TIMEOUT,
     {"no answer from 127", "SERVFAIL from 127"},
     {2, 1},
     {0},
     600},
    {"lying counts",
     1,
     {LIE},
     {0},
     EXCHANGE_FAILED,
     {"malformed reply from"},
     {1},
     {0},
     0},
    {"lying counts, then the next server",
     2,
     {LIE, ANSWER},
     {0},
     EXCHANGE_ANSWER,
     {""},
     {1, 1},
     {0},
     0},
    {"silence to the deadline",
     1,
     {NOTHING},
     {0},
     EXCHANGE_TIMEOUT,
     {"no answer from 127.0.0.1:"},
     {2},
     {0},
     600},
    {"truncated, then TCP",
     1,
     {TRUNCATE},
     {ANSWER},
     EXCHANGE_ANSWER,
     {""},
     {1},
     {1},
     0},
    {"TCP of 60 kB",
     1,
     {TRUNCATE},
     {BIG_ANSWER},
     EXCHANGE_ANSWER,
     {""},
     {1},
     {1},
     0},
    {"TCP drips", 1, {TRUNCATE}, {DRIP}, EXCHANGE_ANSWER, {""}, {1}, {1}, 0},
    {"TCP without OPT",
     1,
     {TRUNCATE},
     {FORMERR_IF_EDNS},
     EXCHANGE_ANSWER,
     {""},
     {1},
     {2},
     0},
    {"TCP is silent",
     1,
     {TRUNCATE},
     {NOTHING},
     EXCHANGE_TIMEOUT,
     {"no answer from 127"},
     {1},
     {1},
     600},
    {"TCP stalls",
     1,
     {TRUNCATE},
     {STALL},
     EXCHANGE_TIMEOUT,
     {"no answer from 127"},
     {1},
     {1},
     600},
    {"TCP is silent, then the next server",
     2,
     {TRUNCATE, ANSWER},
     {NOTHING},
     EXCHANGE_ANSWER,
     {""},
     {1, 1},
     {1},
     0},
    {"truncated over TCP as well",
     1,
     {TRUNCATE},
     {TRUNCATE},
     EXCHANGE_FAILED,
     {"truncated reply over TCP"},
     {1},
     {1},
     0},
    {"TCP closes",
     1,
     {TRUNCATE},
     {CLOSE},
     EXCHANGE_FAILED,
     {"from 127"},
     {1},
     {1},
     0},
    {"TCP answers another id",
     1,
     {TRUNCATE},
     {ALIEN_ID},
     EXCHANGE_FAILED,
     {"malformed reply"},
     {1},
     {1},
     0},
    {"TCP message of no octets",
     1,
     {TRUNCATE},
     {EMPTY},
     EXCHANGE_FAILED,
     {"malformed reply"},
     {1},
     {1},
     0},
    {"SERVFAIL over TCP, then the next server",
     2,
     {TRUNCATE, ANSWER},
     {SERVFAIL},
     EXCHANGE_ANSWER,
     {""},
     {1, 1},
     {1},
     0},
    {"no time at all",
     1,
     {ANSWER},
     {0},
     EXCHANGE_UNASKED,
     {"no time left"},
     {0},
     {0},
     1},
};

START_TEST(one_query)
{
    int before = open_descriptors();

    start(cases[_i].n);
    for (size_t i = 0; i < n_servers; i++) {
        servers[i].udp = cases[_i].udp[i];
        servers[i].tcp = cases[_i].tcp[i];
    }
    ask(cases[_i].within_ms == 0   ? 5000
        : cases[_i].within_ms == 1 ? 0
                                   : cases[_i].within_ms,
        keep, &result);
    run();
    ck_assert_msg(result.outcome == cases[_i].outcome, "%s: outcome %d, %s",
                  cases[_i].what, (int)result.outcome, result.why);
    ck_assert_uint_eq(result.calls, 1);
    ck_assert_str_eq(result.name, "mx.example.com");
    for (size_t i = 0; i < 2 && cases[_i].why[i] != NULL; i++)
        ck_assert_msg(strstr(result.why, cases[_i].why[i]) != NULL, "%s: %s",
                      cases[_i].what, result.why);
    ck_assert_int_eq(result.outcome == EXCHANGE_ANSWER, result.len > 0);
    for (size_t i = 0; i < n_servers; i++) {
        if (cases[_i].n_udp[i] != NOT_SET)
            ck_assert_msg(servers[i].n_udp == cases[_i].n_udp[i],
                          "%s: server %zu saw %u", cases[_i].what, i,
                          servers[i].n_udp);
        ck_assert_msg(servers[i].n_tcp == cases[_i].n_tcp[i],
                      "%s: server %zu saw %u over TCP", cases[_i].what, i,
                      servers[i].n_tcp);
    }
    stop();
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(dead_port)
{
    start(1);
    shut(&servers[0].udp_fd);
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_UNASKED);
    ck_assert_ptr_nonnull(strstr(result.why, "refused from 127.0.0.1:"));
    stop();
}
END_TEST

START_TEST(dead_port_then_next_server)
{
    start(2);
    shut(&servers[0].udp_fd);
    servers[1].udp = ANSWER;
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    ck_assert_uint_eq(servers[1].n_udp, 1);
    stop();
}
END_TEST

START_TEST(nobody_on_tcp)
{
    start(1);
    shut(&servers[0].tcp_fd);
    servers[0].udp = TRUNCATE;
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_FAILED);
    ck_assert_ptr_nonnull(strstr(result.why, "refused from 127.0.0.1:"));
    stop();
}
END_TEST

/* connect() itself fails: no such family of addresses here, or no route. */
START_TEST(unreachable_at_once)
{
    struct dns_servers l;

    start(2);
    l = list();
    ((struct sockaddr_in *)&l.addr[0])->sin_addr.s_addr = INADDR_BROADCAST;
    engine_set_servers(engine, &l);
    servers[1].udp = ANSWER;
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    l.n = 1;
    engine_set_servers(engine, &l);
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_UNASKED);
    ck_assert_ptr_nonnull(strstr(result.why, "from 255.255.255.255:"));
    stop();
}
END_TEST

START_TEST(no_servers)
{
    start(0);
    ask(5000, keep, &result);
    ck_assert_uint_eq(result.calls, 0); /* from engine_step() only */
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_UNASKED);
    ck_assert_str_eq(result.why, "no name server configured");
    stop();
}
END_TEST

START_TEST(fresh_port_and_id_every_attempt)
{
    start(1);
    servers[0].udp = NOTHING;
    ask(1500, keep, &result);
    run();
    ck_assert_uint_eq(servers[0].n_udp, 3);
    ck_assert_uint_eq(servers[0].n_edns, 3);
    for (int i = 0; i < 2; i++)
        ck_assert_uint_ne(servers[0].ports[i], servers[0].ports[i + 1]);
    ck_assert(servers[0].ids[0] != servers[0].ids[1] ||
              servers[0].ids[1] != servers[0].ids[2]);
    stop();
}
END_TEST

static unsigned n_left;

static void ask_next(void *ctx, enum exchange_outcome outcome,
                     const struct question *q, const uint8_t *msg, size_t len,
                     const char *why)
{
    keep(ctx, outcome, q, msg, len, why);
    if (--n_left > 0)
        ask(5000, ask_next, ctx);
}

static size_t distinct(const uint16_t *v, size_t n)
{
    static bool seen[UINT16_MAX + 1];
    size_t found = 0;

    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < n; i++) {
        found += !seen[v[i]];
        seen[v[i]] = true;
    }
    return found;
}

/* One after the other, so that a socket is used again and again: a few of so
   many may be the same by chance. */
START_TEST(fresh_port_and_id_every_query)
{
    int before;

    start(1);
    servers[0].udp = ANSWER;
    before = open_descriptors();
    n_left = SEEN / 2;
    ask(5000, ask_next, &result);
    run();
    ck_assert_uint_eq(result.calls, SEEN / 2);
    ck_assert_uint_eq(servers[0].n_udp, SEEN / 2);
    ck_assert_uint_ge(distinct(servers[0].ports, SEEN / 2), SEEN / 2 - 16);
    ck_assert_uint_ge(distinct(servers[0].ids, SEEN / 2), SEEN / 2 - 16);
    ck_assert_int_eq(open_descriptors(), before); /* none is kept */
    stop();
}
END_TEST

/* A socket that is used again has nothing in it of what came before. */
START_TEST(used_sockets_are_empty)
{
    struct sock *s;
    uint8_t octet;

    start(1);
    servers[0].udp = ANSWER_TWICE;
    n_left = 8;
    ask(5000, ask_next, &result);
    while (n_left > 0) {
        step(clock_boot_ms() + 1000);
        for (s = engine->idle; s != NULL; s = s->next) {
            struct sockaddr_in own;
            socklen_t len = sizeof(own);

            ck_assert_int_lt(recv(s->fd, &octet, 1, MSG_PEEK), 0);
            ck_assert_int_eq(errno, EAGAIN);
            ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&own, &len),
                             0);
            ck_assert_uint_eq(own.sin_port, 0);
        }
    }
    run();
    stop();
}
END_TEST

START_TEST(new_servers_are_for_new_queries)
{
    struct dns_servers l;

    start(2);
    servers[0].udp = ONCE_SILENT;
    servers[1].udp = ANSWER;
    l = list();
    l.n = 1;
    engine_set_servers(engine, &l);
    ask(5000, keep, &result);
    engine_step(engine, clock_boot_ms(), -1);
    l.addr[0] = l.addr[1];
    l.trust_ad = true;
    ck_assert(!engine_trusts_ad(engine));
    engine_set_servers(engine, &l);
    ck_assert(engine_trusts_ad(engine));
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    ck_assert_uint_eq(servers[0].n_udp, 2);
    ck_assert_uint_eq(servers[1].n_udp, 0);
    ask(5000, keep, &result);
    run();
    ck_assert_uint_eq(servers[1].n_udp, 1);
    stop();
}
END_TEST

START_TEST(names_that_cannot_be_asked)
{
    char name[2000];

    start(1);
    memset(name, 'a', sizeof(name));
    for (size_t len = 64; len < sizeof(name); len += 645) {
        name[len] = '\0';
        ck_assert_int_eq(engine_ask(engine, name, WIRE_TYPE_MX,
                                    clock_boot_ms() + 100, keep, &result),
                         MXHOP_ERR_SYNTAX);
        name[len] = 'a';
    }
    ck_assert_uint_eq(engine->heap.n, 0);
    ck_assert_uint_eq(result.calls, 0);
    stop();
}
END_TEST

/* ---- many queries ---- */

START_TEST(five_hundred_at_once)
{
    enum { N = 500 };
    static struct result many[N];
    char name[32];

    start(2);
    servers[0].udp = ANSWER;
    servers[1].udp = ANSWER;
    memset(many, 0, sizeof(many));
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "n%d.example.com", i);
        ck_assert_int_eq(engine_ask(engine, name, WIRE_TYPE_A,
                                    clock_boot_ms() + 10000, keep, &many[i]),
                         MXHOP_OK);
    }
    ck_assert_uint_eq(engine->heap.n, N);
    run();
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "n%d.example.com", i);
        ck_assert_uint_eq(many[i].calls, 1);
        ck_assert_int_eq(many[i].outcome, EXCHANGE_ANSWER);
        ck_assert_str_eq(many[i].name, name);
        ck_assert_int_eq(many[i].msg[13], 'n');
    }
    stop();
}
END_TEST

static unsigned n_ended;

static void not_early(void *ctx, enum exchange_outcome outcome,
                      const struct question *q, const uint8_t *msg, size_t len,
                      const char *why)
{
    (void)q, (void)msg, (void)len, (void)why;
    ck_assert(outcome == EXCHANGE_TIMEOUT || outcome == EXCHANGE_UNASKED);
    ck_assert_uint_le(*(uint64_t *)ctx, clock_boot_ms());
    n_ended++;
}

START_TEST(four_thousand_deadlines)
{
    enum { N = 4096 };
    static uint64_t deadlines[N];
    uint64_t now = clock_boot_ms();

    start(1);
    servers[0].udp = NOTHING;
    n_ended = 0;
    for (unsigned i = 0; i < N; i++) {
        deadlines[i] = now + i * 7919u % 600;
        ck_assert_int_eq(engine_ask(engine, "x.example", WIRE_TYPE_MX,
                                    deadlines[i], not_early, &deadlines[i]),
                         MXHOP_OK);
    }
    run();
    ck_assert_uint_eq(n_ended, N);
    stop();
}
END_TEST

START_TEST(timers_come_out_in_order)
{
    enum { N = 500 };
    static struct query queries[N];
    struct heap h = {0};
    uint64_t last = 0;
    size_t n;

    for (unsigned i = 0; i < N; i++) {
        ck_assert(vec_room(&h.q, h.n, &h.cap, sizeof(struct query *)));
        queries[i].due_ms = i * 7919u % 307;
        heap_add(&h, &queries[i]);
    }
    for (unsigned i = 0; i < N; i += 3) {
        queries[i].due_ms = i * 104729u % 311;
        heap_moved(&h, &queries[i]);
    }
    for (unsigned i = 0; i < N; i += 7)
        heap_remove(&h, &queries[i]);
    for (n = 0; h.n > 0; n++) {
        ck_assert_uint_le(last, h.q[0]->due_ms);
        ck_assert_uint_ne((size_t)(h.q[0] - queries) % 7, 0);
        last = h.q[0]->due_ms;
        heap_remove(&h, h.q[0]);
    }
    ck_assert_uint_eq(n, N - (N + 6) / 7);
    free(h.q);
}
END_TEST

static void ask_more(void *ctx, enum exchange_outcome outcome,
                     const struct question *q, const uint8_t *msg, size_t len,
                     const char *why)
{
    unsigned *left = ctx;
    char first = (char)msg[13];

    (void)why;
    ck_assert_int_eq(outcome, EXCHANGE_ANSWER);
    if (*left > 0) {
        --*left;
        ask(5000, ask_more, ctx);
        ask(5000, keep, &result);
    }
    ck_assert_int_eq(msg[13], first); /* still there, and ours */
    ck_assert_int_eq(q->name[0], first);
    ck_assert_uint_gt(len, 12);
}

START_TEST(callbacks_may_ask)
{
    static const enum act acts[] = {ANSWER, TRUNCATE};
    unsigned left = 20;

    start(1);
    servers[0].udp = acts[_i];
    servers[0].tcp = ANSWER;
    ask(5000, ask_more, &left);
    run();
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(result.calls, 20);
    stop();
}
END_TEST

static void ask_for_ever(void *ctx, enum exchange_outcome outcome,
                         const struct question *q, const uint8_t *msg,
                         size_t len, const char *why)
{
    (void)ctx, (void)outcome, (void)q, (void)msg, (void)len, (void)why;
    n_ended++;
    ask(0, ask_for_ever, NULL);
}

START_TEST(a_step_ends_though_callbacks_go_on)
{
    start(0);
    n_ended = 0;
    ask(0, ask_for_ever, NULL);
    for (int i = 0; i < 3; i++)
        engine_step(engine, clock_boot_ms() + 1000, -1);
    ck_assert_uint_ge(n_ended, 3);
    ck_assert_uint_eq(engine->heap.n, 1);
    stop(); /* drops it without a call */
}
END_TEST

/* ---- waiting ---- */

static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static unsigned steps_until_idle(void)
{
    unsigned n = 0;

    for (; engine->heap.n > 0; n++)
        engine_step(engine, UINT64_MAX, -1);
    return n;
}

START_TEST(waiting_costs_nothing)
{
    static const enum act tcp[] = {NOTHING, STALL};
    double before;

    start(2);
    servers[0].udp = servers[1].udp = _i == 0 ? NOTHING : TRUNCATE;
    servers[0].tcp = servers[1].tcp = tcp[_i];
    for (int i = 0; i < 5; i++)
        ask(1000, keep, &result);
    before = cpu_ms();
    if (_i == 0)
        ck_assert_uint_lt(steps_until_idle(), 100);
    else
        run();
    ck_assert_int_eq(result.outcome, EXCHANGE_TIMEOUT);
    ck_assert_uint_eq(result.calls, 5);
    ck_assert(cpu_ms() - before < 300);
    stop();
}
END_TEST

START_TEST(step_returns_in_time)
{
    int wake[2];
    uint64_t begin = clock_boot_ms();

    start(1);
    servers[0].udp = NOTHING;
    engine_step(engine, begin + 30, -1); /* nothing in flight */
    ck_assert_uint_ge(clock_boot_ms(), begin + 30);
    engine_step(engine, 0, -1); /* past: at once */
    ask(GUARD_MS, keep, &result);
    ck_assert_int_eq(pipe2(wake, O_CLOEXEC), 0);
    ck_assert_int_eq(write(wake[1], "x", 1), 1);
    for (int i = 0; i < 3; i++) /* readable stays readable: not read */
        engine_step(engine, UINT64_MAX, wake[0]);
    ck_assert_uint_lt(clock_boot_ms(), begin + GUARD_MS);
    close(wake[0]);
    close(wake[1]);
    stop(); /* with a query in flight */
    ck_assert_uint_eq(result.calls, 0);
}
END_TEST

START_TEST(hurried)
{
    struct result other = {0};
    uint64_t start_ms = clock_boot_ms();

    start(1);
    ask(GUARD_MS, keep, &result);
    ask(1000, keep, &other);
    step(clock_boot_ms() + 20);
    engine_hurry(engine, &result, UINT64_MAX); /* never later */
    engine_hurry(engine, &result, clock_boot_ms());
    engine_step(engine, clock_boot_ms(), -1);
    ck_assert_uint_eq(result.calls, 1);
    ck_assert_int_eq(result.outcome, EXCHANGE_TIMEOUT);
    ck_assert_uint_eq(other.calls, 0);
    run();
    ck_assert_uint_ge(clock_boot_ms(), start_ms + 1000);
    ck_assert_uint_eq(other.calls, 1);
    stop();
}
END_TEST

/* ---- fork ---- */

static void wait_for_child(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/* Exim forks with the table open. What the child has of the parent's sockets
   keeps them alive; the parent must not hear of those it closed. */
START_TEST(child_keeps_sockets)
{
    uint64_t until_ms;
    pid_t pid;

    start(1);
    servers[0].udp = LATE;
    ask(100, keep, &result);
    while (servers[0].n_udp == 0)
        step(clock_boot_ms() + 50);
    pid = fork();
    if (pid == 0) {
        usleep(800000);
        _exit(0);
    }
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_TIMEOUT);
    sendto(servers[0].udp_fd, "late", 4, 0,
           (struct sockaddr *)&servers[0].late_from,
           sizeof(servers[0].late_from));
    until_ms = clock_boot_ms() + 100;
    engine_step(engine, until_ms, -1);
    ck_assert_uint_ge(clock_boot_ms(), until_ms);
    wait_for_child(pid);
    stop();
}
END_TEST

/* Each goes on by itself. */
START_TEST(child_asks_too)
{
    struct result of_child = {0};
    uint16_t drawn[IDS_DRAWN]; /* the parent will use them */
    pid_t pid;

    start(1);
    servers[0].udp = ANSWER;
    ask(5000, keep, &result);
    engine_step(engine, clock_boot_ms(), -1);
    memcpy(drawn, engine->ids, sizeof(drawn));
    pid = fork();
    if (pid == 0) {
        ask(5000, keep, &of_child);
        while (of_child.calls == 0 || result.calls == 0)
            step(clock_boot_ms() + 50);
        if (memcmp(drawn, engine->ids, sizeof(drawn)) == 0)
            _exit(2);
        engine_close(&engine);
        _exit(of_child.outcome != EXCHANGE_ANSWER ||
              result.outcome != EXCHANGE_ANSWER);
    }
    wait_for_child(pid);
    run();
    ck_assert_uint_eq(result.calls, 1);
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    stop();
}
END_TEST

/* ---- shortages ---- */

/* Leave the process so many free descriptors. */
static void leave_descriptors(unsigned n)
{
    struct rlimit limit;
    int fd = 0;

    while (fcntl(fd, F_GETFD) >= 0 || n-- > 0)
        fd++;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)fd;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(descriptors_run_out)
{
    struct rlimit old;
    double before;

    start(1);
    servers[0].udp = ANSWER;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    leave_descriptors(0);
    before = cpu_ms();
    ask(300, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_UNASKED);
    ck_assert_str_eq(result.why, "no socket: Too many open files");
    ck_assert(cpu_ms() - before < 150);

    leave_descriptors(3); /* they go round */
    for (int i = 0; i < 30; i++)
        ask(10000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    ck_assert_uint_eq(result.calls, 31);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    stop();
}
END_TEST

/* With one descriptor a query gives up its older attempt for its newer one. */
START_TEST(one_descriptor_for_two_servers)
{
    struct rlimit old;

    start(2);
    servers[0].udp = NOTHING;
    servers[1].udp = ANSWER;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    leave_descriptors(1);
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    ck_assert_uint_eq(servers[0].n_udp, 1);
    stop();
}
END_TEST

START_TEST(allocations_fail)
{
    bool hit = true;

    for (unsigned n = 1; hit; n++) {
        enum mxhop_status status;
        struct mxhop_error err;
        struct dns_servers l;

        start(1);
        servers[0].udp = TRUNCATE;
        servers[0].tcp = BIG_ANSWER;
        engine_close(&engine);
        l = list();
        failmalloc_at(n);
        status = engine_open(&engine, &l, &err);
        if (status == MXHOP_OK)
            status = engine_ask(engine, "a.example", WIRE_TYPE_A,
                                clock_boot_ms() + 5000, keep, &result);
        if (status == MXHOP_OK)
            run();
        hit = failmalloc_hit();
        failmalloc_at(0);
        if (status == MXHOP_OK) {
            ck_assert_uint_eq(result.calls, 1);
            ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
            ck_assert_uint_gt(result.len, BIG);
        } else {
            ck_assert_int_eq(status, MXHOP_ERR_MEMORY);
            ck_assert(hit);
        }
        stop();
    }
}
END_TEST

/* ---- circuit breakers ---- */

/* What a watcher was told, a letter a call: o(pen), c(losed). */
static char told[32];
static size_t n_told;

static void watcher(void *ctx, const struct engine_server *s)
{
    must(ctx == told);
    must(n_told < sizeof(told) - 1);
    told[n_told++] = s->state == BREAKER_OPEN     ? 'o'
                     : s->state == BREAKER_CLOSED ? 'c'
                                                  : '?';
    told[n_told] = '\0';
}

static void watch_servers(void)
{
    memset(told, 0, sizeof(told));
    n_told = 0;
    engine_watch_servers(engine, watcher, told);
}

static struct engine_server server_at(size_t i)
{
    struct engine_server s;

    engine_server_get(engine, i, &s);
    return s;
}

static enum breaker_state state_at(size_t i)
{
    return server_at(i).state;
}

static void assume_open(size_t i)
{
    engine_assume_open(engine, server_at(i).address);
    ck_assert_int_eq(state_at(i), BREAKER_OPEN);
}

/* Step until the breaker is in that state; false: it took too long. */
static bool becomes(size_t i, enum breaker_state state)
{
    uint64_t guard = clock_boot_ms() + GUARD_MS;

    while (state_at(i) != state) {
        if (clock_boot_ms() >= guard)
            return false;
        step(guard);
    }
    return true;
}

static void run_for(uint32_t ms)
{
    uint64_t until = clock_boot_ms() + ms;

    while (clock_boot_ms() < until)
        step(until);
}

/* As if nothing had come from the server for that long. */
static void was_heard_ago(size_t i, uint64_t ms)
{
    engine->peers[engine->peer_at[i]].breaker.heard_ms = clock_boot_ms() - ms;
}

static void was_silent(size_t i)
{
    breaker_silent(&engine->peers[engine->peer_at[i]].breaker, clock_boot_ms());
}

/* A server that is dead from the beginning. The queries in flight end when it
   opens, later ones at once, and all of them when it is back again work. */
START_TEST(dead_server_opens_and_closes)
{
    uint64_t begin;

    start(1);
    watch_servers();
    servers[0].udp = NOTHING;
    begin = clock_boot_ms();
    for (int i = 0; i < 3; i++)
        ask(GUARD_MS, keep, &result);
    run();
    ck_assert_uint_eq(result.calls, 3);
    ck_assert_int_eq(result.outcome, EXCHANGE_DOWN);
    ck_assert_uint_ge(clock_boot_ms(), begin + BREAKER_PROBE_WAIT_MS);
    ck_assert_ptr_nonnull(strstr(result.why,
                                 "no name server answers (circuit breaker "
                                 "open: 127.0.0.1:"));
    ck_assert_ptr_eq(strchr(result.why, ')'),
                     result.why + strlen(result.why) - 1);
    ck_assert_uint_ge(servers[0].n_probes, 1);
    ck_assert_str_eq(told, "o");
    ck_assert(engine_down(engine));

    servers[0].n_udp = 0;
    ask(GUARD_MS, keep, &result);
    engine_step(engine, UINT64_MAX, -1);
    ck_assert_uint_eq(result.calls, 4);
    ck_assert_int_eq(result.outcome, EXCHANGE_DOWN);
    ck_assert_uint_eq(servers[0].n_udp, 0);

    servers[0].udp = servers[0].probe = ANSWER; /* with nobody asking */
    ck_assert(becomes(0, BREAKER_CLOSED));
    ck_assert(!engine_down(engine));
    ck_assert_str_eq(told, "oc");
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    ck_assert_uint_eq(server_at(0).opened, 1);
    stop();
}
END_TEST

/* Nobody listens on its port: that is no sign of life either. */
START_TEST(refusing_port_opens)
{
    start(1);
    shut(&servers[0].udp_fd);
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_UNASKED);
    ck_assert_int_eq(state_at(0), BREAKER_SUSPECT);
    ck_assert(becomes(0, BREAKER_OPEN));
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_DOWN);
    stop();
}
END_TEST

/* What a server may say to keep its breaker closed: to a query over UDP or
   TCP, or to the probe alone. */
static const struct {
    enum act udp, tcp, probe;
} signs_of_life[] = {{ANSWER, NOTHING, NOTHING},  {SERVFAIL, NOTHING, NOTHING},
                     {REFUSED, NOTHING, NOTHING}, {LIE, NOTHING, NOTHING},
                     {EMPTY, NOTHING, NOTHING},   {ALIEN_ID, NOTHING, NOTHING},
                     {NOTHING, NOTHING, ANSWER},  {NOTHING, NOTHING, SERVFAIL},
                     {NOTHING, NOTHING, LIE},     {NOTHING, NOTHING, EMPTY},
                     {NOTHING, NOTHING, ALIEN_ID}};

START_TEST(signs_of_life_keep_it_closed)
{
    start(1);
    watch_servers();
    was_silent(0);
    ck_assert_int_eq(state_at(0), BREAKER_SUSPECT);
    servers[0].udp = signs_of_life[_i].udp;
    servers[0].tcp = signs_of_life[_i].tcp;
    servers[0].probe = signs_of_life[_i].probe;
    ask(GUARD_MS, keep, &result);
    ck_assert(becomes(0, BREAKER_CLOSED));
    ck_assert_str_eq(told, ""); /* it was never open */
    stop();
}
END_TEST

/* Half of an answer over TCP. */
START_TEST(octets_over_tcp_are_a_sign_of_life)
{
    start(1);
    servers[0].udp = TRUNCATE;
    servers[0].tcp = STALL;
    ask(GUARD_MS, keep, &result);
    while (servers[0].n_tcp == 0)
        step(UINT64_MAX);
    servers[0].udp = NOTHING; /* from here on */
    was_silent(0);
    ck_assert_int_eq(state_at(0), BREAKER_SUSPECT);
    ck_assert(becomes(0, BREAKER_CLOSED));
    stop();
}
END_TEST

/* The answers of one server say nothing about another. */
START_TEST(dead_server_beside_a_living_one_opens)
{
    start(2);
    servers[0].udp = NOTHING;
    servers[1].udp = ANSWER;
    ask(GUARD_MS, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    ck_assert_int_eq(state_at(0), BREAKER_SUSPECT);
    ck_assert(becomes(0, BREAKER_OPEN));
    ck_assert_int_eq(state_at(1), BREAKER_CLOSED);
    ck_assert(!engine_down(engine));
    stop();
}
END_TEST

/* A thousand names whose servers are silent, and a resolver that answers
   nothing but the probe: each is waited for, for nothing, but no other name
   suffers. */
START_TEST(silent_names_leave_it_closed)
{
    enum { N = 1000 };
    static struct result silent; /* of all */
    char name[32];

    start(1);
    watch_servers();
    memset(&silent, 0, sizeof(silent));
    servers[0].udp = NOTHING;
    servers[0].probe = ANSWER;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "n%d.example.com", i);
        ck_assert_int_eq(engine_ask(engine, name, WIRE_TYPE_MX,
                                    clock_boot_ms() + 1000 + (unsigned)i % 700,
                                    keep, &silent),
                         MXHOP_OK);
    }
    run();
    ck_assert_uint_eq(silent.calls, N);
    ck_assert_int_eq(silent.outcome, EXCHANGE_TIMEOUT);
    ck_assert_str_eq(told, "");
    ck_assert_uint_ge(servers[0].n_probes, 1);
    ck_assert_uint_le(servers[0].n_probes, 10); /* not one a name */
    servers[0].udp = ANSWER;
    ask(5000, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    stop();
}
END_TEST

/* What was heard in the last five seconds counts, though nothing, not even
   the probe, is answered now. */
START_TEST(recently_heard_stays_closed)
{
    start(1);
    servers[0].udp = ANSWER;
    ask(5000, keep, &result);
    run();
    servers[0].udp = NOTHING;
    ask(1600, keep, &result);
    run();
    ck_assert_int_eq(result.outcome, EXCHANGE_TIMEOUT);
    ck_assert_uint_ge(servers[0].n_probes, 2);
    ck_assert_int_eq(state_at(0), BREAKER_SUSPECT);
    was_heard_ago(0, BREAKER_QUIET_MS);
    ck_assert(becomes(0, BREAKER_OPEN));
    stop();
}
END_TEST

/* The answer to a probe waits in its socket while nobody steps the engine. */
START_TEST(answers_that_waited_count)
{
    struct timespec pause = {.tv_sec = 1, .tv_nsec = 200000000};

    start(1);
    watch_servers();
    servers[0].udp = NOTHING;
    servers[0].probe = ANSWER;
    ask(500, keep, &result);
    while (servers[0].n_probes == 0)
        step(UINT64_MAX);
    nanosleep(&pause, NULL); /* longer than a probe is waited for */
    step(clock_boot_ms());
    ck_assert_int_eq(state_at(0), BREAKER_CLOSED);
    ck_assert_str_eq(told, "");
    stop();
}
END_TEST

/* A dead server at the head of the list costs the first query its patience,
   later ones nothing; when it is back it is the first again. */
START_TEST(dead_first_server_is_passed_over)
{
    start(2);
    servers[0].udp = NOTHING;
    servers[1].udp = ANSWER;
    for (int i = 0; i < 10; i++) {
        ask(5000, keep, &result);
        run();
        ck_assert_int_eq(result.outcome, EXCHANGE_ANSWER);
    }
    ck_assert_uint_eq(servers[0].n_udp, 1);
    ck_assert_uint_eq(servers[1].n_udp, 10);
    servers[0].udp = servers[0].probe = ANSWER;
    ck_assert(becomes(0, BREAKER_CLOSED));
    for (int i = 0; i < 10; i++) {
        ask(5000, keep, &result);
        run();
    }
    ck_assert_uint_eq(servers[0].n_udp, 11);
    ck_assert_uint_eq(servers[1].n_udp, 10);
    ck_assert_uint_eq(result.calls, 20);
    stop();
}
END_TEST

/* A server that is open is not asked, not waited for, and named. */
static const struct {
    const char *what;
    size_t n;
    bool open[3];
    enum act udp[3];
    enum exchange_outcome outcome;
    unsigned n_udp[3];
    const char *why[2];
} open_cases[] = {
    {"the first",
     2,
     {true, false},
     {ANSWER, ANSWER},
     EXCHANGE_ANSWER,
     {0, 1},
     {""}},
    {"the second, the first is silent for a while",
     2,
     {false, true},
     {ONCE_SILENT, ANSWER},
     EXCHANGE_ANSWER,
     {2, 0},
     {""}},
    {"the second, the first fails",
     2,
     {false, true},
     {SERVFAIL, ANSWER},
     EXCHANGE_FAILED,
     {1, 0},
     {"SERVFAIL from 127.0.0.1:", "; circuit breaker open for 127.0.0.1:"}},
    {"two of three, the last is refusing",
     3,
     {true, true, false},
     {ANSWER, ANSWER, REFUSED},
     EXCHANGE_FAILED,
     {0, 0, 1},
     {"circuit breaker open for 127.0.0.1:", "REFUSED from 127.0.0.1:"}},
    {"the middle one",
     3,
     {false, true, false},
     {SERVFAIL, ANSWER, ANSWER},
     EXCHANGE_ANSWER,
     {1, 0, 1},
     {""}},
    {"all",
     3,
     {true, true, true},
     {ANSWER, ANSWER, ANSWER},
     EXCHANGE_DOWN,
     {0, 0, 0},
     {"no name server answers (circuit breaker open: 127.0.0.1:", ", 127.0."}},
};

START_TEST(open_servers_are_left_out)
{
    start(open_cases[_i].n);
    for (size_t i = 0; i < n_servers; i++) {
        servers[i].udp = open_cases[_i].udp[i];
        if (open_cases[_i].open[i])
            assume_open(i);
    }
    ask(5000, keep, &result);
    run();
    ck_assert_msg(result.outcome == open_cases[_i].outcome, "%s: %d %s",
                  open_cases[_i].what, (int)result.outcome, result.why);
    for (size_t i = 0; i < n_servers; i++)
        ck_assert_msg(servers[i].n_udp == open_cases[_i].n_udp[i],
                      "%s: server %zu saw %u", open_cases[_i].what, i,
                      servers[i].n_udp);
    for (size_t i = 0; i < 2 && open_cases[_i].why[i] != NULL; i++)
        ck_assert_msg(strstr(result.why, open_cases[_i].why[i]) != NULL,
                      "%s: %s", open_cases[_i].what, result.why);
    stop();
}
END_TEST

/* Several hundred queries wait for a server when its breaker opens: some have
   nobody else to ask, some go on to the next server at once. */
START_TEST(opening_frees_all_who_wait)
{
    enum { N = 300 };

    start(2);
    servers[0].udp = servers[1].udp = NOTHING;
    for (int i = 0; i < N; i++)
        ask(GUARD_MS - (unsigned)i * 7919u % 10000, keep, &result);
    step(clock_boot_ms());
    assume_open(0);
    while (servers[1].n_udp < N) /* before they lost patience with the first */
        step(clock_boot_ms());
    ck_assert_uint_eq(servers[0].n_udp, N);
    ck_assert_uint_eq(result.calls, 0);
    assume_open(1);
    step(clock_boot_ms());
    ck_assert_uint_eq(result.calls, N);
    ck_assert_int_eq(result.outcome, EXCHANGE_DOWN);
    ck_assert_uint_eq(engine->heap.n, 0);
    stop();
}
END_TEST

/* What another process found is neither news nor for ever. */
START_TEST(assumed_open_is_probed_at_once)
{
    start(1);
    watch_servers();
    servers[0].probe = ANSWER;
    engine_assume_open(engine, "192.0.2.1");
    engine_assume_open(engine, "");
    ck_assert_int_eq(state_at(0), BREAKER_CLOSED);
    assume_open(0);
    ck_assert(engine_down(engine));
    ck_assert(becomes(0, BREAKER_CLOSED));
    ck_assert_str_eq(told, "c");
    stop();
}
END_TEST

/* As long as it is open, and once it is closed no more. Hearsay becomes our own
   finding when the probes for it go unanswered. */
START_TEST(open_is_told_again)
{
    start(1);
    watch_servers();
    engine->tell_again_ms = 500;
    servers[0].probe = NOTHING;
    assume_open(0);
    run_for(BREAKER_PROBE_WAIT_MS / 2);
    ck_assert_str_eq(told, "");
    run_for(BREAKER_PROBE_WAIT_MS * 5 / 2);
    ck_assert_int_eq(strncmp(told, "oo", 2), 0);
    ck_assert_uint_le(strlen(told), 6);
    servers[0].probe = ANSWER;
    ck_assert(becomes(0, BREAKER_CLOSED));
    run_for(1200);
    ck_assert_ptr_eq(strchr(told, 'c'), told + strlen(told) - 1);
    stop();
}
END_TEST

/* A breaker belongs to an address, wherever in the list that is. */
START_TEST(breakers_stay_with_their_addresses)
{
    struct dns_servers l, other;
    struct mxhop_error err;
    struct engine_server s;

    start(3);
    assume_open(1);
    l = list();
    other = l;
    other.n = 2;
    other.addr[0] = l.addr[2];
    other.addr[1] = l.addr[1];
    engine_set_servers(engine, &other);
    ck_assert_uint_eq(engine_server_count(engine), 2);
    ck_assert_int_eq(state_at(0), BREAKER_CLOSED);
    ck_assert_int_eq(state_at(1), BREAKER_OPEN);

    other.addr[1] = l.addr[0]; /* it leaves, and comes back */
    engine_set_servers(engine, &other);
    engine_set_servers(engine, &l);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(state_at(i), BREAKER_CLOSED);

    ck_assert_int_eq(dns_servers_load(&l,
                                      "192.0.2.1 192.0.2.1:54 [2001:db8::1] "
                                      "[2001:db8::1]:54 [2001:db8::2]:53 "
                                      "192.0.2.1:53",
                                      &err),
                     MXHOP_OK);
    engine_set_servers(engine, &l);
    engine_assume_open(engine, "[2001:db8::1]:54");
    engine_server_get(engine, 0, &s);
    ck_assert_str_eq(s.address, "192.0.2.1");
    engine_server_get(engine, 1, &s);
    ck_assert_str_eq(s.address, "192.0.2.1:54");
    engine_server_get(engine, 2, &s);
    ck_assert_str_eq(s.address, "[2001:db8::1]");
    for (size_t i = 0; i < l.n; i++)
        ck_assert_int_eq(state_at(i), i == 3 ? BREAKER_OPEN : BREAKER_CLOSED);
    engine_assume_open(engine, "192.0.2.1"); /* listed twice */
    ck_assert_int_eq(state_at(0), BREAKER_OPEN);
    ck_assert_int_eq(state_at(5), BREAKER_OPEN);
    ck_assert(!engine_down(engine));
    stop();
}
END_TEST

/* The list changes while queries and probes are in flight. */
START_TEST(a_server_that_left_has_no_breaker)
{
    struct dns_servers l;
    int before;

    start(2);
    before = open_descriptors();
    l = list();
    l.n = 1;
    engine_set_servers(engine, &l);
    servers[0].udp = NOTHING;
    ask(1000, keep, &result);
    ck_assert(becomes(0, BREAKER_SUSPECT));
    while (servers[0].n_probes == 0)
        step(UINT64_MAX);
    l.addr[0] = l.addr[1];
    engine_set_servers(engine, &l);
    run();
    ck_assert_int_eq(open_descriptors(), before); /* the probe's is closed */
    ck_assert_int_eq(result.outcome, EXCHANGE_TIMEOUT);
    ck_assert_int_eq(state_at(0), BREAKER_CLOSED);
    ck_assert_uint_eq(servers[1].n_probes, 0);
    stop();
}
END_TEST

/* Without a descriptor there is no probe: nothing is known, nothing opens,
   and nothing is busy. */
START_TEST(no_descriptor_for_the_probe)
{
    struct rlimit old;
    double before;

    start(1);
    servers[0].udp = NOTHING;
    ask(10000, keep, &result);
    step(clock_boot_ms());
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    leave_descriptors(0);
    before = cpu_ms();
    run_for(1600);
    ck_assert(cpu_ms() - before < 300);
    ck_assert_int_eq(state_at(0), BREAKER_SUSPECT);
    ck_assert_uint_eq(servers[0].n_probes, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert(becomes(0, BREAKER_OPEN));
    ck_assert_uint_ge(servers[0].n_probes, 1);
    stop();
}
END_TEST

/* Probes are nobody's business: a step ends in time, nothing is in flight. */
START_TEST(probes_do_not_hold_a_step)
{
    uint64_t begin;

    start(1);
    assume_open(0);
    ck_assert_uint_eq(engine->heap.n, 0);
    begin = clock_boot_ms();
    engine_step(engine, begin, -1);
    ck_assert_uint_lt(clock_boot_ms(), begin + GUARD_MS);
    run_for(1500);
    ck_assert_uint_eq(engine->heap.n, 0);
    ck_assert_uint_ge(servers[0].n_probes, 2);
    ck_assert_uint_le(servers[0].n_probes, 3);
    stop(); /* with a probe in flight */
}
END_TEST

START_TEST(no_servers_are_not_down)
{
    start(0);
    ck_assert_uint_eq(engine_server_count(engine), 0);
    ck_assert(!engine_down(engine));
    engine_assume_open(engine, "127.0.0.1");
    stop();
}
END_TEST

START_TEST(closing_nothing)
{
    struct engine *none = NULL;

    engine_close(&none);
    ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("exchange");
    TCase *t = tcase_create("exchange");

    tcase_set_timeout(t, 2 * GUARD_MS / 1000);
    tcase_add_loop_test(t, one_query, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(t, dead_port);
    tcase_add_test(t, dead_port_then_next_server);
    tcase_add_test(t, nobody_on_tcp);
    tcase_add_test(t, unreachable_at_once);
    tcase_add_test(t, no_servers);
    tcase_add_test(t, fresh_port_and_id_every_attempt);
    tcase_add_test(t, fresh_port_and_id_every_query);
    tcase_add_test(t, used_sockets_are_empty);
    tcase_add_test(t, new_servers_are_for_new_queries);
    tcase_add_test(t, names_that_cannot_be_asked);
    tcase_add_test(t, five_hundred_at_once);
    tcase_add_test(t, four_thousand_deadlines);
    tcase_add_test(t, timers_come_out_in_order);
    tcase_add_loop_test(t, callbacks_may_ask, 0, 2);
    tcase_add_test(t, a_step_ends_though_callbacks_go_on);
    tcase_add_loop_test(t, waiting_costs_nothing, 0, 2);
    tcase_add_test(t, step_returns_in_time);
    tcase_add_test(t, child_keeps_sockets);
    tcase_add_test(t, child_asks_too);
    tcase_add_test(t, hurried);
    tcase_add_test(t, descriptors_run_out);
    tcase_add_test(t, one_descriptor_for_two_servers);
    tcase_add_test(t, allocations_fail);
    tcase_add_test(t, dead_server_opens_and_closes);
    tcase_add_test(t, refusing_port_opens);
    tcase_add_loop_test(t, signs_of_life_keep_it_closed, 0,
                        sizeof(signs_of_life) / sizeof(signs_of_life[0]));
    tcase_add_test(t, octets_over_tcp_are_a_sign_of_life);
    tcase_add_test(t, dead_server_beside_a_living_one_opens);
    tcase_add_test(t, silent_names_leave_it_closed);
    tcase_add_test(t, recently_heard_stays_closed);
    tcase_add_test(t, answers_that_waited_count);
    tcase_add_test(t, dead_first_server_is_passed_over);
    tcase_add_loop_test(t, open_servers_are_left_out, 0,
                        sizeof(open_cases) / sizeof(open_cases[0]));
    tcase_add_test(t, opening_frees_all_who_wait);
    tcase_add_test(t, assumed_open_is_probed_at_once);
    tcase_add_test(t, open_is_told_again);
    tcase_add_test(t, breakers_stay_with_their_addresses);
    tcase_add_test(t, a_server_that_left_has_no_breaker);
    tcase_add_test(t, no_descriptor_for_the_probe);
    tcase_add_test(t, probes_do_not_hold_a_step);
    tcase_add_test(t, no_servers_are_not_down);
    tcase_add_test(t, closing_nothing);
    suite_add_tcase(s, t);
    return suite_run(s);
}
