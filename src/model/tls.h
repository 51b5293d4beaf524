/*
 * What DNS and policy say about TLS towards a domain and its hosts: MTA-STS
 * (RFC 8461), DANE (RFC 7672), and where reports go (TLSRPT, RFC 8460). Plain
 * values.
 */

#ifndef MODEL_TLS_H
#define MODEL_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is to be asked for beside MX records and addresses. */
#define TLS_WANT_STS  0x1u /* TXT at _mta-sts.DOMAIN */
#define TLS_WANT_RPT  0x2u /* TXT at _smtp._tls.DOMAIN */
#define TLS_WANT_DANE 0x4u /* TLSA at _25._tcp.HOST */

/* The texts of a domain. */
enum tls_txt { TLS_TXT_STS, TLS_TXT_RPT, TLS_TXTS };
#define TLS_WANT_TXT(which) (TLS_WANT_STS << (which))
_Static_assert(TLS_WANT_TXT(TLS_TXT_RPT) == TLS_WANT_RPT, "in their order");

/* The TXT record at _mta-sts.DOMAIN (RFC 8461 section 3.1), or at
   _smtp._tls.DOMAIN (RFC 8460 section 3), whose id is its version. */
enum txt_state {
    TXT_UNKNOWN, /* not asked, or not known any more */
    TXT_NONE,    /* there is none, or none that counts */
    TXT_FOUND,   /* the domain says that it has a policy, or wants reports */
    TXT_FAILED   /* the lookup failed: there may be one */
};

#define STS_ID_MAX 32 /* octets of an id */

struct domain_txt {
    enum txt_state state;
    char id[STS_ID_MAX + 1]; /* "" without TXT_FOUND */
    uint32_t ttl_s;
};

/* 1 to STS_ID_MAX letters and digits. */
bool sts_id_is_valid(const char *id, size_t len);
/* It need not be asked for: known, and not past its time, or of no use to ask
   for again yet. What is past its time has ttl_s 0. */
bool domain_txt_holds(const struct domain_txt *r);
/* One more of the texts at _mta-sts.DOMAIN, its strings joined. Start with
   {.state = TXT_NONE} and *n 0, which counts those of this version: with a
   second one, or where the only one is not well formed, there is none that
   counts. ttl_s is left alone. */
void sts_txt_judge(struct domain_txt *r, unsigned *n, const char *text,
                   size_t len);
/* The same of a text at _smtp._tls.DOMAIN. One that begins as of this version
   counts, whatever follows: what the MTA makes of it is for the MTA to say. */
void rpt_txt_judge(struct domain_txt *r, const char *text, size_t len);

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
    TLSA_WHOLE,    /* none but whole certificates or keys, sound or not */
    TLSA_FAILED    /* the lookup failed: there may be some */
};

struct tlsa {
    uint8_t state;     /* enum tlsa_state */
    bool trust_anchor; /* a usable one is DANE-TA(2) */
    uint32_t ttl_s;    /* 0: past its time */
};

#endif
