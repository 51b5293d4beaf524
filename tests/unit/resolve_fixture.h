/* A resolver against a name server in a thread of the program, and what its
   owner was told. For the tests of dns/resolve; each is one program, and says
   what it writes down of a task that has ended. */

#ifndef UNIT_RESOLVE_FIXTURE_H
#define UNIT_RESOLVE_FIXTURE_H

#include <check.h>
#include "dns/resolve_int.h"
#include "support/minidns.h"
#include "util/buf.h"

#define BOTH        (FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6))
#define MX          WIRE_TYPE_MX
#define A           WIRE_TYPE_A
#define AAAA        WIRE_TYPE_AAAA

#define DEADLINE_MS 800 /* what runs into it must, the rest takes a few ms */

struct fixture {
    struct minidns dns;
    struct engine *engine;
    struct resolver *resolver;
    const char *known_host; /* with an address */
    unsigned known_what;    /* of it */
    struct tlsa known_tlsa;
    size_t pick_max;
    struct buf told;
    struct buf result; /* of tasks, one line each */
    size_t n_results;
    uint64_t ended_ms;
};

static struct fixture fx;

static void resolved(void *ctx, const char *name, struct mxset *set);

static size_t pick(void *ctx, const struct mxset *set, uint16_t *index,
                   size_t cap)
{
    size_t n = 0;

    (void)ctx;
    while (n < set->n_mx && n < cap && n < fx.pick_max) {
        index[n] = (uint16_t)n;
        n++;
    }
    return n;
}

static void begin(const struct minidns_row *table)
{
    memset(&fx, 0, sizeof(fx));
    fx.pick_max = RESOLVE_PICK_MAX;
    minidns_start(&fx.dns, table);
}

static void close_resolver(void)
{
    resolver_close(&fx.resolver);
    engine_close(&fx.engine);
}

static void teardown(void)
{
    close_resolver();
    buf_free(&fx.told);
    buf_free(&fx.result);
    minidns_stop(&fx.dns);
}

static void start(const char *domain, const struct mxset *known,
                  uint64_t timeout_ms)
{
    ck_assert_int_eq(resolver_start_domain(fx.resolver, domain, known,
                                           clock_boot_ms() + timeout_ms,
                                           resolved, NULL),
                     MXHOP_OK);
}

static void run_tasks(void)
{
    while (!TAILQ_EMPTY(&fx.resolver->live) ||
           !TAILQ_EMPTY(&fx.resolver->ended))
        resolver_step(fx.resolver, clock_boot_ms() + 5000, -1);
}

static void forget(void)
{
    buf_reset(&fx.told);
    buf_reset(&fx.result);
    fx.n_results = 0;
    minidns_forget(&fx.dns);
}

#endif
