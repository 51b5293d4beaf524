/* The records of the override table, as bytes. */

#ifndef OVERRIDES_CODEC_H
#define OVERRIDES_CODEC_H

#include "model/override.h"
#include "util/codec.h"

bool override_encode(struct buf *b, const struct override *o);
/* On anything but CODEC_OK *o_r is empty. */
enum codec_status override_decode(const void *bytes, size_t len,
                                  struct override *o_r);

/* Only the DN of an encoded one, where it stands. */
bool override_dn_decode(const void *bytes, size_t len, struct chars *dn_r);

struct table_meta {
    uint64_t version;
    uint32_t entries;
    bool has_exchanges;
    int64_t compiled_s, changed_s;
    uint32_t peak; /* entries that there were at peak_s, see ovtable_set.c */
    int64_t peak_s;
    char source[256];
};

bool table_meta_encode(struct buf *b, const struct table_meta *m);
enum codec_status table_meta_decode(const void *bytes, size_t len,
                                    struct table_meta *m_r);

struct table_where {
    uint64_t fingerprint;
    struct chars cookie; /* any octets */
};

bool table_where_encode(struct buf *b, const struct table_where *w);
/* The cookie points into the bytes. */
bool table_where_decode(const void *bytes, size_t len, struct table_where *w_r);

#endif
