/* The configuration file mxhop.cf(5). */

#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <mxhop/error.h>
#include "model/directory.h"
#include "model/rules.h"
#include "util/buf.h"

/*
 * One member a parameter; conf/params.c has one row a member: name, type,
 * default, range. Strings are owned by the struct, never NULL
 * ("" where empty). Durations are in the unit of the name.
 */
struct conf {
    /* DNS */
    char *dns_servers;
    uint32_t dns_timeout_ms;
    char *address_families;
    /* waiting */
    uint32_t lookup_budget_ms; /* 0: the host's default */
    uint32_t wait_share_percent;
    /* cache */
    char *cache; /* "memory", "none", a directory, or "" (conf_cache_dir) */
    uint64_t cache_size_bytes;
    char *cache_owner;
    uint32_t ttl_min_s, ttl_max_s, negative_ttl_max_s, stale_max_s;
    uint32_t prefetch_percent;
    /* overrides */
    char *overrides; /* "", "ldap" or "ldif:/path" */
    char *override_table;
    uint32_t override_shrink_limit_percent;
    uint32_t override_refresh_s;
    /* MTA-STS */
    int mta_sts; /* enum mta_sts */
    char *tls_store;
    char *mta_sts_exempt;
    uint32_t mta_sts_wait_ms;
    char *tls_ca_file;
    /* the directory; ldap/ldap_settings.h tells what they mean together */
    struct ldap_settings ldap;
    int ldap_version; /* always 3 */
    char *ldap_config;
    /* what DNS outcomes mean (enum choice) */
    int on_null_mx, on_nxdomain, on_dns_failure, on_cold, on_no_host, on_bogus,
        on_override_failure, on_override_unusable, on_sts_mismatch,
        on_sts_unknown;
    int dane_ta; /* enum dane_ta */
    int tlsrpt;  /* enum tlsrpt */
    char *bogus_networks;
    /* who we are */
    char *local_domains;
    char *own_names;
    char *own_addresses;
    /* the answer */
    int answer; /* enum answer_mode */
    int group;  /* enum group_mode */
    char *single_domain_sites;
    char *transport;
    char *exim_sts_transport;
    char *defer_service;
    uint32_t max_hops;
    uint32_t rotate_interval_s;
    char *seed;
};

/*
 * Read and check a file. Errors (MXHOP_ERR_CONFIG) name file, line, parameter
 * and what was expected. On error *c_r is empty. *fd_r, if not NULL, receives
 * a descriptor of the file that was read (the caller closes it), and *seen_r,
 * if not NULL, what it was before it was read.
 */
enum mxhop_status conf_load(struct conf *c_r, const char *path, int *fd_r,
                            struct stat *seen_r, struct mxhop_error *err);
/* The same over text; name is for errors. For tests and fuzzing. */
enum mxhop_status conf_parse(struct conf *c_r, const char *name,
                             const char *text, size_t len,
                             struct mxhop_error *err);
/* Of a file that conf_load() refuses: could it ask for overrides? False only if
   it can be read, and `overrides` is plainly unset or empty. */
bool conf_may_override(const char *path);
/* The same of `mta_sts = enforce'. */
bool conf_may_keep_policies(const char *path);
void conf_free(struct conf *c);

/* The directory of the shared cache, for a configuration that was read from
   `path`, into out of cap bytes; false: there is none (memory, none). */
bool conf_cache_dir(const struct conf *c, const char *path, char *out,
                    size_t cap);

/* "name = value" lines, in the order of the table, as postconf(1) prints. */
void conf_print(const struct conf *c, struct buf *out);
void conf_print_defaults(struct buf *out);

#endif
