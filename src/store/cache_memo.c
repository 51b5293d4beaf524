/*
 * cache_memo - finished answers that a view read a moment ago
 *
 * Pairs of slots: an answer goes into the first of its pair, what was there
 * into the second. A slot is two lines of the processor's cache. The memory is
 * taken from the system as it is used.
 */

#include "store/cache_memo.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS    65536 /* power of two: enough for 50,000 MX sets */
#define TEXT_MAX 72

struct slot {
    uint64_t key;
    uint64_t until_ms; /* kept; 0: free */
    uint64_t made_of, expires_ms;
    int64_t from_s, until_s;
    uint32_t check;
    uint8_t worth;
    bool has_text, by_domain;
    uint8_t len;
    char text[TEXT_MAX];
};

struct memo {
    struct slot slots[PAIRS][2];
};

struct memo *memo_open(void)
{
    return calloc(1, sizeof(struct memo));
}

void memo_close(struct memo *m)
{
    free(m);
}

static struct slot *pair_of(struct memo *m, uint64_t key)
{
    return m->slots[key & (PAIRS - 1)];
}

bool memo_get(struct memo *m, uint64_t key, uint64_t now_ms,
              struct route_record *r_r)
{
    const struct slot *s = m != NULL ? pair_of(m, key) : NULL;

    if (s != NULL && s->key != key)
        s++;
    if (s == NULL || s->key != key || s->until_ms <= now_ms)
        return false;
    *r_r = (struct route_record){
        .worth = s->worth,
        .check = s->check,
        .made_of = s->made_of,
        .expires_ms = s->expires_ms,
        .from_s = s->from_s,
        .until_s = s->until_s,
        .has_text = s->has_text,
        .by_domain = s->by_domain,
        .text = {s->text, s->len},
    };
    return true;
}

void memo_put(struct memo *m, uint64_t key, uint64_t now_ms,
              const struct route_record *r)
{
    struct slot *s;

    if (m == NULL || r->text.len > TEXT_MAX)
        return;
    s = pair_of(m, key);
    if (s->key != key)
        s[1] = s[0];
    *s = (struct slot){
        .key = key,
        .until_ms = now_ms + MEMO_KEEP_MS,
        .made_of = r->made_of,
        .expires_ms = r->expires_ms,
        .from_s = r->from_s,
        .until_s = r->until_s,
        .check = r->check,
        .worth = r->worth,
        .has_text = r->has_text,
        .by_domain = r->by_domain,
        .len = (uint8_t)r->text.len,
    };
    memcpy(s->text, r->text.at, r->text.len);
}
