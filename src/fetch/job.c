/*
 * job - find out the policy of one domain
 *
 * First the TXT record at _mta-sts.DOMAIN, which says whether there is a policy
 * and under which id; then the addresses of mta-sts.DOMAIN; then its text. A
 * job is its own: it ends by calling back, or with engine and https, which drop
 * it (what it holds then is lost with the process).
 */

#include "fetch/job.h"
#include "dns/reply.h"
#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_MAX 8 /* questions for the end of a CNAME chain */

struct job {
    struct job_tools tools;
    const char *domain;
    job_fn *fn;
    void *ctx;
    struct domain_txt txt;
    struct hostaddrs addrs;
    unsigned pending; /* questions in flight */
    unsigned links;
    bool unasked, failed; /* of the addresses */
    uint64_t deadline_ms; /* of the fetch */
};

static void job_end(struct job *j, enum job_outcome outcome, const char *why,
                    struct sts_policy *p)
{
    j->fn(j->ctx, outcome, why, p);
    free(j);
}

static void job_take_text(void *ctx, const char *error, const char *text,
                          size_t len)
{
    struct job *j = ctx;
    struct sts_policy p;
    char why[160];

    if (error == NULL) {
        error = sts_parse(text, len, &p);
        if (error == NULL) {
            memcpy(p.id, j->txt.id, sizeof(p.id));
            job_end(j, JOB_POLICY, NULL, &p);
            sts_policy_free(&p);
            return;
        }
        snprintf(why, sizeof(why), "the policy is not valid: %s", error);
        error = why;
    }
    job_end(j, JOB_FAILED, error, NULL);
}

static void job_fetch(struct job *j)
{
    uint64_t now_ms = clock_boot_ms();

    if (hostaddrs_state(&j->addrs, j->tools.families) != ADDR_SOME)
        job_end(j, j->unasked ? JOB_UNASKED : JOB_FAILED,
                j->unasked || j->failed
                    ? "the addresses of the policy host cannot be looked up"
                    : "the policy host has no address",
                NULL);
    else if (now_ms >= j->deadline_ms ||
             !https_start(j->tools.https, j->domain, &j->addrs,
                          j->deadline_ms - now_ms, job_take_text, j))
        job_end(j, JOB_FAILED, "there is no time or memory left for it", NULL);
}

/* A family that nobody answers for leaves time for the other's addresses. */
static uint64_t job_addrs_until(const struct job *j)
{
    return j->deadline_ms - JOB_FETCH_MS + JOB_ADDRS_MS;
}

static void job_take_addrs(void *ctx, enum exchange_outcome outcome,
                           const struct question *q, const uint8_t *msg,
                           size_t len, const char *why)
{
    struct job *j = ctx;
    char last[WIRE_NAME_TEXT];
    enum records_status status = RECORDS_BAD;

    (void)why;
    j->pending--;
    if (outcome == EXCHANGE_ANSWER)
        status = reply_addrs(msg, len, q, &j->addrs, last);
    if (status == RECORDS_PARTIAL && j->links++ < LINKS_MAX &&
        engine_ask(j->tools.engine, last, q->type, job_addrs_until(j),
                   job_take_addrs, j) == MXHOP_OK)
        j->pending++;
    else if (status == RECORDS_BAD || status == RECORDS_PARTIAL)
        j->failed = true;
    if (outcome == EXCHANGE_DOWN || outcome == EXCHANGE_UNASKED)
        j->unasked = true;
    if (j->pending == 0)
        job_fetch(j);
}

static void job_ask_addrs(struct job *j)
{
    static const uint16_t types[FAMILIES] = {WIRE_TYPE_A, WIRE_TYPE_AAAA};
    char host[WIRE_NAME_TEXT];

    j->deadline_ms = clock_boot_ms() + JOB_FETCH_MS;
    j->links = 0;
    snprintf(host, sizeof(host), "mta-sts.%s", j->domain);
    for (unsigned f = 0; f < FAMILIES; f++)
        if ((j->tools.families & FAMILY_BIT(f)) != 0 &&
            engine_ask(j->tools.engine, host, types[f], job_addrs_until(j),
                       job_take_addrs, j) == MXHOP_OK)
            j->pending++;
    if (j->pending == 0)
        job_end(j, JOB_FAILED, "the policy host cannot be asked for", NULL);
}

static void job_take_txt(void *ctx, enum exchange_outcome outcome,
                         const struct question *q, const uint8_t *msg,
                         size_t len, const char *why)
{
    struct job *j = ctx;
    enum records_status status = RECORDS_BAD;
    char text[200], last[WIRE_NAME_TEXT];

    if (outcome != EXCHANGE_ANSWER) {
        bool unasked = outcome == EXCHANGE_DOWN || outcome == EXCHANGE_UNASKED;

        snprintf(text, sizeof(text), "the TXT record cannot be looked up: %s",
                 outcome == EXCHANGE_TIMEOUT ? "no answer in time"
                 : why != NULL               ? why
                                             : "no name server can be asked");
        job_end(j, unasked ? JOB_UNASKED : JOB_FAILED, text, NULL);
        return;
    }
    j->txt = (struct domain_txt){.ttl_s = UINT32_MAX};
    status = reply_txt(msg, len, q, TLS_TXT_STS, &j->txt, last);
    if (status == RECORDS_PARTIAL && j->links++ < LINKS_MAX) {
        if (engine_ask(j->tools.engine, last, WIRE_TYPE_TXT,
                       clock_boot_ms() + j->tools.dns_timeout_ms, job_take_txt,
                       j) == MXHOP_OK)
            return;
    }
    if (status == RECORDS_BAD || status == RECORDS_PARTIAL)
        job_end(j, JOB_FAILED,
                "the TXT record cannot be looked up: unusable "
                "answer",
                NULL);
    else if (j->txt.state != TXT_FOUND && status == RECORDS_SOME)
        job_end(j, JOB_NONE,
                "there is not exactly one TXT record with a valid id", NULL);
    else if (j->txt.state != TXT_FOUND)
        job_end(j, JOB_NONE, "there is no TXT record", NULL);
    else
        job_ask_addrs(j);
}

bool job_start(const struct job_tools *tools, const char *domain, job_fn *fn,
               void *ctx)
{
    struct job *j = calloc(1, sizeof(*j));
    char name[WIRE_NAME_TEXT];

    if (j == NULL)
        return false;
    *j = (struct job){.tools = *tools, .domain = domain, .fn = fn, .ctx = ctx};
    for (unsigned f = 0; f < FAMILIES; f++)
        j->addrs.ttl_s[f] = UINT32_MAX;
    snprintf(name, sizeof(name), "_mta-sts.%s", domain);
    if (engine_ask(tools->engine, name, WIRE_TYPE_TXT,
                   clock_boot_ms() + tools->dns_timeout_ms, job_take_txt,
                   j) == MXHOP_OK)
        return true;
    free(j);
    return false;
}
