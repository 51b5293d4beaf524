/*
 * Record codecs: what the cache and the override table keep, as bytes.
 * Little-endian, fixed widths, a version octet first, every length checked.
 */

#ifndef STORE_CODEC_H
#define STORE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/mxset.h"
#include "model/override.h"
#include "util/buf.h"

enum codec_status {
    CODEC_OK,
    CODEC_BAD,   /* not a record of this version, cut, or with junk in it */
    CODEC_MEMORY /* well formed so far, but there is no memory for it */
};

/* ---- writing: straight into a struct buf, which remembers failure ---- */

void enc_u8(struct buf *b, uint8_t v);
void enc_u16(struct buf *b, uint16_t v);
void enc_u32(struct buf *b, uint32_t v);
void enc_u64(struct buf *b, uint64_t v);
void enc_str(struct buf *b, const char *s);     /* u32 length, no NUL */
void enc_opt_str(struct buf *b, const char *s); /* u8 present, then enc_str */

/* ---- reading: a cursor whose failure sticks; then all reads give 0 ---- */

struct dec {
    const unsigned char *at, *end;
    enum codec_status status;
};

void dec_init(struct dec *d, const void *bytes, size_t len);
bool dec_bad(struct dec *d); /* note CODEC_BAD unless failed; false */
size_t dec_left(const struct dec *d);
uint8_t dec_u8(struct dec *d);
bool dec_bool(struct dec *d); /* an octet that is neither 0 nor 1 is bad */
uint16_t dec_u16(struct dec *d);
uint32_t dec_u32(struct dec *d);
uint64_t dec_u64(struct dec *d);
void dec_bytes(struct dec *d, void *out, size_t n);
char *dec_str(struct dec *d);     /* the caller's to free; NULL on failure */
char *dec_opt_str(struct dec *d); /* NULL also where none is present */
/* Into out of cap bytes with the NUL; what does not fit is bad. */
void dec_str_into(struct dec *d, char *out, size_t cap);
/* The status so far; left-over bytes are bad. */
enum codec_status dec_end(struct dec *d);

/* ---- records of the DNS cache; times are clock_boot_ms() ---- */

/* An attempt that failed, and when the next one may be made. */
struct failure_note {
    uint32_t count;    /* in a row; 0: the last attempt succeeded */
    uint64_t retry_ms; /* not before */
};

struct domain_record {
    uint64_t written_ms; /* no time in the record that is past is later */
    uint64_t refresh_ms; /* somebody was asked to refresh: not before */
    struct failure_note failure;
    char *failure_text; /* NULL if count is 0 */
    bool has_answer;
    uint64_t stored_ms, expires_ms; /* of the answer */
    struct mxset answer;            /* never MX_FAILURE; no addresses */
};

/* false: out of memory (in b). Hosts that do not fit into max bytes are left
   out, the least preferred first. */
bool domain_record_encode(struct buf *b, const struct domain_record *r,
                          size_t max);
enum codec_status domain_record_decode(const void *bytes, size_t len,
                                       struct domain_record *r_r);
void domain_record_free(struct domain_record *r);

struct host_family {
    struct failure_note failure;
    uint64_t stored_ms, expires_ms;
    uint8_t state; /* ADDR_UNKNOWN: no answer; ADDR_SOME; ADDR_NONE */
    uint8_t n;
    bool secure;
};

struct host_record {
    uint64_t written_ms, refresh_ms;
    struct host_family family[FAMILIES];
    struct in_addr v4[ADDRS_MAX];
    struct in6_addr v6[ADDRS_MAX];
};

bool host_record_encode(struct buf *b, const struct host_record *r);
enum codec_status host_record_decode(const void *bytes, size_t len,
                                     struct host_record *r_r);

/* ---- records of the override table ---- */

bool override_encode(struct buf *b, const struct override *o);
/* On anything but CODEC_OK *o_r is empty. */
enum codec_status override_decode(const void *bytes, size_t len,
                                  struct override *o_r);

struct table_meta {
    uint64_t version;
    uint32_t entries;
    bool has_exchanges;
    int64_t compiled_s;
    char source[256];
};

bool table_meta_encode(struct buf *b, const struct table_meta *m);
enum codec_status table_meta_decode(const void *bytes, size_t len,
                                    struct table_meta *m_r);

#endif
