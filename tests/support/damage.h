/*
 * Damage to a file that is read by pages: bits flipped, pages swapped, lengths
 * changed, cut, noise. The numbers are pseudo-random and repeat with the seed.
 */

#ifndef SUPPORT_DAMAGE_H
#define SUPPORT_DAMAGE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DAMAGE_PAGE 4096u

struct damage {
    uint64_t state;
};

static inline uint32_t damage_below(struct damage *d, uint32_t n)
{
    d->state = d->state * UINT64_C(6364136223846793005) +
               UINT64_C(1442695040888963407);
    return (uint32_t)((d->state >> 33) % n);
}

/* How many files a test damages; all of them with MXHOP_LONG=yes. */
static inline unsigned damage_rounds(unsigned few, unsigned all)
{
    return getenv("MXHOP_LONG") != NULL ? all : few;
}

/* One kind of damage to the `len` octets, in place; the new length. */
static inline size_t damage_file(struct damage *d, unsigned char *bytes,
                                 size_t len)
{
    unsigned char page[DAMAGE_PAGE];
    uint32_t pages = (uint32_t)(len / DAMAGE_PAGE);
    uint32_t a = damage_below(d, pages) * DAMAGE_PAGE;
    uint32_t b = damage_below(d, pages) * DAMAGE_PAGE;
    uint32_t at = damage_below(d, (uint32_t)len);

    switch (damage_below(d, 8)) {
    case 0: /* one bit */
        bytes[at] ^= (unsigned char)(1u << damage_below(d, 8));
        return len;
    case 1: /* some octets */
        for (uint32_t n = 1 + damage_below(d, 64); n > 0 && at < len; n--)
            bytes[at++] = (unsigned char)damage_below(d, 256);
        return len;
    case 2: /* a length, or what stands at the head of a page */
        bytes[a + damage_below(d, 72)] = (unsigned char)damage_below(d, 256);
        return len;
    case 3: /* pages swapped */
        memcpy(page, bytes + a, DAMAGE_PAGE);
        memmove(bytes + a, bytes + b, DAMAGE_PAGE);
        memcpy(bytes + b, page, DAMAGE_PAGE);
        return len;
    case 4: /* a page twice */
        memmove(bytes + a, bytes + b, DAMAGE_PAGE);
        return len;
    case 5: /* a page of zeros */
        memset(bytes + a, 0, DAMAGE_PAGE);
        return len;
    case 6: /* noise from here on */
        while (at < len)
            bytes[at++] = (unsigned char)damage_below(d, 256);
        return len;
    default: /* cut */
        return at;
    }
}

#endif
