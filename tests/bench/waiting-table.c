/*
 * waiting-table - a table that simply waits for the DNS
 *
 *     waiting-table PORT
 *
 * What a table does that was written without a thought about who waits for it:
 * a socketmap_table(5) server on 127.0.0.1 that asks the DNS while the client
 * waits, with the resolver's own timeouts and without a cache. It answers with
 * the domain's most preferred mail host, in brackets; with "not found" where
 * there is none, or no answer. Every connection has a process of its own, so
 * one client never waits for another.
 *
 * For the bench `stall`, to compare with. Ends on a signal.
 */

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 1000

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* "NAME KEY", without the netstring around it. false: the client is gone. */
static bool read_request(FILE *in, char *request)
{
    size_t len;

    if (fscanf(in, "%4zu:", &len) != 1 || len >= REQUEST_MAX)
        return false;
    if (fread(request, 1, len, in) != len || getc(in) != ',')
        return false;
    request[len] = '\0';
    return true;
}

/* The most preferred exchange of a parsed answer. */
static bool best_host(ns_msg *msg, char *host)
{
    unsigned best = UINT32_MAX;
    ns_rr rr;

    for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
        if (ns_parserr(msg, ns_s_an, i, &rr) != 0 || ns_rr_type(rr) != ns_t_mx)
            continue;
        if (ns_rr_rdlen(rr) < 3 || ns_get16(ns_rr_rdata(rr)) >= best)
            continue;
        if (ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg),
                               ns_rr_rdata(rr) + 2, host, NS_MAXDNAME) > 0)
            best = ns_get16(ns_rr_rdata(rr));
    }
    return best != UINT32_MAX;
}

/* Postfix asks a socketmap for whole addresses, once each. */
static int ask(const char *key, unsigned char *answer, int size)
{
    const char *at = strrchr(key, '@');

    return res_query(at != NULL ? at + 1 : key, ns_c_in, ns_t_mx, answer, size);
}

static void reply(FILE *out, const char *key)
{
    unsigned char answer[NS_PACKETSZ * 8];
    char host[NS_MAXDNAME], text[NS_MAXDNAME + 8] = "NOTFOUND ";
    int len = ask(key, answer, sizeof(answer));
    ns_msg msg;

    if (len > 0 && len <= (int)sizeof(answer) &&
        ns_initparse(answer, len, &msg) == 0 && best_host(&msg, host))
        snprintf(text, sizeof(text), "OK :[%s]", host);
    fprintf(out, "%zu:%s,", strlen(text), text);
    fflush(out);
}

static void serve(int fd)
{
    FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
    char request[REQUEST_MAX];
    const char *key;

    if (in == NULL || out == NULL)
        die("fdopen");
    while (read_request(in, request)) {
        key = strchr(request, ' ');
        reply(out, key != NULL ? key + 1 : "");
    }
    exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)(argc == 2 ? atoi(argv[1]) : 0)),
    };
    int on = 1, fd, listener = socket(AF_INET, SOCK_STREAM, 0);

    if (listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 128) != 0)
        die("waiting-table");
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        fd = accept(listener, NULL, NULL);
        if (fd >= 0 && fork() == 0)
            serve(fd);
        close(fd);
    }
}
