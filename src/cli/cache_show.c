/*
 * cache_show - what the cache knows of a domain, as text or JSON
 *
 * Nothing is decided here: it is what stands in the cache, also of hosts that
 * no list would have. The time that is left of an answer is negative once it
 * has expired.
 */

#include "cli/cache_show.h"
#include "util/clock.h"
#include "util/json.h"

#include <arpa/inet.h>

static const char *cache_show_state_word(enum cache_verdict verdict)
{
    static const char *const words[] = {
        [CACHE_MISS] = "missing",
        [CACHE_FRESH] = "fresh",
        [CACHE_STALE] = "stale",
        [CACHE_FAILING] = "failing",
    };

    return words[verdict];
}

static long long cache_show_left_s(const struct cache_entry_state *st)
{
    if (st->verdict == CACHE_STALE)
        return -(long long)st->stale_s;
    return st->ttl_s;
}

static void cache_show_add_bool(const char *name, bool value, struct buf *out)
{
    buf_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

/* ---- about TLS ---- */

static const char *const cache_show_txt_words[] = {[TXT_UNKNOWN] = "unknown",
                                                   [TXT_NONE] = "none",
                                                   [TXT_FOUND] = "id",
                                                   [TXT_FAILED] = "failed"};

static const char *const cache_show_tlsa_words[] = {
    [TLSA_UNKNOWN] = "unknown", [TLSA_NONE] = "none",
    [TLSA_USABLE] = "usable",   [TLSA_UNUSABLE] = "unusable",
    [TLSA_WHOLE] = "whole",     [TLSA_FAILED] = "failed"};

/* Nothing where nobody asked. */
static void cache_show_json_txt(const char *name, const struct domain_txt *txt,
                                struct buf *out)
{
    if (txt->state == TXT_UNKNOWN)
        return;
    buf_printf(out, ",\"%s\":{\"state\":\"%s\"", name,
               cache_show_txt_words[txt->state]);
    if (txt->state == TXT_FOUND)
        buf_printf(out, ",\"id\":\"%s\"", txt->id);
    buf_printf(out, ",\"ttl\":%u}", txt->ttl_s);
}

static void cache_show_json_tlsa(const struct tlsa *tlsa, struct buf *out)
{
    if (tlsa->state == TLSA_UNKNOWN)
        return;
    buf_printf(out, ",\"tlsa\":{\"state\":\"%s\"",
               cache_show_tlsa_words[tlsa->state]);
    if (tlsa->state == TLSA_USABLE)
        cache_show_add_bool("trust_anchor", tlsa->trust_anchor, out);
    buf_printf(out, ",\"ttl\":%u}", tlsa->ttl_s);
}

static void cache_show_text_txt(const char *name, const struct domain_txt *txt,
                                struct buf *out)
{
    if (txt->state == TXT_FOUND)
        buf_printf(out, ", %s id %s", name, txt->id);
    else if (txt->state != TXT_UNKNOWN)
        buf_printf(out, ", %s %s", name, cache_show_txt_words[txt->state]);
}

static void cache_show_text_tlsa(const struct tlsa *tlsa, struct buf *out)
{
    if (tlsa->state != TLSA_UNKNOWN)
        buf_printf(out, ", TLSA %s%s", cache_show_tlsa_words[tlsa->state],
                   tlsa->trust_anchor ? " with DANE-TA" : "");
}

/* ---- addresses of a host ---- */

struct host_facts {
    struct cache_entry_state st;
    struct hostaddrs addrs;
    enum addr_state sum;
};

/* Behind a signed MX answer with TLSA records. */
static void cache_show_get_host(const struct probe_cache *c,
                                const struct mxset *set, const char *host,
                                struct host_facts *f)
{
    *f = (struct host_facts){.sum = ADDR_UNKNOWN};
    f->st = cache_get_host(c->view, host,
                           c->families | (set->secure ? HOST_TLSA : 0),
                           clock_boot_ms(), &f->addrs);
    f->sum = hostaddrs_state(&f->addrs, c->families);
}

/* Each between quote marks, with `between` between them. */
static void cache_show_add_addresses(const struct hostaddrs *a,
                                     const char *mark, const char *between,
                                     struct buf *out)
{
    char text[INET6_ADDRSTRLEN];
    const char *sep = "";

    for (int f = 0; f < FAMILIES; f++)
        for (unsigned i = 0; i < a->n[f] && i < ADDRS_MAX; i++) {
            const void *raw = f == FAMILY_V4 ? (const void *)&a->v4[i]
                                             : (const void *)&a->v6[i];

            if (inet_ntop(f == FAMILY_V4 ? AF_INET : AF_INET6, raw, text,
                          sizeof(text)) == NULL)
                continue;
            buf_printf(out, "%s%s%s%s", sep, mark, text, mark);
            sep = between;
        }
}

/* ---- JSON ---- */

static void cache_show_json_hosts(const struct probe_cache *c,
                                  const struct mxset *set, struct buf *out)
{
    struct host_facts f;

    buf_puts(out, ",\"hosts\":[");
    for (size_t i = 0; i < set->n_mx; i++) {
        buf_puts(out, i > 0 ? ",{\"host\":" : "{\"host\":");
        json_escape(set->mx[i].host, out);
        buf_printf(out, ",\"preference\":%u", (unsigned)set->mx[i].preference);
        if (c != NULL) {
            cache_show_get_host(c, set, set->mx[i].host, &f);
            buf_printf(out, ",\"state\":\"%s\",\"ttl\":%lld,\"addresses\":[",
                       cache_show_state_word(f.st.verdict),
                       cache_show_left_s(&f.st));
            cache_show_add_addresses(&f.addrs, "\"", ",", out);
            buf_putc(out, ']');
            cache_show_json_tlsa(&f.addrs.tlsa, out);
        }
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void cache_show_json_domain(const struct probe_cache *c,
                                   const char *domain,
                                   const struct cache_entry_state *st,
                                   const struct mxset *set, struct buf *out)
{
    buf_puts(out, "{\"domain\":");
    json_escape(domain, out);
    buf_printf(out, ",\"state\":\"%s\"", cache_show_state_word(st->verdict));
    if (st->verdict != CACHE_MISS) {
        buf_printf(out, ",\"ttl\":%lld,\"outcome\":\"%s\"",
                   cache_show_left_s(st), cli_outcomes[cli_outcome(set)].word);
        cache_show_add_bool("secure", set->secure, out);
        cache_show_json_txt("sts", &set->sts, out);
        cache_show_json_txt("tlsrpt", &set->rpt, out);
    }
    if (c != NULL && st->verdict != CACHE_MISS) {
        cache_show_add_bool("refresh_due", st->refresh_due, out);
        cache_show_add_bool("failed_before", st->failed_before, out);
        cache_show_add_bool("once", st->once, out);
    }
    if (st->verdict != CACHE_MISS)
        cache_show_json_hosts(c, set, out);
    buf_putc(out, '}');
}

/* ---- text ---- */

void show_line(const char *domain, const struct cache_entry_state *st,
               const struct mxset *set, bool json, struct buf *out)
{
    if (json) {
        cache_show_json_domain(NULL, domain, st, set, out);
        return;
    }
    buf_puts_printable(out, domain);
    buf_printf(out, "\t%s\t%lld\t%s\t", cache_show_state_word(st->verdict),
               cache_show_left_s(st), cli_outcomes[cli_outcome(set)].text);
    for (size_t i = 0; i < set->n_mx; i++) {
        buf_printf(out, "%s%u ", i > 0 ? ", " : "",
                   (unsigned)set->mx[i].preference);
        buf_puts_printable(out, set->mx[i].host);
    }
}

static void cache_show_add_state(const struct cache_entry_state *st,
                                 struct buf *out)
{
    buf_puts(out, cache_show_state_word(st->verdict));
    if (st->verdict == CACHE_FRESH)
        buf_printf(out, " for %u s", st->ttl_s);
    if (st->verdict == CACHE_STALE)
        buf_printf(out, " for %u s", st->stale_s);
    if (st->verdict == CACHE_STALE || st->verdict == CACHE_FAILING)
        buf_printf(out, ", next attempt in %u s", st->ttl_s);
}

static void cache_show_text_host(const struct probe_cache *c,
                                 const struct mxset *set, const struct mx *host,
                                 struct buf *out)
{
    struct host_facts f;

    cache_show_get_host(c, set, host->host, &f);
    buf_printf(out, "\n%5u  ", (unsigned)host->preference);
    buf_puts_printable(out, host->host);
    buf_puts(out, "  ");
    if (f.sum == ADDR_UNKNOWN) {
        buf_puts(out, "address not known");
        return;
    }
    if (f.sum == ADDR_NONE)
        buf_puts(out, "no address");
    if (f.sum == ADDR_FAILED)
        buf_puts(out, "address lookup failed");
    cache_show_add_addresses(&f.addrs, "", ", ", out);
    buf_puts(out, " (");
    cache_show_add_state(&f.st, out);
    buf_putc(out, ')');
    cache_show_text_tlsa(&f.addrs.tlsa, out);
}

static void cache_show_text_all(const struct probe_cache *c, const char *domain,
                                const struct cache_entry_state *st,
                                const struct mxset *set, struct buf *out)
{
    buf_puts_printable(out, domain);
    buf_puts(out, ": ");
    if (st->verdict == CACHE_MISS) {
        buf_puts(out, "not in the cache");
        return;
    }
    cache_show_add_state(st, out);
    buf_printf(out, ": %s", cli_outcomes[cli_outcome(set)].text);
    if (set->failure != NULL) {
        buf_puts(out, ": ");
        buf_puts_printable(out, set->failure);
    }
    buf_puts(out, set->secure ? ", secure" : "");
    cache_show_text_txt("MTA-STS", &set->sts, out);
    cache_show_text_txt("TLSRPT", &set->rpt, out);
    buf_puts(out, st->refresh_due ? ", refresh due" : "");
    buf_puts(out, st->failed_before ? ", last attempt failed" : "");
    buf_puts(out, st->once ? ", asked for once" : "");
    for (size_t i = 0; i < set->n_mx; i++)
        cache_show_text_host(c, set, &set->mx[i], out);
}

void show_all(const struct probe_cache *c, const char *domain,
              const struct cache_entry_state *st, const struct mxset *set,
              bool json, struct buf *out)
{
    if (json)
        cache_show_json_domain(c, domain, st, set, out);
    else
        cache_show_text_all(c, domain, st, set, out);
}
