/*
 * ovtable_lists - the lists of entries under keys, after a change
 *
 * A list is made anew only where an entry that stands under its key comes, goes
 * or changes; all others are taken from the old table as they are. The ids in a
 * list are in order of DN, those of entries that are kept or held back behind
 * all others; those that stay are in this order as well as those that come, so
 * the two are merged. DNs of the old table are looked up only then.
 *
 * A hash of the entries that may concern any domain is kept as a sum, to which
 * entries are added and from which they are taken away.
 */

#include "overrides/ovtable_int.h"
#include "util/hash.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct lists_posting { /* that an entry stands, or stood, under a key */
    struct chars key, dn;
    bool late;               /* behind those that are not */
    const unsigned char *id; /* NULL: it goes */
    struct fixed_bytes was;  /* in the last one of a key: the old list */
    uint32_t next;           /* behind it, of the same key, + 1; 0: none */
    uint32_t octets;         /* of the entry */
    uint8_t by;
};

enum codec_status ovtable_lists_note(struct ovtable_lists *x,
                                     struct fixed_bytes record,
                                     const unsigned char *id)
{
    struct override_parts parts;
    bool general = false;
    uint64_t hash;

    if (!override_parts(record.at, record.len, &parts))
        return CODEC_BAD;
    for (int by = OVTABLE_BY_KEY; by <= OVTABLE_BY_EXCHANGE; by++) {
        struct lists_posting p = {.by = (uint8_t)by,
                                  .dn = parts.dn,
                                  .late = parts.late,
                                  .octets = (uint32_t)record.len,
                                  .id = id};

        while (parts.enabled && override_next_text(&parts.lists[by], &p.key)) {
            if (p.key.len == 0)
                return CODEC_BAD;
            if (x->n == UINT32_MAX - 1 ||
                !vec_room(&x->v, x->n, &x->cap, sizeof(*x->v)))
                return CODEC_MEMORY;
            x->v[x->n++] = p;
            general = general || by == OVTABLE_BY_EXCHANGE ||
                      (p.key.len == 1 && p.key.at[0] == '*');
        }
    }
    hash = general ? hash_bytes(0, record.at, record.len) : 0;
    x->general += id != NULL ? hash : -hash;
    return CODEC_OK;
}

/* Where the last posting of a key stands, + 1, or 0. */
static uint32_t *lists_slot(const struct ovtable_lists *x, uint8_t by,
                            struct chars key)
{
    size_t at = hash_bytes(x->seed + by, key.at, key.len) & x->mask;

    for (; x->slot[at] != 0; at = (at + 1) & x->mask) {
        const struct lists_posting *p = &x->v[x->slot[at] - 1];

        if (p->by == by && p->key.len == key.len &&
            memcmp(p->key.at, key.at, key.len) == 0)
            break;
    }
    return &x->slot[at];
}

static bool lists_hash(struct ovtable_lists *x)
{
    for (x->mask = 15; x->mask < 2 * x->n;)
        x->mask = 2 * x->mask + 1;
    x->slot = calloc(x->mask + 1, sizeof(*x->slot));
    if (x->slot == NULL ||
        getrandom(&x->seed, sizeof(x->seed), 0) != (ssize_t)sizeof(x->seed))
        return false;
    for (uint32_t i = 0; i < x->n; i++) {
        uint32_t *slot = lists_slot(x, x->v[i].by, x->v[i].key);

        x->v[i].next = *slot;
        *slot = i + 1;
    }
    return true;
}

static int lists_compare(bool late, struct chars dn, const unsigned char *id,
                         const struct lists_posting *p)
{
    int d = late - p->late;

    if (d != 0)
        return d;
    d = memcmp(dn.at, p->dn.at, dn.len < p->dn.len ? dn.len : p->dn.len);
    if (d == 0)
        d = (dn.len > p->dn.len) - (dn.len < p->dn.len);
    /* Two entries with one DN, which no source has, have an order too. */
    return d != 0 ? d : memcmp(id, p->id, OVTABLE_ID_LEN);
}

static int lists_by_dn(const void *a, const void *b)
{
    const struct lists_posting *const *p = a;

    return lists_compare((*p)->late, (*p)->dn, (*p)->id,
                         *(const struct lists_posting *const *)b);
}

struct lists_ids { /* that is being made */
    size_t n_fresh;
    unsigned char *ids;
    size_t len, octets; /* and those of the entries, where it has many */
};

static void lists_put(struct lists_ids *l, const unsigned char *id,
                      size_t octets)
{
    /* An entry may say a key twice. */
    if (l->len > 0 &&
        memcmp(l->ids + l->len - OVTABLE_ID_LEN, id, OVTABLE_ID_LEN) == 0)
        return;
    memcpy(l->ids + l->len, id, OVTABLE_ID_LEN);
    l->len += OVTABLE_ID_LEN;
    l->octets += octets;
}

/* The list of one key; `fresh` has room for all postings. */
static enum codec_status lists_merge(const struct ovtable_lists *x,
                                     const struct lists_posting *p,
                                     const struct lists_posting **fresh,
                                     struct lists_ids *l)
{
    struct fixed_bytes was = p->was, record = {0};
    struct override_parts parts;
    size_t n = 0, at = 0;
    bool many;

    for (;; p = &x->v[p->next - 1]) {
        if (p->id != NULL)
            fresh[n++] = p;
        if (p->next == 0)
            break;
    }
    l->n_fresh = n;
    if (n > 1)
        qsort(fresh, n, sizeof(const void *), lists_by_dn);
    many = was.len / OVTABLE_ID_LEN + n > OVTABLE_ROOM / FIXED_VALUE_MAX;
    for (size_t i = 0; i < was.len; i += OVTABLE_ID_LEN) {
        const unsigned char *id = was.at + i;

        if (!x->stays(x->ctx, id))
            continue;
        if ((many || at < n) &&
            (fixed_get(x->old, OVTABLE_RECORD_ENTRY, id, OVTABLE_ID_LEN,
                       &record) != FIXED_FOUND ||
             !override_parts(record.at, record.len, &parts)))
            return CODEC_BAD;
        for (; at < n && lists_compare(parts.late, parts.dn, id, fresh[at]) > 0;
             at++)
            lists_put(l, fresh[at]->id, fresh[at]->octets);
        lists_put(l, id, record.len);
    }
    for (; at < n; at++)
        lists_put(l, fresh[at]->id, fresh[at]->octets);
    return CODEC_OK;
}

static bool lists_fit(size_t len, size_t octets)
{
    return ovtable_is_list(len) && octets <= OVTABLE_ROOM;
}

static bool lists_had(struct fixed_bytes was, const unsigned char *id)
{
    for (size_t i = 0; i < was.len; i += OVTABLE_ID_LEN)
        if (memcmp(was.at + i, id, OVTABLE_ID_LEN) == 0)
            return true;
    return false;
}

/* Of a list that is too long, note what has come to it, from its end on, until
   the rest would fit: what is in force stays. */
static enum codec_status lists_thin(struct ovtable_lists *x,
                                    const struct lists_posting *p,
                                    const struct lists_posting **fresh,
                                    const struct lists_ids *l)
{
    size_t len = l->len, octets = l->octets;

    for (size_t i = l->n_fresh; i > 0 && !lists_fit(len, octets); i--) {
        const struct lists_posting *f = fresh[i - 1];
        struct lists_excess e = {.by = (enum ovtable_index)f->by,
                                 .key = f->key};

        if ((i > 1 && memcmp(fresh[i - 2]->id, f->id, OVTABLE_ID_LEN) == 0) ||
            lists_had(p->was, f->id))
            continue;
        if (!vec_room(&x->excess, x->n_excess, &x->cap_excess, sizeof(e)))
            return CODEC_MEMORY;
        memcpy(e.id, f->id, OVTABLE_ID_LEN);
        x->excess[x->n_excess++] = e;
        len -= OVTABLE_ID_LEN;
        octets -= f->octets;
    }
    return CODEC_OK;
}

enum codec_status ovtable_lists_renew(struct ovtable_lists *x,
                                      struct ovtable_records *r,
                                      struct table_kinds *kinds)
{
    const struct lists_posting **fresh = malloc((x->n + 1) * sizeof(*fresh));
    enum codec_status status = CODEC_MEMORY;
    size_t kept = 0, room = x->n;
    struct lists_ids l;

    if (fresh == NULL || !lists_hash(x))
        goto out;
    for (size_t i = 0; i < r->n; i++) {
        const struct fixed_record *o = &r->v[i];
        struct chars key = {(const char *)o->key.at, o->key.len};
        uint32_t posting;

        if (o->filtered) { /* a list */
            posting = x->n > 0 ? *lists_slot(x, o->kind, key) : 0;
            if (posting != 0) {
                x->v[posting - 1].was = o->value;
                room += o->value.len / OVTABLE_ID_LEN;
                continue;
            }
            table_kinds_add(kinds, (enum ovtable_index)o->kind, key);
        }
        r->v[kept++] = *o;
    }
    r->n = kept;
    l.ids = x->ids = malloc(room * OVTABLE_ID_LEN + 1);
    status = x->ids != NULL ? CODEC_OK : CODEC_MEMORY;
    for (size_t at = 0; at <= x->mask && status == CODEC_OK; at++) {
        const struct lists_posting *p = x->v;

        if (x->slot[at] == 0)
            continue;
        p += x->slot[at] - 1;
        l.len = l.octets = 0;
        status = lists_merge(x, p, fresh, &l);
        if (l.len == 0 || status != CODEC_OK)
            continue;
        table_kinds_add(kinds, p->by, p->key);
        if (!ovtable_keep(r, p->by, p->key.at, p->key.len,
                          (struct fixed_bytes){l.ids, l.len}))
            status = CODEC_MEMORY;
        else if (!lists_fit(l.len, l.octets)) {
            x->crowded = r->v[r->n - 1];
            status = lists_thin(x, p, fresh, &l);
        }
        l.ids += l.len;
    }
out:
    free(fresh);
    return status;
}

void ovtable_lists_free(struct ovtable_lists *x)
{
    free(x->v);
    free(x->slot);
    free(x->ids);
    free(x->excess);
}
