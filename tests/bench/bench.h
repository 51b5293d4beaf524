/* What the benches that call the library share. Each is one program of one
   file; it defines BENCH_NAME before it includes this. */

#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct keys {
    char **key;
    size_t n, next;
};

static void die(const char *what)
{
    fprintf(stderr, BENCH_NAME ": %s\n", what);
    exit(1);
}

/* One key a line. */
static void read_keys(const char *path, struct keys *keys_r)
{
    FILE *f = fopen(path, "r");
    char line[512];
    size_t cap = 0;

    *keys_r = (struct keys){0};
    if (f == NULL)
        die(path);
    while (fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (keys_r->n == cap) {
            cap = 2 * cap + 1024;
            keys_r->key = realloc(keys_r->key, cap * sizeof(*keys_r->key));
            if (keys_r->key == NULL)
                die("out of memory");
        }
        if ((keys_r->key[keys_r->n++] = strdup(line)) == NULL)
            die("out of memory");
    }
    fclose(f);
}

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

#endif
