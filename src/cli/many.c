/*
 * many - run the keys of a file through DNS and cache
 *
 * Joins lines.c with bulk_run(), counts, and shows a person at a terminal how
 * far it is. SIGINT and SIGTERM end the run early and in order: what was
 * learnt is written, the command prints its summary, and then the process dies
 * by the signal after all. A second one kills at once.
 */

#include "cli/many.h"
#include "cli/cli.h"
#include "util/clock.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define BAR_WIDTH 30

/* A signal handler has nowhere else to put it. */
static volatile sig_atomic_t caught;

static void many_catch_signal(int number)
{
    caught = number;
}

/* What is ignored stays so: a job in the background of a shell. */
static void many_watch_signal(int number)
{
    struct sigaction catch = {.sa_handler = many_catch_signal,
                              .sa_flags = (int)SA_RESETHAND};
    struct sigaction old;

    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &catch, NULL);
}

int many_open(struct many *m, const char *file)
{
    struct rlimit limit;

    /* A query has a socket of its own, and the usual soft limit is for programs
       that use select(2). */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (!lines_open(&m->lines, file))
        return EX_NOINPUT;
    m->progress = isatty(STDERR_FILENO) == 1;
    if (m->progress)
        m->total = lines_count(&m->lines);
    return 0;
}

/* ---- what a person sees meanwhile ---- */

static void many_draw(const struct many *m)
{
    uint64_t done = m->done < m->total ? m->done : m->total;
    uint64_t ms = clock_boot_ms() - m->start_ms;
    unsigned long long per_s = ms > 0 ? m->done * 1000 / ms : 0;
    int filled;

    if (!m->progress)
        return;
    if (m->total == 0) {
        fprintf(stderr, "\r%llu domains  %llu/s\033[K",
                (unsigned long long)m->done, per_s);
        return;
    }
    filled = (int)(done * BAR_WIDTH / m->total);
    fprintf(stderr, "\r[%.*s%*s] %3llu %%  %llu of %llu domains  %llu/s\033[K",
            filled, "##############################", BAR_WIDTH - filled, "",
            (unsigned long long)(done * 100 / m->total),
            (unsigned long long)m->done, (unsigned long long)m->total, per_s);
}

/* ---- the run ---- */

static enum bulk_input many_next_key(void *ctx, const char **key_r)
{
    struct many *m = ctx;

    return lines_next(&m->lines, key_r);
}

static bool many_tick(void *ctx)
{
    many_draw(ctx);
    return caught == 0;
}

static void many_refused(void *ctx, const char *key, const char *why)
{
    struct many *m = ctx;

    (void)key;
    (void)why;
    m->done++;
    m->refused++;
}

static void many_answered(void *ctx, const struct bulk_answer *answer)
{
    struct many *m = ctx;

    m->done++;
    m->answered(m->ctx, answer);
}

int many_run(struct many *m, struct mxhop *mx)
{
    const struct bulk b = {
        .ctx = m,
        .next = many_next_key,
        .input_fd = m->lines.fd,
        .refused = many_refused,
        .answered = many_answered,
        .tick = many_tick,
        .jobs = m->jobs,
        .timeout_ms = probe_conf(mx)->dns_timeout_ms,
    };
    struct mxhop_error err;
    enum mxhop_status status;
    uint64_t unwritten;

    many_watch_signal(SIGINT);
    many_watch_signal(SIGTERM);
    m->start_ms = clock_boot_ms();
    status = bulk_run(mx, &b, &unwritten, &err);
    m->took_ms = clock_boot_ms() - m->start_ms;
    m->signal = caught;
    if (m->progress)
        fputs("\r\033[K", stderr);
    if (unwritten > 0)
        cli_complain("warning: the cache could not be written %llu times, and "
                     "not all answers are in it",
                     (unsigned long long)unwritten);
    if (status != MXHOP_OK)
        return cli_fail(&err);
    if (m->lines.error == 0)
        return 0;
    cli_complain("%s: %s", m->lines.name, strerror(m->lines.error));
    return EX_IOERR;
}

int many_end(struct many *m, int status)
{
    lines_close(&m->lines);
    if (m->signal == 0)
        return status;
    fflush(stdout);
    signal(m->signal, SIG_DFL);
    raise(m->signal);
    return 128 + m->signal; /* where the signal is blocked */
}
