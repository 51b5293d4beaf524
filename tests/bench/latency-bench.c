/*
 * latency-bench - how long single lookups take before and during an outage
 *
 *     latency-bench CONFIG CACHED COLD LOST SECONDS PID
 *
 * Asks as a daemon of Postfix does, with a worker thread: a key of the file
 * CACHED and a cold key in turn, every millisecond. For SECONDS the cold keys
 * are of the file COLD. After a pause in which the ration of waiting is whole
 * again the process PID (the name server; 0: none) is stopped with SIGSTOP, and
 * for twice as long they are of the file LOST. Every cold key is asked once.
 * The cached ones are asked before, untimed, until their finished routes are
 * there.
 *
 * Prints a line a lookup: before|during cached|cold MILLISECONDS NANOSECONDS,
 * the first being the time since the phase began.
 */

#define BENCH_NAME "latency-bench"
#include "bench.h"

#include <mxhop/mxhop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RATION_WHOLE_MS 11000

struct sample {
    const char *phase, *kind;
    double at_ms, took_ns;
};

static struct sample *samples;
static size_t n_samples;

static void pause_ms(long ms)
{
    const struct timespec ts = {.tv_sec = ms / 1000,
                                .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&ts, NULL);
}

static bool ask(struct mxhop *mx, const char *key)
{
    struct mxhop_error err;
    const char *text;

    if (mxhop_text(mx, key, MXHOP_FORMAT_POSTFIX, &text, &err) != MXHOP_OK)
        die(err.text);
    return text != NULL;
}

static void timed_ask(struct mxhop *mx, const char *key, struct sample s,
                      double began_ns, bool must_answer)
{
    double start_ns = now_ns();
    bool answered = ask(mx, key);

    s.took_ns = now_ns() - start_ns;
    s.at_ms = (start_ns - began_ns) / 1e6;
    if (must_answer && !answered)
        die("a cached key had no answer");
    samples[n_samples++] = s;
}

static void run_phase(struct mxhop *mx, const char *phase, double seconds,
                      struct keys *cached, struct keys *cold)
{
    double began_ns = now_ns();

    while (now_ns() - began_ns < seconds * 1e9 && cold->next < cold->n) {
        timed_ask(mx, cached->key[cached->next++ % cached->n],
                  (struct sample){.phase = phase, .kind = "cached"}, began_ns,
                  true);
        timed_ask(mx, cold->key[cold->next++],
                  (struct sample){.phase = phase, .kind = "cold"}, began_ns,
                  false);
        pause_ms(1);
    }
}

/* The worker writes what is finished, a little at a time. */
static void make_hot(struct mxhop *mx, const struct keys *cached)
{
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < cached->n; i++)
            if (!ask(mx, cached->key[i]))
                die("a cached key had no answer");
        pause_ms(300);
    }
}

static void print_log(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "latency-bench: %s\n", line);
}

int main(int argc, char **argv)
{
    const struct mxhop_host host = {.flags = MXHOP_WORKER, .log = print_log};
    struct keys cached, cold, lost;
    struct mxhop_error err;
    struct mxhop *mx;
    double seconds;

    if (argc != 7)
        die("usage: latency-bench CONFIG CACHED COLD LOST SECONDS PID");
    read_keys(argv[2], &cached);
    read_keys(argv[3], &cold);
    read_keys(argv[4], &lost);
    seconds = atof(argv[5]);
    samples = calloc(2 * (cold.n + lost.n), sizeof(*samples));
    if (samples == NULL || cached.n == 0)
        die("no keys, or no memory");
    if (mxhop_open(&mx, argv[1], &host, &err) != MXHOP_OK)
        die(err.text);
    make_hot(mx, &cached);
    run_phase(mx, "before", seconds, &cached, &cold);
    pause_ms(RATION_WHOLE_MS);
    if (atoi(argv[6]) > 0 && kill(atoi(argv[6]), SIGSTOP) != 0)
        die("cannot stop the name server");
    run_phase(mx, "during", 2 * seconds, &cached, &lost);
    for (size_t i = 0; i < n_samples; i++)
        printf("%s %s %.3f %.0f\n", samples[i].phase, samples[i].kind,
               samples[i].at_ms, samples[i].took_ns);
    mxhop_close(&mx);
    return 0;
}
