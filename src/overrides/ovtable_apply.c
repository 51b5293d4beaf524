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
 * What is not to be in force as the source has it is for ovtable_marks.c.
 *
 * Owns nothing between calls.
 */

#include "overrides/ovtable_apply.h"
#include "util/err.h"
#include "util/hash.h"
#include "util/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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

/* Where the item with this id is noted, or is to be. */
static uint32_t *apply_slot(const struct apply *a, const unsigned char *id)
{
    size_t at = hash_bytes(a->seed, id, OVTABLE_ID_LEN) & a->mask;

    while (a->slot[at] != 0 &&
           memcmp(a->item[a->slot[at] - 1].id, id, OVTABLE_ID_LEN) != 0)
        at = (at + 1) & a->mask;
    return &a->slot[at];
}

struct apply_item *apply_find(const struct apply *a, const unsigned char *id)
{
    uint32_t slot = *apply_slot(a, id);

    return slot != 0 ? &a->item[slot - 1] : NULL;
}

static bool apply_make_room(struct apply *a, size_t n)
{
    uint32_t *slot;

    if (n >= UINT32_MAX)
        return false;
    while (a->mask < 2 * n)
        a->mask = 2 * a->mask + 1;
    slot = calloc(a->mask + 1, sizeof(*slot));
    if (slot == NULL)
        return false;
    free(a->slot);
    a->slot = slot;
    for (size_t i = 0; i < a->n_items; i++)
        *apply_slot(a, a->item[i].id) = (uint32_t)i + 1;
    return true;
}

/* Of several with one id the last counts. NULL: out of memory. */
static struct apply_item *apply_say(struct apply *a, const unsigned char *id,
                                    enum apply_says says,
                                    const struct ovtable_upsert *u)
{
    struct apply_item *item = apply_find(a, id);

    if (item == NULL) {
        if (!vec_room(&a->item, a->n_items, &a->cap_items, sizeof(*a->item)) ||
            (a->mask < 2 * (a->n_items + 1) &&
             !apply_make_room(a, a->n_items + 1)))
            return NULL;
        item = &a->item[a->n_items++];
        *apply_slot(a, id) = (uint32_t)a->n_items;
    }
    *item = (struct apply_item){.id = id, .says = says, .u = u};
    return item;
}

/* Records were written one behind another into b: now that it does not move any
   more, say where they are. */
static enum mxhop_status apply_place(struct apply *a, const struct buf *b,
                                     bool valid)
{
    const unsigned char *at = (const unsigned char *)b->data;

    if (b->failed)
        return err_nomem(a->err);
    for (size_t i = 0; i < a->n_items; i++) {
        struct fixed_bytes *record = &a->item[i].record;

        if ((a->item[i].says == SAYS_VALID) != valid || record->len == 0)
            continue;
        if (record->len > FIXED_VALUE_MAX)
            return err_set(a->err, MXHOP_ERR_ARGUMENT,
                           "%s: has %zu octets, at most %lu are possible",
                           valid ? a->item[i].u->o->dn : a->w->path,
                           record->len, (unsigned long)FIXED_VALUE_MAX);
        record->at = at;
        at += record->len;
    }
    return MXHOP_OK;
}

static enum mxhop_status apply_hash_delta(struct apply *a)
{
    const struct ovtable_delta *d = a->d;
    bool ok;

    a->mask = 15;
    ok = getrandom(&a->seed, sizeof(a->seed), 0) == (ssize_t)sizeof(a->seed) &&
         apply_make_room(a, d->n_present + d->n_remove + d->n_upsert);
    for (size_t i = 0; ok && i < d->n_present; i++)
        ok = apply_say(a, d->present[i], SAYS_PRESENT, NULL) != NULL;
    for (size_t i = 0; ok && i < d->n_remove; i++)
        ok = apply_say(a, d->remove[i], SAYS_GONE, NULL) != NULL;
    for (size_t i = 0; ok && i < d->n_upsert; i++) {
        const struct ovtable_upsert *u = &d->upsert[i];

        ok = apply_say(a, u->id,
                       u->o != NULL     ? SAYS_VALID
                       : u->why != NULL ? SAYS_INVALID
                                        : SAYS_GONE,
                       u) != NULL;
    }
    for (size_t i = 0; ok && i < a->refused->n; i++)
        ok = apply_say(a, a->refused->v[i].id, SAYS_INVALID,
                       &a->refused->v[i]) != NULL;
    if (!ok)
        return err_nomem(a->err);
    for (size_t i = 0; i < a->n_items; i++) {
        size_t before = a->encoded.len;

        if (a->item[i].says == SAYS_VALID)
            override_encode(&a->encoded, a->item[i].u->o);
        a->item[i].record.len = a->encoded.len - before;
    }
    a->n_named = a->n_items;
    return apply_place(a, &a->encoded, true);
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

static bool apply_same(struct fixed_bytes x, struct fixed_bytes y)
{
    return x.len == y.len && (x.len == 0 || memcmp(x.at, y.at, x.len) == 0);
}

/* An entry of the old table: as it was? */
static bool apply_stays(void *ctx, const unsigned char *id)
{
    const struct apply_item *item = apply_find(ctx, id);

    return item == NULL || item->stays;
}

/* A record of the old table that may not be in the new one: note it with its
   item. true: it is in both. */
static bool apply_take_entry(struct apply *a, fixed_kind kind,
                             const unsigned char *id, struct fixed_bytes value)
{
    struct apply_item *item = apply_find(a, id);
    struct override_marks m = {0};
    struct override_parts parts;
    struct fixed_bytes rest;

    if (kind == OVTABLE_RECORD_ENTRY) {
        a->entries++;
        if (!override_marks(value, &m, &rest)) {
            a->codec = CODEC_BAD;
            return false;
        }
    }
    if (item == NULL && (a->d->complete || m.held_s != 0)) {
        item = apply_say(a, id, SAYS_GONE, NULL);
        if (item == NULL)
            a->codec = CODEC_MEMORY;
    }
    if (item == NULL)
        return true;
    if (kind == OVTABLE_RECORD_LEFT_OUT) {
        item->was_out = value;
        return item->says == SAYS_PRESENT;
    }
    item->was = value;
    item->stays = (item->says == SAYS_PRESENT && m.held_s == 0) ||
                  (item->says == SAYS_VALID && apply_same(item->record, value));
    if (!item->stays && !override_parts(value.at, value.len, &parts))
        a->codec = CODEC_BAD;
    return item->stays;
}

static bool apply_take_old(void *ctx, fixed_kind kind, struct fixed_bytes key,
                           struct fixed_bytes value)
{
    struct apply *a = ctx;

    if (kind == OVTABLE_RECORD_WHERE)
        return true;
    if (kind == OVTABLE_RECORD_ENTRY || kind == OVTABLE_RECORD_LEFT_OUT) {
        if (key.len != OVTABLE_ID_LEN)
            return false;
        if (!apply_take_entry(a, kind, key.at, value))
            return a->codec == CODEC_OK;
    } else if (kind > OVTABLE_RECORD_EXCHANGE || !ovtable_is_list(value.len) ||
               key.len == 0 || key.len > OVTABLE_KEY_MAX) {
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
static enum mxhop_status apply_forget_old(struct apply *a)
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
    a->n_items = a->n_named;
    if (!apply_make_room(a, a->n_items))
        return err_nomem(a->err);
    for (size_t i = 0; i < a->n_items; i++) {
        a->item[i].was = a->item[i].was_out = (struct fixed_bytes){0};
        a->item[i].stays = false;
    }
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
    return apply_forget_old(a);
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

/* What of the old set is not to stay, and what the delta brings. */
static enum mxhop_status apply_merge(struct apply *a)
{
    struct ovtable_change *c = &a->change;
    uint32_t gone = 0;
    enum mxhop_status status;
    bool hold;

    for (size_t i = 0; i < a->n_items; i++) {
        c->added += a->item[i].says == SAYS_VALID && a->item[i].was.len == 0;
        gone += a->item[i].says == SAYS_GONE && a->item[i].was.len > 0;
    }
    c->before = a->old.entries;
    c->after = a->entries + c->added - gone;
    hold = apply_holds(a, c->after);
    if (hold && (gone == 0 || a->w->strict)) {
        c->removed = gone;
        return err_set(a->err, MXHOP_ERR_HELD, "%s: %s", a->w->path,
                       c->held_text);
    }
    for (size_t i = 0; i < a->n_items; i++)
        if (a->item[i].says != SAYS_VALID && !a->item[i].stays)
            apply_mark(a, &a->item[i], hold);
    status = apply_place(a, &a->marked, false);
    if (status != MXHOP_OK)
        return status;
    c->removed = hold ? 0 : gone;
    c->after += hold ? gone : 0;
    for (size_t i = 0; i < a->n_items && a->codec == CODEC_OK; i++) {
        const struct apply_item *item = &a->item[i];
        bool there = item->was.len > 0,
             same = apply_same(item->record, item->was);
        fixed_kind kind =
            item->left_out ? OVTABLE_RECORD_LEFT_OUT : OVTABLE_RECORD_ENTRY;

        if (item->says != SAYS_PRESENT)
            a->remarked = a->remarked ||
                          !apply_same(item->left_out ? item->record
                                                     : (struct fixed_bytes){0},
                                      item->was_out);
        if (item->stays)
            continue;
        c->modified += item->says == SAYS_VALID && there && !same;
        a->remarked = a->remarked || (there && !same);
        if (there)
            a->codec = ovtable_lists_note(&a->lists, item->was, NULL);
        if (item->record.len == 0 || a->codec != CODEC_OK)
            continue;
        if (!item->left_out)
            a->codec = ovtable_lists_note(&a->lists, item->record, item->id);
        if (!ovtable_keep(&a->r, kind, item->id, OVTABLE_ID_LEN, item->record))
            a->codec = CODEC_MEMORY;
    }
    if (a->codec == CODEC_BAD)
        return ovtable_refused(a->err, a->w->path, "is damaged");
    if (a->codec != CODEC_OK)
        return err_nomem(a->err);
    c->changed = !a->there || a->remarked || c->added + c->removed > 0;
    return MXHOP_OK;
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

/* Without room for all under some key: an error, and refused->again. */
static enum mxhop_status apply_lists(struct apply *a)
{
    a->codec = ovtable_lists_renew(&a->lists, &a->r, &a->now.kinds);
    if (a->codec == CODEC_BAD)
        return ovtable_refused(a->err, a->w->path, "is damaged");
    if (a->codec != CODEC_OK)
        return err_nomem(a->err);
    if (a->lists.crowded.value.len == 0)
        return MXHOP_OK;
    if (!apply_refuse(a))
        return err_nomem(a->err);
    return err_set(a->err, MXHOP_ERR_ARGUMENT,
                   "%s: %zu entries under the key %.*s; at most %d with %lu "
                   "MiB in all are possible",
                   a->w->path, a->lists.crowded.value.len / OVTABLE_ID_LEN,
                   (int)a->lists.crowded.key.len,
                   (const char *)a->lists.crowded.key.at, OVTABLE_LIST_MAX,
                   (unsigned long)(OVTABLE_ROOM >> 20));
}

static enum mxhop_status apply_build(struct apply *a,
                                     const struct table_where *where)
{
    struct buf meta = {0}, at = {0};
    int rc = ENOMEM;

    apply_describe(a);
    if (table_meta_encode(&meta, &a->now) && table_where_encode(&at, where) &&
        ovtable_keep(&a->r, OVTABLE_RECORD_WHERE, OVTABLE_WHERE_KEY,
                     strlen(OVTABLE_WHERE_KEY),
                     (struct fixed_bytes){(unsigned char *)at.data, at.len}))
        rc = fixed_build(
            a->w->trial != NULL ? *a->w->trial : a->place.dir_fd, a->place.name,
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
    /* What is held back may be there again, or seen again, and where no room
       was there may be some, without a change that the source would tell of:
       the next refresh reads all. */
    const struct table_where where = {
        a->d->fingerprint,
        a->w->now_s,
        {a->d->cookie, a->change.unsettled ? 0 : a->d->cookie_len}};
    /* What was the peak is no measure any more. */
    bool forgets = a->w->force && apply_peak(a) > a->old.entries;
    int rc;

    if (a->change.changed || (forgets && a->w->trial == NULL))
        return apply_build(a, &where);
    memcpy(a->change.id, a->old_id, OVTABLE_ID_LEN);
    if (a->w->trial != NULL)
        return MXHOP_OK;
    rc = ovtable_note_where(&a->place, a->old_id, &where);
    if (rc == ENOMEM)
        return err_nomem(a->err);
    return rc == 0 ? MXHOP_OK
                   : err_set(a->err, MXHOP_ERR_IO, "%s.cookie: %s", a->w->path,
                             strerror(rc));
}

static enum mxhop_status apply_once(const struct ovtable_write *w,
                                    const struct ovtable_delta *d,
                                    struct apply_refused *refused,
                                    struct ovtable_change *change_r,
                                    struct mxhop_error *err)
{
    struct apply a = {.w = w,
                      .d = d,
                      .refused = refused,
                      .err = err,
                      .place = {.dir_fd = -1, .lock_fd = -1}};
    enum mxhop_status status;

    a.lists.stays = apply_stays;
    a.lists.ctx = &a;
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
        status = apply_lists(&a);
    if (status == MXHOP_OK)
        status = apply_note(&a);
    a.change.unsettled = a.change.held > 0 || refused->n > 0;
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
    buf_free(&a.marked);
    free(a.r.v);
    free(a.item);
    free(a.slot);
    return status;
}

enum mxhop_status ovtable_apply(const struct ovtable_write *w,
                                const struct ovtable_delta *d,
                                struct ovtable_change *change_r,
                                struct mxhop_error *err)
{
    struct apply_refused refused = {0};
    enum mxhop_status status = MXHOP_OK;

    do {
        refused.again = false;
        status = apply_once(w, d, &refused, change_r, err);
    } while (status == MXHOP_ERR_ARGUMENT && refused.again);
    for (size_t i = 0; i < refused.n; i++)
        free((char *)refused.v[i].why);
    free(refused.v);
    return status;
}
