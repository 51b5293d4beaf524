/*
 * mxhop - open and close a handle, and hand out routes
 *
 * A handle joins what the siblings below know: configuration, override table,
 * cache, and DNS, run by a worker thread (MXHOP_WORKER) or by the caller.
 * Everything that a jail hides is read in mxhop_open(): the configuration, and
 * for a worker the list of name servers and libidn2, which others read when a
 * question needs them. The override table is opened by the first lookup, when a
 * daemon is root no more (table.c). Only a broken configuration is an error in
 * mxhop_open(); what else is missing is logged, and each lookup says what it
 * means.
 */

#include "handle/handle.h"
#include "handle/probe.h"
#include "route/render.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/hash.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BUDGET_WORKER_MS 200u
#define BUDGET_OWN_MS    2000u

/* ---- from configuration and host to rules ---- */

/* The parameter, or what the host says where it is empty. */
static const char *either(const char *param, const char *host)
{
    if (param[0] != '\0' || host == NULL)
        return param;
    return host;
}

static unsigned families_of(const char *list)
{
    unsigned families = 0;

    if (list[0] == '\0' || str_in_list(list, "ipv4"))
        families |= FAMILY_BIT(FAMILY_V4);
    if (list[0] == '\0' || str_in_list(list, "ipv6"))
        families |= FAMILY_BIT(FAMILY_V6);
    return families;
}

/* Machines differ in their order of ties; without a seed by their names. */
static uint64_t seed_of(const char *seed)
{
    struct utsname host;

    if (seed[0] != '\0')
        return hash_bytes(0, seed, strlen(seed));
    if (uname(&host) != 0)
        return 0;
    return hash_bytes(0, host.nodename, strlen(host.nodename));
}

static enum mxhop_status networks_of(const char *what, const char *list,
                                     struct networks *n_r,
                                     struct mxhop_error *err)
{
    const char *bad = NULL;
    size_t bad_len = 0;
    const char *why = networks_parse(list, n_r, &bad, &bad_len);

    if (why == NULL)
        return MXHOP_OK;
    return err_set(err, MXHOP_ERR_CONFIG, "%s: \"%.*s\": %s", what,
                   (int)bad_len, bad != NULL ? bad : "", why);
}

static enum mxhop_status make_rules(struct mxhop *mx,
                                    const struct mxhop_host *host,
                                    struct mxhop_error *err)
{
    const struct conf *c = &mx->conf;
    enum mxhop_status status;

    mx->rules = (struct rules){
        .on_null_mx = (enum choice)c->on_null_mx,
        .on_nxdomain = (enum choice)c->on_nxdomain,
        .on_dns_failure = (enum choice)c->on_dns_failure,
        .on_cold = (enum choice)c->on_cold,
        .on_no_host = (enum choice)c->on_no_host,
        .on_bogus = (enum choice)c->on_bogus,
        .on_override_failure = (enum choice)c->on_override_failure,
        .on_override_unusable = (enum choice)c->on_override_unusable,
        .on_sts_mismatch = (enum choice)c->on_sts_mismatch,
        .dane_ta = (enum dane_ta)c->dane_ta,
        .families =
            families_of(either(c->address_families, host->address_families)),
        .max_hops =
            (mx->host.flags & MXHOP_POLICIES) != 0 ? EXAMINE_MAX : c->max_hops,
        .rotate_interval_s = c->rotate_interval_s,
        .seed = seed_of(c->seed),
        .transport = c->transport,
        .group = (enum group_mode)c->group,
        .single_domain_sites = c->single_domain_sites,
        .own_names = either(c->own_names, mx->host_names),
    };
    status = networks_of("own_addresses",
                         either(c->own_addresses, host->own_addresses),
                         &mx->rules.own_addresses, err);
    if (status != MXHOP_OK)
        return status;
    return networks_of("bogus_networks", c->bogus_networks, &mx->rules.bogus,
                       err);
}

static bool copy_text(char **to_r, const char *text)
{
    *to_r = text != NULL ? strdup(text) : NULL;
    return text == NULL || *to_r != NULL;
}

static enum mxhop_status take_host(struct mxhop *mx,
                                   const struct mxhop_host *host,
                                   struct mxhop_error *err)
{
    if (!copy_text(&mx->host_names, host->own_names) ||
        !copy_text(&mx->host_reason, host->visible_reason) ||
        !copy_text(&mx->host_addresses, host->own_addresses) ||
        !copy_text(&mx->host_cache_owner, host->cache_owner) ||
        !copy_text(&mx->host_own_domains, host->own_domains))
        return err_nomem(err);
    mx->host = *host;
    return MXHOP_OK;
}

static void forward_log(void *ctx, int level, const char *line)
{
    const struct mxhop *mx = ctx;

    if (mx->host.log != NULL)
        mx->host.log(mx->host.ctx, (enum mxhop_log_level)level, line);
}

static void resolve_answer(struct mxhop *mx)
{
    mx->answer = (enum answer_mode)mx->conf.answer;
    mx->answer_auto = mx->answer == ANSWER_AUTO;
    if (!mx->answer_auto)
        return;
    mx->answer = mx->host_reason != NULL ? ANSWER_OVERRIDE : ANSWER_LIST;
    /* Others ask once, and get it with the answer. */
    if (mx->host_reason != NULL && (mx->host.flags & MXHOP_WORKER) != 0)
        log_info(&mx->log, "answer = override, because %s", mx->host_reason);
}

/* ---- DNS ---- */

/* What nobody looks at is not asked for. */
static void resolve_tls_wanted(struct mxhop *mx)
{
    unsigned classes = mx->host.tls_classes;

    if (mx->conf.answer != ANSWER_AUTO || mx->host_reason != NULL ||
        mx->conf.tlsrpt == TLSRPT_IGNORE)
        mx->host.visible_if &= ~MXHOP_VISIBLE_REPORTED;
    if (mx->conf.mta_sts != MTA_STS_OFF)
        mx->tls_wanted = TLS_WANT_STS | TLS_WANT_DANE;
    if ((classes & CLASS_BIT(MXHOP_TLS_DANE)) != 0)
        mx->tls_wanted |= TLS_WANT_DANE;
    if ((mx->host.visible_if & MXHOP_VISIBLE_REPORTED) != 0)
        mx->tls_wanted |= TLS_WANT_RPT;
}

static enum mxhop_status open_dns(struct mxhop *mx, struct mxhop_error *err)
{
    struct worker_options w = {
        .owner = facts_owner_functions,
        .families = mx->rules.families,
        .timeout_ms = mx->conf.dns_timeout_ms,
        .store = learn_store(mx),
    };
    enum mxhop_status status;

    w.owner.ctx = mx;
    w.owner.tls_wanted = mx->tls_wanted;
    if (stat("/", &mx->dns.root) != 0 ||
        stat("/etc/resolv.conf", &mx->dns.resolv_conf))
        mx->dns.resolv_conf = (struct stat){0};
    status = dns_servers_load(&w.servers, mx->conf.dns_servers, err);
    if (status != MXHOP_OK)
        return status;
    if ((mx->host.flags & MXHOP_WORKER) != 0)
        return worker_open(&mx->dns.worker, &w, err);
    status = engine_open(&mx->dns.engine, &w.servers, err);
    if (status != MXHOP_OK)
        return status;
    engine_watch_servers(mx->dns.engine, servers_report, mx);
    status = resolver_open(&mx->dns.resolver, mx->dns.engine, &w.owner,
                           w.families, err);
    if (status != MXHOP_OK)
        engine_close(&mx->dns.engine);
    return status;
}

/* Most processes of Exim find in the cache what they ask for, and end. */
enum mxhop_status handle_resolver(struct mxhop *mx, struct mxhop_error *err)
{
    enum mxhop_status status;

    if (mx->dns.resolver != NULL)
        return MXHOP_OK;
    if ((mx->host.flags & MXHOP_WORKER) != 0)
        return err_set(err, MXHOP_ERR_ARGUMENT, "a worker has the resolver");
    status = open_dns(mx, err);
    if (status == MXHOP_OK)
        servers_assume(mx);
    return status;
}

/* conf: what was read already, and is ours now; NULL: read it. */
static enum mxhop_status open_parts(struct mxhop *mx, struct conf *conf,
                                    const char *config,
                                    const struct mxhop_host *host,
                                    struct mxhop_error *err)
{
    enum mxhop_status status = take_host(mx, host, err);

    if (conf != NULL) {
        mx->conf = *conf;
        *conf = (struct conf){0};
    }
    watched_link(&mx->config.link, config);
    if (status == MXHOP_OK && conf == NULL)
        status = conf_load(&mx->conf, config, &mx->config.file.fd,
                           &mx->config.file.seen, err);
    if (status == MXHOP_OK)
        status = make_rules(mx, host, err);
    if (status == MXHOP_OK)
        ststransport_begin(mx);
    if (status == MXHOP_OK && mx->conf.overrides[0] != '\0' &&
        (host->flags & MXHOP_POLICIES) == 0)
        status = table_place(mx, err);
    if (status == MXHOP_OK && mx->conf.mta_sts != MTA_STS_OFF)
        status = tls_place(mx, err);
    if (status == MXHOP_OK)
        resolve_tls_wanted(mx);
    if (status == MXHOP_OK)
        handle_find_cache(mx, config);
    if (status == MXHOP_OK &&
        (host->flags & (MXHOP_WORKER | MXHOP_POLICIES)) != 0)
        status = open_dns(mx, err);
    return status;
}

/* What follows from the parts. */
static void settle(struct mxhop *mx)
{
    const char *no_idn = NULL;

    if ((mx->host.flags & (MXHOP_WORKER | MXHOP_POLICIES)) != 0)
        no_idn = name_load_idn(); /* a jail has no libraries */
    if (no_idn != NULL)
        log_warn(&mx->log, "%s: keys that are not ASCII pass", no_idn);
    mx->budget_ms = mx->conf.lookup_budget_ms;
    if (mx->budget_ms == 0)
        mx->budget_ms =
            mx->dns.worker != NULL ? BUDGET_WORKER_MS : BUDGET_OWN_MS;
    ration_init(&mx->dns.ration, mx->conf.wait_share_percent);
    resolve_answer(mx);
    mx->addresses_due = (mx->host.flags & MXHOP_THIS_MACHINE) != 0 &&
                        mx->conf.own_addresses[0] == '\0' &&
                        mx->host_addresses == NULL;
}

enum mxhop_status probe_open(struct mxhop **mx_r, struct conf *conf,
                             const char *config, const struct mxhop_host *host,
                             struct mxhop_error *err)
{
    struct mxhop_host whole = host != NULL ? *host : (struct mxhop_host){0};
    struct mxhop *mx = calloc(1, sizeof(*mx));
    char name[HOST_NAME_MAX + 1];
    enum mxhop_status status;

    *mx_r = NULL;
    if (mx == NULL)
        return err_nomem(err);
    mx->config.file.fd = mx->config.link.fd = mx->tls.want_fd = -1;
    mx->overrides.placed.above_fd = mx->overrides.placed.link.fd = -1;
    mx->tls.placed.above_fd = mx->tls.placed.link.fd = -1;
    mx->store.place.up_fd = mx->store.place.dir_fd = -1;
    mx->log = (struct log){forward_log, mx};
    machine_name(&whole, name);
    if (whole.own_names == NULL && name[0] != '\0')
        whole.own_names = name;
    status = open_parts(mx, conf, config, &whole, err);
    if (status == MXHOP_OK)
        settle(mx);
    else
        mxhop_close(&mx);
    *mx_r = mx;
    return status;
}

enum mxhop_status mxhop_open(struct mxhop **mx_r, const char *config,
                             const struct mxhop_host *host,
                             struct mxhop_error *err)
{
    return probe_open(mx_r, NULL, config, host, err);
}

void mxhop_close(struct mxhop **mx)
{
    struct mxhop *m = *mx;

    *mx = NULL;
    if (m == NULL)
        return;
    worker_close(&m->dns.worker); /* first: its thread uses the rest */
    resolver_close(&m->dns.resolver);
    engine_close(&m->dns.engine);
    handle_close_cache(m);
    cache_place_close(&m->store.place);
    table_leave(m);
    tls_leave(m);
    networks_free(&m->rules.own_addresses);
    networks_free(&m->rules.bogus);
    conf_free(&m->conf);
    free(m->host_names);
    free(m->host_reason);
    free(m->host_cache_owner);
    free(m->host_own_domains);
    free(m->host_addresses);
    buf_free(&m->text.last);
    watched_leave(&m->config.file);
    watched_leave(&m->config.link);
    free(m);
}

int mxhop_keeps_policies(const struct mxhop *mx)
{
    return mx->conf.mta_sts == MTA_STS_ENFORCE;
}

int mxhop_may_override(const char *config)
{
    return conf_may_override(config);
}

int mxhop_may_keep_policies(const char *config)
{
    return conf_may_keep_policies(config);
}

int mxhop_outdated(const struct mxhop *mx)
{
    return watched_has_changed(&mx->config.file) ||
           watched_has_changed(&mx->config.link) ||
           placed_is_led_away(&mx->overrides.placed) ||
           placed_is_led_away(&mx->tls.placed);
}

/* ---- rendering ---- */

enum mxhop_status mxhop_render(const struct mxhop *mx,
                               const struct mxhop_route *route,
                               enum mxhop_format format, char **text_r,
                               struct mxhop_error *err)
{
    render_fn *render = render_for(format);
    struct buf out = {0};

    (void)mx;
    *text_r = NULL;
    if (render == NULL)
        return err_set(err, MXHOP_ERR_ARGUMENT, "unknown format %d",
                       (int)format);
    if (!render(route, &out)) {
        bool failed = out.failed;

        buf_free(&out);
        return failed ? err_nomem(err) : MXHOP_OK;
    }
    *text_r = buf_detach(&out);
    return *text_r != NULL ? MXHOP_OK : err_nomem(err);
}
