/*
 * What DNS and policy say about TLS towards a domain and its hosts: MTA-STS
 * (RFC 8461) and DANE (RFC 7672). Plain values.
 */

#ifndef MODEL_TLS_H
#define MODEL_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The TXT record at _mta-sts.DOMAIN (RFC 8461 section 3.1). */
enum sts_txt {
    STS_TXT_UNKNOWN, /* not asked, or not known any more */
    STS_TXT_NONE,    /* there is none, or none that counts */
    STS_TXT_ID,      /* the domain says that it has a policy */
    STS_TXT_FAILED   /* the lookup failed: there may be one */
};

#define STS_ID_MAX 32 /* octets of an id */

struct sts_record {
    enum sts_txt state;
    char id[STS_ID_MAX + 1]; /* "" without STS_TXT_ID */
    uint32_t ttl_s;
};

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };

#define STS_MX_MAX 100 /* patterns of a policy that count */

/* A policy as it was fetched (section 3.2). */
struct sts_policy {
    enum sts_mode mode;
    char id[STS_ID_MAX + 1]; /* of the TXT record that it was fetched for */
    uint32_t max_age_s;      /* a year at most */
    int64_t fetched_s, expires_s; /* wall time */
    char **mx; /* patterns, lower-case A-labels: `mx.example.com',
                  `*.example.com' */
    size_t n_mx;
};

/* The TLSA records at _25._tcp.HOST, asked for only where the host's addresses
   are signed. */
enum tlsa_state {
    TLSA_UNKNOWN,  /* not asked, or not known any more */
    TLSA_NONE,     /* certainly none, or unsigned */
    TLSA_USABLE,   /* some are of use (RFC 7672 section 3.1) */
    TLSA_UNUSABLE, /* there are some, none of use */
    TLSA_FAILED    /* the lookup failed: there may be some */
};

struct tlsa {
    uint8_t state;     /* enum tlsa_state */
    bool trust_anchor; /* a usable one is DANE-TA(2) */
    uint32_t ttl_s;
};

#endif
