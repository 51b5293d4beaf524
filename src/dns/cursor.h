/* A bounded reader of an untrusted message, with a sticky error. */

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

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
void cursor_skip(struct cursor *c, size_t n);

/* The next n bytes, consumed; NULL (and failed) where there are fewer. */
const uint8_t *cursor_bytes(struct cursor *c, size_t n);

#endif
