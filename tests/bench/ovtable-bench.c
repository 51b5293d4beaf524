/*
 * ovtable-bench - what writing the override table costs, without a source
 *
 *     ovtable-bench TABLE ENTRIES CHANGES RUNS
 *
 * Loads ENTRIES overrides, each with a key, into a new table, and prints the
 * milliseconds. Then, RUNS times, changes the hops of CHANGES of them and
 * prints a line each: milliseconds with all that makes it durable.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "overrides/ovtable.h"

static void die(const char *what)
{
    fprintf(stderr, "ovtable-bench: %s\n", what);
    exit(1);
}

static struct override make(size_t i, unsigned port)
{
    struct hopspec hop = {.kind = HOP_HOST,
                          .host = "gateway.example.net",
                          .port = (uint16_t)port};
    struct override o = {.enabled = true};
    char text[100];

    snprintf(text, sizeof(text), "cn=c%zu,ou=mxhop,dc=example,dc=com", i);
    o.dn = strdup(text);
    snprintf(text, sizeof(text), "c%zu.customer.example", i);
    if (o.dn == NULL || !strlist_add(&o.keys, text) ||
        !override_add_hop(&o, &hop))
        die("out of memory");
    return o;
}

static double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void apply(const struct ovtable_write *w, const struct ovtable_delta *d,
                  uint32_t changes)
{
    double start_ms = now_ms();
    struct ovtable_change change;
    struct mxhop_error err;

    if (ovtable_apply(w, d, &change, &err) != MXHOP_OK)
        die(err.text);
    if (change.added + change.modified != changes)
        die("not what was to be measured");
    printf("%.2f\n", now_ms() - start_ms);
}

int main(int argc, char **argv)
{
    struct ovtable_write w = {.shrink_percent = 100};
    struct ovtable_delta d = {.complete = true};
    struct ovtable_upsert *upsert;
    struct override *o;
    size_t n, changes;

    if (argc != 5)
        die("usage: ovtable-bench TABLE ENTRIES CHANGES RUNS");
    w.path = argv[1];
    n = strtoul(argv[2], NULL, 10);
    changes = strtoul(argv[3], NULL, 10);
    o = calloc(n, sizeof(*o));
    upsert = calloc(n, sizeof(*upsert));
    if (o == NULL || upsert == NULL)
        die("out of memory");
    for (size_t i = 0; i < n; i++) {
        o[i] = make(i, 25);
        ovtable_id_of_dn(o[i].dn, upsert[i].id);
        upsert[i].o = &o[i];
    }
    d.upsert = upsert;
    d.n_upsert = n;
    apply(&w, &d, (uint32_t)n);
    d.complete = false;
    d.n_upsert = changes;
    for (unsigned run = 1; run <= strtoul(argv[4], NULL, 10); run++) {
        for (size_t i = 0; i < changes; i++)
            o[i].hops[0].port = (uint16_t)(25 + run);
        apply(&w, &d, (uint32_t)changes);
    }
    for (size_t i = 0; i < n; i++)
        override_free(&o[i]);
    free(o);
    free(upsert);
    return 0;
}
