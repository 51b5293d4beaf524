/*
 * store-bench - the TLS store with many policies
 *
 *   store-bench fill DIRECTORY N    write a store of N domains
 *   store-bench read DIRECTORY N    time to open it, to ask for domains that
 * are not in it, and for those that are
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

static int fill(const char *dir, size_t n)
{
    struct store_record *r = calloc(n, sizeof(*r));
    char *names = malloc(n * NAME_ROOM);
    struct store_entry e = {.has_policy = true, .tried_s = clock_wall_s()};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
    unsigned char id[FIXED_ID_LEN];
    double from_us = now_us();
    struct buf b = {0};

    if (r == NULL || names == NULL || fd < 0)
        return 1;
    e.next_s = e.tried_s + 80000;
    e.policy = (struct sts_policy){.mode = STS_MODE_ENFORCE,
                                   .max_age_s = 604800,
                                   .fetched_s = e.tried_s,
                                   .expires_s = e.tried_s + 604800};
    strcpy(e.policy.id, "20260101T000000");
    if (!sts_policy_add(&e.policy, "aspmx.l.google.com") ||
        !sts_policy_add(&e.policy, "*.aspmx.l.google.com"))
        return 1;
    store_encode(&b, &e);
    for (size_t i = 0; i < n; i++) {
        snprintf(names + i * NAME_ROOM, NAME_ROOM, "domain%zu.example", i);
        r[i] = (struct store_record){names + i * NAME_ROOM,
                                     {(unsigned char *)b.data, b.len}};
    }
    rc = store_write(fd, r, n, e.tried_s, id);
    printf("written in %.0f ms: %s\n", (now_us() - from_us) / 1e3,
           strerror(rc));
    store_entry_free(&e);
    buf_free(&b);
    free(names);
    free(r);
    close(fd);
    return rc != 0;
}

/* Microseconds for each of ASKED domains. */
static double ask(struct store *s, const char *prefix, size_t n, size_t *found)
{
    char(*names)[NAME_ROOM] = malloc(ASKED * sizeof(*names));
    double from_us;

    if (names == NULL)
        exit(1);
    for (size_t i = 0; i < ASKED; i++)
        snprintf(names[i], NAME_ROOM, "%s%zu.example", prefix,
                 i * UINT64_C(7919) % n);
    from_us = now_us();
    for (size_t i = 0; i < ASKED; i++) {
        struct store_entry e;

        *found += store_get(s, names[i], &e) == FIXED_FOUND;
        store_entry_free(&e);
    }
    from_us = (now_us() - from_us) / ASKED;
    free(names);
    return from_us;
}

static int measure(const char *dir, size_t n)
{
    double opened_us = now_us(), absent_us, found_us;
    size_t absent = 0, found = 0;
    struct mxhop_error err;
    struct store *s;

    if (store_open(&s, dir, true, NULL, &err) != MXHOP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    opened_us = now_us() - opened_us;
    absent_us = ask(s, "other", n, &absent);
    found_us = ask(s, "domain", n, &found);
    printf("%u domains: opened in %.2f ms; not in it: %.3f us; in it: %.2f us "
           "(%zu, %zu found)\n",
           store_count(s), opened_us / 1e3, absent_us, found_us, absent, found);
    store_close(&s);
    return 0;
}

int main(int argc, char **argv)
{
    size_t n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

    if (n > 0 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2], n);
    if (n > 0 && strcmp(argv[1], "read") == 0)
        return measure(argv[2], n);
    fputs("usage: store-bench fill|read DIRECTORY N\n", stderr);
    return 64;
}
