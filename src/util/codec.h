/* The words that records are made of: little-endian, fixed widths, every length
   checked. */

#ifndef UTIL_CODEC_H
#define UTIL_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <endian.h>
#include <string.h>
#include "util/buf.h"

struct chars {
    const char *at; /* no NUL in it, nor after it */
    size_t len;
};

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
/* The next n octets where they are; NULL on failure. */
const unsigned char *dec_take(struct dec *d, size_t n);
char *dec_str(struct dec *d);     /* the caller's to free; NULL on failure */
char *dec_opt_str(struct dec *d); /* NULL also where none is present */
/* Into out of cap bytes with the NUL; what does not fit is bad. */
void dec_str_into(struct dec *d, char *out, size_t cap);
/* The status so far; left-over bytes are bad. */
enum codec_status dec_end(struct dec *d);

/* ---- loads that do not go through a cursor: for hot paths ---- */

static inline uint64_t load_u64(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static inline uint32_t load_u32(const unsigned char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline uint16_t load_u16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

#endif
