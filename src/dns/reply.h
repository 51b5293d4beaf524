/* From an untrusted DNS message to values. No I/O. */

#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/mxset.h"

#define WIRE_TYPE_A     1
#define WIRE_TYPE_CNAME 5
#define WIRE_TYPE_MX    15
#define WIRE_TYPE_TXT   16
#define WIRE_TYPE_AAAA  28
#define WIRE_TYPE_TLSA  52

#define WIRE_CNAME_MAX  16   /* links followed */
#define WIRE_NAME_TEXT  1025 /* NS_MAXDNAME: 255 octets, all escaped, NUL */
#define WIRE_MX_MAX     1024 /* MX records taken from one reply */
#define WIRE_TXT_MAX    1024 /* octets of a text; a longer one does not count */

struct question {
    uint16_t id;
    uint16_t type;
    char name[WIRE_NAME_TEXT]; /* presentation form, no trailing dot */
};

/* What a datagram or TCP message is, before its records are looked at. */
enum reply_kind {
    REPLY_ANSWER,    /* ours, rcode NOERROR or NXDOMAIN, whole */
    REPLY_TRUNCATED, /* ours, TC set: ask again over TCP */
    REPLY_NO_EDNS,   /* ours, FORMERR or NOTIMP: perhaps it dislikes OPT */
    REPLY_REFUSAL,   /* ours, any other rcode: this server cannot answer */
    REPLY_ALIEN,     /* not ours: id, question, class, opcode, QR, counts */
    REPLY_MALFORMED  /* ours by id and question, but not a valid message */
};

/* Judge a message by header and question. The question must be echoed (name
   without regard to case, type, class IN); only a refusal or FORMERR may come
   without any. rcode_r may be NULL. */
enum reply_kind reply_judge(const uint8_t *msg, size_t len,
                            const struct question *q, int *rcode_r);

enum records_status {
    RECORDS_SOME,   /* records of the type, at the name or its CNAME chain */
    RECORDS_NODATA, /* NOERROR without any */
    RECORDS_NXDOMAIN,
    RECORDS_PARTIAL, /* the chain ends in a name about which the reply says
                        nothing: ask again for `last` */
    RECORDS_BAD      /* malformed, CNAME loop, chain too long */
};

/* From here on, msg is what reply_judge() calls REPLY_ANSWER to the question.
 */

/* The answer to an MX question. Hosts are appended to *set in order of
   preference; a `.` exchange (RFC 7505) is appended as ".". secure (AD bit),
   ttl_s (smallest along the chain; for negatives by RFC 2308 from the SOA:
   min(SOA TTL, MINIMUM), 0 without SOA) are set, outcome is left alone.
   last[WIRE_NAME_TEXT]: the end of the CNAME chain, lower case (the question's
   name when there is no CNAME). Additional records are ignored. */
enum records_status reply_mx(const uint8_t *msg, size_t len,
                             const struct question *q, struct mxset *set,
                             char *last);

/* The answer to an A or AAAA question: fills the family of *addrs that
   q->type names (state SOME or NONE, n, addresses), lowers its ttl_s, clears
   secure if AD is not set. Start with ttl_s UINT32_MAX and secure true. */
enum records_status reply_addrs(const uint8_t *msg, size_t len,
                                const struct question *q,
                                struct hostaddrs *addrs, char *last);

/* The answer to a TXT question about _mta-sts.DOMAIN or _smtp._tls.DOMAIN:
   fills state and id of *txt, lowers its ttl_s. Start with UINT32_MAX. */
enum records_status reply_txt(const uint8_t *msg, size_t len,
                              const struct question *q, enum tls_txt which,
                              struct domain_txt *txt, char *last);

/* The answer to a TLSA question: fills state and trust_anchor of *tlsa, lowers
   its ttl_s, clears *secure if AD is not set; without it there are none that
   count. Start with UINT32_MAX, and what is known of the replies before. */
enum records_status reply_tlsa(const uint8_t *msg, size_t len,
                               const struct question *q, struct tlsa *tlsa,
                               bool *secure, char *last);

#endif
