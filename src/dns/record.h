/* The walk over a message: header, question, every record of every section. */

#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dns/cursor.h"
#include "dns/name.h"

#define WIRE_TYPE_NS  2
#define WIRE_TYPE_SOA 6
#define WIRE_TYPE_OPT 41
#define WIRE_CLASS_IN 1

#define WIRE_QR       0x8000u /* of walk.flags */
#define WIRE_OPCODE   0x7800u
#define WIRE_AA       0x0400u
#define WIRE_TC       0x0200u
#define WIRE_RA       0x0080u
#define WIRE_AD       0x0020u
#define WIRE_RCODE    0x000fu

enum section {
    SECTION_QUESTION,
    SECTION_ANSWER,
    SECTION_AUTHORITY,
    SECTION_ADDITIONAL,
    SECTIONS
};

struct walk {
    struct cursor c;
    uint16_t id, flags;
    uint16_t count[SECTIONS]; /* as the header says */
    struct wire_name qname;   /* the first question, if count says one */
    uint16_t qtype, qclass;
    enum section section; /* of the record that is next */
    uint16_t left;        /* records of it not yet read */
};

struct record {
    enum section section;
    struct wire_name owner;
    uint16_t type;
    uint16_t rrclass;
    uint32_t ttl;        /* as sent: use record_ttl_s() but for OPT */
    struct cursor rdata; /* at its first byte, bounded by its length */
};

/* Read header and first question; false if the message ends before that. */
bool walk_open(struct walk *w_r, const uint8_t *msg, size_t len);

/* The next record; false after the last one, or (w->c.failed) if there is no
   valid one where the counts promise it. Data of the types that mxhop reads
   has been checked to be as long as its content. */
bool walk_next(struct walk *w, struct record *r_r);

/* Seconds to keep: with the top bit set none (RFC 2181 section 8). */
uint32_t record_ttl_s(uint32_t ttl);

#endif
