/*
 * cache_memo - finished answers that a view read a moment ago
 *
 * A hash table with open addressing, by the hash of the site. A slot is two
 * lines of the processor's cache, of which a short answer needs one. The table
 * doubles when most of it is in use; where it cannot, or is as large as it may
 * be, a new answer takes the place of another. Nothing is ever deleted alone,
 * so what is searched for is found before a free slot, of which there are
 * always some.
 *
 * All answers in it were made of the same (rules, version of the overrides):
 * when that changes, it is emptied.
 */

#include "cache/cache_memo.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE        64
#define HUGE_PAGE   ((size_t)2 << 20)
#define SLOTS_FIRST 1024 /* power of two */
#define SLOTS_LAST  65536
#define USED_16THS  13 /* at most: 53,248 in the end */
#define TEXT_MAX    98

struct slot {
    uint64_t until_ms; /* it holds and is kept; 0: free */
    uint64_t hash;     /* of the site, and */
    uint32_t check;
    uint32_t from_s, until_s; /* wall time */
    uint8_t len;
    bool has_text : 1, by_domain : 1;
    char text[TEXT_MAX];
};
_Static_assert(sizeof(struct slot) == 2L * LINE, "a slot is two lines");

struct memo {
    uint64_t made_of;
    struct slot *slots; /* aligned, in */
    void *memory;
    size_t n, cap; /* NULL: 0 */
};

struct memo *memo_open(void)
{
    return calloc(1, sizeof(struct memo));
}

void memo_close(struct memo *m)
{
    if (m != NULL)
        free(m->memory);
    free(m);
}

/* Its slot, or the free one where it would be. */
static struct slot *find(const struct memo *m, struct site_id site)
{
    size_t i = site.hash & (m->cap - 1);

    while (m->slots[i].until_ms != 0 &&
           (m->slots[i].hash != site.hash || m->slots[i].check != site.check))
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

void memo_expect(const struct memo *m, struct site_id site)
{
    size_t i;

    if (m == NULL || m->cap == 0)
        return;
    i = site.hash & (m->cap - 1);
    __builtin_prefetch(&m->slots[i]);
    __builtin_prefetch(
        &m->slots[(i + 1) & (m->cap - 1)]); /* find() may go on */
}

bool memo_get(struct memo *m, struct site_id site, uint64_t made_of,
              uint64_t now_ms, int64_t now_s, struct route_record *r_r)
{
    const struct slot *s;

    if (m == NULL || m->cap == 0 || m->made_of != made_of)
        return false;
    s = find(m, site);
    if (s->until_ms <= now_ms || now_s < s->from_s || now_s >= s->until_s)
        return false;
    r_r->has_text = s->has_text;
    r_r->by_domain = s->by_domain;
    r_r->text = (struct chars){s->text, s->len};
    return true;
}

static void clear(struct memo *m)
{
    free(m->memory);
    *m = (struct memo){0};
}

/* Zeroed. A large table is accessed all over: in pages of 4 KiB the processor
   would also have to look up most of their addresses in memory. */
static bool allocate(struct memo *m)
{
    size_t bytes = m->cap * sizeof(struct slot);
    size_t align = bytes < HUGE_PAGE ? LINE : HUGE_PAGE;

    m->memory = calloc(1, bytes + align - 1);
    if (m->memory == NULL)
        return false;
    m->slots =
        (struct slot *)(((uintptr_t)m->memory + align - 1) / align * align);
    if (bytes >= HUGE_PAGE)
        (void)madvise(m->slots, bytes, MADV_HUGEPAGE); /* or it is slower */
    return true;
}

/* Room for twice as many. false: it stays as it is. */
static bool grow(struct memo *m)
{
    struct memo old = *m, new = *m;

    if (m->cap == SLOTS_LAST)
        return false;
    new.cap = m->cap == 0 ? SLOTS_FIRST : 2 * m->cap;
    if (!allocate(&new))
        return false;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].until_ms != 0)
            *find(&new, (struct site_id){old.slots[i].hash,
                                         old.slots[i].check}) = old.slots[i];
    free(old.memory);
    *m = new;
    return true;
}

/* NULL: there is no room. */
static struct slot *take(struct memo *m, struct site_id site)
{
    bool full = m->n >= m->cap / 16 * USED_16THS && !grow(m);
    struct slot *s;

    if (m->cap == 0)
        return NULL;
    s = find(m, site);
    if (s->until_ms != 0)
        return s;
    if (full) {
        s = &m->slots[site.hash & (m->cap - 1)];
        return s->until_ms != 0 ? s : NULL;
    }
    m->n++;
    return s;
}

static uint32_t wall(int64_t t_s)
{
    return t_s < 0 ? 0 : t_s > UINT32_MAX ? UINT32_MAX : (uint32_t)t_s;
}

void memo_put(struct memo *m, struct site_id site, uint64_t now_ms,
              const struct route_record *r)
{
    struct slot *s;

    if (m == NULL || r->text.len > TEXT_MAX)
        return;
    if (m->made_of != r->made_of)
        clear(m);
    m->made_of = r->made_of;
    s = take(m, site);
    if (s == NULL)
        return;
    s->until_ms = now_ms + MEMO_KEEP_MS;
    if (s->until_ms > r->expires_ms)
        s->until_ms = r->expires_ms;
    s->hash = site.hash;
    s->check = site.check;
    s->from_s = wall(r->from_s);
    s->until_s = wall(r->until_s);
    s->has_text = r->has_text;
    s->by_domain = r->by_domain;
    s->len = (uint8_t)r->text.len;
    memcpy(s->text, r->text.at, r->text.len);
}
