/*
 * lookup-bench - nanoseconds a hot lookup takes inside the library
 *
 *     lookup-bench CONFIG KEYS RUNS [ROUNDS]
 *
 * Asks for every key of the file, one a line, in ROUNDS (2) untimed rounds, in
 * the first of which the finished routes are written. Then times RUNS rounds of
 * mxhop_text(), as a plugin calls it. Prints a line a run: nanoseconds a
 * lookup.
 */

#define BENCH_NAME "lookup-bench"
#include "bench.h"

#include <mxhop/mxhop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct keys keys;

static void round_of_lookups(struct mxhop *mx)
{
    struct mxhop_error err;
    const char *text;

    for (size_t i = 0; i < keys.n; i++) {
        if (mxhop_text(mx, keys.key[i], MXHOP_FORMAT_POSTFIX, &text, &err) !=
            MXHOP_OK)
            die(err.text);
        if (text == NULL)
            die("a key had no answer");
    }
}

static void print_log(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "lookup-bench: %s\n", line);
}

int main(int argc, char **argv)
{
    const struct mxhop_host host = {.log = print_log};
    struct mxhop_error err;
    struct mxhop *mx;
    double start_ns;

    if (argc < 4)
        die("usage: lookup-bench CONFIG KEYS RUNS [ROUNDS]");
    read_keys(argv[2], &keys);
    if (mxhop_open(&mx, argv[1], &host, &err) != MXHOP_OK)
        die(err.text);
    for (int i = argc > 4 ? atoi(argv[4]) : 2; i > 0; i--)
        round_of_lookups(mx);
    for (int run = atoi(argv[3]); run > 0; run--) {
        start_ns = now_ns();
        round_of_lookups(mx);
        printf("%.0f\n", (now_ns() - start_ns) / (double)keys.n);
    }
    mxhop_close(&mx);
    return 0;
}
