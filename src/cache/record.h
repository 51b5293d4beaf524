/*
 * The records of the DNS cache, as bytes: structs as this machine has them, for
 * its own processes of this boot. Names are in the keys. Times are
 * clock_boot_ms(), but for those in wall time.
 *
 * What is decoded may come from a damaged file, or a hostile one: decoding is
 * false for what does not fit together, is cut, or has octets in a text that
 * are not printable ASCII. Whether the times make sense is judged elsewhere
 * (cache_int.h). Texts of a decoded record point into what it was decoded from.
 */

#ifndef CACHE_RECORD_H
#define CACHE_RECORD_H

#include "model/mxset.h"
#include "util/buf.h"
#include "util/codec.h"

#define RECORD_FAILURE_MAX 255   /* octets of a failure's text */
#define RECORD_TEXT_MAX    16000 /* of an answer; three hosts have some 800 */

bool record_is_printable(const char *text, size_t len);

/* Attempts that failed in a row, and when the next one may be made. */
struct failure_note {
    uint64_t retry_ms; /* not before */
    uint64_t count;    /* at most 255; 0: the last one succeeded */
};

/* A finished answer: with the domain that it is for, or under a key that
   overrides have a say about. */
struct route_fixed {
    uint64_t made_of;
    uint64_t expires_ms : 63;
    uint64_t has_text : 1;
    uint32_t from_s, until_s; /* wall time */
};
struct route_record {
    struct route_fixed f;
    struct chars text; /* empty without has_text */
};

bool route_record_encode(struct buf *b, const struct route_record *r);
bool route_record_decode(const void *bytes, size_t len,
                         struct route_record *r_r);

/* The hash of an MX set's bytes; its key. */
struct site_id {
    uint64_t hash[2];
};

enum {
    DOMAIN_ANSWER = 0x01, /* stored_ms, ttl_s and site hold */
    DOMAIN_HOSTS = 0x02,  /* the answer is MX_HOSTS */
    DOMAIN_CLAIM = 0x04,  /* until refresh_ms a process asks for it, cold */
    DOMAIN_ROUTE = 0x08,  /* there is a finished answer */
    DOMAIN_STS = 0x10,    /* its _mta-sts was asked for */
    DOMAIN_RPT = 0x20,    /* its _smtp._tls was */
    DOMAIN_FLAGS = 0x3f
};
#define DOMAIN_TXT(which) ((unsigned)DOMAIN_STS << (which)) /* enum tls_txt */
_Static_assert(DOMAIN_TXT(TLS_TXT_RPT) == DOMAIN_RPT, "in their order");

/* What is known of a text of a domain, with an end of its own. */
struct txt_fixed {
    uint64_t stored_ms;
    struct failure_note failure;
    uint32_t ttl_s;
    uint8_t state; /* TXT_UNKNOWN: no answer; TXT_NONE; TXT_FOUND */
    uint8_t id_len;
    uint16_t unused;
};
struct txt_record {
    struct txt_fixed f;
    char id[STS_ID_MAX]; /* f.id_len octets */
};

struct domain_fixed {
    uint64_t written_ms; /* no time in the record that is past is later */
    uint64_t stored_ms;
    uint64_t refresh_ms; /* somebody was asked to refresh: not before; or 0 */
    struct site_id site;
    struct failure_note failure;
    uint32_t ttl_s;
    uint16_t flags;
    uint16_t failure_len; /* for record.c */
};
struct domain_record {
    struct domain_fixed f;
    struct chars failure_text;       /* empty if the count is 0 */
    struct txt_record txt[TLS_TXTS]; /* with DOMAIN_TXT() */
    struct route_record route;       /* with DOMAIN_ROUTE */
};

bool domain_record_encode(struct buf *b, const struct domain_record *r);
bool domain_record_decode(const void *bytes, size_t len,
                          struct domain_record *r_r);

struct host_family {
    uint64_t stored_ms;
    struct failure_note failure;
    uint32_t ttl_s;
    uint8_t state; /* ADDR_UNKNOWN: no answer; ADDR_SOME; ADDR_NONE */
    uint8_t n;
    uint8_t secure, alias; /* not 0: yes */
};

/* What is known of its TLSA records, with an end of its own. */
struct host_tlsa {
    uint64_t stored_ms;
    struct failure_note failure;
    uint32_t ttl_s;
    uint8_t state; /* enum tlsa_state; TLSA_UNKNOWN: no answer */
    uint8_t trust_anchor;
    uint16_t unused;
};

struct host_fixed {
    uint64_t written_ms, refresh_ms;
    struct host_family family[FAMILIES];
};
struct host_record {
    struct host_fixed f;
    struct in_addr v4[ADDRS_MAX];
    struct in6_addr v6[ADDRS_MAX];
    struct host_tlsa tlsa; /* zero: never asked for */
};

bool host_record_encode(struct buf *b, const struct host_record *r);
bool host_record_decode(const void *bytes, size_t len, struct host_record *r_r);

/* An MX set: the same bytes for all domains that have it, whatever the order of
   that day: outcome and flags, exchanges by preference and name, at most
   MXSET_MAX of them and `max` octets. ttl_s and failure are not part
   of it. false: out of memory, or a set that contradicts itself. */
bool site_record_encode(struct buf *b, const struct mxset *set, size_t max);
/* On anything but CODEC_OK *set_r is empty. */
enum codec_status site_record_decode(const void *bytes, size_t len,
                                     struct mxset *set_r);
/* Its exchanges, one after the other: start with at = 0. false: no more. */
bool site_record_next(const void *bytes, size_t len, size_t *at,
                      struct chars *host_r);

#endif
