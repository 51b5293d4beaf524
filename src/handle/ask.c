/*
 * ask - ask the DNS on behalf of one lookup
 *
 * What the cache does not know is asked by the worker thread, for which the
 * caller waits as long as its budget and its ration of waiting allow, or, in
 * a process without worker, by the calling thread. While no name server is to
 * be reached nobody waits, but for a moment, once, where there is no worker.
 */

#include "handle/handle.h"
#include "util/clock.h"

#define HEAR_OUT_MS 100u

static uint32_t time_left_ms(const struct lookup *l)
{
    uint64_t now_ms = clock_boot_ms();

    return now_ms < l->deadline_ms ? (uint32_t)(l->deadline_ms - now_ms) : 0;
}

struct waiting {
    struct mxset *set;
    bool done;
};

static void take_result(void *ctx, const char *name, struct mxset *set)
{
    struct waiting *w = ctx;

    (void)name;
    *w->set = *set;
    *set = (struct mxset){0};
    w->done = true;
}

/* Servers that are gone only by what others say may deny it now: this process
   may have ended before it looks again. */
static void hear_out(struct lookup *l)
{
    struct mxhop *mx = l->mx;
    uint64_t until_ms = clock_boot_ms() + HEAR_OUT_MS;

    if (mx->dns.heard_out)
        return;
    mx->dns.heard_out = true;
    while (engine_down(mx->dns.engine) && clock_boot_ms() < until_ms)
        resolver_step(mx->dns.resolver, until_ms, -1);
}

/* On the calling thread: it may take the whole budget of the lookup. */
static bool ask_here(struct lookup *l, const struct ask *q, struct mxset *set_r)
{
    struct waiting w = {.set = set_r};
    struct resolver *r;

    if (handle_resolver(l->mx, NULL) != MXHOP_OK || time_left_ms(l) == 0)
        return false;
    r = l->mx->dns.resolver;
    hear_out(l);
    if (resolver_start_domain(r, q->name, q->known, l->deadline_ms, take_result,
                              &w) != MXHOP_OK)
        return false;
    while (!w.done)
        resolver_step(r, l->deadline_ms, -1);
    return true;
}

/* Strangers choose the names that are not in the cache. */
static bool first_seen(const struct ask *q)
{
    return q->known == NULL || q->strange;
}

static uint32_t may_wait_ms(const struct lookup *l, const struct ask *q)
{
    const struct mxhop *mx = l->mx;

    if (!q->wait || worker_down(mx->dns.worker))
        return 0;
    return ration_allow(&mx->dns.ration, clock_boot_ms(), time_left_ms(l),
                        first_seen(q));
}

static bool ask_worker(struct lookup *l, const struct ask *q,
                       struct mxset *set_r)
{
    struct mxhop *mx = l->mx;
    uint64_t start_ms = clock_boot_ms();
    uint32_t allowed_ms = may_wait_ms(l, q);
    enum worker_verdict verdict =
        worker_domain(mx->dns.worker, q->name, q->known, q->flags, allowed_ms,
                      set_r);
    uint64_t end_ms = clock_boot_ms();

    if (allowed_ms > 0)
        ration_spend(&mx->dns.ration, end_ms, (uint32_t)(end_ms - start_ms),
                     first_seen(q));
    return verdict == WORKER_DONE;
}

/* ---- name servers ---- */

/* Inside a jail /etc/resolv.conf is another file, perhaps none: only the
   root directory that the handle was opened under counts. */
static bool resolv_conf_changed(struct mxhop *mx)
{
    struct stat st, root;

    if (stat("/", &root) != 0 || root.st_ino != mx->dns.root.st_ino ||
        root.st_dev != mx->dns.root.st_dev)
        return false;
    if (stat("/etc/resolv.conf", &st) != 0)
        return false;
    if (st.st_ino == mx->dns.resolv_conf.st_ino &&
        st.st_dev == mx->dns.resolv_conf.st_dev &&
        st.st_size == mx->dns.resolv_conf.st_size && /* times are coarse */
        st.st_mtim.tv_sec == mx->dns.resolv_conf.st_mtim.tv_sec &&
        st.st_mtim.tv_nsec == mx->dns.resolv_conf.st_mtim.tv_nsec)
        return false;
    mx->dns.resolv_conf = st;
    return true;
}

/* Name servers of a changed resolv.conf, looked for once a second. */
static void ask_reload_servers(struct mxhop *mx)
{
    struct dns_servers servers;
    uint64_t now_ms = clock_boot_ms();

    if (mx->conf.dns_servers[0] != '\0' ||
        now_ms < mx->dns.resolv_checked_ms + 1000)
        return;
    mx->dns.resolv_checked_ms = now_ms;
    if (!resolv_conf_changed(mx))
        return;
    if (dns_servers_load(&servers, NULL, NULL) != MXHOP_OK)
        return;
    if (mx->dns.worker != NULL)
        worker_set_servers(mx->dns.worker, &servers);
    if (mx->dns.engine != NULL)
        engine_set_servers(mx->dns.engine, &servers);
    log_info(&mx->log, "/etc/resolv.conf changed: name servers read again");
}

/* ---- the questions ---- */

bool ask_dns(struct lookup *l, const struct ask *q, struct mxset *set_r)
{
    *set_r = (struct mxset){0};
    ask_reload_servers(l->mx);
    if (l->mx->dns.worker != NULL)
        return ask_worker(l, q, set_r);
    return ask_here(l, q, set_r);
}

void ask_refresh(struct mxhop *mx, const char *name)
{
    struct mxset unused;

    /* While nobody is to be reached it stays due, and costs nothing. That it
       was asked for is noted by learn_claim(), once for all processes. */
    if (mx->dns.worker == NULL || worker_down(mx->dns.worker))
        return;
    ask_reload_servers(mx);
    (void)worker_domain(mx->dns.worker, name, NULL, WORKER_REFRESH, 0, &unused);
}
