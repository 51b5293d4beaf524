/*
 * survey_tls - how many domains of a survey have MTA-STS, DANE, neither
 *
 * Only where mta_sts is not off: else DNS is not asked about that. Which want
 * reports of TLS is counted where Postfix sends them, by the TXT record. A
 * policy that the TLS store has is in force whatever DNS says now; without one
 * the TXT record says that there is a policy, not of which mode. Nobody is told
 * to fetch it: a list may be long, and mxhop-tls fetches for the mail that is
 * sent.
 *
 * DANE counts behind signed MX records, of the hosts that were examined and
 * have addresses. A domain may have both.
 */

#include "cli/survey_tls.h"
#include "cli/cli.h"
#include "util/clock.h"

#include <stdio.h>

static const struct {
    const char *text, *word; /* for people, for JSON */
} classes[SURVEY_CLASSES] = {
    [SURVEY_ENFORCE] = {"MTA-STS, mode enforce", "sts-enforce"},
    [SURVEY_TESTING] = {"MTA-STS, mode testing", "sts-testing"},
    [SURVEY_UNFETCHED] = {"MTA-STS, policy not fetched", "sts-unfetched"},
    [SURVEY_UNKNOWN] = {"MTA-STS, lookup failed", "sts-failed"},
    [SURVEY_DANE_ALL] = {"DANE, all hosts", "dane-all"},
    [SURVEY_DANE_SOME] = {"DANE, some hosts", "dane-some"},
    [SURVEY_NEITHER] = {"neither", "neither"},
};

void survey_tls_open(struct survey_tls *t, const struct mxhop *mx)
{
    const struct conf *conf = probe_conf(mx);
    struct mxhop_error err;

    t->on = conf->mta_sts != MTA_STS_OFF;
    t->reports_on = probe_asks_for_reports(mx);
    if (t->on &&
        store_open(&t->store, conf->tls_store, true, NULL, &err) != MXHOP_OK)
        cli_complain("warning: %s; no MTA-STS policy is known", err.text);
}

void survey_tls_close(struct survey_tls *t)
{
    store_close(&t->store);
}

/* SURVEY_NEITHER: none, or one of mode none. */
static enum survey_tls_class survey_tls_sts(struct survey_tls *t,
                                            const char *domain,
                                            const struct domain_txt *txt)
{
    enum survey_tls_class class = SURVEY_NEITHER;
    struct store_entry e = {0};
    bool in_force;

    if (t->store != NULL && store_may_have(t->store, domain))
        (void)store_get(t->store, domain, &e);
    in_force = e.has_policy && sts_in_force(&e.policy, clock_wall_s());
    if (in_force && e.policy.mode == STS_MODE_ENFORCE)
        class = SURVEY_ENFORCE;
    else if (in_force && e.policy.mode == STS_MODE_TESTING)
        class = SURVEY_TESTING;
    else if (!in_force && txt->state == TXT_FOUND)
        class = SURVEY_UNFETCHED;
    else if (!in_force && txt->state != TXT_NONE)
        class = SURVEY_UNKNOWN;
    store_entry_free(&e);
    return class;
}

static enum survey_tls_class survey_tls_dane(const struct mxset *set)
{
    size_t with = 0, hosts = 0;

    for (size_t i = 0; i < set->n_mx && set->secure; i++) {
        const struct hostaddrs *a = &set->mx[i].addrs;
        bool has_address = false;

        for (int f = 0; f < FAMILIES; f++)
            has_address = has_address || a->state[f] == ADDR_SOME;
        hosts += has_address;
        with += has_address && a->secure &&
                (a->tlsa.state == TLSA_USABLE || a->tlsa.state == TLSA_WHOLE);
    }
    return with == 0       ? SURVEY_NEITHER
           : with == hosts ? SURVEY_DANE_ALL
                           : SURVEY_DANE_SOME;
}

void survey_tls_count(struct survey_tls *t, const struct bulk_answer *answer)
{
    enum survey_tls_class sts, dane;

    t->reports += t->reports_on && answer->set->rpt.state == TXT_FOUND;
    if (!t->on)
        return;
    sts = survey_tls_sts(t, answer->domain, &answer->set->sts);
    dane = survey_tls_dane(answer->set);
    if (sts != SURVEY_NEITHER)
        t->counts[sts]++;
    if (dane != SURVEY_NEITHER)
        t->counts[dane]++;
    if (sts == SURVEY_NEITHER && dane == SURVEY_NEITHER)
        t->counts[SURVEY_NEITHER]++;
}

static void survey_tls_line(uint64_t n, uint64_t hosted, const char *text,
                            const char *word, bool json)
{
    if (json)
        printf("{\"tls\":\"%s\",\"domains\":%llu}\n", word,
               (unsigned long long)n);
    else
        printf("%10llu %5.1f %%  %s\n", (unsigned long long)n,
               hosted == 0 ? 0.0 : 100.0 * (double)n / (double)hosted, text);
}

void survey_tls_print(const struct survey_tls *t, uint64_t hosted, bool json)
{
    if (!json && (t->on || t->reports_on))
        printf("\n%llu domains with mail hosts\n", (unsigned long long)hosted);
    for (int i = 0; t->on && i < SURVEY_CLASSES; i++)
        survey_tls_line(t->counts[i], hosted, classes[i].text, classes[i].word,
                        json);
    if (t->reports_on)
        survey_tls_line(t->reports, hosted,
                        "TLSRPT, left to Postfix (tlsrpt = auto)", "tlsrpt",
                        json);
}
