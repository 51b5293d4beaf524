/*
 * pair-bench - hot lookups under several configurations, side by side
 *
 *     pair-bench KEYS RUNS CONFIG...
 *
 * Opens a handle a configuration and asks each for every key of the file, one
 * a line, untimed until the finished routes are written, then RUNS times. The
 * handles take turns every 250 keys, in an order that rotates, so that
 * whatever else the machine does strikes all alike; of each 250 keys the
 * fastest run counts. Prints a line a configuration: nanoseconds a lookup.
 */

#define BENCH_NAME "pair-bench"
#include "bench.h"

#include <mxhop/mxhop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK  250
#define WARMUP 6

static struct keys keys;

static double ask_block(struct mxhop *mx, size_t block)
{
    double start_ns = now_ns();
    struct mxhop_error err;
    const char *text;

    for (size_t i = block * BLOCK; i < keys.n && i < (block + 1) * BLOCK; i++) {
        if (mxhop_text(mx, keys.key[i], MXHOP_FORMAT_POSTFIX, &text, &err) !=
            MXHOP_OK)
            die(err.text);
        if (text == NULL)
            die("a key had no answer");
    }
    return now_ns() - start_ns;
}

static void print_log(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "pair-bench: %s\n", line);
}

static struct mxhop *open_one(const char *config)
{
    /* As Postfix has it: the filters of overrides and of policies are in
       memory. */
    const struct mxhop_host host = {.flags = MXHOP_WORKER,
                                    .tls_classes = 1u << MXHOP_TLS_STS,
                                    .log = print_log};
    struct mxhop_error err;
    struct mxhop *mx;

    if (mxhop_open(&mx, config, &host, &err) != MXHOP_OK)
        die(err.text);
    return mx;
}

/* best: a row a handle, a column a block; 0: not yet measured. */
static void run(struct mxhop **mx, size_t n, double *best, size_t n_blocks,
                unsigned nth)
{
    for (size_t block = 0; block < n_blocks; block++)
        for (size_t turn = 0; turn < n; turn++) {
            size_t i = (turn + block + nth) % n;
            double *b = &best[i * n_blocks + block];
            double ns = ask_block(mx[i], block);

            if (*b == 0 || ns < *b)
                *b = ns;
        }
}

int main(int argc, char **argv)
{
    size_t n, n_blocks;
    struct mxhop **mx;
    double *best;

    if (argc < 4)
        die("usage: pair-bench KEYS RUNS CONFIG...");
    read_keys(argv[1], &keys);
    n = (size_t)argc - 3;
    n_blocks = (keys.n + BLOCK - 1) / BLOCK;
    mx = calloc(n, sizeof(struct mxhop *));
    best = calloc(n * n_blocks, sizeof(*best));
    if (mx == NULL || best == NULL)
        die("out of memory");
    for (size_t i = 0; i < n; i++)
        mx[i] = open_one(argv[3 + i]);
    for (unsigned i = 0; i < WARMUP; i++)
        run(mx, n, best, n_blocks, i);
    memset(best, 0, n * n_blocks * sizeof(*best));
    for (int i = atoi(argv[2]); i > 0; i--)
        run(mx, n, best, n_blocks, (unsigned)i);
    for (size_t i = 0; i < n; i++) {
        double sum_ns = 0;

        for (size_t block = 0; block < n_blocks; block++)
            sum_ns += best[i * n_blocks + block];
        printf("%.0f\n", sum_ns / (double)keys.n);
        mxhop_close(&mx[i]);
    }
    free(mx);
    free(best);
    return 0;
}
