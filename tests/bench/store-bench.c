/*
 * store-bench - the TLS store with many policies
 *
 *   store-bench fill DIRECTORY N SUFFIX
 *       write a store of the domains d0.SUFFIX and so on, with the pattern
 *       *.bench.test
 *   store-bench read DIRECTORY N SUFFIX
 *       prints how many milliseconds it takes to open it, and microseconds for
 *       one of its domains, and for one that is not in it
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/store.h"
#include "util/clock.h"

#define NAME_ROOM 48
#define ASKED     200000u

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int fill(const char *dir, size_t n, const char *suffix)
{
    struct store_record *r = calloc(n, sizeof(*r));
    char *names = malloc(n * NAME_ROOM);
    struct store_entry e = {.has_policy = true, .tried_s = clock_wall_s()};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
    unsigned char id[FIXED_ID_LEN];
    struct buf b = {0};

    if (r == NULL || names == NULL || fd < 0)
        return 1;
    e.next_s = e.tried_s + 80000;
    e.policy = (struct sts_policy){.mode = STS_MODE_ENFORCE,
                                   .max_age_s = 604800,
                                   .fetched_s = e.tried_s,
                                   .expires_s = e.tried_s + 604800};
    strcpy(e.policy.id, "20260101T000000");
    if (!sts_policy_add(&e.policy, "mx.example.com") ||
        !sts_policy_add(&e.policy, "*.bench.test"))
        return 1;
    store_encode(&b, &e);
    for (size_t i = 0; i < n; i++) {
        snprintf(names + i * NAME_ROOM, NAME_ROOM, "d%zu.%s", i, suffix);
        r[i] = (struct store_record){names + i * NAME_ROOM,
                                     {(unsigned char *)b.data, b.len}};
    }
    rc = store_write(fd, r, n, e.tried_s, id);
    if (rc != 0)
        fprintf(stderr, "store-bench: %s: %s\n", dir, strerror(rc));
    store_entry_free(&e);
    buf_free(&b);
    free(names);
    free(r);
    close(fd);
    return rc != 0;
}

/* Microseconds for each of ASKED domains. */
static double ask(struct store *s, const char *prefix, size_t n,
                  const char *suffix, enum fixed_found expected)
{
    char(*names)[NAME_ROOM] = malloc(ASKED * sizeof(*names));
    double from_us;

    if (names == NULL)
        exit(1);
    for (size_t i = 0; i < ASKED; i++)
        snprintf(names[i], NAME_ROOM, "%s%zu.%s", prefix,
                 i * UINT64_C(7919) % n, suffix);
    from_us = now_us();
    for (size_t i = 0; i < ASKED; i++) {
        struct store_entry e;

        if (store_peek(s, names[i], &e) != expected)
            exit(1);
    }
    from_us = (now_us() - from_us) / ASKED;
    free(names);
    return from_us;
}

static int measure(const char *dir, size_t n, const char *suffix)
{
    double opened_us = now_us();
    struct mxhop_error err;
    struct store *s;

    if (store_open(&s, dir, true, NULL, &err) != MXHOP_OK) {
        fprintf(stderr, "store-bench: %s\n", err.text);
        return 1;
    }
    opened_us = now_us() - opened_us;
    printf("%.2f\n", opened_us / 1e3);
    printf("%.2f\n", ask(s, "d", n, suffix, FIXED_FOUND));
    printf("%.2f\n", ask(s, "e", n, suffix, FIXED_ABSENT));
    store_close(&s);
    return 0;
}

int main(int argc, char **argv)
{
    size_t n = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;

    if (n > 0 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2], n, argv[4]);
    if (n > 0 && strcmp(argv[1], "read") == 0)
        return measure(argv[2], n, argv[4]);
    fputs("usage: store-bench fill|read DIRECTORY N SUFFIX\n", stderr);
    return 64;
}
