/* Build DNS messages by hand, right and wrong ones. For test programs. */

#ifndef UNIT_WIRE_BUILD_H
#define UNIT_WIRE_BUILD_H

#include <stdint.h>
#include <string.h>

struct build {
    uint8_t b[70000];
    size_t len;
};

/* Where counts of the sections are in the header. */
enum { AT_QD = 4, AT_AN = 6, AT_NS = 8, AT_AR = 10 };

static inline void put8(struct build *m, unsigned v)
{
    m->b[m->len++] = (uint8_t)v;
}

static inline void put16(struct build *m, unsigned v)
{
    put8(m, v >> 8);
    put8(m, v);
}

static inline void put32(struct build *m, uint32_t v)
{
    put16(m, v >> 16);
    put16(m, v);
}

static inline void poke16(struct build *m, size_t at, unsigned v)
{
    m->b[at] = (uint8_t)(v >> 8);
    m->b[at + 1] = (uint8_t)v;
}

static inline void count_one(struct build *m, size_t at)
{
    poke16(m, at, (m->b[at] * 256u + m->b[at + 1]) + 1);
}

/* Plain labels, dots divide; "" is the root. No compression. */
static inline void put_name(struct build *m, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, ".");

        put8(m, (unsigned)n);
        memcpy(m->b + m->len, text, n);
        m->len += n;
        text += n + (text[n] == '.');
    }
    put8(m, 0);
}

static inline void put_pointer(struct build *m, size_t to)
{
    put16(m, 0xc000u | (unsigned)to);
}

/* Header and question (at octet 12); flags such as 0x8180. */
static inline void start(struct build *m, uint16_t id, unsigned flags,
                         const char *name, uint16_t type)
{
    m->len = 0;
    put16(m, id);
    put16(m, flags);
    put16(m, 1);
    put16(m, 0);
    put32(m, 0);
    put_name(m, name);
    put16(m, type);
    put16(m, 1);
}

/* A record up to its data; returns where its length is, for rr_end(). */
static inline size_t rr_start(struct build *m, size_t section,
                              const char *owner, uint16_t type, uint32_t ttl)
{
    count_one(m, section);
    put_name(m, owner);
    put16(m, type);
    put16(m, 1);
    put32(m, ttl);
    put16(m, 0);
    return m->len - 2;
}

static inline void rr_end(struct build *m, size_t at)
{
    poke16(m, at, (unsigned)(m->len - at - 2));
}

static inline void rr_mx(struct build *m, const char *owner, uint32_t ttl,
                         unsigned preference, const char *host)
{
    size_t at = rr_start(m, AT_AN, owner, 15, ttl);

    put16(m, preference);
    put_name(m, host);
    rr_end(m, at);
}

static inline void rr_cname(struct build *m, const char *owner, uint32_t ttl,
                            const char *target)
{
    size_t at = rr_start(m, AT_AN, owner, 5, ttl);

    put_name(m, target);
    rr_end(m, at);
}

static inline void rr_soa(struct build *m, const char *zone, uint32_t ttl,
                          uint32_t minimum)
{
    size_t at = rr_start(m, AT_NS, zone, 6, ttl);

    put_name(m, "ns.example");
    put_name(m, "root.example");
    for (int i = 0; i < 4; i++)
        put32(m, 7);
    put32(m, minimum);
    rr_end(m, at);
}

static inline void rr_ns(struct build *m, const char *zone, const char *host)
{
    size_t at = rr_start(m, AT_NS, zone, 2, 3600);

    put_name(m, host);
    rr_end(m, at);
}

static inline void rr_opt(struct build *m, unsigned extended_rcode)
{
    count_one(m, AT_AR);
    put8(m, 0);
    put16(m, 41);
    put16(m, 1232);
    put32(m, (uint32_t)extended_rcode << 24);
    put16(m, 0);
}

/* Data of n octets, all 0x01. */
static inline void rr_raw(struct build *m, size_t section, const char *owner,
                          uint16_t type, uint32_t ttl, size_t n)
{
    size_t at = rr_start(m, section, owner, type, ttl);

    memset(m->b + m->len, 1, n);
    m->len += n;
    rr_end(m, at);
}

#endif
