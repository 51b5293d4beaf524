/*
 * kv_pack - entries with neighbouring keys, in one value
 *
 * A search in a tree of small entries touches a dozen places that lie far
 * apart, and waits for the memory of most of them. A pack fills a page; the
 * tree above it has some 150 keys a page and stays in the processor's cache.
 * In the pack, one octet of each key, side by side, says where to look, so
 * that what is waited for is the head of the page and the entry:
 *
 *     u8 version, u8 0, u16 entries, u32 octets in use
 *     for each entry, in order of keys: u8 low octet of the key
 *     for each entry: u16 where it begins
 *     for each entry: u64 key, value
 *
 * Little-endian. A pack with one entry may be of any size, others fill
 * KV_PACK_MAX at most, so that where an entry begins fits 16 bits. No length
 * is believed before it was compared with what there is: whatever the bytes
 * are, nothing is read outside of them.
 */

#include "store/kv_pack.h"
#include "util/codec.h"

#include <string.h>

#define PACK_VERSION 1
#define LINE         64 /* of the processor's cache */

static size_t head_of(size_t n)
{
    return KV_PACK_HEAD + 3 * n;
}

static inline bool open_pack(struct kv_pack *p, struct kv_value bytes)
{
    const unsigned char *b = bytes.data;

    if (bytes.len < KV_PACK_HEAD || b[0] != PACK_VERSION || b[1] != 0)
        return false;
    *p = (struct kv_pack){b, load_u16(b + 2), load_u32(b + 4)};
    return p->n > 0 && p->len <= bytes.len && head_of(p->n) <= p->len;
}

bool kv_pack_open(struct kv_pack *p, struct kv_value bytes)
{
    return open_pack(p, bytes);
}

static inline size_t begin_of(const struct kv_pack *p, size_t i)
{
    if (i == p->n)
        return p->len;
    return load_u16(p->bytes + KV_PACK_HEAD + p->n + 2 * i);
}

static inline bool entry(const struct kv_pack *p, size_t i, uint64_t *key_r,
                         struct kv_value *value_r)
{
    size_t begin = begin_of(p, i), end = begin_of(p, i + 1);

    if (begin < head_of(p->n) || end > p->len || end < begin + sizeof(*key_r) ||
        end - begin > sizeof(*key_r) + KV_VALUE_MAX)
        return false;
    *key_r = load_u64(p->bytes + begin);
    value_r->data = p->bytes + begin + sizeof(*key_r);
    value_r->len = end - begin - sizeof(*key_r);
    return true;
}

bool kv_pack_entry(const struct kv_pack *p, size_t i, uint64_t *key_r,
                   struct kv_value *value_r)
{
    return entry(p, i, key_r, value_r);
}

size_t kv_pack_seek(const struct kv_pack *p, uint64_t key)
{
    size_t low = 0, high = p->n, middle;
    struct kv_value value;
    uint64_t found;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (!kv_pack_entry(p, middle, &found, &value) || found < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void kv_pack_prefetch(struct kv_value bytes)
{
    for (size_t i = 0; i < 4 * LINE; i += LINE)
        __builtin_prefetch(bytes.data + i);
}

bool kv_pack_find(struct kv_value bytes, uint64_t key, struct kv_value *value_r)
{
    const unsigned char *tags, *tag;
    struct kv_pack p;
    uint64_t found;
    size_t i;

    kv_pack_prefetch(bytes); /* before the first of it is waited for */
    if (!open_pack(&p, bytes))
        return false;
    tags = p.bytes + KV_PACK_HEAD;
    for (i = 0; i < p.n; i++) {
        tag = memchr(tags + i, (int)(key & 0xff), p.n - i);
        if (tag == NULL)
            return false;
        i = (size_t)(tag - tags);
        __builtin_prefetch(p.bytes + begin_of(&p, i) + LINE); /* its rest */
        if (entry(&p, i, &found, value_r) && found == key)
            return true;
    }
    return false;
}

/* ---- lists ---- */

bool kv_pack_list_add(struct kv_pack_list *l, const struct kv_pack *p)
{
    size_t n = l->n;

    if (p->n > KV_PACK_ENTRIES - n)
        return false;
    for (size_t i = 0; i < p->n; i++)
        if (kv_pack_entry(p, i, &l->entry[n].key, &l->entry[n].value))
            n++;
    l->n = n;
    return true;
}

static size_t place_of(const struct kv_pack_list *l, uint64_t key)
{
    size_t i = 0;

    while (i < l->n && l->entry[i].key < key)
        i++;
    return i;
}

void kv_pack_list_put(struct kv_pack_list *l, uint64_t key,
                      struct kv_value value)
{
    size_t i = place_of(l, key);

    if (i == l->n || l->entry[i].key != key) {
        memmove(&l->entry[i + 1], &l->entry[i],
                (l->n - i) * sizeof(l->entry[0]));
        l->n++;
    }
    l->entry[i].key = key;
    l->entry[i].value = value;
}

bool kv_pack_list_del(struct kv_pack_list *l, uint64_t key)
{
    size_t i = place_of(l, key);

    if (i == l->n || l->entry[i].key != key)
        return false;
    l->n--;
    memmove(&l->entry[i], &l->entry[i + 1], (l->n - i) * sizeof(l->entry[0]));
    return true;
}

size_t kv_pack_list_size(const struct kv_pack_list *l, size_t from, size_t to)
{
    size_t size = KV_PACK_HEAD;

    for (size_t i = from; i < to; i++)
        size += KV_PACK_EACH + l->entry[i].value.len;
    return size;
}

size_t kv_pack_list_middle(const struct kv_pack_list *l, size_t from, size_t to)
{
    size_t half = kv_pack_list_size(l, from, to) / 2;
    size_t size = KV_PACK_ONE(l->entry[from].value.len), i = from + 1;

    while (i + 1 < to && size < half)
        size += KV_PACK_EACH + l->entry[i++].value.len;
    return i;
}

static unsigned char *put_le(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *p++ = (unsigned char)(v >> (8 * i));
    return p;
}

void kv_pack_list_write(const struct kv_pack_list *l, size_t from, size_t to,
                        void *bytes, size_t len)
{
    size_t n = to - from, size = kv_pack_list_size(l, from, to);
    unsigned char *first = bytes, *tag = first + KV_PACK_HEAD;
    unsigned char *begin = tag + n, *at = begin + 2 * n;

    put_le(first, PACK_VERSION | (uint64_t)n << 16 | (uint64_t)size << 32,
           KV_PACK_HEAD);
    for (size_t i = from; i < to; i++) {
        const struct kv_value *v = &l->entry[i].value;

        *tag++ = (unsigned char)l->entry[i].key;
        begin = put_le(begin, (uint64_t)(at - first), 2);
        at = put_le(at, l->entry[i].key, 8);
        memcpy(at, v->data, v->len);
        at += v->len;
    }
    memset(at, 0, len - size);
}
