/*
 * postmap - run the commands of Postfix, and ask its tables
 *
 * Without a shell, and with /usr/sbin behind the PATH, which an ordinary user
 * often lacks.
 *
 * The command gives root up before it looks into the shared cache, but Postfix
 * opens its tables as root, and so must we, or a table of mode 0600 would count
 * as unknown. A child that stays root asks them. It takes a number and a key:
 * its tables are those that were named before it was started, whatever becomes
 * of the process that asks.
 *
 * A table that cannot be asked is let alone for ten seconds: a program of
 * Postfix sleeps for one before it gives up, and there may be many keys.
 */

#include "cli/postconf.h"
#include "util/clock.h"
#include "util/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY_MAX    1024
#define ANSWER_MAX 65536
#define RETRY_MS   10000 /* a table that cannot be asked is tried again */

/* ---- commands ---- */

static void command_exec(char *const argv[], const int out[2], const int err[2])
{
    const char *path = getenv("PATH");
    struct buf longer = {0};
    int null = open("/dev/null", O_RDONLY);

    buf_printf(&longer, "%s:/usr/sbin:/usr/local/sbin",
               path != NULL ? path : "/usr/bin:/bin");
    if (!longer.failed && null >= 0 && dup2(null, 0) >= 0 &&
        dup2(out[1], 1) >= 0 && dup2(err[1], 2) >= 0 &&
        setenv("PATH", longer.data, 1) == 0)
        execvp(argv[0], argv);
    _exit(127);
}

/* Both streams to their ends: a command that fills one waits for nobody. */
static void command_collect(int out, int err, struct buf *text,
                            struct buf *complaint)
{
    struct pollfd fds[2] = {{.fd = out, .events = POLLIN},
                            {.fd = err, .events = POLLIN}};
    struct buf *to[2] = {text, complaint};
    char piece[4096];

    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        for (int i = 0; i < 2; i++) {
            ssize_t n;

            if (fds[i].fd < 0 || fds[i].revents == 0)
                continue;
            n = read(fds[i].fd, piece, sizeof(piece));
            if (n > 0)
                buf_add(to[i], piece, (size_t)n);
            else if (n == 0 || errno != EINTR)
                fds[i].fd = -1;
        }
    }
}

int postconf_run(char *const argv[], struct buf *text, struct buf *complaint)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, status = 127;
    pid_t pid = -1;

    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0)
        command_exec(argv, out, err);
    close(out[1]);
    close(err[1]);
    if (pid > 0) {
        command_collect(out[0], err[0], text, complaint);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        status = WIFEXITED(status) ? WEXITSTATUS(status) : 127;
    }
    close(out[0]);
    close(err[0]);
    if (text->failed || complaint->failed)
        return 127;
    buf_add(text, "", 0); /* something to point at */
    buf_add(complaint, "", 0);
    return status;
}

char *postconf_line(char **cursor)
{
    char *line = *cursor;
    char *end = line != NULL ? strchr(line, '\n') : NULL;

    if (end == NULL)
        return NULL;
    *end = '\0';
    *cursor = end + 1;
    return line;
}

const char *postconf_reason(char *complaint)
{
    char *last = NULL, *line;

    while ((line = postconf_line(&complaint)) != NULL)
        if (last == NULL || strstr(line, "fatal: ") != NULL)
            last = line;
    if (last == NULL)
        return "no reason given";
    line = strstr(last, "fatal: ");
    return line != NULL ? line + strlen("fatal: ") : last;
}

/* ---- tables ---- */

static enum postmap_found postmap_run(const struct postconf *p,
                                      const char *table, const char *key,
                                      char **value_r)
{
    char *argv[] = {"postmap",   "-c",          p->dir, "-q",
                    (char *)key, (char *)table, NULL};
    struct buf value = {0}, complaint = {0};
    int status = postconf_run(argv, &value, &complaint);
    enum postmap_found found = POSTMAP_ABSENT;

    *value_r = NULL;
    if (status == 0) {
        value.data[strcspn(value.data, "\n")] = '\0';
        *value_r = buf_detach(&value);
        found = POSTMAP_FOUND;
    } else if (status != 1 || strstr(complaint.data, "fatal: ") != NULL ||
               strstr(complaint.data, "error: ") != NULL) {
        *value_r = strdup(status == 127 ? "postmap cannot be run"
                                        : postconf_reason(complaint.data));
        found = POSTMAP_FAILED;
    }
    buf_free(&value);
    buf_free(&complaint);
    return found;
}

struct postmap_question {
    uint32_t table; /* its number */
    char key[KEY_MAX];
};

struct postmap_answer {
    uint8_t found;
    char value[ANSWER_MAX];
};

/* The child: until nobody is there to ask. */
static void postmap_serve(const struct postconf *p, int fd)
{
    static struct postmap_answer a;
    struct postmap_question q;
    ssize_t n;
    char *value;

    while ((n = recv(fd, &q, sizeof(q), 0)) > 0 || (n < 0 && errno == EINTR)) {
        if (n != (ssize_t)sizeof(q) || q.table >= p->n_tables ||
            memchr(q.key, '\0', sizeof(q.key)) == NULL)
            continue;
        a.found =
            (uint8_t)postmap_run(p, p->tables[q.table].name, q.key, &value);
        strncpy(a.value, value != NULL ? value : "", sizeof(a.value) - 1);
        free(value);
        n = (ssize_t)(offsetof(struct postmap_answer, value) + strlen(a.value) +
                      1);
        if (send(fd, &a, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    }
    _exit(0);
}

bool postmap_name(struct postconf *p, const char *table)
{
    table = word_unproxy(table);
    for (size_t i = 0; i < p->n_tables; i++)
        if (strcmp(p->tables[i].name, table) == 0)
            return true;
    if (!vec_room(&p->tables, p->n_tables, &p->tables_cap, sizeof(*p->tables)))
        return false;
    p->tables[p->n_tables] = (struct postmap_table){.name = strdup(table)};
    return p->tables[p->n_tables++].name != NULL;
}

void postmap_begin(struct postconf *p)
{
    int fd[2];

    if (geteuid() != 0 || p->n_tables == 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
        return;
    p->helper_pid = fork();
    if (p->helper_pid == 0) {
        close(fd[1]);
        postmap_serve(p, fd[0]);
    }
    close(fd[0]);
    if (p->helper_pid > 0)
        p->helper = fd[1];
    else
        close(fd[1]);
}

void postmap_end(struct postconf *p)
{
    if (p->helper >= 0) {
        close(p->helper);
        while (waitpid(p->helper_pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    for (size_t i = 0; i < p->n_tables; i++) {
        free(p->tables[i].name);
        free(p->tables[i].failed);
    }
    free(p->tables);
}

static enum postmap_found postmap_ask_helper(const struct postconf *p,
                                             uint32_t table, const char *key,
                                             char **value_r)
{
    static struct postmap_answer a;
    struct postmap_question q = {.table = table};
    size_t len = strlen(key);

    *value_r = NULL;
    if (len >= sizeof(q.key))
        return POSTMAP_ABSENT;
    memcpy(q.key, key, len);
    if (send(p->helper, &q, sizeof(q), MSG_NOSIGNAL) != (ssize_t)sizeof(q) ||
        recv(p->helper, &a, sizeof(a), 0) <= 0) {
        *value_r = strdup("postmap cannot be run as root");
        return POSTMAP_FAILED;
    }
    a.value[sizeof(a.value) - 1] = '\0';
    if (a.found != POSTMAP_ABSENT)
        *value_r = strdup(a.value);
    return (enum postmap_found)a.found;
}

enum postmap_found postmap_ask(struct postconf *p, const char *table,
                               const char *key, char **value_r)
{
    struct postmap_table *t = NULL;
    enum postmap_found found;

    table = word_unproxy(table);
    for (size_t i = 0; i < p->n_tables && t == NULL; i++)
        if (strcmp(p->tables[i].name, table) == 0)
            t = &p->tables[i];
    if (t != NULL && t->failed != NULL &&
        clock_boot_ms() < t->failed_ms + RETRY_MS) {
        *value_r = strdup(t->failed);
        return POSTMAP_FAILED;
    }
    if (t != NULL && p->helper >= 0)
        found = postmap_ask_helper(p, (uint32_t)(t - p->tables), key, value_r);
    else
        found = postmap_run(p, table, key, value_r);
    if (t == NULL || found != POSTMAP_FAILED)
        return found;
    free(t->failed);
    t->failed = strdup(*value_r != NULL ? *value_r : "");
    t->failed_ms = clock_boot_ms();
    return found;
}
