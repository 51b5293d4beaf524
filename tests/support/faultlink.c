/*
 * faultlink - a TCP link that breaks where it is told to
 *
 *     faultlink LISTEN-ADDRESS:PORT TO-ADDRESS:PORT RULE-FILE
 *
 * Takes connections (IPv4) and passes bytes both ways. The rule is read anew
 * for each connection:
 *
 *     pass          all of it
 *     cut N         N octets of the server's, then both sides are closed
 *     stall N       N octets of the server's, then nothing more, in either
 *                   direction, and the connection stays
 *     flip N        octet N of the server's (from 0) has its bits inverted
 *
 * One process a connection. Each end of one is a line on standard output:
 * `end OCTETS`, what the server sent and the client got.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum fault { PASS, CUT, STALL, FLIP };

struct rule {
    enum fault fault;
    unsigned long at;
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in address(const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    size_t n = colon == NULL ? sizeof(host) : (size_t)(colon - text);

    if (n >= sizeof(host)) {
        fprintf(stderr, "faultlink: %s: expected ADDRESS:PORT\n", text);
        exit(64);
    }
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
        die(text);
    a.sin_port = htons((uint16_t)atoi(colon + 1));
    return a;
}

static struct rule read_rule(const char *path)
{
    static const char *const names[] = {"pass", "cut", "stall", "flip"};
    struct rule rule = {PASS, 0};
    char word[16] = "";
    FILE *f = fopen(path, "r");

    if (f == NULL)
        die(path);
    if (fscanf(f, "%15s %lu", word, &rule.at) < 1)
        die(path);
    fclose(f);
    for (int i = 0; i < 4; i++)
        if (strcmp(word, names[i]) == 0) {
            rule.fault = (enum fault)i;
            return rule;
        }
    fprintf(stderr, "faultlink: %s: unknown rule %s\n", path, word);
    exit(1);
}

static bool write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, n);

        if (done < 0)
            return false;
        data += done;
        n -= (size_t)done;
    }
    return true;
}

/* What the server sent, n octets after `sent` others. false: it ends here. */
static bool to_client(int client, char *data, size_t n, unsigned long sent,
                      const struct rule *rule, unsigned long *given)
{
    bool here = rule->fault != PASS && rule->at < sent + n;

    if (here && rule->fault == FLIP && rule->at >= sent)
        data[rule->at - sent] = (char)~data[rule->at - sent];
    if (here && (rule->fault == CUT || rule->fault == STALL))
        n = rule->at - sent;
    *given += n;
    if (!write_all(client, data, n))
        return false;
    while (here && rule->fault == STALL)
        pause();
    return !here || rule->fault == FLIP;
}

static void serve(int client, int server, const struct rule *rule)
{
    struct pollfd p[2] = {{.fd = client, .events = POLLIN},
                          {.fd = server, .events = POLLIN}};
    char data[16384];
    unsigned long sent = 0, given = 0;
    bool open = true;

    while (open && poll(p, 2, -1) > 0) {
        int from = p[0].revents != 0 ? client : server;
        ssize_t n = read(from, data, sizeof(data));

        if (n <= 0)
            break;
        if (from == client) {
            open = write_all(server, data, (size_t)n);
            continue;
        }
        open = to_client(client, data, (size_t)n, sent, rule, &given);
        sent += (unsigned long)n;
    }
    printf("end %lu\n", given);
}

static int listener(const struct sockaddr_in *where)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)where, sizeof(*where)) < 0 ||
        listen(fd, 16) < 0)
        die("listen");
    return fd;
}

static _Noreturn void child(int client, const struct sockaddr_in *to,
                            const struct rule *rule)
{
    int server = socket(AF_INET, SOCK_STREAM, 0);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (server >= 0 &&
        connect(server, (const struct sockaddr *)to, sizeof(*to)) == 0)
        serve(client, server, rule);
    exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in where, to;
    int fd;

    if (argc != 4) {
        fprintf(stderr, "usage: faultlink LISTEN:PORT TO:PORT RULE-FILE\n");
        return 64;
    }
    where = address(argv[1]);
    to = address(argv[2]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    fd = listener(&where);
    for (;;) {
        int client = accept(fd, NULL, NULL);
        struct rule rule;

        if (client < 0)
            continue;
        rule = read_rule(argv[3]);
        if (fork() == 0) {
            close(fd);
            child(client, &to, &rule);
        }
        close(client);
    }
}
