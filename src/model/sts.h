/* MTA-STS policies (RFC 8461): which hosts they allow, and for how long. */

#ifndef MODEL_STS_H
#define MODEL_STS_H

#include "model/tls.h"

#define STS_MAX_AGE_S 31557600u /* as RFC 8461 section 3.2 has it */
/* For so long a policy counts at least, though max_age may be 0: web servers
   are not asked for each message. */
#define STS_MIN_AGE_S 60u
/* By so much the clock may be behind the one that a policy was fetched by. */
#define STS_CLOCK_SLACK_S 300

/* Whether the policy allows `host` (as in struct mx). `*.' is one label. */
bool sts_matches(const struct sts_policy *p, const char *host);
/* In lower case, A-labels, not an address; `*.' may stand before it. */
bool sts_is_pattern(const char *text);
/* Whether it has not ended. A clock that stands before the time at which the
   policy was fetched tells nothing about its age: then it has. */
bool sts_in_force(const struct sts_policy *p, int64_t now_s);
/* none, testing, enforce */
const char *sts_mode_word(enum sts_mode mode);

/* Append a pattern, copied; false: out of memory. */
bool sts_policy_add(struct sts_policy *p, const char *mx);
void sts_policy_free(struct sts_policy *p); /* and zero it */

#endif
