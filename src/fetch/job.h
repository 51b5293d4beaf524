/* Finding out the policy of one domain: TXT, addresses, HTTPS. */

#ifndef FETCH_JOB_H
#define FETCH_JOB_H

#include "dns/exchange.h"
#include "fetch/https.h"
#include "policy/sts.h"

#define JOB_FETCH_MS 10000u /* addresses and HTTPS together */
#define JOB_ADDRS_MS 4000u  /* of which the addresses may take */

/* What jobs work with; all of it must last. */
struct job_tools {
    struct engine *engine;
    struct https *https;
    unsigned families; /* bits FAMILY_BIT() */
    uint32_t dns_timeout_ms;
};

enum job_outcome {
    JOB_POLICY, /* *p is it: id, mode, max_age_s, mx; the callee may take it */
    JOB_NONE,   /* certainly no policy: why says so */
    JOB_FAILED, /* there may be one */
    JOB_UNASKED /* nothing was learnt: no name server could be asked */
};

/* Called once for each job_start() that returned true, from engine_step() or
   https_run(), never from job_start(). */
typedef void job_fn(void *ctx, enum job_outcome outcome, const char *why,
                    struct sts_policy *p);

/* The domain must last. false: out of memory. */
bool job_start(const struct job_tools *tools, const char *domain, job_fn *fn,
               void *ctx);

#endif
