/* The records of the DNS cache, as bytes. */

#ifndef CACHE_CODEC_H
#define CACHE_CODEC_H

#include "model/mxset.h"
#include "util/codec.h"

/*
 * ---- records of the DNS cache; times are clock_boot_ms() ----
 *
 * All begin with the same eight octets: version (which tells the kind, too),
 * worth, a time in 40 bits (34 years of uptime), flags. What a record is for
 * stands in it, to be compared: keys are hashes. Names and texts of a decoded
 * record point into the bytes that it was decoded from. Decoding: false for
 * what is not such a record, cut, or with junk in it.
 */

#define RECORD_NAME_MAX 255 /* octets of a domain's or host's name */
#define RECORD_TEXT_MAX 255 /* octets of a failure's text */
/* Octets of a finished answer that a domain's record holds: larger ones would
   make few domains fill a page. */
#define RECORD_ROUTE_MAX 400

/* How much a record is worth keeping; the higher, the more. */
enum record_worth {
    WORTH_NEGATIVE, /* no answer, no such domain, no address */
    WORTH_ONCE,     /* not asked for again since it was learnt */
    WORTH_USED
};

struct record_head {
    uint8_t version, worth, flags;
    uint64_t time_ms; /* written; of a route: when it expires */
};

/* Of a record of any kind. */
bool record_head_decode(const void *bytes, size_t len,
                        struct record_head *head_r);
/* Change the worth of an encoded record. */
void record_set_worth(void *bytes, uint8_t worth);

/* Attempts that failed, and when the next one may be made. */
struct failure_note {
    uint8_t count;     /* in a row, at most 255; 0: the last one succeeded */
    uint64_t retry_ms; /* not before */
};

/* An MX set as bytes: outcome, flags, exchanges by preference and name. The
   hashes of these bytes stand for the set in other records. */
struct site_id {
    uint64_t hash;
    uint32_t check;
};

struct domain_record {
    struct chars name;
    uint8_t worth;       /* enum record_worth */
    uint64_t written_ms; /* no time in the record that is past is later */
    uint64_t refresh_ms; /* somebody was asked to refresh: not before */
    bool claim;          /* until refresh_ms a process asks for it, cold */
    struct failure_note failure;
    struct chars failure_text; /* empty if the count is 0 */
    bool has_answer;
    bool has_hosts; /* the answer is MX_HOSTS */
    uint64_t stored_ms;
    uint32_t ttl_s;
    struct site_id site;
    bool first;         /* nobody else had the set when it was learnt */
    struct chars route; /* a route_record, encoded, or empty; may have NULs */
};

bool domain_record_encode(struct buf *b, const struct domain_record *r);
bool domain_record_decode(const void *bytes, size_t len,
                          struct domain_record *r_r);

struct host_family {
    struct failure_note failure;
    uint64_t stored_ms;
    uint32_t ttl_s;
    uint8_t state; /* ADDR_UNKNOWN: no answer; ADDR_SOME; ADDR_NONE */
    uint8_t n;
    bool secure;
};

struct host_record {
    struct chars name;
    uint8_t worth;
    uint64_t written_ms, refresh_ms;
    struct host_family family[FAMILIES];
    struct in_addr v4[ADDRS_MAX];
    struct in6_addr v6[ADDRS_MAX];
};

bool host_record_encode(struct buf *b, const struct host_record *r);
bool host_record_decode(const void *bytes, size_t len, struct host_record *r_r);

/* The bytes of a set, at most max of them: hosts that do not fit are left
   out, the least preferred first. false: out of memory, or there is no room
   for any. */
bool site_content_encode(struct buf *b, const struct mxset *set, size_t max);
struct site_id site_content_id(uint64_t seed, const void *content, size_t len);
/* ttl_s and failure are not part of it. On anything but CODEC_OK *set_r is
   empty. */
enum codec_status site_content_decode(const void *content, size_t len,
                                      struct mxset *set_r);
/* Its exchanges, one after the other: start with at = 0. false: no more. */
bool site_content_next(const void *content, size_t len, size_t *at,
                       struct chars *host_r);

struct site_record {
    uint8_t worth;
    uint64_t written_ms;
    const unsigned char *content;
    size_t content_len;
};
#define SITE_RECORD_HEAD 7 /* octets before the content */

bool site_record_encode(struct buf *b, const struct site_record *r);
bool site_record_decode(const void *bytes, size_t len, struct site_record *r_r);

struct route_record {
    uint8_t worth;
    uint32_t check; /* of the site */
    uint64_t made_of, expires_ms;
    int64_t from_s, until_s; /* written as within 0 .. 2^48-1 */
    bool has_text, by_domain;
    struct chars text;
};

bool route_record_encode(struct buf *b, const struct route_record *r);
bool route_record_decode(const void *bytes, size_t len,
                         struct route_record *r_r);

struct server_record {
    uint64_t since_ms, reported_ms;
    uint32_t pid, opened;
    uint8_t state;
    struct chars address;
};

bool server_record_encode(struct buf *b, const struct server_record *r);
bool server_record_decode(const void *bytes, size_t len,
                          struct server_record *r_r);

#endif
