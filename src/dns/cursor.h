/*
 * A bounded reader of an untrusted message, with a sticky error.
 *
 * Every byte of a DNS message is read through a cursor. A fetch that would
 * pass the end sets `failed`, and from then on every fetch gives zero and
 * moves nothing, so that a parser can read straight on and test once; it
 * must test before it trusts what it has read.
 *
 * The message belongs to the caller. Copying a cursor is how one looks
 * elsewhere in the same message (compression) without losing the place.
 */

#ifndef WIRE_CURSOR_H
#define WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes [pos, len) of msg are still to be read; pos never exceeds len. */
struct cursor {
    const uint8_t *msg;
    size_t len;
    size_t pos;
    bool failed; /* a fetch ran out of bytes: all later ones give 0 */
};

/* The next n bytes, consumed; NULL (and failed) where there are fewer. */
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
    if (c->failed || n > c->len - c->pos) {
        c->failed = true;
        return NULL;
    }
    c->pos += n;
    return c->msg + c->pos - n;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    const uint8_t *b = cursor_bytes(c, 1);

    return b != NULL ? b[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    const uint8_t *b = cursor_bytes(c, 2);

    return b != NULL ? (uint16_t)((unsigned)b[0] << 8 | b[1]) : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    const uint8_t *b = cursor_bytes(c, 4);

    if (b == NULL)
        return 0;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 |
           b[3];
}

static inline void cursor_skip(struct cursor *c, size_t n)
{
    (void)cursor_bytes(c, n);
}

#endif
