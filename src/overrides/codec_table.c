/*
 * codec_table - the records of the override table
 *
 * An entry holds everything that its attributes said, so that the data plane
 * needs no source; the header says what the set as a whole is. Equal entries
 * give equal bytes: that is how a refresh finds out that nothing changed.
 */

#include "overrides/codec.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(OVTABLE_ENTRY_MAX + (1 << 20) <= FIXED_VALUE_MAX,
               "with its hops, and what a refresh notes, it is a record");

#define OVERRIDE_VERSION 1
#define OVERRIDE_MARKED  2 /* marks, and then the same */
#define META_VERSION     4
#define WHERE_VERSION    2

#define HOP_SIZE_MIN     (1 + 1 + 2 + 2 + 4)

static void enc_strlist(struct buf *b, const struct strlist *l)
{
    enc_u32(b, (uint32_t)l->n);
    for (size_t i = 0; i < l->n; i++)
        enc_str(b, l->v[i]);
}

static void enc_hop(struct buf *b, const struct hopspec *hop)
{
    enc_u8(b, (uint8_t)hop->kind);
    enc_u8(b, hop->has_preference);
    enc_u16(b, hop->preference);
    enc_u16(b, hop->port);
    enc_str(b, hop->host);
}

bool override_encode(struct buf *b, const struct override *o)
{
    enc_u8(b, OVERRIDE_VERSION);
    enc_str(b, o->dn);
    enc_u8(b, (uint8_t)o->mode);
    enc_u8(b, (uint8_t)o->group);
    enc_u8(b, o->enabled);
    enc_u64(b, (uint64_t)o->not_before_s);
    enc_u64(b, (uint64_t)o->not_after_s);
    enc_opt_str(b, o->transport);
    enc_opt_str(b, o->reason);
    enc_strlist(b, &o->keys);
    enc_strlist(b, &o->exchanges);
    enc_strlist(b, &o->excludes);
    enc_u32(b, (uint32_t)o->n_hops);
    for (size_t i = 0; i < o->n_hops; i++)
        enc_hop(b, &o->hops[i]);
    return !b->failed;
}

static void dec_strlist(struct dec *d, struct strlist *l)
{
    uint32_t n = dec_u32(d);

    if (n > dec_left(d) / 4 || n > OVTABLE_VALUES_MAX)
        dec_bad(d);
    for (uint32_t i = 0; i < n && d->status == CODEC_OK; i++) {
        char *s = dec_str(d);

        if (s != NULL && !strlist_add(l, s))
            d->status = CODEC_MEMORY;
        free(s);
    }
}

static void dec_hop(struct dec *d, struct hopspec *hop)
{
    uint8_t kind = dec_u8(d);

    memset(hop, 0, sizeof(*hop));
    if (kind > HOP_MX) {
        dec_bad(d);
        return;
    }
    hop->kind = (enum hop_kind)kind;
    hop->has_preference = dec_bool(d);
    hop->preference = dec_u16(d);
    hop->port = dec_u16(d);
    dec_str_into(d, hop->host, sizeof(hop->host));
}

static void dec_hops(struct dec *d, struct override *o)
{
    uint32_t n = dec_u32(d);

    if (n > dec_left(d) / HOP_SIZE_MIN || n > OVTABLE_HOPS_MAX)
        dec_bad(d);
    for (uint32_t i = 0; i < n && d->status == CODEC_OK; i++) {
        struct hopspec hop;

        dec_hop(d, &hop);
        if (d->status == CODEC_OK && !override_add_hop(o, &hop))
            d->status = CODEC_MEMORY;
    }
}

static void dec_head(struct dec *d, struct override *o)
{
    uint8_t mode, group;

    o->dn = dec_str(d);
    mode = dec_u8(d);
    group = dec_u8(d);
    if (mode >= OVERRIDE_MODES || group > OVERRIDE_GROUP_DOMAIN) {
        dec_bad(d);
        return;
    }
    o->mode = (enum override_mode)mode;
    o->group = (enum override_group)group;
    o->enabled = dec_bool(d);
    o->not_before_s = (int64_t)dec_u64(d);
    o->not_after_s = (int64_t)dec_u64(d);
}

enum codec_status override_decode(const void *bytes, size_t len,
                                  struct override *o_r)
{
    enum codec_status status;
    struct override_marks m;
    struct fixed_bytes rest;
    struct dec d;

    memset(o_r, 0, sizeof(*o_r));
    if (!override_marks((struct fixed_bytes){bytes, len}, &m, &rest))
        return CODEC_BAD;
    dec_init(&d, rest.at, rest.len);
    dec_head(&d, o_r);
    o_r->enabled = o_r->enabled && !m.off;
    o_r->kept_s = m.kept_s;
    o_r->held_s = m.held_s;
    if (m.why.len > 0 && (o_r->why = strndup(m.why.at, m.why.len)) == NULL)
        d.status = CODEC_MEMORY;
    o_r->transport = dec_opt_str(&d);
    o_r->reason = dec_opt_str(&d);
    dec_strlist(&d, &o_r->keys);
    dec_strlist(&d, &o_r->exchanges);
    dec_strlist(&d, &o_r->excludes);
    dec_hops(&d, o_r);
    status = dec_end(&d);
    if (status != CODEC_OK)
        override_free(o_r);
    return status;
}

/* ---- marks ---- */

bool override_marks(struct fixed_bytes entry, struct override_marks *m_r,
                    struct fixed_bytes *rest_r)
{
    uint8_t version;
    struct dec d;

    *m_r = (struct override_marks){0};
    dec_init(&d, entry.at, entry.len);
    version = dec_u8(&d);
    if (version == OVERRIDE_MARKED) {
        m_r->kept_s = (int64_t)dec_u64(&d);
        m_r->held_s = (int64_t)dec_u64(&d);
        m_r->off = dec_bool(&d);
        m_r->why.len = dec_u32(&d);
        m_r->why.at = (const char *)dec_take(&d, m_r->why.len);
    } else if (version != OVERRIDE_VERSION) {
        dec_bad(&d);
    }
    *rest_r = (struct fixed_bytes){d.at, dec_left(&d)};
    return d.status == CODEC_OK;
}

void override_mark(struct buf *b, const struct override_marks *m,
                   struct fixed_bytes rest)
{
    if (m->kept_s == 0 && m->held_s == 0) {
        enc_u8(b, OVERRIDE_VERSION);
    } else {
        enc_u8(b, OVERRIDE_MARKED);
        enc_u64(b, (uint64_t)m->kept_s);
        enc_u64(b, (uint64_t)m->held_s);
        enc_u8(b, m->off);
        enc_u32(b, (uint32_t)m->why.len);
        buf_add(b, m->why.at, m->why.len);
    }
    buf_add(b, rest.at, rest.len);
}

/* ---- the parts of an entry that a refresh looks at ---- */

static void dec_skip_str(struct dec *d)
{
    (void)dec_take(d, dec_u32(d));
}

static void dec_skip_strlist(struct dec *d, struct dec *list_r)
{
    uint32_t n;

    *list_r = *d;
    n = dec_u32(d);
    for (uint32_t i = 0; i < n && d->status == CODEC_OK; i++)
        dec_skip_str(d);
    list_r->end = d->at;
}

bool override_parts(const void *bytes, size_t len, struct override_parts *p_r)
{
    struct override_marks m;
    struct fixed_bytes rest;
    struct dec d;

    if (!override_marks((struct fixed_bytes){bytes, len}, &m, &rest))
        return false;
    dec_init(&d, rest.at, rest.len);
    p_r->dn.len = dec_u32(&d);
    p_r->dn.at = (const char *)dec_take(&d, p_r->dn.len);
    (void)dec_take(&d, 2); /* mode, group */
    p_r->enabled = dec_bool(&d) && !m.off;
    p_r->late = m.kept_s != 0 || m.held_s != 0;
    (void)dec_take(&d, 16);     /* the window */
    for (int i = 0; i < 2; i++) /* transport, reason */
        if (dec_bool(&d))
            dec_skip_str(&d);
    for (int by = OVTABLE_BY_KEY; by <= OVTABLE_BY_EXCHANGE; by++) {
        dec_skip_strlist(&d, &p_r->lists[by]);
        (void)dec_u32(&p_r->lists[by]);
    }
    return d.status == CODEC_OK;
}

bool override_next_text(struct dec *list, struct chars *text_r)
{
    if (dec_left(list) == 0)
        return false;
    text_r->len = dec_u32(list);
    text_r->at = (const char *)dec_take(list, text_r->len);
    return list->status == CODEC_OK;
}

/* ---- kinds of keys ---- */

enum table_kind { KIND_NAME, KIND_PARENT, KIND_STAR, KIND_RECIPIENT };

static enum table_kind table_kind_of(struct chars key)
{
    if (key.at[0] == '.')
        return KIND_PARENT;
    if (key.len == 1 && key.at[0] == '*')
        return KIND_STAR;
    return memchr(key.at, '@', key.len) != NULL ? KIND_RECIPIENT : KIND_NAME;
}

/* Parents with more labels than bits share the last one. */
static uint64_t table_parent_bit(struct chars key)
{
    unsigned labels = 0;

    for (size_t i = 0; i < key.len; i++)
        labels += key.at[i] == '.';
    return (uint64_t)1 << (labels < 63 ? labels : 63);
}

void table_kinds_add(struct table_kinds *k, enum ovtable_index by,
                     struct chars key)
{
    enum table_kind kind = table_kind_of(key);

    k->kinds[by] |= (uint8_t)(1u << kind);
    if (kind == KIND_PARENT)
        k->parents[by] |= table_parent_bit(key);
}

bool table_kinds_have(const struct table_kinds *k, enum ovtable_index by,
                      struct chars key)
{
    enum table_kind kind = table_kind_of(key);

    return (k->kinds[by] & 1u << kind) != 0 &&
           (kind != KIND_PARENT || (k->parents[by] & table_parent_bit(key)));
}

/* ---- about the set ---- */

bool table_meta_encode(struct buf *b, const struct table_meta *m)
{
    enc_u8(b, META_VERSION);
    enc_u32(b, m->entries);
    enc_u8(b, m->has_exchanges);
    enc_u64(b, m->general);
    enc_u64(b, (uint64_t)m->changed_s);
    enc_u32(b, m->peak);
    enc_u64(b, (uint64_t)m->peak_s);
    for (int by = 0; by < 2; by++) {
        enc_u8(b, m->kinds.kinds[by]);
        enc_u64(b, m->kinds.parents[by]);
    }
    enc_str(b, m->source);
    return !b->failed;
}

enum codec_status table_meta_decode(const void *bytes, size_t len,
                                    struct table_meta *m_r)
{
    struct dec d;

    memset(m_r, 0, sizeof(*m_r));
    dec_init(&d, bytes, len);
    if (dec_u8(&d) != META_VERSION)
        dec_bad(&d);
    m_r->entries = dec_u32(&d);
    m_r->has_exchanges = dec_bool(&d);
    m_r->general = dec_u64(&d);
    m_r->changed_s = (int64_t)dec_u64(&d);
    m_r->peak = dec_u32(&d);
    m_r->peak_s = (int64_t)dec_u64(&d);
    for (int by = 0; by < 2; by++) {
        m_r->kinds.kinds[by] = dec_u8(&d);
        m_r->kinds.parents[by] = dec_u64(&d);
    }
    dec_str_into(&d, m_r->source, sizeof(m_r->source));
    return dec_end(&d);
}

bool table_where_encode(struct buf *b, const struct table_where *w)
{
    enc_u8(b, WHERE_VERSION);
    enc_u64(b, w->fingerprint);
    enc_u64(b, (uint64_t)w->compiled_s);
    enc_u32(b, (uint32_t)w->cookie.len);
    buf_add(b, w->cookie.at, w->cookie.len);
    return !b->failed;
}

bool table_where_decode(const void *bytes, size_t len, struct table_where *w_r)
{
    struct dec d;

    memset(w_r, 0, sizeof(*w_r));
    dec_init(&d, bytes, len);
    if (dec_u8(&d) != WHERE_VERSION)
        dec_bad(&d);
    w_r->fingerprint = dec_u64(&d);
    w_r->compiled_s = (int64_t)dec_u64(&d);
    w_r->cookie.len = dec_u32(&d);
    w_r->cookie.at = (const char *)dec_take(&d, w_r->cookie.len);
    return dec_end(&d) == CODEC_OK;
}
