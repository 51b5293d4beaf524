/*
 * tlsclass - how a host of the MX set has to prove who it is
 *
 * The last step of decide() before the outcome, for the hosts that are kept.
 *
 * - Where the MX set and the host's addresses were authenticated, and some of
 *   its TLSA records are of use, the class is DANE, and MTA-STS has no say.
 * - Else, where the domain has an MTA-STS policy in force, the class is STS. A
 *   host that is not of that policy was dropped before, by clean.c.
 * - Else there is none.
 *
 * Records that hold whole certificates or keys are of use if the MTA can parse
 * them. Unless an override has a say, the domain passes, and the MTA does what
 * it does if it cannot. In an override's list such a host is of the class DANE,
 * and gets no mail then.
 *
 * A host that might be of a class, or has to be of one that the MTA would not
 * know, is dropped: it never gets into a list without the class. Unless an
 * override has a say, the whole domain then passes, and the MTA sees it.
 *
 * An MTA may be less strict with names of its own domain (own_domains). A
 * domain passes if it is one of them and a host is not, or the other way round.
 *
 * Hops of overrides are of no class, spliced ones neither: they are where the
 * administrator wants mail to go, and what holds there is in the MTA's tables.
 */

#include "model/sts.h"
#include "route/match.h"
#include "route/steps.h"

bool tlsclass_outside(const struct decide_input *in, const struct candidate *c)
{
    return c->is_dns && in->policy != NULL && !sts_matches(in->policy, c->host);
}

/* Some answer about its addresses is missing: it may be signed or not. */
static bool tlsclass_addresses_open(const struct rules *rules,
                                    const struct hostaddrs *a)
{
    for (int f = 0; f < FAMILIES; f++)
        if ((rules->families & FAMILY_BIT(f)) != 0 &&
            (a->state[f] == ADDR_UNKNOWN || a->state[f] == ADDR_FAILED))
            return true;
    return false;
}

enum host_dane tlsclass_dane(const struct rules *rules,
                             const struct hostaddrs *a)
{
    if (!a->secure)
        return tlsclass_addresses_open(rules, a) ? HOST_DANE_OPEN
                                                 : HOST_DANE_NO;
    if (a->tlsa.state == TLSA_UNKNOWN || a->tlsa.state == TLSA_FAILED)
        return HOST_DANE_OPEN;
    return a->tlsa.state == TLSA_USABLE || a->tlsa.state == TLSA_WHOLE
               ? HOST_DANE_USABLE
               : HOST_DANE_NO;
}

static enum host_dane tlsclass_by_dns(const struct decide_input *in,
                                      const struct candidate *c)
{
    if ((in->classes & CLASS_BIT(MXHOP_TLS_DANE)) == 0 || !in->set->secure)
        return HOST_DANE_NO;
    return c->addrs != NULL ? tlsclass_dane(in->rules, c->addrs)
                            : HOST_DANE_OPEN;
}

static void tlsclass_judge(const struct decide_input *in, struct candidate *c)
{
    enum host_dane dane = tlsclass_by_dns(in, c);

    if (in->policy_open)
        c->drop = DROP_POLICY_UNKNOWN;
    else if (dane == HOST_DANE_OPEN)
        c->drop = DROP_CLASS_UNKNOWN;
    else if (dane == HOST_DANE_USABLE)
        c->tls_class = MXHOP_TLS_DANE;
    else if (in->policy != NULL &&
             (in->classes & CLASS_BIT(MXHOP_TLS_STS)) == 0)
        c->drop = DROP_NO_CLASS;
    else if (in->policy != NULL)
        c->tls_class = MXHOP_TLS_STS;
}

size_t tlsclass_assign(const struct decide_input *in, struct candidates *list,
                       size_t kept)
{
    size_t left = 0;

    for (size_t i = 0; i < kept; i++) {
        if (list->v[i].is_dns)
            tlsclass_judge(in, &list->v[i]);
        left += list->v[i].drop == DROP_NO;
    }
    if (left < kept)
        order_candidates(in, list);
    return left;
}

static const char *tlsclass_of_reports(const struct domain_txt *rpt)
{
    if (rpt->state == TXT_FOUND)
        return "it wants reports of TLS (_smtp._tls), which a list would take "
               "from it (tlsrpt = auto)";
    if (rpt->state == TXT_UNKNOWN)
        return "whether it wants reports of TLS is not known yet (tlsrpt = "
               "auto)";
    return NULL;
}

const char *tlsclass_why_pass(const struct decide_input *in,
                              const struct decision *d)
{
    const char *why = NULL;

    if ((in->visible_if & MXHOP_VISIBLE_REPORTED) != 0 && in->set != NULL &&
        in->set->outcome == MX_HOSTS)
        why = tlsclass_of_reports(&in->set->rpt);
    if (why != NULL)
        return why;
    if ((in->visible_if & MXHOP_VISIBLE_UNSIGNED) != 0 && in->set != NULL &&
        in->set->outcome == MX_HOSTS && !in->set->secure)
        return "its MX records are not signed, and the MTA treats such domains "
               "otherwise";
    for (size_t i = 0; i < d->n; i++) {
        const struct candidate *c = &d->c[i];

        if (c->drop == DROP_CLASS_UNKNOWN || c->drop == DROP_NO_CLASS ||
            c->drop == DROP_POLICY_UNKNOWN)
            return drop_text(c->drop);
        if (c->drop == DROP_NO && in->own_domains != NULL &&
            match_host_list(in->own_domains, c->host) !=
                match_host_list(in->own_domains, in->domain))
            return "either it or its host is in the MTA's own domain, where "
                   "REQUIRETLS is not insisted on";
        if (c->drop != DROP_NO || c->tls_class != MXHOP_TLS_DANE)
            continue;
        if (c->addrs->tlsa.state == TLSA_WHOLE)
            return "the TLSA records of a host hold whole certificates or "
                   "keys, which only the MTA can judge";
        if (in->rules->dane_ta == DANE_TA_PASS && c->addrs->tlsa.trust_anchor)
            return "a TLSA record of a host names a CA, whose certificate may "
                   "be for the domain (dane_ta = pass)";
    }
    return NULL;
}
