/*
 * name - domain names: in a message, as octets, as text
 *
 * A name is decompressed into 255 octets at most and lower-cased (ASCII), so
 * that comparing names is comparing octets, and no byte within a label can be
 * taken for a separator. As text they have the form of ns_name_ntop(3), which
 * what follows (clean, logs) relies on: printable ASCII, every other byte
 * written \DDD, with a backslash before the characters . \ " ; @ $ ( ).
 *
 * Decompression ends: each pointer must lead before the run of labels that it
 * ends, and not into the header; hops are capped besides.
 *
 * Nothing is allocated; all buffers are the caller's.
 */

#include "dns/name.h"

#include <arpa/nameser.h>
#include <string.h>

#define HEADER_OCTETS 12
#define POINTER_BITS  0xc0u

enum step { STEP_LABEL, STEP_POINTER, STEP_ROOT, STEP_BAD };

static uint8_t wire_name_lower(uint8_t b)
{
    return b >= 'A' && b <= 'Z' ? (uint8_t)(b + ('a' - 'A')) : b;
}

static bool wire_name_add(struct wire_name *n, const uint8_t *label,
                          uint8_t len)
{
    uint8_t *to;

    if (n->len + 1u + len > WIRE_NAME_OCTETS)
        return false;
    to = n->octets + n->len;
    *to++ = len;
    for (uint8_t i = 0; i < len; i++)
        to[i] = wire_name_lower(label[i]);
    n->len = (uint8_t)(n->len + 1 + len);
    return true;
}

/* Read a label into n, or a pointer into *target (which it must lower). */
static enum step wire_name_step(struct cursor *at, size_t *target,
                                struct wire_name *n)
{
    uint8_t len = cursor_u8(at);
    const uint8_t *label;
    size_t to;

    if ((len & POINTER_BITS) == POINTER_BITS) {
        to = (size_t)(len & ~POINTER_BITS) << 8 | cursor_u8(at);
        if (at->failed || to < HEADER_OCTETS || to >= *target)
            return STEP_BAD;
        *target = to;
        return STEP_POINTER;
    }
    if (len > WIRE_LABEL_MAX)
        return STEP_BAD;
    label = cursor_bytes(at, len);
    if (label == NULL || !wire_name_add(n, label, len))
        return STEP_BAD;
    return len == 0 ? STEP_ROOT : STEP_LABEL;
}

void wire_name_read(struct cursor *c, struct wire_name *n_r)
{
    struct cursor at = *c;
    size_t target = c->pos; /* start of the labels being read */
    unsigned hops = 0;
    enum step step;

    n_r->len = 0;
    while ((step = wire_name_step(&at, &target, n_r)) != STEP_ROOT) {
        if (step == STEP_BAD ||
            (step == STEP_POINTER && hops == WIRE_HOPS_MAX)) {
            n_r->len = 0;
            c->failed = true;
            return;
        }
        if (step == STEP_LABEL)
            continue;
        if (hops++ == 0)
            c->pos = at.pos; /* the name ends here, whatever follows there */
        at.pos = target;
    }
    if (hops == 0)
        c->pos = at.pos;
}

void wire_name_print(const struct wire_name *n, char *text)
{
    if (n->len == 0 || ns_name_ntop(n->octets, text, NS_MAXDNAME) < 0)
        strcpy(text, ".");
}

bool wire_name_parse(const char *text, struct wire_name *n_r)
{
    uint8_t *label = n_r->octets;

    n_r->len = 0;
    if (*text == '\0' || ns_name_pton(text, label, WIRE_NAME_OCTETS) < 0)
        return false;
    for (; *label != 0; label += 1 + *label)
        for (uint8_t i = 1; i <= *label; i++)
            label[i] = wire_name_lower(label[i]);
    n_r->len = (uint8_t)(label + 1 - n_r->octets);
    return true;
}

bool wire_name_equal(const struct wire_name *a, const struct wire_name *b)
{
    return a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

bool wire_name_within(const struct wire_name *n, const struct wire_name *zone)
{
    unsigned at = 0;

    while (n->len - at > zone->len)
        at += 1u + n->octets[at];
    return n->len - at == zone->len &&
           memcmp(n->octets + at, zone->octets, zone->len) == 0;
}
