/*
 * params - the table of parameters
 *
 * One row a parameter. The parser, the list that `mxhop check` prints, and
 * defaults and ranges in mxhop.cf(5) come from here, so that they cannot
 * disagree. Adding a parameter: a member of struct conf, a row here, its text
 * in docs/man/mxhop.cf.5.in, at the same place in the order.
 */

#include "conf/params.h"

#define AS(text, field)   .name = (text), .offset = offsetof(struct conf, field)
#define AT(field)         AS(#field, field)
#define TEXT(reader, def) .type = PARAM_TEXT, .read = (reader), .value = (def)
#define CHOICE(list, def) .type = PARAM_CHOICE, .words = (list), .value = (def)
#define NUMBER(kind, def, from, to) \
    .type = (kind), .value = (def), .min = (from), .max = (to)

#define SECONDS 1000ull /* times in the table are in milliseconds */
#define MINUTES (60 * SECONDS)
#define HOURS   (60 * MINUTES)
#define DAYS    (24 * HOURS)
#define MIB     (1ull << 20)

static const struct param_word reject_pass[] = {
    {"reject", CHOICE_REJECT}, {"pass", CHOICE_PASS}, {NULL, 0}};
static const struct param_word pass_reject[] = {
    {"pass", CHOICE_PASS}, {"reject", CHOICE_REJECT}, {NULL, 0}};
static const struct param_word defer_pass[] = {
    {"defer", CHOICE_DEFER}, {"pass", CHOICE_PASS}, {NULL, 0}};
static const struct param_word pass_defer[] = {
    {"pass", CHOICE_PASS}, {"defer", CHOICE_DEFER}, {NULL, 0}};
static const struct param_word pass_defer_reject[] = {{"pass", CHOICE_PASS},
                                                      {"defer", CHOICE_DEFER},
                                                      {"reject", CHOICE_REJECT},
                                                      {NULL, 0}};
static const struct param_word default_defer[] = {
    {"default", CHOICE_PASS}, {"defer", CHOICE_DEFER}, {NULL, 0}};
static const struct param_word answers[] = {{"auto", ANSWER_AUTO},
                                            {"list", ANSWER_LIST},
                                            {"override", ANSWER_OVERRIDE},
                                            {NULL, 0}};
static const struct param_word sts_modes[] = {{"off", MTA_STS_OFF},
                                              {"watch", MTA_STS_WATCH},
                                              {"enforce", MTA_STS_ENFORCE},
                                              {NULL, 0}};
static const struct param_word tlsrpts[] = {
    {"auto", TLSRPT_AUTO}, {"ignore", TLSRPT_IGNORE}, {NULL, 0}};
static const struct param_word dane_tas[] = {
    {"pass", DANE_TA_PASS}, {"list", DANE_TA_LIST}, {NULL, 0}};
static const struct param_word groups[] = {
    {"site", GROUP_SITE}, {"domain", GROUP_DOMAIN}, {NULL, 0}};

/* Synonyms, as ldap_table(5) takes them, stand last: the first word is shown.
 */
static const struct param_word no_yes[] = {
    {"no", 0}, {"yes", 1}, {"false", 0}, {"true", 1}, {NULL, 0}};
static const struct param_word scopes[] = {
    {"sub", DIR_SUB}, {"one", DIR_ONE}, {"base", DIR_BASE}, {NULL, 0}};
static const struct param_word binds[] = {
    {"none", DIR_BIND_NONE},     {"simple", DIR_BIND_SIMPLE},
    {"sasl", DIR_BIND_EXTERNAL}, {"no", DIR_BIND_NONE},
    {"yes", DIR_BIND_SIMPLE},    {NULL, 0}};
/* ldap_table(5) has 2 for its default, and servers have long ceased to. */
static const struct param_word versions[] = {{"3", 3}, {"2", 3}, {NULL, 0}};

const struct param params[] = {
    {AT(dns_servers), TEXT(text_read_servers, "")},
    {AS("dns_timeout", dns_timeout_ms),
     NUMBER(PARAM_TIME_MS, "10s", SECONDS, 5 * MINUTES), .unit = "s"},
    {AT(address_families), TEXT(text_read_families, "")},
    {AS("lookup_budget", lookup_budget_ms),
     NUMBER(PARAM_TIME_MS, "", 1, MINUTES), .unit = "ms"},
    {AS("wait_share", wait_share_percent),
     NUMBER(PARAM_PERCENT, "10%", 0, 100)},
    {AT(cache), TEXT(text_read_cache, "")},
    {AS("cache_size", cache_size_bytes),
     NUMBER(PARAM_SIZE, "64M", MIB, 65536 * MIB)},
    {AT(cache_owner), TEXT(text_read_label, "")},
    {AS("ttl_min", ttl_min_s), NUMBER(PARAM_TIME_S, "30s", 0, DAYS),
     .unit = "s"},
    {AS("ttl_max", ttl_max_s), NUMBER(PARAM_TIME_S, "1d", SECONDS, 30 * DAYS),
     .unit = "s"},
    {AS("negative_ttl_max", negative_ttl_max_s),
     NUMBER(PARAM_TIME_S, "15m", SECONDS, DAYS), .unit = "s"},
    {AS("stale_max", stale_max_s), NUMBER(PARAM_TIME_S, "3d", 0, 30 * DAYS),
     .unit = "s"},
    {AS("prefetch", prefetch_percent), NUMBER(PARAM_PERCENT, "10%", 0, 50)},
    {AT(overrides), TEXT(text_read_overrides, "")},
    {AT(override_table), TEXT(text_read_path, "/var/lib/mxhop/overrides")},
    {AS("override_shrink_limit", override_shrink_limit_percent),
     NUMBER(PARAM_PERCENT, "50%", 0, 100)},
    {AS("override_refresh", override_refresh_s),
     NUMBER(PARAM_TIME_S, "1m", SECONDS, DAYS), .unit = "s"},
    {AT(mta_sts), CHOICE(sts_modes, "off")},
    {AT(tls_store), TEXT(text_read_path, "/var/lib/mxhop-tls")},
    {AT(mta_sts_exempt), TEXT(text_read_patterns, "")},
    {AS("mta_sts_wait", mta_sts_wait_ms),
     NUMBER(PARAM_TIME_MS, "5s", 0, MINUTES), .unit = "s"},
    {AT(tls_ca_file), TEXT(text_read_file, "")},
    {AS("ldap_server_host", ldap.servers), TEXT(text_read_line, "")},
    {AS("ldap_search_base", ldap.base), TEXT(text_read_line, "")},
    {AS("ldap_scope", ldap.scope), CHOICE(scopes, "sub")},
    {AS("ldap_filter", ldap.filter), TEXT(text_read_line, "")},
    {AS("ldap_key_attribute", ldap.key_attribute),
     TEXT(text_read_attribute, "")},
    {AS("ldap_result_attribute", ldap.result_attribute),
     TEXT(text_read_attribute, "")},
    {AS("ldap_bind", ldap.bind), CHOICE(binds, "none")},
    {AS("ldap_bind_dn", ldap.bind_dn), TEXT(text_read_line, "")},
    {AS("ldap_bind_pw_file", ldap.bind_pw_file),
     TEXT(text_read_secret_file, "")},
    {AS("ldap_bind_plaintext", ldap.bind_plaintext), CHOICE(no_yes, "no")},
    {AS("ldap_sasl_mechs", ldap.sasl_mechs), TEXT(text_read_label, "EXTERNAL")},
    {AS("ldap_start_tls", ldap.start_tls), CHOICE(no_yes, "no")},
    {AT(ldap_version), CHOICE(versions, "3")},
    {AS("ldap_tls_ca_cert_file", ldap.tls_ca_file), TEXT(text_read_file, "")},
    {AS("ldap_tls_ca_cert_dir", ldap.tls_ca_dir), TEXT(text_read_file, "")},
    {AS("ldap_tls_cert", ldap.tls_cert), TEXT(text_read_file, "")},
    {AS("ldap_tls_key", ldap.tls_key), TEXT(text_read_file, "")},
    {AS("ldap_tls_require_cert", ldap.tls_require_cert), CHOICE(no_yes, "yes")},
    {AS("ldap_tls_cipher_suite", ldap.tls_ciphers),
     TEXT(text_read_printable, "")},
    {AS("ldap_timeout", ldap.timeout_s),
     NUMBER(PARAM_TIME_S, "1m", SECONDS, DAYS), .unit = "s"},
    {AS("ldap_network_timeout", ldap.network_timeout_s),
     NUMBER(PARAM_TIME_S, "5s", SECONDS, HOURS), .unit = "s"},
    {AT(ldap_config), TEXT(text_read_file, "")},
    {AT(on_null_mx), CHOICE(reject_pass, "reject")},
    {AT(on_nxdomain), CHOICE(pass_reject, "pass")},
    {AT(on_dns_failure), CHOICE(pass_defer, "pass")},
    {AT(on_cold), CHOICE(pass_defer, "pass")},
    {AT(on_no_host), CHOICE(pass_defer_reject, "pass")},
    {AT(on_bogus), CHOICE(reject_pass, "reject")},
    {AT(on_override_failure), CHOICE(defer_pass, "defer")},
    {AT(on_override_unusable), CHOICE(defer_pass, "defer")},
    {AT(on_sts_mismatch), CHOICE(defer_pass, "defer")},
    {AT(on_sts_unknown), CHOICE(default_defer, "default")},
    {AT(dane_ta), CHOICE(dane_tas, "pass")},
    {AT(tlsrpt), CHOICE(tlsrpts, "auto")},
    {AT(bogus_networks), TEXT(text_read_networks, "")},
    {AT(local_domains), TEXT(text_read_patterns, "")},
    {AT(own_names), TEXT(text_read_names, "")},
    {AT(own_addresses), TEXT(text_read_networks, "")},
    {AT(answer), CHOICE(answers, "auto")},
    {AT(group), CHOICE(groups, "site")},
    {AT(single_domain_sites),
     TEXT(text_read_patterns, ".google.com .googlemail.com")},
    {AT(transport), TEXT(text_read_label, "")},
    {AT(exim_sts_transport), TEXT(text_read_label, "")},
    {AT(defer_service), TEXT(text_read_service, "./retry")},
    {AT(max_hops), NUMBER(PARAM_INTEGER, "3", 1, 100)},
    {AS("rotate_interval", rotate_interval_s),
     NUMBER(PARAM_TIME_S, "10m", 10 * SECONDS, 7 * DAYS), .unit = "s"},
    {AT(seed), TEXT(text_read_printable, "")},
};

const size_t n_params = sizeof(params) / sizeof(params[0]);
_Static_assert(sizeof(params) / sizeof(params[0]) <= PARAMS_MAX,
               "raise PARAMS_MAX");
