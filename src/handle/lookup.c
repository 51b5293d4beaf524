/*
 * lookup - the pipeline: from a key to a decision (docs/design.md 4)
 *
 * One struct lookup holds everything that was found out on the way, so that
 * the route and the trace tell the same story. The steps return early as soon
 * as the outcome is certain; what each may cost is said where it is called.
 *
 * Nothing here fails but for memory: faults of DNS, cache and override table
 * are outcomes, chosen by the on_* parameters.
 */

#include "handle/handle.h"
#include "route/match.h"
#include "util/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 4, 5))) static bool
settle(struct lookup *l, enum mxhop_disposition disposition, const char *status,
       const char *fmt, ...)
{
    va_list ap;

    l->disposition = disposition;
    l->status = status;
    va_start(ap, fmt);
    vsnprintf(l->reason, sizeof(l->reason), fmt, ap);
    va_end(ap);
    return true;
}

static bool pass(struct lookup *l, const char *why)
{
    return settle(l, MXHOP_PASS, "", "%s", why);
}

/* ---- local domains ---- */

enum mxhop_local lookup_is_local(const struct mxhop *mx, const char *domain)
{
    if (mx->conf.local_domains[0] != '\0')
        return match_host_list(mx->conf.local_domains, domain) ? MXHOP_LOCAL_YES
                                                               : MXHOP_LOCAL_NO;
    if (mx->host.is_local == NULL)
        return MXHOP_LOCAL_NO;
    return mx->host.is_local(mx->host.ctx, domain);
}

/* ---- the override table ---- */

static bool table_failed(struct lookup *l)
{
    l->table = TABLE_BAD;
    if (l->mx->rules.on_override_failure == CHOICE_DEFER)
        return settle(l, MXHOP_DEFER, "4.3.5",
                      "Routing overrides are not available");
    return pass(l, "the override table is not usable, on_override_failure = "
                   "pass");
}

/* ---- the decision ---- */

#define EXAMINE_ROUNDS 8 /* of max_hops hosts each */

/* Of the MX set, what is left of it. */
static uint32_t set_ttl_s(const struct lookup *l)
{
    if (l->entry.verdict == CACHE_FRESH || l->entry.verdict == CACHE_FAILING)
        return l->entry.ttl_s;
    return l->set.ttl_s;
}

/* The earliest of all TTLs, the next edge of a window and the end of the time
   slot. */
static uint32_t route_ttl_s(const struct lookup *l)
{
    const struct rules *rules = &l->mx->rules;
    uint32_t ttl_s = min_u32(l->decision.slot_left_s, l->mx->conf.ttl_max_s);

    if (l->cold || l->cache_state == MXHOP_CACHE_STALE)
        return 0;
    if (l->asked_dns)
        ttl_s = min_u32(min_u32(ttl_s, set_ttl_s(l)), tls_ttl_s(l));
    for (size_t i = 0; i < l->decision.n_kept; i++) {
        const struct hostaddrs *a = l->decision.c[i].addrs;

        if (a != NULL && hostaddrs_state(a, rules->families) == ADDR_SOME)
            ttl_s = min_u32(ttl_s, hostaddrs_ttl_s(a, rules->families));
    }
    if (l->edge_s - l->now_s < (int64_t)ttl_s)
        ttl_s = (uint32_t)(l->edge_s - l->now_s);
    return ttl_s;
}

static bool conclude(struct lookup *l)
{
    struct decide_input in = {
        .rules = &l->mx->rules,
        .domain = l->key.domain,
        .override = l->override.dn != NULL ? &l->override : NULL,
        .facts = l->facts,
        .also = l->also,
        .n_also = l->n_also,
        .local = l->local != MXHOP_LOCAL_NO,
        .learning = l->mx->dns.worker != NULL,
        .classes = l->mx->host.tls_classes,
        .visible_if = l->mx->answer_auto ? l->mx->host.visible_if : 0,
        .own_domains = l->mx->answer_auto ? l->mx->host_own_domains : NULL,
        .now_s = l->now_s,
    };
    bool again = true;

    if (l->asked_dns) {
        tls_judge(l);
        ststransport_wait(l);
    }
    if (l->override.n_hops > 0 ||
        (l->set.n_mx > 0 && (l->mx->host.flags & MXHOP_FINDS_ITSELF) == 0))
        machine_addresses(l->mx);
    for (int round = 0; again; round++) {
        /* A host without address at the end of a list would bounce mail (5.4.4)
           that the MTA's own routing defers or delivers, and one that is this
           system (5.4.6) anywhere in it. */
        bool last = l->vague || round >= EXAMINE_ROUNDS;

        l->cold = l->cold || last;
        in.cold = l->cold;
        in.set = l->asked_dns && !l->cold ? &l->set : NULL;
        in.policy = l->tls.policy;
        in.policy_open = l->tls.open;
        decision_free(&l->decision);
        if (!decide(&in, &l->decision))
            return false;
        again = false;
        if ((in.override != NULL || in.policy != NULL) && !last &&
            !facts_kept(l, &again))
            return false;
    }
    tls_mismatch(l);
    l->ttl_s = route_ttl_s(l);
    if (ststransport_defers(l))
        return settle(l, MXHOP_DEFER, "4.7.5",
                      "The MTA-STS policy of domain %s is not known yet",
                      l->key.domain);
    return settle(l, l->decision.disposition, l->decision.status, "%s",
                  l->decision.reason);
}

bool lookup_only_overrides(const struct mxhop *mx, const struct tls_facts *t)
{
    return mx->answer == ANSWER_OVERRIDE || t->visible != NULL;
}

static bool only_overrides(struct lookup *l)
{
    if (l->tls.visible != NULL)
        return settle(l, MXHOP_PASS, "", "no override, and %s", l->tls.visible);
    return settle(l, MXHOP_PASS, "", "no override, and answer = override%s%s",
                  l->mx->host_reason != NULL ? ": " : "",
                  l->mx->host_reason != NULL ? l->mx->host_reason : "");
}

static bool is_star(const struct lookup *l)
{
    return l->override.dn != NULL && strcmp(l->matched, "*") == 0;
}

/* Without an override by key, where no other has a say. */
static bool without_override(struct lookup *l)
{
    if (l->local == MXHOP_LOCAL_YES)
        return pass(l, "the MTA delivers this domain itself");
    if (l->local == MXHOP_LOCAL_ERROR)
        return pass(l, "whether this domain is local is not known now");
    return pass(l, "no override for this recipient");
}

static bool route_domain(struct lookup *l, struct ovtable *table)
{
    bool by_key_only =
        l->local != MXHOP_LOCAL_NO || l->key.kind == KEY_RECIPIENT;
    bool exchanges = !by_key_only && table != NULL && l->info.has_exchanges;
    bool only = lookup_only_overrides(l->mx, &l->tls);
    bool passes = false;
    enum mxhop_status status = MXHOP_OK;

    if (table != NULL)
        status = find_by_key(l, table);
    if (status != MXHOP_OK)
        return status != MXHOP_ERR_MEMORY && table_failed(l);
    if (l->override.dn == NULL && by_key_only)
        return without_override(l);
    /* Whatever DNS says, which is asked for MTA-STS and not waited for. */
    passes = l->override.dn == NULL && only && !exchanges;
    if (passes && l->tls.stored == STS_OFF)
        return only_overrides(l);
    if (l->override.dn != NULL && !(exchanges && is_star(l))) {
        if (!facts_hops(l))
            return false;
        if (override_is_final(&l->override))
            return conclude(l);
    }
    facts_domain(l, !passes);
    find_forget_idle(l);
    if (l->override.dn == NULL && by_key_only)
        return without_override(l);
    if (exchanges && !l->cold)
        status = find_by_exchange(l, table);
    if (status != MXHOP_OK)
        return status != MXHOP_ERR_MEMORY && table_failed(l);
    if (l->override.dn == NULL && only) {
        tls_judge(l);
        l->decision.slot_left_s = UINT32_MAX;
        l->ttl_s = l->cold ? 0 : min_u32(set_ttl_s(l), tls_ttl_s(l));
        return only_overrides(l);
    }
    if (!facts_hops(l))
        return false;
    return conclude(l);
}

static bool with_table(struct lookup *l)
{
    struct ovtable *table;

    if (l->mx->conf.overrides[0] == '\0')
        return route_domain(l, NULL);
    table = table_now(l->mx, clock_boot_ms());
    if (table == NULL && l->local != MXHOP_LOCAL_NO)
        return without_override(l);
    if (table == NULL) {
        l->table_err = l->mx->overrides.err;
        return table_failed(l);
    }
    l->table = TABLE_OK;
    ovtable_info(table, &l->info);
    return route_domain(l, table);
}

static bool run(struct lookup *l)
{
    if (l->key.kind == KEY_NONE)
        return pass(l, l->key.why);
    l->local = lookup_is_local(l->mx, l->key.domain);
    tls_forget(&l->tls);
    tls_look(l->mx, l->key.domain, l->local != MXHOP_LOCAL_NO, clock_boot_ms(),
             &l->tls);
    return with_table(l);
}

/* An address that no override can name, for its local part, still has a domain:
   whoever sends mail chooses the local part. */
static void parse_address(struct lookup *l, const char *address)
{
    const char *at = strrchr(address, '@');

    if (l->key.kind != KEY_NONE || at == NULL)
        return;
    key_parse(at + 1, &l->key);
    l->fell_through = l->key.kind == KEY_DOMAIN;
}

/* Nobody has written anything down for this address. */
static bool recipient_passes(const struct lookup *l)
{
    return l->key.kind == KEY_RECIPIENT && l->override.dn == NULL &&
           l->disposition == MXHOP_PASS;
}

/* An address that nothing is known about yet: its other form, as one more key.
 */
static bool other_form(struct lookup *l, const char *address)
{
    const struct probe_as *as = &l->mx->as;
    char text[LOCAL_MAX + 1 + NAME_MAX_TEXT + 1];
    struct key other;

    if (as->strip == NULL || !as->strip(as->ctx, address, text, sizeof(text)))
        return false;
    key_parse(text, &other);
    if (other.kind != KEY_RECIPIENT)
        return false;
    l->key = other;
    return true;
}

static bool lookup_once(struct lookup *l, struct mxhop *mx, const char *key,
                        unsigned flags)
{
    *l = (struct lookup){
        .mx = mx, .asked = key, .status = "", .edge_s = INT64_MAX};
    l->now_s = mx->as.at_s != 0 ? mx->as.at_s : clock_wall_s();
    l->deadline_ms = clock_boot_ms() + mx->budget_ms;
    key_parse(key, &l->key);
    if ((flags & MXHOP_ADDRESS) != 0)
        parse_address(l, key);
    if (!run(l))
        return false;
    if ((flags & MXHOP_ADDRESS) == 0 || !recipient_passes(l))
        return true;
    if (other_form(l, key)) {
        if (!run(l))
            return false;
        if (!recipient_passes(l))
            return true;
    }
    l->key.kind = KEY_DOMAIN;
    l->fell_through = true;
    return run(l);
}

bool lookup_run(struct lookup *l, struct mxhop *mx, const char *key,
                unsigned flags)
{
    bool ok;

    handle_open_cache(mx);
    learn_report(mx);
    ok = lookup_once(l, mx, key, flags);
    if (ok && l->table == TABLE_BAD && table_is_another(mx)) {
        lookup_free(l);
        ok = lookup_once(l, mx, key, flags);
    }
    if (ok && l->table == TABLE_BAD) {
        if (mx->overrides.table !=
            NULL) /* else another reason was found meanwhile */
            mx->overrides.err = l->table_err;
        table_say(mx, true);
    }
    return ok;
}

void lookup_free(struct lookup *l)
{
    decision_free(&l->decision);
    tls_forget(&l->tls);
    find_forget(l);
    for (size_t i = 0; i < l->n_also; i++)
        override_free(&l->also[i]);
    free(l->also);
    free(l->idle);
    mxset_free(&l->set);
}
