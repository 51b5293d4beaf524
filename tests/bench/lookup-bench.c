/*
 * lookup-bench - nanoseconds a warm lookup takes inside the library
 *
 *     lookup-bench CONFIG KEYS RUNS ROUNDS
 *
 * Looks every key of the file up once to fill the cache, then times RUNS runs
 * of ROUNDS rounds over all keys: lookup, rendering for Postfix, freeing.
 * Prints a line a run: nanoseconds a lookup.
 */

#include <mxhop/mxhop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char **keys;
static size_t n_keys;

static void die(const char *what)
{
    fprintf(stderr, "lookup-bench: %s\n", what);
    exit(1);
}

static void read_keys(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[512];

    if (f == NULL)
        die(path);
    while (fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        keys = realloc(keys, (n_keys + 1) * sizeof(*keys));
        if (keys == NULL || (keys[n_keys++] = strdup(line)) == NULL)
            die("out of memory");
    }
    fclose(f);
}

/* Returns how many keys had an answer. */
static size_t round_of_lookups(struct mxhop *mx)
{
    struct mxhop_route *route;
    struct mxhop_error err;
    size_t answered = 0;
    char *text;

    for (size_t i = 0; i < n_keys; i++) {
        if (mxhop_lookup(mx, keys[i], 0, &route, &err) != MXHOP_OK)
            die(err.text);
        if (mxhop_render(mx, route, MXHOP_FORMAT_POSTFIX, &text, &err) !=
            MXHOP_OK)
            die(err.text);
        answered += text != NULL;
        free(text);
        mxhop_route_free(&route);
    }
    return answered;
}

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

int main(int argc, char **argv)
{
    struct mxhop_error err;
    struct mxhop *mx;
    int runs, rounds;

    if (argc != 5)
        die("usage: lookup-bench CONFIG KEYS RUNS ROUNDS");
    runs = atoi(argv[3]);
    rounds = atoi(argv[4]);
    read_keys(argv[2]);
    if (mxhop_open(&mx, argv[1], NULL, &err) != MXHOP_OK)
        die(err.text);
    round_of_lookups(mx);
    for (int run = 0; run < runs; run++) {
        double start_ns = now_ns();

        for (int i = 0; i < rounds; i++)
            if (round_of_lookups(mx) != n_keys)
                die("a key had no answer");
        printf("%.0f\n",
               (now_ns() - start_ns) / (double)rounds / (double)n_keys);
    }
    mxhop_close(&mx);
    return 0;
}
