/*
 * outcome - what to say where there is no host to try
 *
 * The table of docs/design.md 5 in code: each situation has a parameter that
 * chooses pass, defer or reject, and a status code (RFC 3463) and a text for
 * each. A situation that may mend itself has no code for reject, and is
 * deferred whatever the choice: a fault of DNS must never bounce mail.
 *
 * The reason of reject and defer goes to the sender; that of pass is for the
 * administrator and says the same.
 */

#include "route/steps.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/str.h"

void outcome_reason(struct decision *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(d->reason, sizeof(d->reason), fmt, ap);
    va_end(ap);
    str_printable(d->reason);
}

static void outcome_choose(enum choice choice, const char *defer,
                           const char *reject, struct decision *d)
{
    if (choice == CHOICE_PASS) {
        d->disposition = MXHOP_PASS;
    } else if (choice == CHOICE_REJECT && reject != NULL) {
        d->disposition = MXHOP_REJECT;
        d->status = reject;
    } else {
        d->disposition = MXHOP_DEFER;
        d->status = defer;
    }
}

/* Only what the override allows may be tried, and nothing of it can be. */
static void outcome_of_unusable(const struct decide_input *in,
                                struct decision *d)
{
    outcome_choose(in->rules->on_override_unusable, "4.3.5", NULL, d);
    d->transport = "";
    outcome_reason(d, "No usable next hop in the routing override");
}

/* Hosts of the override, or that it leaves of the MX set, may turn out to be
   usable. Neither the MX set nor a choice for what cannot be used has a say
   before that. */
static bool outcome_is_open(const struct decision *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->c[i].drop == DROP_NOT_KNOWN || d->c[i].drop == DROP_UNRESOLVED)
            return true;
    return false;
}

static void outcome_of_open(struct decision *d)
{
    outcome_choose(CHOICE_DEFER, "4.3.5", NULL, d);
    d->transport = "";
    outcome_reason(d, "Addresses of the routing override are not known yet");
}

void outcome_of_override(const struct decide_input *in, struct decision *d_r)
{
    const struct override *o = in->override;
    const char *text = "The override says so";

    /* smtp(8) would look for the domain's own hosts, and find us: 5.4.6. */
    if (in->local && o->mode == OVERRIDE_PASS && o->transport != NULL) {
        outcome_of_unusable(in, d_r);
        return;
    }
    if (o->mode == OVERRIDE_REJECT) {
        outcome_choose(CHOICE_REJECT, "4.3.5", "5.7.1", d_r);
        text = "Mail to this domain is not accepted here";
    } else if (o->mode == OVERRIDE_DEFER) {
        outcome_choose(CHOICE_DEFER, "4.3.5", NULL, d_r);
        text = "Mail to this domain is held for now";
    }
    if (o->reason != NULL && o->reason[0] != '\0')
        text = o->reason;
    outcome_reason(d_r, "%s", text);
}

const char *outcome_set_text(const struct decide_input *in)
{
    static const char *const texts[] = {
        [MX_HOSTS] = "MX records",
        [MX_NULL] = "The domain accepts no mail (null MX)",
        [MX_NXDOMAIN] = "The domain does not exist",
        [MX_FAILURE] = "DNS lookup failed",
    };

    return in->set != NULL ? texts[in->set->outcome]
                           : "MX records not known yet";
}

static void outcome_failure(const struct decide_input *in, struct decision *d)
{
    const char *why = in->set->failure;

    outcome_choose(in->rules->on_dns_failure, "4.3.5", NULL, d);
    if (why != NULL && why[0] != '\0')
        outcome_reason(d, "DNS lookup for domain %s failed: %s", in->domain,
                       why);
    else
        outcome_reason(d, "DNS lookup for domain %s failed", in->domain);
}

static void outcome_of_set(const struct decide_input *in, struct decision *d_r)
{
    const struct rules *r = in->rules;

    if (in->set == NULL) {
        outcome_choose(r->on_cold, "4.3.5", NULL, d_r);
        outcome_reason(d_r, "MX records of domain %s not known yet",
                       in->domain);
        return;
    }
    switch (in->set->outcome) {
    case MX_NULL:
        outcome_choose(r->on_null_mx, "4.3.5", "5.1.10", d_r);
        outcome_reason(d_r, "Domain %s does not accept mail (null MX)",
                       in->domain);
        return;
    case MX_NXDOMAIN:
        outcome_choose(r->on_nxdomain, "4.3.5", "5.1.2", d_r);
        outcome_reason(d_r, "Domain %s does not exist", in->domain);
        return;
    case MX_HOSTS:
    case MX_FAILURE:
        outcome_failure(in, d_r);
        return;
    }
}

/* ---- candidates, but none left ---------------------------------------- */

static size_t outcome_count(const struct decision *d, enum drop drop)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++)
        n += d->c[i].drop == drop;
    return n;
}

/* Hosts without an address have none outside of bogus_networks either. */
static bool outcome_all_bogus(const struct decision *d)
{
    size_t bogus = outcome_count(d, DROP_BOGUS);

    return bogus > 0 && bogus + outcome_count(d, DROP_NO_ADDRESS) == d->n;
}

static void outcome_of_no_host(const struct decide_input *in,
                               struct decision *d_r)
{
    const struct rules *r = in->rules;

    if (outcome_all_bogus(d_r)) {
        outcome_choose(r->on_bogus, "4.4.4", "5.4.4", d_r);
        outcome_reason(d_r, "Mail hosts of domain %s have no usable address",
                       in->domain);
        return;
    }
    outcome_choose(r->on_no_host, "4.4.4", "5.4.4", d_r);
    if (outcome_count(d_r, DROP_SELF) > 0)
        outcome_reason(d_r,
                       "No usable mail host for domain %s: this system itself "
                       "is the best one",
                       in->domain);
    else if (d_r->n == 0)
        outcome_reason(d_r, "No mail host for domain %s", in->domain);
    else
        outcome_reason(d_r, "No usable mail host for domain %s: %.100s %s",
                       in->domain, d_r->c[0].host, drop_text(d_r->c[0].drop));
}

/* The domain publishes MX records and a policy that contradict each other. */
static void outcome_of_mismatch(const struct decide_input *in,
                                struct decision *d_r)
{
    char patterns[160] = "";
    size_t n = 0;

    for (size_t i = 0; i < in->policy->n_mx && n < sizeof(patterns); i++)
        n += (size_t)snprintf(patterns + n, sizeof(patterns) - n, " %s",
                              in->policy->mx[i]);
    outcome_choose(in->rules->on_sts_mismatch, "4.7.5", NULL, d_r);
    outcome_reason(d_r,
                   "No MX host of domain %.80s is in its MTA-STS policy:%s",
                   in->domain, patterns);
}

static bool outcome_is_known(const struct decide_input *in)
{
    return in->set != NULL && in->set->outcome != MX_FAILURE;
}

/* An override with hops of its own has had its say once they are known to be of
   no use; until the MX set is known, prepend, append and merge leave the domain
   to its DNS hosts, unless they exclude some. One without hops excludes hosts
   of a set, or changes nothing of where mail may go. A local domain has only
   what the override says: the MTA's own routing is another thing there. */
bool outcome_is_overridden(const struct decide_input *in)
{
    const struct override *o = in->override;
    bool excludes = in->n_also > 0 || (o != NULL && o->excludes.n > 0);

    if (o == NULL)
        return false;
    if (override_is_final(o) || in->local)
        return true;
    if (!outcome_is_known(in))
        return excludes;
    return o->n_hops > 0 || (excludes && in->set->outcome == MX_HOSTS);
}

void outcome_of_nothing(const struct decide_input *in, struct decision *d_r)
{
    if (in->override != NULL && outcome_is_open(d_r))
        outcome_of_open(d_r);
    else if (outcome_is_overridden(in))
        outcome_of_unusable(in, d_r);
    else if (outcome_count(d_r, DROP_STS) > 0)
        outcome_of_mismatch(in, d_r);
    else if (in->set == NULL || in->set->outcome != MX_HOSTS)
        outcome_of_set(in, d_r);
    else
        outcome_of_no_host(in, d_r);
}
