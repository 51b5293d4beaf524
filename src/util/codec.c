/*
 * codec - the words that records are made of
 *
 * Integers are little-endian and of fixed width, strings carry a 32-bit
 * length and no NUL. Writing goes into a struct buf, whose failure sticks;
 * reading goes through a cursor whose failure sticks too, so that a decoder
 * reads straight and asks once, at the end. Nothing is read beyond the bytes
 * that were given, and no length is believed before it was compared with
 * what is left: a record may come from a damaged or hostile file.
 *
 * The records themselves are in overrides/codec_table.c and cache/record.c.
 */

#include "util/codec.h"

#include <stdlib.h>
#include <string.h>

static void enc_le(struct buf *b, uint64_t v, size_t n)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(v >> (8 * i));
    buf_add(b, bytes, n);
}

void enc_u8(struct buf *b, uint8_t v)
{
    enc_le(b, v, 1);
}

void enc_u16(struct buf *b, uint16_t v)
{
    enc_le(b, v, 2);
}

void enc_u32(struct buf *b, uint32_t v)
{
    enc_le(b, v, 4);
}

void enc_u64(struct buf *b, uint64_t v)
{
    enc_le(b, v, 8);
}

void enc_str(struct buf *b, const char *s)
{
    size_t n = strlen(s);

    if (n > UINT32_MAX) {
        b->failed = true;
        return;
    }
    enc_u32(b, (uint32_t)n);
    buf_add(b, s, n);
}

void enc_opt_str(struct buf *b, const char *s)
{
    enc_u8(b, s != NULL);
    if (s != NULL)
        enc_str(b, s);
}

void dec_init(struct dec *d, const void *bytes, size_t len)
{
    d->at = bytes;
    d->end = d->at + len;
    d->status = CODEC_OK;
}

bool dec_bad(struct dec *d)
{
    if (d->status == CODEC_OK)
        d->status = CODEC_BAD;
    return false;
}

size_t dec_left(const struct dec *d)
{
    return (size_t)(d->end - d->at);
}

const unsigned char *dec_take(struct dec *d, size_t n)
{
    const unsigned char *at = d->at;

    if (d->status != CODEC_OK)
        return NULL;
    if (dec_left(d) < n) {
        dec_bad(d);
        return NULL;
    }
    d->at += n;
    return at;
}

static uint64_t dec_le(struct dec *d, size_t n)
{
    const unsigned char *p = dec_take(d, n);
    uint64_t v = 0;

    if (p == NULL)
        return 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

uint8_t dec_u8(struct dec *d)
{
    return (uint8_t)dec_le(d, 1);
}

bool dec_bool(struct dec *d)
{
    uint8_t v = dec_u8(d);

    if (v > 1)
        dec_bad(d);
    return v == 1;
}

uint16_t dec_u16(struct dec *d)
{
    return (uint16_t)dec_le(d, 2);
}

uint32_t dec_u32(struct dec *d)
{
    return (uint32_t)dec_le(d, 4);
}

uint64_t dec_u64(struct dec *d)
{
    return dec_le(d, 8);
}

void dec_bytes(struct dec *d, void *out, size_t n)
{
    const unsigned char *p = dec_take(d, n);

    if (p != NULL && n > 0)
        memcpy(out, p, n);
}

/* The octets of a string, none of them NUL; NULL on failure. */
static const unsigned char *dec_take_str(struct dec *d, size_t *n_r)
{
    const unsigned char *p;

    *n_r = dec_u32(d);
    p = dec_take(d, *n_r);
    if (p != NULL && *n_r > 0 && memchr(p, '\0', *n_r) != NULL) {
        dec_bad(d);
        return NULL;
    }
    return p;
}

char *dec_str(struct dec *d)
{
    size_t n;
    const unsigned char *p = dec_take_str(d, &n);
    char *s;

    if (p == NULL)
        return NULL;
    s = malloc(n + 1);
    if (s == NULL) {
        d->status = CODEC_MEMORY;
        return NULL;
    }
    memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

char *dec_opt_str(struct dec *d)
{
    return dec_bool(d) ? dec_str(d) : NULL;
}

void dec_str_into(struct dec *d, char *out, size_t cap)
{
    size_t n;
    const unsigned char *p = dec_take_str(d, &n);

    out[0] = '\0';
    if (p == NULL)
        return;
    if (n >= cap) {
        dec_bad(d);
        return;
    }
    memcpy(out, p, n);
    out[n] = '\0';
}

enum codec_status dec_end(struct dec *d)
{
    if (d->at != d->end)
        dec_bad(d);
    return d->status;
}
