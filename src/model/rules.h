/* What the configuration and the host say about routing, as plain values. */

#ifndef MODEL_RULES_H
#define MODEL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/mxset.h"
#include "model/override.h"

enum choice { CHOICE_PASS, CHOICE_DEFER, CHOICE_REJECT }; /* of on_* */

enum answer_mode { ANSWER_AUTO, ANSWER_LIST, ANSWER_OVERRIDE };
enum dane_ta { DANE_TA_PASS, DANE_TA_LIST };
enum tlsrpt { TLSRPT_AUTO, TLSRPT_IGNORE };
enum mta_sts { MTA_STS_OFF, MTA_STS_WATCH, MTA_STS_ENFORCE };
enum group_mode { GROUP_SITE, GROUP_DOMAIN };

/* An address block: 192.0.2.0/24, 2001:db8::/32, or a single address. */
struct network {
    bool is_v6;
    uint8_t bits;
    struct in_addr v4;
    struct in6_addr v6;
};

struct networks {
    struct network *v;
    size_t n;
};

/* Parse "192.0.2.0/24, 2001:db8::/32 [::1]" (brackets as in mynetworks).
   Returns NULL, or a static text about what is wrong; *bad_r and *bad_len_r
   then point at the word. "out of memory" is one of the texts. */
const char *networks_parse(const char *list, struct networks *n_r,
                           const char **bad_r, size_t *bad_len_r);
void networks_free(struct networks *n);
bool networks_has_v4(const struct networks *n, struct in_addr a);
bool networks_has_v6(const struct networks *n, struct in6_addr a);

struct rules {
    enum choice on_null_mx, on_nxdomain, on_dns_failure, on_cold, on_no_host,
        on_bogus, on_override_failure, on_override_unusable, on_sts_mismatch;
    enum dane_ta dane_ta;
    unsigned families; /* bits FAMILY_BIT() */
    uint32_t max_hops; /* 1 to 100 */
    uint32_t rotate_interval_s;
    uint64_t seed;
    const char *transport; /* "" : the MTA's default */
    enum group_mode group;
    const char *single_domain_sites; /* list of host or .suffix */
    const char *own_names;           /* list of host names, may be empty */
    struct networks own_addresses;
    struct networks bogus;
};

#endif
