/*
 * explain_tls - the trace of what TLS makes of a domain
 *
 * Says nothing where MTA-STS is off, the MTA knows no classes and sends no
 * reports.
 */

#include "handle/explain.h"
#include "route/render.h"
#include "util/clock.h"
#include "util/json.h"

static const char *const txt_words[] = {
    [TXT_UNKNOWN] = "unknown",
    [TXT_NONE] = "none",
    [TXT_FOUND] = "id",
    [TXT_FAILED] = "failed",
};

const char *explain_tlsa_word(const struct tlsa *t)
{
    static const char *const words[] = {
        [TLSA_UNKNOWN] = "not known", [TLSA_NONE] = "none",
        [TLSA_USABLE] = "usable",     [TLSA_UNUSABLE] = "unusable",
        [TLSA_WHOLE] = "whole",       [TLSA_FAILED] = "lookup failed",
    };

    return t->state == TLSA_USABLE && t->trust_anchor ? "usable, of a CA"
                                                      : words[t->state];
}

static bool explain_has_reports(const struct lookup *l)
{
    return (l->mx->tls_wanted & TLS_WANT_RPT) != 0;
}

bool explain_has_tls(const struct lookup *l)
{
    return l->mx->conf.mta_sts != MTA_STS_OFF || l->mx->host.tls_classes != 0 ||
           l->tls.visible != NULL || explain_has_reports(l);
}

/* ---- text ---- */

static void explain_tls_classes(const struct lookup *l, struct buf *out)
{
    unsigned classes = l->mx->host.tls_classes;

    if ((classes & CLASS_BIT(MXHOP_TLS_DANE)) != 0)
        explain_sentence(out, "the MTA knows classes dane and sts");
    else if (classes != 0)
        explain_sentence(out, "the MTA knows class sts");
    else
        explain_sentence(out, "the MTA knows no classes%s",
                         l->mx->conf.mta_sts == MTA_STS_ENFORCE
                             ? ": a domain with a policy passes"
                             : "");
}

static void explain_tls_reports(const struct domain_txt *r, struct buf *out)
{
    switch (r->state) {
    case TXT_FOUND:
        explain_sentence(out,
                         "_smtp._tls: wants reports of TLS, which the MTA "
                         "sends, TTL %u s",
                         r->ttl_s);
        break;
    case TXT_NONE:
        explain_sentence(out, "_smtp._tls: no record, TTL %u s", r->ttl_s);
        break;
    case TXT_FAILED:
        explain_sentence(out,
                         "_smtp._tls: lookup failed: as if there were none");
        break;
    case TXT_UNKNOWN:
        explain_sentence(out, "_smtp._tls: not known yet");
        break;
    }
}

static void explain_tls_txt(const struct domain_txt *r, struct buf *out)
{
    switch (r->state) {
    case TXT_FOUND:
        explain_sentence(out, "_mta-sts: id %s, TTL %u s", r->id, r->ttl_s);
        break;
    case TXT_NONE:
        explain_sentence(out, "_mta-sts: no record, TTL %u s", r->ttl_s);
        break;
    case TXT_FAILED:
        explain_sentence(out, "_mta-sts: lookup failed: as if there were none");
        break;
    case TXT_UNKNOWN:
        explain_sentence(out, "_mta-sts: not known yet");
        break;
    }
}

static void explain_tls_policy(const struct lookup *l, struct buf *out)
{
    const struct sts_policy *p = &l->tls.entry.policy;
    bool in_force = sts_in_force(p, l->now_s);

    explain_sentence(out, "policy %s, mode %s, %lld s old, %s %lld s", p->id,
                     sts_mode_word(p->mode),
                     (long long)(l->now_s - p->fetched_s),
                     in_force ? "in force for" : "not in force, end in",
                     (long long)(p->expires_s - l->now_s));
    for (size_t i = 0; i < p->n_mx; i++)
        buf_printf(out, "                mx: %s\n", p->mx[i]);
}

static void explain_tls_store(const struct lookup *l, struct buf *out)
{
    switch (l->tls.stored) {
    case STS_OFF:
        explain_sentence(out, l->mx->conf.mta_sts == MTA_STS_OFF
                                  ? "mta_sts = off"
                                  : "exempt (mta_sts_exempt)");
        return;
    case STS_NO_STORE:
        explain_sentence(out,
                         "no policy is known: the store in %s cannot be used",
                         l->mx->conf.tls_store);
        return;
    case STS_ABSENT:
        explain_sentence(out, "mxhop-tls has not answered for the domain");
        return;
    case STS_STORED:
        break;
    }
    if (l->tls.entry.has_policy)
        explain_tls_policy(l, out);
    if (l->tls.entry.error[0] != '\0') {
        if (l->tls.entry.has_policy)
            buf_puts(out, EXPLAIN_INDENT);
        explain_sentence(out, "last fetch: %s", l->tls.entry.error);
    }
}

void explain_tls(const struct lookup *l, struct buf *out)
{
    const char *transport = ststransport_name(l);

    if (!explain_has_tls(l))
        return;
    buf_puts(out, "   tls        ");
    explain_tls_classes(l, out);
    if (l->tls.visible != NULL) {
        buf_puts(out, EXPLAIN_INDENT);
        explain_sentence(out, "the domain must be seen: %s", l->tls.visible);
    }
    if (l->asked_dns && !l->cold && l->tls.stored != STS_OFF) {
        buf_puts(out, EXPLAIN_INDENT);
        explain_tls_txt(&l->set.sts, out);
    }
    if (l->asked_dns && !l->cold && explain_has_reports(l)) {
        buf_puts(out, EXPLAIN_INDENT);
        explain_tls_reports(&l->set.rpt, out);
    }
    buf_puts(out, EXPLAIN_INDENT);
    explain_tls_store(l, out);
    if (transport != NULL) {
        buf_puts(out, EXPLAIN_INDENT);
        explain_sentence(out, "Exim: transport %s, which verifies every host",
                         transport);
    }
    if (l->mx->conf.mta_sts == MTA_STS_WATCH) {
        buf_puts(out, EXPLAIN_INDENT);
        explain_sentence(out, "mta_sts = watch: no answer depends on it");
    }
}

/* ---- JSON ---- */

static void explain_tls_json_policy(const struct lookup *l, struct buf *out)
{
    const struct sts_policy *p = &l->tls.entry.policy;

    buf_puts(out, ",\"policy\":{");
    json_add("id", p->id, out);
    buf_printf(out,
               ",\"mode\":\"%s\",\"age\":%lld,\"left\":%lld,\"in_force\":%s",
               sts_mode_word(p->mode), (long long)(l->now_s - p->fetched_s),
               (long long)(p->expires_s - l->now_s),
               sts_in_force(p, l->now_s) ? "true" : "false");
    json_add_list("mx", p->mx, p->n_mx, out);
    buf_putc(out, '}');
}

void explain_tls_json(const struct lookup *l, struct buf *out)
{
    static const char *const modes[] = {[MTA_STS_OFF] = "off",
                                        [MTA_STS_WATCH] = "watch",
                                        [MTA_STS_ENFORCE] = "enforce"};
    static const char *const stores[] = {[STS_OFF] = "not asked",
                                         [STS_NO_STORE] = "unusable",
                                         [STS_ABSENT] = "absent",
                                         [STS_STORED] = "stored"};
    const struct domain_txt *txt = &l->set.sts;

    if (!explain_has_tls(l))
        return;
    buf_printf(out, ",\"tls\":{\"mta_sts\":\"%s\",\"classes\":[%s%s]",
               modes[l->mx->conf.mta_sts],
               l->mx->host.tls_classes != 0 ? "\"sts\"" : "",
               (l->mx->host.tls_classes & CLASS_BIT(MXHOP_TLS_DANE)) != 0
                   ? ",\"dane\""
                   : "");
    json_add("visible", l->tls.visible, out);
    json_add("txt",
             txt_words[l->asked_dns && !l->cold ? txt->state : TXT_UNKNOWN],
             out);
    json_add("id", txt->state == TXT_FOUND ? txt->id : NULL, out);
    if (explain_has_reports(l))
        json_add("reports",
                 txt_words[l->asked_dns && !l->cold ? l->set.rpt.state
                                                    : TXT_UNKNOWN],
                 out);
    json_add("store", stores[l->tls.stored], out);
    if (l->tls.entry.has_policy)
        explain_tls_json_policy(l, out);
    if (l->tls.entry.error[0] != '\0')
        json_add("error", l->tls.entry.error, out);
    buf_putc(out, '}');
}
