/* The text of an MTA-STS policy, RFC 8461 section 3.2. */

#ifndef POLICY_STS_H
#define POLICY_STS_H

#include "model/sts.h"

#define STS_TEXT_MAX 65536 /* octets */

/* Read a policy: mode, max_age_s and mx of *p_r are set, the rest is zero.
   NULL, or a static text about what is wrong; *p_r is then empty. */
const char *sts_parse(const char *text, size_t len, struct sts_policy *p_r);

#endif
