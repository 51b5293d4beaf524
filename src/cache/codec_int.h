/* What the records of the DNS cache have in common: their first octets, and
   (packs of them, too) loads that do not go through a cursor: they are on the
   hot path. */

#ifndef STORE_CODEC_INT_H
#define STORE_CODEC_INT_H

#include "cache/codec.h"

/* All different: a record is never taken for one of another kind. */
enum record_version {
    DOMAIN_VERSION = 16,
    SITE_VERSION,
    ROUTE_VERSION,
    HOST_VERSION,
    SERVER_VERSION,
    VERSION_END
};

#define RECORD_HEAD 8 /* octets */

/* len was compared with RECORD_HEAD. */
static inline struct record_head load_head(const unsigned char *p)
{
    uint64_t v = load_u64(p);

    return (struct record_head){.version = (uint8_t)v,
                                .worth = (uint8_t)(v >> 8),
                                .time_ms = v >> 16 & UINT64_MAX >> 24,
                                .flags = (uint8_t)(v >> 56)};
}

static inline bool head_fits(const struct record_head *h,
                             enum record_version version)
{
    return h->version == version && h->worth <= WORTH_USED;
}

static inline void enc_head(struct buf *b, enum record_version version,
                            uint8_t worth, uint64_t time_ms, uint8_t flags)
{
    enc_u8(b, (uint8_t)version);
    enc_u8(b, worth);
    enc_u40(b, time_ms);
    enc_u8(b, flags);
}

#endif
