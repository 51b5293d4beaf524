/*
 * hosts - report override hosts without an address
 *
 * No lookup of an MTA waits for the address of an override's host, so that a
 * misspelt name shows only in deferred mail. `refresh` and `check` ask. They
 * stop at the first name that DNS fails for and after some seconds: the table
 * is written by then, and an outage is no reason to keep an administrator
 * waiting.
 */

#include "cli/ovset.h"
#include "handle/probe.h"
#include "util/clock.h"

#define HOSTS_TIME_MS 10000

struct asking {
    struct mxhop *mx;
    uint64_t until_ms;
    unsigned findings;
    bool stopped;
};

static void hosts_ask_hops(struct asking *a, const struct override *o)
{
    for (size_t i = 0; i < o->n_hops && !a->stopped; i++) {
        enum addr_state state;

        if (o->hops[i].kind != HOP_HOST)
            continue;
        state = probe_host(a->mx, o->hops[i].host);
        a->stopped = state == ADDR_FAILED || clock_boot_ms() > a->until_ms;
        if (state != ADDR_NONE)
            continue;
        finding_report(cli_report, NULL, o->dn, 0,
                       "mxhopHop: %s has no address; is the name right?",
                       o->hops[i].host);
        a->findings++;
    }
}

void cli_check_hosts(struct mxhop *mx, const struct ovset *set,
                     unsigned *findings)
{
    struct asking a = {.mx = mx, .until_ms = clock_boot_ms() + HOSTS_TIME_MS};

    for (size_t i = 0; i < set->n; i++)
        if (set->v[i].enabled)
            hosts_ask_hops(&a, &set->v[i]);
    if (a.stopped)
        cli_complain("DNS does not answer in time: not every host of an "
                     "override was checked for an address");
    *findings += a.findings;
}
