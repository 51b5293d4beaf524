/*
 * ovtable_apply - commit what a source has to say
 *
 * The old table is read whole, with every check; what the source says is merged
 * with it in memory, and a new table is built and renamed over the old one, the
 * place up to which the source was read included. Readers see the old set whole
 * or the new one whole, and a cookie never belongs to another set.
 *
 * The old entries and the delta are both in order of ids: one pass over them
 * tells what was added, modified and removed. Where nothing was, the table
 * stays as it is, and only where the source stands is noted beside it.
 *
 * Owns nothing between calls.
 */

#include "overrides/ovtable_int.h"
#include "util/err.h"
#include "util/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define PEAK_S 86400

struct apply_item { /* an entry that the delta names */
    const unsigned char *id;
    const struct override *o; /* NULL: it goes */
    size_t rank;              /* of several with one id the last counts */
};

struct apply_entry { /* of the set */
    unsigned char id[OVTABLE_ID_LEN];
    struct fixed_bytes record;
};

struct apply_entries {
    struct apply_entry *v;
    size_t n, cap;
};

struct apply_chunk { /* of memory that records are copied to */
    struct apply_chunk *next;
    size_t used, size;
    unsigned char bytes[];
};

struct apply {
    const struct ovtable_write *w;
    const struct ovtable_delta *d;
    struct mxhop_error *err;
    struct ovtable_change change;
    struct ovtable_place place;
    struct apply_item *item; /* sorted by id, each id once */
    size_t n_items;
    unsigned char (*present)[OVTABLE_ID_LEN]; /* sorted */
    struct table_meta old, now;
    unsigned char old_id[OVTABLE_ID_LEN];
    bool there; /* there is an old table, as it should be */
    struct apply_entries was, is;
    struct apply_chunk *chunks;
    bool failed; /* no memory */
};

void ovtable_id_of_dn(const char *dn, unsigned char id_r[OVTABLE_ID_LEN])
{
    size_t len = strlen(dn);

    for (unsigned half = 0; half < 2; half++) {
        uint64_t h = hash_bytes(half, dn, len);

        for (unsigned i = 0; i < 8; i++)
            id_r[half * 8 + i] = (unsigned char)(h >> (56 - 8 * i));
    }
}

/* ---- the delta ---- */

static enum mxhop_status apply_check_keys(const struct override *o,
                                          const struct strlist *keys,
                                          struct mxhop_error *err)
{
    for (size_t i = 0; i < keys->n; i++) {
        size_t len = strlen(keys->v[i]);

        if (len == 0 || len > OVTABLE_KEY_MAX)
            return err_set(err, MXHOP_ERR_ARGUMENT,
                           "%s: key of %zu octets, 1 to %d are possible", o->dn,
                           len, OVTABLE_KEY_MAX);
    }
    return MXHOP_OK;
}

static enum mxhop_status apply_check_delta(const struct apply *a)
{
    const struct ovtable_delta *d = a->d;
    enum mxhop_status status = MXHOP_OK;

    if (d->cookie_len > OVTABLE_COOKIE_MAX)
        return err_set(a->err, MXHOP_ERR_ARGUMENT,
                       "%s: cookie of %zu octets, at most %d are possible",
                       a->w->path, d->cookie_len, OVTABLE_COOKIE_MAX);
    for (size_t i = 0; i < d->n_upsert && status == MXHOP_OK; i++) {
        const struct override *o = d->upsert[i].o;

        if (o == NULL)
            continue;
        if (o->dn == NULL || o->dn[0] == '\0')
            return err_set(a->err, MXHOP_ERR_ARGUMENT,
                           "%s: entry %zu has no DN", a->w->path, i + 1);
        status = apply_check_keys(o, &o->keys, a->err);
        if (status == MXHOP_OK)
            status = apply_check_keys(o, &o->exchanges, a->err);
    }
    return status;
}

static int apply_by_id_and_rank(const void *a, const void *b)
{
    const struct apply_item *x = a, *y = b;
    int d = memcmp(x->id, y->id, OVTABLE_ID_LEN);

    return d != 0 ? d : (x->rank > y->rank) - (x->rank < y->rank);
}

static int apply_by_id(const void *a, const void *b) /* which comes first */
{
    return memcmp(a, b, OVTABLE_ID_LEN);
}

/* Sorted, of one id the last. Removals rank before all upserts. */
static enum mxhop_status apply_sort_delta(struct apply *a)
{
    const struct ovtable_delta *d = a->d;
    size_t n = d->n_remove + d->n_upsert;
    struct apply_item *v = calloc(n + 1, sizeof(*v));

    a->item = v;
    a->present = calloc(d->n_present + 1, OVTABLE_ID_LEN);
    if (v == NULL || a->present == NULL)
        return err_nomem(a->err);
    for (size_t i = 0; i < d->n_remove; i++)
        v[i] = (struct apply_item){d->remove[i], NULL, i};
    for (size_t i = 0; i < d->n_upsert; i++)
        v[d->n_remove + i] =
            (struct apply_item){d->upsert[i].id, d->upsert[i].o,
                                d->n_remove + i};
    qsort(v, n, sizeof(*v), apply_by_id_and_rank);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || memcmp(v[i].id, v[i + 1].id, OVTABLE_ID_LEN) != 0)
            v[a->n_items++] = v[i];
    if (d->n_present > 0)
        memcpy(a->present, d->present, d->n_present * OVTABLE_ID_LEN);
    qsort(a->present, d->n_present, OVTABLE_ID_LEN, apply_by_id);
    return MXHOP_OK;
}

/* What is damaged can be made anew. */
static bool apply_has_all(const struct apply *a)
{
    return a->d->complete && a->d->n_present == 0;
}

/* ---- the old set ---- */

static bool apply_keep(struct apply *a, const void *bytes, size_t len,
                       struct fixed_bytes *copy_r)
{
    struct apply_chunk *c = a->chunks;

    if (c == NULL || c->size - c->used < len) {
        size_t size = len > (1 << 20) ? len : 1 << 20;

        c = malloc(sizeof(*c) + size);
        if (c == NULL) {
            a->failed = true;
            return false;
        }
        *c = (struct apply_chunk){.next = a->chunks, .size = size};
        a->chunks = c;
    }
    memcpy(c->bytes + c->used, bytes, len);
    *copy_r = (struct fixed_bytes){c->bytes + c->used, len};
    c->used += len;
    return true;
}

static bool apply_reserve(struct apply *a, struct apply_entries *to, size_t n)
{
    to->v = malloc((n + 1) * sizeof(*to->v));
    to->cap = n;
    a->failed = a->failed || to->v == NULL;
    return !a->failed;
}

static bool apply_add(struct apply_entries *to, const unsigned char *id,
                      struct fixed_bytes record)
{
    if (to->n == to->cap)
        return false; /* more than the header says */
    memcpy(to->v[to->n].id, id, OVTABLE_ID_LEN);
    to->v[to->n++].record = record;
    return true;
}

static bool apply_take_old(void *ctx, fixed_kind kind, struct fixed_bytes key,
                           struct fixed_bytes value)
{
    struct apply *a = ctx;
    struct override_parts parts;
    struct fixed_bytes copy;

    if (kind != OVTABLE_RECORD_ENTRY)
        return true;
    return key.len == OVTABLE_ID_LEN &&
           override_parts(value.at, value.len, &parts) &&
           apply_keep(a, value.at, value.len, &copy) &&
           apply_add(&a->was, key.at, copy);
}

static enum mxhop_status apply_load(struct apply *a, struct ovtable *t)
{
    enum fixed_found found;

    a->old = *ovtable_meta(t);
    memcpy(a->old_id, fixed_id(ovtable_file(t)), OVTABLE_ID_LEN);
    a->there = (ovtable_stat(t)->st_mode & 07777) == 0644;
    if (!apply_reserve(a, &a->was, a->old.entries))
        return err_nomem(a->err);
    found = fixed_walk(ovtable_file(t), apply_take_old, a);
    if (a->failed || found == FIXED_MEMORY)
        return err_nomem(a->err);
    if (found != FIXED_ABSENT || a->was.n != a->old.entries)
        return ovtable_refused(a->err, a->w->path, "is damaged");
    qsort(a->was.v, a->was.n, sizeof(*a->was.v), apply_by_id);
    return MXHOP_OK;
}

/* A file under the name may be replaced where it is ours, or empty, whatever
   state it is in; what is somebody else's stays. */
static bool apply_is_foreign(const struct apply *a)
{
    struct fixed *file;
    const char *why = fixed_open(&file, a->place.dir_fd, a->place.name, false);

    fixed_close(&file);
    return why == fixed_is_foreign &&
           !ovtable_is_lmdb(a->place.dir_fd, a->place.name);
}

static enum mxhop_status apply_read_old(struct apply *a)
{
    const char *path = a->w->path;
    struct ovtable *t = NULL;
    enum mxhop_status status;
    struct stat st;

    if (fstatat(a->place.dir_fd, a->place.name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? MXHOP_OK
                               : err_set(a->err, MXHOP_ERR_IO, "%s: %s", path,
                                         strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(a->err, MXHOP_ERR_IO, "%s: %s", path,
                       S_ISLNK(st.st_mode) ? fixed_is_link
                                           : "is not a regular file");
    /* With the filter: to see that it is whole. */
    status =
        ovtable_open_at(&t, a->place.dir_fd, a->place.name, path, true, a->err);
    if (status == MXHOP_OK)
        status = apply_load(a, t);
    else if (apply_is_foreign(a))
        status = err_set(a->err, MXHOP_ERR_IO,
                         "%s: is not an override table; expected a file of its "
                         "own in override_table. If nobody needs this one, "
                         "remove it and run `mxhop refresh` again",
                         path);
    ovtable_close(&t);
    if (status != MXHOP_ERR_TABLE || !apply_has_all(a))
        return status;
    a->old = (struct table_meta){0};
    a->was.n = 0;
    a->there = false;
    return MXHOP_OK;
}

/* Between reading the source and this refresh another may have ended. */
static enum mxhop_status apply_check_since(struct apply *a)
{
    const struct ovtable_where *since = a->d->since;
    struct ovtable_where where;
    enum mxhop_status status;

    if (since == NULL || apply_has_all(a))
        return MXHOP_OK;
    status = ovtable_where(a->w->path, &where, a->err);
    if (status != MXHOP_OK ||
        (where.fingerprint == since->fingerprint &&
         where.cookie_len == since->cookie_len &&
         memcmp(where.cookie, since->cookie, since->cookie_len) == 0))
        return status;
    a->change.superseded = true;
    return err_set(a->err, MXHOP_ERR_TABLE,
                   "%s: another refresh was faster, and what has changed since "
                   "an older set is not applied to its; run `mxhop refresh`",
                   a->w->path);
}

/* ---- the new set ---- */

static bool apply_is_mentioned(const unsigned char (*v)[OVTABLE_ID_LEN],
                               size_t n, size_t *at, const unsigned char *id)
{
    while (*at < n && memcmp(v[*at], id, OVTABLE_ID_LEN) < 0)
        (*at)++;
    return *at < n && memcmp(v[*at], id, OVTABLE_ID_LEN) == 0;
}

/* One entry that the delta names; old: as it is, or NULL. */
static bool apply_item(struct apply *a, const struct apply_item *item,
                       const struct apply_entry *old, struct buf *record)
{
    struct fixed_bytes copy;

    if (item->o == NULL) {
        a->change.removed += old != NULL;
        return true;
    }
    buf_reset(record);
    if (!override_encode(record, item->o)) {
        a->failed = true;
        return false;
    }
    if (old != NULL && old->record.len == record->len &&
        memcmp(old->record.at, record->data, record->len) == 0)
        return apply_add(&a->is, old->id, old->record);
    if (old != NULL)
        a->change.modified++;
    else
        a->change.added++;
    return apply_keep(a, record->data, record->len, &copy) &&
           apply_add(&a->is, item->id, copy);
}

static enum mxhop_status apply_merge(struct apply *a)
{
    const struct ovtable_delta *d = a->d;
    size_t old = 0, item = 0, present = 0;
    struct buf record = {0};

    if (!apply_reserve(a, &a->is, a->was.n + a->n_items))
        return err_nomem(a->err);
    while ((old < a->was.n || item < a->n_items) && !a->failed) {
        const struct apply_entry *e = old < a->was.n ? &a->was.v[old] : NULL;
        const struct apply_item *i = item < a->n_items ? &a->item[item] : NULL;
        int order = e == NULL   ? 1
                    : i == NULL ? -1
                                : memcmp(e->id, i->id, OVTABLE_ID_LEN);

        old += order <= 0;
        item += order >= 0;
        if (order >= 0)
            (void)apply_item(a, i, order == 0 ? e : NULL, &record);
        else if (!d->complete ||
                 apply_is_mentioned((const void *)a->present, d->n_present,
                                    &present, e->id))
            (void)apply_add(&a->is, e->id, e->record);
        else
            a->change.removed++;
    }
    buf_free(&record);
    a->change.before = a->old.entries;
    a->change.after = (uint32_t)a->is.n;
    a->change.changed =
        !a->there || a->change.added + a->change.modified + a->change.removed;
    return a->failed ? err_nomem(a->err) : MXHOP_OK;
}

/* The largest set of the last day, as far as that is known: a set that is
   emptied in steps, each of them small, is emptied all the same. */
static uint32_t apply_peak(const struct apply *a)
{
    bool fresh = a->w->now_s - a->old.peak_s < PEAK_S;

    return fresh && a->old.peak > a->old.entries ? a->old.peak : a->old.entries;
}

static enum mxhop_status apply_may_follow(const struct apply *a)
{
    uint64_t peak = apply_peak(a), after = a->change.after;
    uint32_t limit = a->w->shrink_percent;

    if (a->w->force || limit >= 100 || after >= a->old.entries ||
        after * 100 >= peak * (100 - limit))
        return MXHOP_OK;
    return err_set(a->err, MXHOP_ERR_HELD,
                   "%s: held back: %lu of %lu entries%s would be dropped, more "
                   "than override_shrink_limit (%lu %%) allows; if that is "
                   "meant, run `mxhop refresh --force`",
                   a->w->path, (unsigned long)(peak - after),
                   (unsigned long)peak,
                   peak > a->old.entries ? " of the last day" : "",
                   (unsigned long)limit);
}

/* ---- the indexes ---- */

struct apply_posting { /* that an entry stands under a key */
    uint64_t hash;     /* of the key; alike keys are made to stand together */
    uint8_t by;
    struct chars key, dn;
    const unsigned char *id;
};

struct apply_postings {
    struct apply_posting *v;
    size_t n, cap;
};

/* As strcmp(3) has them. */
static int apply_compare(struct chars a, struct chars b)
{
    int d = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);

    return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

static int apply_by_key(const struct apply_posting *x,
                        const struct apply_posting *y)
{
    int d = (x->hash > y->hash) - (x->hash < y->hash);

    if (d == 0)
        d = x->by - y->by;
    return d != 0 ? d : apply_compare(x->key, y->key);
}

/* Two entries with one DN, which no source has, must have an order too. */
static int apply_by_key_and_dn(const void *a, const void *b)
{
    const struct apply_posting *x = a, *y = b;
    int d = apply_by_key(x, y);

    if (d == 0)
        d = apply_compare(x->dn, y->dn);
    return d != 0 ? d : memcmp(x->id, y->id, OVTABLE_ID_LEN);
}

static bool apply_post(struct apply *a, struct apply_postings *p,
                       const struct apply_posting *posting)
{
    if (p->n == p->cap) {
        size_t cap = p->cap != 0 ? p->cap * 2 : 256;
        struct apply_posting *v = realloc(p->v, cap * sizeof(*v));

        if (v == NULL) {
            a->failed = true;
            return false;
        }
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n++] = *posting;
    return true;
}

/* What the entries say: postings, which kinds of keys there are, and a hash of
   the entries that may concern any domain. Only what is enabled counts. */
static void apply_index(struct apply *a, struct apply_postings *p)
{
    for (size_t i = 0; i < a->is.n && !a->failed; i++) {
        const struct apply_entry *e = &a->is.v[i];
        bool general = false;
        struct override_parts parts;

        if (!override_parts(e->record.at, e->record.len, &parts) ||
            !parts.enabled)
            continue;
        for (int by = OVTABLE_BY_KEY; by <= OVTABLE_BY_EXCHANGE; by++) {
            struct apply_posting posting = {
                .by = (uint8_t)by, .dn = parts.dn, .id = e->id};

            while (override_next_text(&parts.lists[by], &posting.key)) {
                posting.hash = hash_bytes(0, posting.key.at, posting.key.len);
                if (!apply_post(a, p, &posting))
                    return;
                table_kinds_add(&a->now.kinds, (enum ovtable_index)by,
                                posting.key);
                general = general || by == OVTABLE_BY_EXCHANGE ||
                          (posting.key.len == 1 && posting.key.at[0] == '*');
                if (by == OVTABLE_BY_EXCHANGE)
                    a->now.has_exchanges = true;
            }
        }
        if (general)
            a->now.general =
                hash_bytes(a->now.general, e->record.at, e->record.len) | 1;
    }
    if (p->n > 0)
        qsort(p->v, p->n, sizeof(*p->v), apply_by_key_and_dn);
}

/* The list of each key as a record; ids are copied to `ids`. */
static void apply_list_records(const struct apply_postings *p,
                               unsigned char *ids, struct fixed_record *r,
                               size_t *n)
{
    for (size_t at = 0, end; at < p->n; at = end) {
        const struct apply_posting *first = &p->v[at];
        unsigned char *list = ids;

        for (end = at; end < p->n && apply_by_key(first, &p->v[end]) == 0;
             end++) {
            if (end > at &&
                memcmp(p->v[end].id, p->v[end - 1].id, OVTABLE_ID_LEN) == 0)
                continue; /* an entry may say a key twice */
            memcpy(ids, p->v[end].id, OVTABLE_ID_LEN);
            ids += OVTABLE_ID_LEN;
        }
        r[(*n)++] = (struct fixed_record){
            .kind = first->by,
            .filtered = true,
            .key = {(const unsigned char *)first->key.at, first->key.len},
            .value = {list, (size_t)(ids - list)},
        };
    }
}

static void apply_describe(struct apply *a)
{
    uint32_t peak = apply_peak(a);

    a->now.entries = a->change.after;
    a->now.changed_s = a->w->now_s;
    a->now.peak = peak;
    a->now.peak_s = a->w->now_s;
    if (a->w->force || a->now.entries > peak)
        a->now.peak = a->now.entries;
    else if (peak > a->old.entries)
        a->now.peak_s = a->old.peak_s; /* it was before */
    strncpy(a->now.source, a->w->source != NULL ? a->w->source : "",
            sizeof(a->now.source) - 1);
}

static enum mxhop_status apply_build(struct apply *a,
                                     const struct table_where *where)
{
    struct apply_postings postings = {0};
    struct buf meta = {0}, at = {0};
    struct fixed_record *r = NULL;
    unsigned char *ids = NULL;
    size_t n = 0;
    int rc = ENOMEM;

    apply_describe(a);
    apply_index(a, &postings);
    if (!a->failed) {
        r = malloc((postings.n + a->is.n + 1) * sizeof(*r));
        ids = malloc(postings.n * OVTABLE_ID_LEN + 1);
    }
    if (r == NULL || ids == NULL || !table_meta_encode(&meta, &a->now) ||
        !table_where_encode(&at, where))
        goto out;
    apply_list_records(&postings, ids, r, &n);
    for (size_t i = 0; i < a->is.n; i++)
        r[n++] = (struct fixed_record){.kind = OVTABLE_RECORD_ENTRY,
                                       .key = {a->is.v[i].id, OVTABLE_ID_LEN},
                                       .value = a->is.v[i].record};
    r[n++] = (struct fixed_record){
        .kind = OVTABLE_RECORD_WHERE,
        .key = {(const unsigned char *)OVTABLE_WHERE_KEY,
                strlen(OVTABLE_WHERE_KEY)},
        .value = {(const unsigned char *)at.data, at.len},
    };
    rc = fixed_build(a->place.dir_fd, a->place.name,
                     &(struct fixed_set){
                         .records = r,
                         .n = n,
                         .blob = {(const unsigned char *)meta.data, meta.len}},
                     a->change.id);
out:
    free(postings.v);
    free(r);
    free(ids);
    buf_free(&meta);
    buf_free(&at);
    if (rc == ENOMEM)
        return err_nomem(a->err);
    return rc == 0 ? MXHOP_OK
                   : err_set(a->err, MXHOP_ERR_IO, "%s: %s", a->w->path,
                             strerror(rc));
}

static enum mxhop_status apply_commit(struct apply *a)
{
    const struct table_where where = {
        a->d->fingerprint, a->w->now_s, {a->d->cookie, a->d->cookie_len}};
    /* What was the peak is no measure any more. */
    bool forgets = a->w->force && apply_peak(a) > a->old.entries;
    int rc;

    if (a->change.changed || forgets)
        return apply_build(a, &where);
    memcpy(a->change.id, a->old_id, OVTABLE_ID_LEN);
    rc = ovtable_note_where(&a->place, a->old_id, &where);
    if (rc == ENOMEM)
        return err_nomem(a->err);
    return rc == 0 ? MXHOP_OK
                   : err_set(a->err, MXHOP_ERR_IO, "%s.cookie: %s", a->w->path,
                             strerror(rc));
}

enum mxhop_status ovtable_apply(const struct ovtable_write *w,
                                const struct ovtable_delta *d,
                                struct ovtable_change *change_r,
                                struct mxhop_error *err)
{
    struct apply a = {
        .w = w, .d = d, .err = err, .place = {.dir_fd = -1, .lock_fd = -1}};
    enum mxhop_status status = apply_check_delta(&a);

    if (status == MXHOP_OK)
        status = apply_sort_delta(&a);
    if (status == MXHOP_OK)
        status = ovtable_enter(&a.place, w->path, err);
    if (status == MXHOP_OK)
        status = apply_read_old(&a);
    if (status == MXHOP_OK)
        status = apply_check_since(&a);
    if (status == MXHOP_OK)
        status = apply_merge(&a);
    if (status == MXHOP_OK)
        status = apply_may_follow(&a);
    if (status == MXHOP_OK)
        status = apply_commit(&a);
    ovtable_leave(&a.place);
    *change_r = a.change;
    change_r->changed = a.change.changed && status == MXHOP_OK;
    if (status != MXHOP_OK)
        memcpy(change_r->id, a.old_id, OVTABLE_ID_LEN);
    while (a.chunks != NULL) {
        struct apply_chunk *next = a.chunks->next;

        free(a.chunks);
        a.chunks = next;
    }
    free(a.was.v);
    free(a.is.v);
    free(a.item);
    free(a.present);
    return status;
}

enum mxhop_status ovtable_replace(const struct ovtable_write *w,
                                  const struct override *entries, size_t n,
                                  struct ovtable_change *change_r,
                                  struct mxhop_error *err)
{
    struct ovtable_upsert *v = calloc(n + 1, sizeof(*v));
    const struct ovtable_delta d = {
        .upsert = v, .n_upsert = n, .complete = true};
    enum mxhop_status status;

    memset(change_r, 0, sizeof(*change_r));
    if (v == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        v[n - 1 - i].o = &entries[i]; /* the last one counts */
        if (entries[i].dn != NULL)
            ovtable_id_of_dn(entries[i].dn, v[n - 1 - i].id);
    }
    status = ovtable_apply(w, &d, change_r, err);
    free(v);
    return status;
}
