/*
 * servers - name servers, as this process and the others see them
 *
 * Each process finds out for itself that a name server is gone, which takes
 * it a second or more, and says so in the cache that they share: when the
 * breaker opens or closes, and every few seconds while it is open. Who is
 * asked for the first time takes an open one over. It is probed at once, so
 * that hearsay is soon put right; and what nobody has repeated for
 * REPORT_MS is not believed: who said it has ended, or would have said that it
 * is over.
 */

#include "handle/handle.h"
#include "util/clock.h"

#include <string.h>
#include <unistd.h>

#define REPORT_MS (ENGINE_TELL_AGAIN_MS * 5 / 2) /* one may be missed */

size_t servers_here(const struct mxhop *mx,
                    struct engine_server servers_r[DNS_SERVERS_MAX])
{
    size_t n = 0;

    if (mx->dns.worker != NULL)
        return worker_servers(mx->dns.worker, servers_r, DNS_SERVERS_MAX);
    if (mx->dns.engine != NULL)
        for (n = 0; n < engine_server_count(mx->dns.engine); n++)
            engine_server_get(mx->dns.engine, n, &servers_r[n]);
    return n;
}

bool servers_report_is_old(const struct cache_server *s)
{
    return s->state == BREAKER_OPEN &&
           clock_boot_ms() - s->reported_ms >= REPORT_MS;
}

bool servers_seen_open(const struct mxhop *mx, const char *address,
                       struct cache_server *s_r)
{
    return mx->store.view != NULL &&
           cache_get_server(mx->store.view, address, s_r) &&
           s_r->state == BREAKER_OPEN && !servers_report_is_old(s_r);
}

void servers_assume(struct mxhop *mx)
{
    struct engine_server servers[DNS_SERVERS_MAX];
    size_t n = mx->store.view != NULL ? servers_here(mx, servers) : 0;
    struct cache_server s;

    for (size_t i = 0; i < n; i++) {
        if (!servers_seen_open(mx, servers[i].address, &s))
            continue;
        if (mx->dns.worker != NULL)
            worker_assume_open(mx->dns.worker, servers[i].address);
        else
            engine_assume_open(mx->dns.engine, servers[i].address);
    }
}

void servers_report(void *ctx, const struct engine_server *s)
{
    const struct mxhop *mx = ctx;
    struct cache_server report = {
        .state = (uint8_t)s->state,
        .since_ms = s->since_ms,
        .reported_ms = clock_boot_ms(),
        .pid = (uint32_t)getpid(),
        .opened = s->opened,
    };

    memcpy(report.address, s->address, sizeof(report.address));
    if (mx->store.cache != NULL)
        cache_put_server(mx->store.cache, &report);
}
