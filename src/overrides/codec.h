/* The records of the override table, as bytes. */

#ifndef OVERRIDES_CODEC_H
#define OVERRIDES_CODEC_H

#include "model/override.h"
#include "overrides/ovtable.h"
#include "table/fixed.h"
#include "util/codec.h"

enum ovtable_record { /* kinds of keys in the file */
                      OVTABLE_RECORD_KEY = OVTABLE_BY_KEY, /* -> ids of enabled
                                                   entries, in order of DN */
                      OVTABLE_RECORD_EXCHANGE = OVTABLE_BY_EXCHANGE, /* same */
                      OVTABLE_RECORD_ENTRY, /* id -> entry */
                      OVTABLE_RECORD_WHERE, /* "where" -> struct table_where */
                      OVTABLE_RECORD_LEFT_OUT /* id -> DN, why: an entry of
                                                 which no version was valid */
};
#define OVTABLE_WHERE_KEY "where"

bool override_encode(struct buf *b, const struct override *o);
/* On anything but CODEC_OK *o_r is empty. */
enum codec_status override_decode(const void *bytes, size_t len,
                                  struct override *o_r);

/* What is written before an entry that is not in force as the source has it. */
struct override_marks {
    int64_t kept_s, held_s; /* as in struct override */
    bool off;               /* the invalid version says mxhopEnabled: FALSE */
    struct chars why;
};
/* Those of an encoded entry, and the rest of it; all zero where there are none.
   false: damaged. */
bool override_marks(struct fixed_bytes entry, struct override_marks *m_r,
                    struct fixed_bytes *rest_r);
/* The entry anew, with these; without, where they are all zero. */
void override_mark(struct buf *b, const struct override_marks *m,
                   struct fixed_bytes rest);

/* Where in an encoded entry that decodes its parts are; nothing is copied. */
struct override_parts {
    bool enabled;
    bool late; /* kept or held back: behind others under its keys */
    struct chars dn;
    struct dec lists[2]; /* OVTABLE_BY_KEY, OVTABLE_BY_EXCHANGE: a count, ... */
};
bool override_parts(const void *bytes, size_t len, struct override_parts *p_r);
/* The next text of a list; false: there is none, or it is damaged. */
bool override_next_text(struct dec *list, struct chars *text_r);

/* Which kinds of key there are: without `*` and .parents of three labels in the
   table, to ask for these costs no hash. */
struct table_kinds {
    uint8_t kinds[2];    /* a bit each, by index */
    uint64_t parents[2]; /* .parent keys by number of labels */
};
void table_kinds_add(struct table_kinds *k, enum ovtable_index by,
                     struct chars key);
bool table_kinds_have(const struct table_kinds *k, enum ovtable_index by,
                      struct chars key);

struct table_meta { /* in the header of the file */
    uint32_t entries;
    bool has_exchanges;
    uint64_t general;
    int64_t changed_s;
    uint32_t peak; /* entries that there were at peak_s, see ovtable_marks.c */
    int64_t peak_s;
    struct table_kinds kinds;
    char source[256];
};

bool table_meta_encode(struct buf *b, const struct table_meta *m);
enum codec_status table_meta_decode(const void *bytes, size_t len,
                                    struct table_meta *m_r);

struct table_where {
    uint64_t fingerprint;
    int64_t compiled_s;
    struct chars cookie; /* any octets */
};

bool table_where_encode(struct buf *b, const struct table_where *w);
/* The cookie points into the bytes. */
bool table_where_decode(const void *bytes, size_t len, struct table_where *w_r);

#endif
