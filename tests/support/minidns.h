/*
 * A name server in a thread of the test, on a UDP port of 127.0.0.1: answers
 * from a table of rows and counts what it was asked. Allocates nothing, so
 * that it goes well with failmalloc.h.
 */

#ifndef SUPPORT_MINIDNS_H
#define SUPPORT_MINIDNS_H

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "dns/message.h"
#include "util/clock.h"

/* Rows leave out what is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define MINIDNS_SILENT (-1)
#define MINIDNS_LATER  256
#define MINIDNS_SEEN   4096

/*
 * answer: words `mx PREF NAME`, `a ADDR`, `aaaa ADDR`, `cname NAME` (what
 * follows belongs to NAME), `txt TEXT` (no space; `+` begins another string),
 * `tlsa USAGE SELECTOR TYPE LENGTH` (data of zeroes), `soa TTL` (authority),
 * `ttl N` (for what follows).
 * A name without a row is NXDOMAIN; one with rows of other types, no data.
 */
struct minidns_row {
    const char *name;
    uint16_t type;
    const char *answer;
    int rcode;
    int delay_ms; /* or MINIDNS_SILENT */
    bool ad;
};

struct minidns_later {
    uint64_t at_ms; /* 0: free */
    struct sockaddr_in to;
    size_t len;
    uint8_t msg[4096];
};

struct minidns {
    const struct minidns_row *rows; /* ends with a NULL name */
    int fd, stop_fd;
    struct sockaddr_in addr;
    pthread_t thread;
    pthread_mutex_t lock; /* for what follows */
    size_t n_seen, n_pending, max_pending;
    char seen[MINIDNS_SEEN][80]; /* "name type" */
    struct minidns_later later[MINIDNS_LATER];
};

static uint8_t *minidns_u16(uint8_t *p, unsigned v)
{
    *p++ = (uint8_t)(v >> 8);
    *p++ = (uint8_t)v;
    return p;
}

static uint8_t *minidns_name(uint8_t *p, const char *name)
{
    while (*name != '\0' && *name != '.') {
        size_t n = strcspn(name, ".");

        *p++ = (uint8_t)n;
        memcpy(p, name, n);
        p += n;
        name += n + (name[n] == '.');
    }
    *p++ = 0;
    return p;
}

static uint8_t *minidns_head(uint8_t *p, const char *owner, unsigned type,
                             unsigned ttl)
{
    p = minidns_name(p, owner);
    p = minidns_u16(p, type);
    p = minidns_u16(p, 1);
    p = minidns_u16(p, ttl >> 16);
    p = minidns_u16(p, ttl & 0xffff);
    return p + 2; /* room for the length */
}

/* Close a record whose data starts at `data`. */
static void minidns_close(uint8_t *data, const uint8_t *end)
{
    minidns_u16(data - 2, (unsigned)(end - data));
}

static uint8_t *minidns_records(uint8_t *p, const char *qname,
                                const char *answer, unsigned counts[2])
{
    char text[8192], owner[256];
    char *save = NULL, *word;
    unsigned ttl = 300;

    snprintf(text, sizeof(text), "%s", answer != NULL ? answer : "");
    snprintf(owner, sizeof(owner), "%s", qname);
    for (word = strtok_r(text, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        char *arg = strtok_r(NULL, " ", &save);
        uint8_t *data;

        if (strcmp(word, "ttl") == 0) {
            ttl = (unsigned)atoi(arg);
            continue;
        }
        counts[strcmp(word, "soa") == 0]++;
        if (strcmp(word, "mx") == 0) {
            data = p = minidns_head(p, owner, 15, ttl);
            p = minidns_u16(p, (unsigned)atoi(arg));
            p = minidns_name(p, strtok_r(NULL, " ", &save));
        } else if (strcmp(word, "cname") == 0) {
            data = p = minidns_head(p, owner, 5, ttl);
            p = minidns_name(p, arg);
            snprintf(owner, sizeof(owner), "%s", arg);
        } else if (strcmp(word, "a") == 0) {
            data = p = minidns_head(p, owner, 1, ttl);
            assert(inet_pton(AF_INET, arg, p) == 1);
            p += 4;
        } else if (strcmp(word, "aaaa") == 0) {
            data = p = minidns_head(p, owner, 28, ttl);
            assert(inet_pton(AF_INET6, arg, p) == 1);
            p += 16;
        } else if (strcmp(word, "txt") == 0) {
            data = p = minidns_head(p, owner, 16, ttl);
            for (size_t n; *arg != '\0'; arg += n + (arg[n] == '+')) {
                n = strcspn(arg, "+");
                *p++ = (uint8_t)n;
                p = (uint8_t *)memcpy(p, arg, n) + n;
            }
        } else if (strcmp(word, "tlsa") == 0) {
            data = p = minidns_head(p, owner, 52, ttl);
            *p++ = (uint8_t)atoi(arg);
            *p++ = (uint8_t)atoi(strtok_r(NULL, " ", &save));
            *p++ = (uint8_t)atoi(strtok_r(NULL, " ", &save));
            for (int n = atoi(strtok_r(NULL, " ", &save)); n > 0; n--)
                *p++ = 0;
        } else {
            assert(strcmp(word, "soa") == 0);
            data = p = minidns_head(p, "example", 6, (unsigned)atoi(arg));
            p = minidns_name(p, "ns.example");
            p = minidns_name(p, "admin.example");
            for (int i = 0; i < 5; i++) {
                p = minidns_u16(p, 0);
                p = minidns_u16(p, i == 4 ? (unsigned)atoi(arg) : 1);
            }
        }
        minidns_close(data, p);
    }
    return p;
}

static const struct minidns_row *minidns_find(const struct minidns *s,
                                              const char *name, uint16_t type)
{
    static const struct minidns_row nxdomain = {.answer = "soa 60", .rcode = 3};
    static const struct minidns_row nodata = {.answer = "soa 60"};
    const struct minidns_row *found = &nxdomain;

    for (const struct minidns_row *r = s->rows; r->name != NULL; r++)
        if (strcasecmp(r->name, name) == 0) {
            if (r->type == type)
                return r;
            found = &nodata;
        }
    return found;
}

static void minidns_receive(struct minidns *s)
{
    uint8_t q[512], *p;
    char name[256] = "";
    size_t at = 12, n = 0;
    struct minidns_later *l = s->later;
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t len =
        recvfrom(s->fd, q, sizeof(q), 0, (struct sockaddr *)&from, &from_len);
    const struct minidns_row *row;
    unsigned type, counts[2] = {0, 0};

    if (len < 17)
        return;
    while (q[at] != 0) {
        n += (size_t)snprintf(name + n, sizeof(name) - n, "%s%.*s",
                              n > 0 ? "." : "", q[at], (char *)q + at + 1);
        at += 1u + q[at];
    }
    type = (unsigned)q[at + 1] << 8 | q[at + 2];
    at += 5;
    row = minidns_find(s, name, (uint16_t)type);
    pthread_mutex_lock(&s->lock);
    if (s->n_seen < MINIDNS_SEEN)
        snprintf(s->seen[s->n_seen++], sizeof(s->seen[0]), "%.70s %u", name,
                 type);
    while (l < s->later + MINIDNS_LATER && l->at_ms != 0)
        l++;
    if (row->delay_ms != MINIDNS_SILENT && l < s->later + MINIDNS_LATER) {
        memcpy(l->msg, q, at);
        l->msg[2] = 0x81;
        l->msg[3] = (uint8_t)(0x80 | (row->ad ? 0x20 : 0) | row->rcode);
        p = minidns_records(l->msg + at, name, row->answer, counts);
        minidns_u16(l->msg + 6, counts[0]);
        minidns_u16(l->msg + 8, counts[1]);
        minidns_u16(l->msg + 10, 0);
        l->len = (size_t)(p - l->msg);
        l->to = from;
        l->at_ms = clock_boot_ms() + (uint64_t)row->delay_ms;
        if (++s->n_pending > s->max_pending)
            s->max_pending = s->n_pending;
    }
    pthread_mutex_unlock(&s->lock);
}

static int minidns_send_due(struct minidns *s)
{
    uint64_t now = clock_boot_ms(), next = now + 10000;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < MINIDNS_LATER; i++) {
        struct minidns_later *l = &s->later[i];

        if (l->at_ms == 0)
            continue;
        if (l->at_ms <= now) {
            sendto(s->fd, l->msg, l->len, 0, (struct sockaddr *)&l->to,
                   sizeof(l->to));
            l->at_ms = 0;
            s->n_pending--;
        } else if (l->at_ms < next) {
            next = l->at_ms;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return (int)(next - now);
}

static void *minidns_run(void *arg)
{
    struct minidns *s = arg;
    struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN},
                          {.fd = s->stop_fd, .events = POLLIN}};

    do {
        poll(p, 2, minidns_send_due(s));
        if (p[0].revents != 0)
            minidns_receive(s);
    } while (p[1].revents == 0);
    return NULL;
}

static void minidns_start(struct minidns *s, const struct minidns_row *rows)
{
    socklen_t len = sizeof(s->addr);
    int size = 1 << 20;

    memset(s, 0, sizeof(*s));
    s->rows = rows;
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->addr.sin_family = AF_INET;
    s->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert(bind(s->fd, (struct sockaddr *)&s->addr, len) == 0);
    getsockname(s->fd, (struct sockaddr *)&s->addr, &len);
    pthread_mutex_init(&s->lock, NULL);
    assert(pthread_create(&s->thread, NULL, minidns_run, s) == 0);
}

static void minidns_stop(struct minidns *s)
{
    uint64_t one = 1;

    assert(write(s->stop_fd, &one, sizeof(one)) == sizeof(one));
    pthread_join(s->thread, NULL);
    close(s->fd);
    close(s->stop_fd);
}

static struct dns_servers minidns_servers(const struct minidns *s)
{
    struct dns_servers servers = {.n = 1, .trust_ad = true};

    memcpy(&servers.addr[0], &s->addr, sizeof(s->addr));
    return servers;
}

/* How many queries: "name type", or all with NULL. */
static size_t minidns_count(struct minidns *s, const char *what)
{
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n_seen; i++)
        n += what == NULL || strcmp(s->seen[i], what) == 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static inline void minidns_forget(struct minidns *s)
{
    pthread_mutex_lock(&s->lock);
    s->n_seen = 0;
    s->max_pending = 0;
    pthread_mutex_unlock(&s->lock);
}

#endif
