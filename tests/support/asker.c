/*
 * asker - ask libmxhop what standard input says, one process all the time
 *
 * SYNOPSIS
 *      asker CONFIG
 *
 * What a daemon does that has the table open: lookups with a worker thread, in
 * the words of Postfix, by a process that may use the shared cache. One command
 * a line, each answered by one line at once:
 *
 *      ask KEY         the answer, or `-`
 *      step SECONDS    set the wall clock of this process so far ahead (or
 *                      back) of the machine's
 *      fork KEY        what a child process says: its answer from the handle
 *                      that it inherited, and from one of its own
 *
 * The clock is stepped by standing in the way of clock_gettime(2): that of the
 * machine is not ours.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <mxhop/mxhop.h>

static volatile long step_s;

int clock_gettime(clockid_t clock, struct timespec *t_r)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, t_r);

    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        t_r->tv_sec += step_s;
    return rc;
}

time_t time(time_t *t_r)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    if (t_r != NULL)
        *t_r = t.tv_sec;
    return t.tv_sec;
}

static void log_line(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "asker: %s\n", line);
}

static struct mxhop *open_handle(const char *config)
{
    const struct mxhop_host host = {.flags = MXHOP_WORKER, .log = log_line};
    struct mxhop_error err;
    struct mxhop *mx;

    if (mxhop_open(&mx, config, &host, &err) == MXHOP_OK)
        return mx;
    fprintf(stderr, "asker: %s\n", err.text);
    exit(1);
}

static const char *ask(struct mxhop *mx, const char *key)
{
    struct mxhop_error err;
    const char *text;

    if (mxhop_text(mx, key, MXHOP_FORMAT_POSTFIX, &text, &err) != MXHOP_OK)
        return err.code == MXHOP_ERR_MEMORY ? "out of memory" : "error";
    return text != NULL ? text : "-";
}

/* Ends as a daemon's child would. */
static void be_child(struct mxhop *mx, const char *config, const char *key)
{
    printf("%s ", ask(mx, key));
    mxhop_close(&mx);
    mx = open_handle(config);
    printf("%s\n", ask(mx, key));
    mxhop_close(&mx);
    exit(0);
}

static void ask_a_child(struct mxhop *mx, const char *config, const char *key)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        be_child(mx, config, key);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        printf("no child: %s\n", strerror(errno));
    else if (status != 0)
        printf("wait status %d\n", status);
}

int main(int argc, char **argv)
{
    char line[1024];
    struct mxhop *mx;

    if (argc != 2) {
        fputs("usage: asker CONFIG\n", stderr);
        return 64;
    }
    mx = open_handle(argv[1]);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "ask ", 4) == 0)
            puts(ask(mx, line + 4));
        else if (strncmp(line, "step ", 5) == 0)
            printf("stepped %ld\n", step_s = atol(line + 5));
        else if (strncmp(line, "fork ", 5) == 0)
            ask_a_child(mx, argv[1], line + 5);
        else
            puts("?");
        fflush(stdout);
    }
    mxhop_close(&mx);
    return 0;
}
