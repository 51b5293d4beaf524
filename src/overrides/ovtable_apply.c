/*
 * ovtable_apply - commit what a source has to say
 *
 * The old table is read whole, with every check; what the source says is merged
 * with it in memory, and a new table is built and renamed over the old one, the
 * place up to which the source was read included. Readers see the old set whole
 * or the new one whole, and a cookie never belongs to another set.
 *
 * What the delta does not name goes from the old table into the new one as it
 * is, and is not decoded. Where nothing was added, modified or removed, the
 * table stays, and only where the source stands is noted beside it.
 *
 * Owns nothing between calls.
 */

#include "overrides/ovtable_int.h"
#include "util/err.h"
#include "util/hash.h"
#include "util/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PEAK_S 86400

struct apply_item { /* an entry that the delta names */
    const unsigned char *id;
    const struct override *o;  /* as it is to be; NULL: see stays */
    bool stays;                /* as it is, else it goes */
    bool there;                /* in the old table */
    struct fixed_bytes record; /* of o */
};

struct apply {
    const struct ovtable_write *w;
    const struct ovtable_delta *d;
    struct mxhop_error *err;
    struct ovtable_change change;
    struct ovtable_place place;
    struct apply_item *item; /* each id once */
    size_t n_items;
    uint32_t *slot; /* a hash table of them by id: place + 1, or 0 */
    size_t mask;
    uint64_t seed;
    struct buf encoded; /* what the items are to be */
    struct ovtable *t;  /* the old table, as long as its records are in use */
    struct table_meta old, now;
    unsigned char old_id[OVTABLE_ID_LEN];
    bool there;       /* there is an old table, as it should be */
    uint32_t entries; /* that it has for us: none of a damaged one */
    struct ovtable_records r;
    struct ovtable_lists lists;
    enum codec_status codec; /* what went wrong on the walk */
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

static enum mxhop_status apply_too_many(const struct override *o, size_t n,
                                        struct mxhop_error *err)
{
    return err_set(err, MXHOP_ERR_ARGUMENT,
                   "%s: %zu values of one attribute, at most %d are possible",
                   o->dn, n, OVTABLE_VALUES_MAX);
}

static enum mxhop_status apply_check_keys(const struct override *o,
                                          const struct strlist *keys,
                                          struct mxhop_error *err)
{
    if (keys->n > OVTABLE_VALUES_MAX)
        return apply_too_many(o, keys->n, err);
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
        if (status == MXHOP_OK && o->excludes.n > OVTABLE_VALUES_MAX)
            status = apply_too_many(o, o->excludes.n, a->err);
        if (status == MXHOP_OK && o->n_hops > OVTABLE_VALUES_MAX)
            status = apply_too_many(o, o->n_hops, a->err);
    }
    return status;
}

/* Where the item with this id is noted, or is to be. */
static uint32_t *apply_slot(const struct apply *a, const unsigned char *id)
{
    size_t at = hash_bytes(a->seed, id, OVTABLE_ID_LEN) & a->mask;

    while (a->slot[at] != 0 &&
           memcmp(a->item[a->slot[at] - 1].id, id, OVTABLE_ID_LEN) != 0)
        at = (at + 1) & a->mask;
    return &a->slot[at];
}

static struct apply_item *apply_find(const struct apply *a,
                                     const unsigned char *id)
{
    uint32_t slot = *apply_slot(a, id);

    return slot != 0 ? &a->item[slot - 1] : NULL;
}

/* Of several with one id the last counts. */
static void apply_say(struct apply *a, const unsigned char *id,
                      const struct override *o, bool stays)
{
    uint32_t *slot = apply_slot(a, id);

    if (*slot == 0)
        *slot = (uint32_t)++a->n_items;
    a->item[*slot - 1] = (struct apply_item){.id = id, .o = o, .stays = stays};
}

static enum mxhop_status apply_hash_delta(struct apply *a)
{
    const struct ovtable_delta *d = a->d;
    size_t n = d->n_present + d->n_remove + d->n_upsert, at = 0;

    for (a->mask = 15; a->mask < 2 * n;)
        a->mask = 2 * a->mask + 1;
    a->item = malloc((n + 1) * sizeof(*a->item));
    a->slot = calloc(a->mask + 1, sizeof(*a->slot));
    if (a->item == NULL || a->slot == NULL || n >= UINT32_MAX ||
        getrandom(&a->seed, sizeof(a->seed), 0) != (ssize_t)sizeof(a->seed))
        return err_nomem(a->err);
    for (size_t i = 0; i < d->n_present; i++)
        apply_say(a, d->present[i], NULL, true);
    for (size_t i = 0; i < d->n_remove; i++)
        apply_say(a, d->remove[i], NULL, false);
    for (size_t i = 0; i < d->n_upsert; i++)
        apply_say(a, d->upsert[i].id, d->upsert[i].o, false);
    for (size_t i = 0; i < a->n_items; i++) {
        if (a->item[i].o != NULL)
            override_encode(&a->encoded, a->item[i].o);
        a->item[i].record.len = a->encoded.len - at;
        at = a->encoded.len;
        if (a->item[i].record.len > FIXED_VALUE_MAX)
            return err_set(a->err, MXHOP_ERR_ARGUMENT,
                           "%s: has %zu octets, at most %lu are possible",
                           a->item[i].o->dn, a->item[i].record.len,
                           (unsigned long)FIXED_VALUE_MAX);
    }
    if (a->encoded.failed)
        return err_nomem(a->err);
    at = 0;
    for (size_t i = 0; i < a->n_items; i++) {
        a->item[i].record.at = (const unsigned char *)a->encoded.data + at;
        at += a->item[i].record.len;
    }
    return MXHOP_OK;
}

/* What is damaged can be made anew. */
static bool apply_has_all(const struct apply *a)
{
    return a->d->complete && a->d->n_present == 0;
}

/* ---- the old set ---- */

bool ovtable_keep(struct ovtable_records *r, fixed_kind kind, const void *key,
                  size_t key_len, struct fixed_bytes value)
{
    if (!vec_room(&r->v, r->n, &r->cap, sizeof(*r->v)))
        return false;
    r->v[r->n++] =
        (struct fixed_record){.kind = kind,
                              .filtered = kind <= OVTABLE_RECORD_EXCHANGE,
                              .key = {key, key_len},
                              .value = value};
    return true;
}

/* An entry of the old table: as it was? */
static bool apply_stays(void *ctx, const unsigned char *id)
{
    const struct apply *a = ctx;
    const struct apply_item *item = apply_find(a, id);

    return item != NULL ? item->stays : !a->d->complete;
}

static bool apply_take_old(void *ctx, fixed_kind kind, struct fixed_bytes key,
                           struct fixed_bytes value)
{
    struct apply *a = ctx;

    if (kind == OVTABLE_RECORD_ENTRY && key.len == OVTABLE_ID_LEN) {
        struct apply_item *item = apply_find(a, key.at);

        a->entries++;
        if (item != NULL) {
            item->there = true;
            item->stays = item->stays ||
                          (item->o != NULL && item->record.len == value.len &&
                           memcmp(item->record.at, value.at, value.len) == 0);
        }
        if (!apply_stays(a, key.at)) {
            a->change.modified += item != NULL && item->o != NULL;
            a->change.removed += item == NULL || item->o == NULL;
            a->codec = ovtable_lists_note(&a->lists, value, NULL);
            return a->codec == CODEC_OK;
        }
    } else if (kind > OVTABLE_RECORD_EXCHANGE) {
        return kind == OVTABLE_RECORD_WHERE;
    } else if (!ovtable_is_list(value.len) || key.len == 0 ||
               key.len > OVTABLE_KEY_MAX) {
        return false;
    }
    if (!ovtable_keep(&a->r, kind, key.at, key.len, value))
        a->codec = CODEC_MEMORY;
    return a->codec == CODEC_OK;
}

static enum mxhop_status apply_load(struct apply *a)
{
    enum fixed_found found;

    a->old = *ovtable_meta(a->t);
    memcpy(a->old_id, fixed_id(ovtable_file(a->t)), OVTABLE_ID_LEN);
    a->there = (ovtable_stat(a->t)->st_mode & 07777) == 0644;
    a->lists.general = a->old.general;
    a->lists.old = ovtable_file(a->t);
    found = fixed_walk(a->lists.old, apply_take_old, a);
    if (a->codec == CODEC_MEMORY || found == FIXED_MEMORY)
        return err_nomem(a->err);
    if (found != FIXED_ABSENT || a->entries != a->old.entries)
        return ovtable_refused(a->err, a->w->path, "is damaged");
    return MXHOP_OK;
}

/* A table that is damaged, and not needed, is as none; but how many entries it
   had still counts, where its header is whole. */
static void apply_forget_old(struct apply *a)
{
    unsigned char blob[FIXED_BLOB_MAX];
    size_t len = fixed_read_blob(a->place.dir_fd, a->place.name, blob);
    struct table_meta had;

    ovtable_close(&a->t);
    ovtable_lists_free(&a->lists);
    a->lists = (struct ovtable_lists){.stays = apply_stays, .ctx = a};
    a->change = (struct ovtable_change){0};
    a->old = (struct table_meta){0};
    if (len > 0 && table_meta_decode(blob, len, &had) == CODEC_OK)
        a->old = (struct table_meta){
            .entries = had.entries, .peak = had.peak, .peak_s = had.peak_s};
    a->entries = 0;
    a->codec = CODEC_OK;
    a->r.n = 0;
    a->there = false;
    for (size_t i = 0; i < a->n_items; i++)
        a->item[i].there = a->item[i].stays = false;
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
    status = ovtable_open_at(&a->t, a->place.dir_fd, a->place.name, path, true,
                             a->err);
    if (status == MXHOP_OK)
        status = apply_load(a);
    else if (apply_is_foreign(a))
        status = err_set(a->err, MXHOP_ERR_IO,
                         "%s: is not an override table; expected a file of its "
                         "own in override_table. If nobody needs this one, "
                         "remove it and run `mxhop refresh` again",
                         path);
    if (status != MXHOP_ERR_TABLE || !apply_has_all(a))
        return status;
    apply_forget_old(a);
    return MXHOP_OK;
}

/* Between reading the source and this refresh another may have ended. */
static enum mxhop_status apply_check_since(struct apply *a)
{
    const struct ovtable_where *since = a->d->since;
    struct ovtable_where where = {0};
    enum mxhop_status status = MXHOP_OK;

    if (since == NULL || apply_has_all(a))
        return MXHOP_OK;
    if (a->t != NULL)
        status = ovtable_read_where(a->t, a->w->path, &where, a->err);
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

/* What the delta brings. */
static enum mxhop_status apply_merge(struct apply *a)
{
    for (size_t i = 0; i < a->n_items && a->codec == CODEC_OK; i++) {
        const struct apply_item *item = &a->item[i];

        if (item->o == NULL || item->stays)
            continue;
        a->change.added += !item->there;
        a->codec = ovtable_lists_note(&a->lists, item->record, item->id);
        if (!ovtable_keep(&a->r, OVTABLE_RECORD_ENTRY, item->id, OVTABLE_ID_LEN,
                          item->record))
            a->codec = CODEC_MEMORY;
    }
    if (a->codec != CODEC_OK)
        return err_nomem(a->err);
    a->change.before = a->old.entries;
    a->change.after = a->entries + a->change.added - a->change.removed;
    a->change.changed =
        !a->there || a->change.added + a->change.modified + a->change.removed;
    return MXHOP_OK;
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

/* ---- the new table ---- */

static void apply_describe(struct apply *a)
{
    uint32_t peak = apply_peak(a);

    a->now.entries = a->change.after;
    a->now.general = a->lists.general;
    a->now.has_exchanges = a->now.kinds.kinds[OVTABLE_BY_EXCHANGE] != 0;
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
    struct buf meta = {0}, at = {0};
    int rc = ENOMEM;

    a->codec = ovtable_lists_renew(&a->lists, &a->r, &a->now.kinds);
    if (a->codec == CODEC_BAD)
        return ovtable_refused(a->err, a->w->path, "is damaged");
    if (a->lists.crowded.value.len > 0)
        return err_set(a->err, MXHOP_ERR_ARGUMENT,
                       "%s: %zu entries under the key %.*s, at most %d are "
                       "possible",
                       a->w->path, a->lists.crowded.value.len / OVTABLE_ID_LEN,
                       (int)a->lists.crowded.key.len,
                       (const char *)a->lists.crowded.key.at, OVTABLE_LIST_MAX);
    apply_describe(a);
    if (a->codec == CODEC_OK && table_meta_encode(&meta, &a->now) &&
        table_where_encode(&at, where) &&
        ovtable_keep(&a->r, OVTABLE_RECORD_WHERE, OVTABLE_WHERE_KEY,
                     strlen(OVTABLE_WHERE_KEY),
                     (struct fixed_bytes){(unsigned char *)at.data, at.len}))
        rc = fixed_build(
            a->place.dir_fd, a->place.name,
            &(struct fixed_set){.records = a->r.v,
                                .n = a->r.n,
                                .blob = {(unsigned char *)meta.data, meta.len},
                                .seed = a->t != NULL ? fixed_seed(a->lists.old)
                                                     : 0},
            a->change.id);
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

    a.lists.stays = apply_stays;
    a.lists.ctx = &a;
    if (status == MXHOP_OK)
        status = apply_hash_delta(&a);
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
    ovtable_close(&a.t);
    ovtable_lists_free(&a.lists);
    buf_free(&a.encoded);
    free(a.r.v);
    free(a.item);
    free(a.slot);
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
