/*
 * explain - the trace: which rule, which DN, which cache entry, and why each
 * host was kept, moved or dropped
 *
 * Written for a person at a terminal of 80 columns: a numbered step a
 * paragraph, in the order of the pipeline, then what an MTA would get. Long
 * values (a DN, a name of 253 octets) go on a line of their own rather than
 * being cut.
 */

#include "handle/explain.h"
#include "route/render.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/err.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define INDENT     EXPLAIN_INDENT

#define OTHERS_MAX 20 /* entries that do not apply, in text */
#define V4_SHOWN   4  /* addresses of a host */
#define V6_SHOWN   2

static void step(struct buf *out, int number, const char *title)
{
    buf_printf(out, "%2d %-10s ", number, title);
}

/* Text broken at spaces, continued under the text of the step. */
void explain_sentence(struct buf *out, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (text.failed)
        out->failed = true;
    else
        buf_puts_wrapped(out, text.data != NULL ? text.data : "",
                         sizeof(INDENT) - 1, sizeof(INDENT) - 1);
    buf_putc(out, '\n');
    buf_free(&text);
}

static void explain_key(const struct lookup *l, struct buf *out)
{
    step(out, 1, "key");
    if (l->key.kind == KEY_NONE)
        explain_sentence(out, "%s", l->key.why);
    else if (l->fell_through)
        explain_sentence(out,
                         "recipient without override of its own: its domain %s",
                         l->key.domain);
    else if (l->key.kind == KEY_RECIPIENT)
        explain_sentence(out, "recipient %s", l->key.recipient);
    else
        explain_sentence(out, "domain %s", l->key.domain);
}

static void explain_local(const struct lookup *l, struct buf *out)
{
    static const char *const texts[] = {
        [MXHOP_LOCAL_NO] = "no",
        [MXHOP_LOCAL_YES] =
            "yes: the MTA delivers it itself, unless an override "
            "is for exactly this key",
        [MXHOP_LOCAL_ERROR] = "the MTA's tables could not tell: only an "
                              "override for exactly this key counts",
    };

    step(out, 2, "local");
    if (l->mx->conf.local_domains[0] == '\0' && l->mx->host.is_local == NULL)
        explain_sentence(
            out, "not known here (local_domains is empty, and no main.cf "
                 "is looked at)");
    else
        explain_sentence(out, "%s", texts[l->local]);
}

/* A DN alone, which may be long. */
static void explain_dn(const char *dn, struct buf *out)
{
    buf_puts(out, INDENT);
    buf_puts_printable(out, dn);
    buf_putc(out, '\n');
}

static void explain_override(const struct lookup *l, struct buf *out)
{
    const struct override *o = &l->override;
    char id[OVTABLE_ID_TEXT];

    step(out, 3, "override");
    if (l->mx->conf.overrides[0] == '\0') {
        explain_sentence(out, "none configured");
        return;
    }
    if (l->table == TABLE_BAD) {
        explain_sentence(out, "%s", l->table_err.text);
        return;
    }
    if (o->dn == NULL) {
        explain_sentence(out, "none applies (%u entries, id %s)",
                         l->info.entries, ovtable_id_text(l->info.id, id));
        return;
    }
    explain_sentence(out, "mode %s, by %s %s", override_mode_name(o->mode),
                     l->by_exchange ? "exchange" : "key", l->matched);
    explain_dn(o->dn, out);
    if (l->n_also > 0)
        buf_puts(out, INDENT "and these exclude hosts of the domain:\n");
    for (size_t i = 0; i < l->n_also; i++)
        explain_dn(l->also[i].dn, out);
    buf_puts(out, INDENT);
    explain_sentence(out, "in %s (id %s)", l->mx->conf.override_table,
                     ovtable_id_text(l->info.id, id));
}

static void explain_entry(const struct lookup *l,
                          const struct explained_entry *e, struct buf *out)
{
    char time[CLOCK_TEXT_MAX];

    explain_dn(e->dn, out);
    buf_printf(out, INDENT "  %s by %s %s: ", override_mode_name(e->mode),
               e->by_exchange ? "exchange" : "key", e->under);
    switch (e->state) {
    case ENTRY_DISABLED:
        buf_puts(out, "disabled");
        break;
    case ENTRY_PENDING:
        buf_printf(out, "from %s", clock_text(e->not_before_s, time));
        break;
    case ENTRY_PAST:
        buf_printf(out, "until %s", clock_text(e->not_after_s, time));
        break;
    case ENTRY_IDLE:
        buf_puts(out, "excludes no host");
        break;
    case ENTRY_BEATEN:
        buf_puts(out, "beaten by\n" INDENT "    ");
        buf_puts_printable(out, l->override.dn);
        break;
    case ENTRY_LOCAL:
        buf_puts(out, "not for a local domain");
        break;
    default:
        buf_puts(out, "not considered");
        break;
    }
    buf_putc(out, '\n');
}

/* Those that do not apply. */
static void explain_others(const struct lookup *l,
                           const struct explained_entries *entries,
                           struct buf *out)
{
    size_t n = 0;

    for (size_t i = 0; i < entries->n; i++) {
        if (entries->v[i].state == ENTRY_APPLIES)
            continue;
        if (n++ == 0)
            buf_puts(out, INDENT "not in force here:\n");
        if (n <= OTHERS_MAX)
            explain_entry(l, &entries->v[i], out);
    }
    if (n > OTHERS_MAX)
        buf_printf(out, INDENT "and %zu more\n", n - OTHERS_MAX);
}

static void explain_addresses(const struct hostaddrs *a, unsigned families,
                              struct buf *out)
{
    static const char *const words[] = {"not examined", "", "no address",
                                        "address lookup failed"};
    enum addr_state state = hostaddrs_state(a, families);
    char text[INET6_ADDRSTRLEN];

    if (state != ADDR_SOME) {
        buf_puts(out, words[state]);
        return;
    }
    buf_printf(out, "TTL %u", hostaddrs_ttl_s(a, families));
    for (unsigned i = 0; i < a->n[FAMILY_V4] && i < V4_SHOWN; i++)
        buf_printf(out, " %s",
                   inet_ntop(AF_INET, &a->v4[i], text, sizeof(text)));
    for (unsigned i = 0; i < a->n[FAMILY_V6] && i < V6_SHOWN; i++)
        buf_printf(out, " %s",
                   inet_ntop(AF_INET6, &a->v6[i], text, sizeof(text)));
}

static void explain_mx(const struct mx *mx, unsigned families, struct buf *out)
{
    buf_printf(out, INDENT "%5u %s", mx->preference, mx->host);
    if (strlen(mx->host) > 24)
        buf_puts(out, "\n" INDENT "     ");
    buf_puts(out, "  ");
    explain_addresses(&mx->addrs, families, out);
    if (mx->addrs.tlsa.state != TLSA_UNKNOWN &&
        mx->addrs.tlsa.state != TLSA_NONE)
        buf_printf(out, "\n" INDENT "      TLSA %s",
                   explain_tlsa_word(&mx->addrs.tlsa));
    buf_putc(out, '\n');
}

static void explain_outcome(const struct lookup *l, struct buf *out)
{
    const struct mxset *set = &l->set;

    switch (set->outcome) {
    case MX_HOSTS:
        explain_sentence(out, "%s%zu host%s, TTL %u s%s%s",
                         set->implicit ? "no MX record, implicit MX: " : "",
                         set->n_mx, set->n_mx == 1 ? "" : "s", set->ttl_s,
                         set->secure ? ", authenticated (AD)" : "",
                         set->dot_ignored ? ", a null MX beside them ignored"
                                          : "");
        break;
    case MX_NULL:
        explain_sentence(out, "null MX (RFC 7505), TTL %u s", set->ttl_s);
        break;
    case MX_NXDOMAIN:
        explain_sentence(out, "no such domain, TTL %u s", set->ttl_s);
        break;
    case MX_FAILURE:
        explain_sentence(out, "failure: %s",
                         set->failure != NULL ? set->failure : "unknown");
        break;
    }
}

static void explain_cache(const struct lookup *l, struct buf *out)
{
    step(out, 5, "cache");
    if (l->mx->store.cache != NULL && l->asked_dns)
        buf_printf(out, "%s\n" INDENT,
                   l->mx->store.dir != NULL ? l->mx->store.dir
                                            : "in the memory of this process");
    if (l->mx->store.cache == NULL)
        explain_sentence(out, "none configured");
    else if (!l->asked_dns)
        explain_sentence(out, "not asked");
    else if (l->entry.verdict == CACHE_FRESH)
        explain_sentence(
            out, "hit, %u s left%s", l->entry.ttl_s,
            l->cache_state == MXHOP_CACHE_HIT ? "" : "; addresses asked for");
    else if (l->entry.verdict == CACHE_STALE)
        explain_sentence(out, "stale since %u s%s", l->entry.stale_s,
                         l->cache_state == MXHOP_CACHE_STALE
                             ? ", served all the same (RFC 8767)"
                             : ", asked again");
    else if (l->entry.verdict == CACHE_FAILING)
        explain_sentence(out, "failed before, next attempt in %u s",
                         l->entry.ttl_s);
    else
        explain_sentence(out, "%s",
                         l->cold ? "miss, not answered in time"
                                 : "miss, asked now");
}

/* As this process sees it, and as another one has lately reported it. */
static void explain_server(const struct lookup *l, struct engine_server *s,
                           struct buf *out)
{
    uint64_t now_ms = clock_boot_ms();
    struct cache_server other;

    buf_printf(out, INDENT "name server %s: breaker %s", s->address,
               breaker_state_name(s->state));
    if (servers_seen_open(l->mx, s->address, &other) &&
        other.since_ms <= now_ms)
        buf_printf(out, "%s since %llu s in process %u",
                   s->state == BREAKER_OPEN ? "," : " here, open",
                   (unsigned long long)(now_ms - other.since_ms) / 1000,
                   other.pid);
    buf_putc(out, '\n');
}

static void explain_servers(const struct lookup *l, struct buf *out)
{
    struct engine_server s[DNS_SERVERS_MAX];
    size_t n;

    (void)handle_resolver(l->mx, NULL); /* there were none: the list is empty */
    n = servers_here(l->mx, s);
    for (size_t i = 0; i < n; i++)
        explain_server(l, &s[i], out);
}

static void explain_dns(const struct lookup *l, struct buf *out)
{
    step(out, 4, "dns");
    if (!l->asked_dns) {
        explain_sentence(out, "not asked");
        return;
    }
    if (l->cold)
        explain_sentence(out, "not known within %u ms", l->mx->budget_ms);
    else
        explain_outcome(l, out);
    explain_servers(l, out);
    if (l->cold)
        return;
    for (size_t i = 0; i < l->set.n_mx; i++)
        explain_mx(&l->set.mx[i], l->mx->rules.families, out);
}

static void explain_candidate(const struct candidate *c, size_t place,
                              unsigned families, struct buf *out)
{
    static const char *const tiers[] = {"prepended", "", "appended"};

    buf_puts(out, INDENT);
    if (c->drop == DROP_NO)
        buf_printf(out, "%2zu. ", place);
    else
        buf_puts(out, " -  ");
    buf_printf(out, "%5u %s", c->preference, c->host);
    if (c->port != 0)
        buf_printf(out, ":%u", c->port);
    if (strlen(c->host) > 26)
        buf_puts(out, "\n" INDENT "         ");
    buf_printf(out, "  %s", c->is_dns ? "dns" : "override");
    if (!c->is_dns && !c->is_address && !c->is_mx && c->addrs != NULL) {
        buf_puts(out, ", ");
        explain_addresses(c->addrs, families, out);
    }
    if (c->tier != 1)
        buf_printf(out, ", %s", tiers[c->tier]);
    if (c->tls_class != MXHOP_TLS_NONE)
        buf_printf(out, ", class %s", render_tls_class(c->tls_class));
    buf_putc(out, '\n');
    if (c->drop != DROP_NO)
        buf_printf(out, INDENT "          dropped: %s\n", drop_text(c->drop));
    if (c->via != NULL)
        buf_printf(out, INDENT "          via the MX set of %s\n", c->via);
}

static void explain_hosts(const struct lookup *l, struct buf *out)
{
    step(out, 6, "hosts");
    if (l->decision.n == 0) {
        explain_sentence(out, "none");
        return;
    }
    explain_sentence(out, "%zu kept, %zu dropped (max_hops %u)",
                     l->decision.n_kept, l->decision.n - l->decision.n_kept,
                     l->mx->rules.max_hops);
    for (size_t i = 0; i < l->decision.n; i++)
        explain_candidate(&l->decision.c[i], i + 1, l->mx->rules.families, out);
    if (l->decision.stopper) {
        buf_puts(out, INDENT);
        explain_sentence(
            out, "the last one may have no address: Postfix gets a stopper "
                 "behind it, so that mail waits and is not returned");
    }
}

/* Deferred, and not because an entry says so. */
static bool explain_is_unusable(const struct lookup *l)
{
    return l->disposition == MXHOP_DEFER && l->override.dn != NULL &&
           l->override.mode != OVERRIDE_DEFER && l->decision.n_kept == 0 &&
           l->mx->rules.on_override_unusable == CHOICE_DEFER;
}

static void explain_result(const struct lookup *l,
                           const struct mxhop_route *route, struct buf *out)
{
    step(out, 7, "answer");
    explain_sentence(out, "%s%s%s: %s", render_disposition(l->disposition),
                     l->status[0] != '\0' ? " " : "", l->status, l->reason);
    if (explain_is_unusable(l)) {
        buf_puts(out, INDENT);
        explain_sentence(out,
                         "of what the override allows nothing can be used, see "
                         "hosts: mail waits (on_override_unusable = defer)");
    }
    if (l->disposition == MXHOP_PASS && route->override != NULL) {
        buf_puts(out, INDENT);
        explain_sentence(out, "ends the search: Postfix routes as if it had no "
                              "transport_maps, no other table is asked");
    }
    if (l->disposition == MXHOP_ROUTE)
        buf_printf(out, INDENT "holds for %u s%s\n", l->ttl_s,
                   route->by_domain ? ", a queue of its own (group = domain)"
                                    : "");
    buf_puts(out, "   postfix    ");
    if (!render_postfix(route, out))
        buf_puts(out, "(not found: Postfix routes as without mxhop)");
    buf_puts(out, "\n   exim       ");
    if (!render_exim(route, out) && !render_exim_fate(route, out))
        buf_puts(out, "(empty: the routers decline)");
}

static void explain(const struct lookup *l, const struct mxhop_route *route,
                    const struct explained_entries *entries, struct buf *out)
{
    char time[CLOCK_TEXT_MAX];

    if (l->mx->as.at_s != 0)
        buf_printf(out, "   as of      %s\n", clock_text(l->now_s, time));
    explain_key(l, out);
    if (l->key.kind != KEY_NONE) {
        explain_local(l, out);
        explain_override(l, out);
        explain_others(l, entries, out);
        if (l->local == MXHOP_LOCAL_NO || l->override.dn != NULL) {
            explain_dns(l, out);
            explain_cache(l, out);
            explain_tls(l, out);
            explain_hosts(l, out);
        }
    }
    explain_result(l, route, out);
}

enum mxhop_status mxhop_explain(struct mxhop *mx, const char *key,
                                unsigned flags, struct mxhop_route **route_r,
                                char **text_r, struct mxhop_error *err)
{
    struct explained_entries entries = {0};
    struct buf out = {0};
    struct lookup l;

    *text_r = NULL;
    *route_r = NULL;
    if (lookup_run(&l, mx, key, flags))
        *route_r = route_from_lookup(&l);
    if (*route_r != NULL && explain_entries(&l, &entries)) {
        if ((flags & MXHOP_EXPLAIN_JSON) != 0)
            explain_json(&l, *route_r, &entries, &out);
        else
            explain(&l, *route_r, &entries, &out);
        *text_r = buf_detach(&out);
    }
    explain_entries_free(&entries);
    lookup_free(&l);
    if (*text_r != NULL)
        return MXHOP_OK;
    mxhop_route_free(route_r);
    return err_nomem(err);
}
