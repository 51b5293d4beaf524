/*
 * ovtable - look into the override table
 *
 * An immutable bucket table holds each entry under its id, and under each key
 * of the two indexes the ids of the enabled entries in order of DN: "the lowest
 * active DN wins" is one list read from the front.
 *
 * Records are decoded with every length checked. A fault is MXHOP_ERR_TABLE,
 * never "no override". Nearly all keys that are asked for are in no index: the
 * kinds of keys that there are, and the filter where it is in memory, say so
 * without reading the file.
 */

#include "overrides/ovtable_int.h"
#include "util/err.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ovtable {
    struct fixed *file;
    const char *path; /* for messages */
    char *own_path;
    struct table_meta meta;
};

const char ovtable_is_first[] =
    "is a table of mxhop 1, which this version does not read";

enum mxhop_status ovtable_refused(struct mxhop_error *err, const char *path,
                                  const char *why)
{
    const char *remedy = "; run `mxhop refresh`";

    if (why == fixed_no_memory)
        return err_nomem(err);
    if (why == fixed_is_link || strstr(why, "chmod") != NULL)
        remedy = "";
    if (why == fixed_is_foreign)
        remedy = "; remove it and run `mxhop refresh`";
    return err_set(err, MXHOP_ERR_TABLE, "%s: %s%s", path, why, remedy);
}

static enum mxhop_status ovtable_damaged(const struct ovtable *t,
                                         struct mxhop_error *err)
{
    return ovtable_refused(err, t->path, "is damaged");
}

static enum mxhop_status ovtable_decoded(const struct ovtable *t,
                                         enum codec_status status,
                                         struct mxhop_error *err)
{
    if (status == CODEC_MEMORY)
        return err_nomem(err);
    return status == CODEC_OK ? MXHOP_OK : ovtable_damaged(t, err);
}

enum mxhop_status ovtable_open_at(struct ovtable **t_r, int dir_fd,
                                  const char *name, const char *path,
                                  bool often, struct mxhop_error *err)
{
    struct ovtable *t = calloc(1, sizeof(*t));
    enum mxhop_status status;
    struct fixed_bytes blob;
    const char *why;

    *t_r = NULL;
    if (t == NULL)
        return err_nomem(err);
    t->path = path;
    why = fixed_open(&t->file, dir_fd, name, often);
    if (why == NULL) {
        blob = fixed_blob(t->file);
        status =
            ovtable_decoded(t, table_meta_decode(blob.at, blob.len, &t->meta),
                            err);
    } else {
        if (why == fixed_is_foreign && ovtable_is_lmdb(dir_fd, name))
            why = ovtable_is_first;
        status = ovtable_refused(err, path, why);
    }
    if (status != MXHOP_OK)
        ovtable_close(&t);
    *t_r = t;
    return status;
}

enum mxhop_status ovtable_open(struct ovtable **t_r, const char *path,
                               struct mxhop_error *err)
{
    char *own = strdup(path);
    enum mxhop_status status;

    *t_r = NULL;
    if (own == NULL)
        return err_nomem(err);
    status = ovtable_open_at(t_r, AT_FDCWD, own, own, false, err);
    if (status == MXHOP_OK)
        (*t_r)->own_path = own;
    else
        free(own);
    return status;
}

void ovtable_close(struct ovtable **t)
{
    if (*t == NULL)
        return;
    fixed_close(&(*t)->file);
    free((*t)->own_path);
    free(*t);
    *t = NULL;
}

const struct stat *ovtable_stat(const struct ovtable *t)
{
    return fixed_stat(t->file);
}

struct fixed *ovtable_file(struct ovtable *t)
{
    return t->file;
}

const struct table_meta *ovtable_meta(const struct ovtable *t)
{
    return &t->meta;
}

void ovtable_info(const struct ovtable *t, struct ovtable_info *info_r)
{
    *info_r = (struct ovtable_info){.general = t->meta.general,
                                    .entries = t->meta.entries,
                                    .has_exchanges = t->meta.has_exchanges,
                                    .changed_s = t->meta.changed_s,
                                    .source = t->meta.source};
    memcpy(info_r->id, fixed_id(t->file), OVTABLE_ID_LEN);
}

const char *ovtable_id_text(const unsigned char id[OVTABLE_ID_LEN],
                            char text_r[OVTABLE_ID_TEXT])
{
    snprintf(text_r, OVTABLE_ID_TEXT, "%02x%02x%02x%02x", id[0], id[1], id[2],
             id[3]);
    return text_r;
}

/* ---- what stands under a key ---- */

static bool ovtable_may_have(const struct ovtable *t, enum ovtable_index by,
                             const char *key, size_t len)
{
    return len > 0 && len <= OVTABLE_KEY_MAX &&
           table_kinds_have(&t->meta.kinds, by, (struct chars){key, len}) &&
           fixed_may_have(t->file, (fixed_kind)by, key, len);
}

bool ovtable_is_list(size_t len)
{
    return len > 0 && len % OVTABLE_ID_LEN == 0 &&
           len / OVTABLE_ID_LEN <= OVTABLE_LIST_MAX;
}

/* The ids of the entries under a key, until the table is read again; none:
   ids_r->len is 0. */
static enum mxhop_status ovtable_ids(struct ovtable *t, enum ovtable_index by,
                                     const char *key, struct fixed_bytes *ids_r,
                                     struct mxhop_error *err)
{
    size_t len = strlen(key);
    enum fixed_found found = FIXED_ABSENT;

    *ids_r = (struct fixed_bytes){0};
    if (ovtable_may_have(t, by, key, len))
        found = fixed_get(t->file, (fixed_kind)by, key, len, ids_r);
    if (found == FIXED_MEMORY)
        return err_nomem(err);
    if (found == FIXED_DAMAGED ||
        (found == FIXED_FOUND && !ovtable_is_list(ids_r->len)))
        return ovtable_damaged(t, err);
    return MXHOP_OK;
}

bool ovtable_has(struct ovtable *t, enum ovtable_index by, const char *key)
{
    struct fixed_bytes ids;

    if (fixed_has_filter(t->file))
        return ovtable_may_have(t, by, key, strlen(key));
    return ovtable_ids(t, by, key, &ids, NULL) != MXHOP_OK || ids.len > 0;
}

/* One entry by id; *o_r is empty on error. Of *room octets what it has is taken
   away: many ids may lead to few pages. */
static enum mxhop_status ovtable_entry(struct ovtable *t,
                                       const unsigned char *id, size_t *room,
                                       struct override *o_r,
                                       struct mxhop_error *err)
{
    struct fixed_bytes v;
    enum fixed_found found =
        fixed_get(t->file, OVTABLE_RECORD_ENTRY, id, OVTABLE_ID_LEN, &v);

    *o_r = (struct override){0};
    if (found == FIXED_MEMORY)
        return err_nomem(err);
    if (found != FIXED_FOUND || v.len > *room)
        return ovtable_damaged(t, err);
    *room -= v.len;
    return ovtable_decoded(t, override_decode(v.at, v.len, o_r), err);
}

enum mxhop_status ovtable_under(struct ovtable *t, enum ovtable_index by,
                                const char *key,
                                bool (*fn)(void *ctx, const unsigned char *id,
                                           struct override *o),
                                void *ctx, struct mxhop_error *err)
{
    struct fixed_bytes there;
    enum mxhop_status status = ovtable_ids(t, by, key, &there, err);
    unsigned char few[16 * OVTABLE_ID_LEN], *ids = few;
    size_t room = OVTABLE_ROOM;
    bool go_on = true;

    if (status != MXHOP_OK || there.len == 0)
        return status;
    /* To read an entry is to lose the list. */
    if (there.len > sizeof(few))
        ids = malloc(there.len);
    if (ids == NULL)
        return err_nomem(err);
    memcpy(ids, there.at, there.len);
    for (size_t at = 0; at < there.len && go_on && status == MXHOP_OK;
         at += OVTABLE_ID_LEN) {
        struct override o;

        status = ovtable_entry(t, ids + at, &room, &o, err);
        if (status == MXHOP_OK)
            go_on = fn(ctx, ids + at, &o);
        override_free(&o);
    }
    if (ids != few)
        free(ids);
    return status;
}

struct wanted {
    int64_t now_s, *edge_s;
    bool (*fn)(void *ctx, struct override *o);
    void *ctx;
};

static void ovtable_note_edge(const struct wanted *w, int64_t at_s)
{
    if (at_s > w->now_s && at_s < *w->edge_s)
        *w->edge_s = at_s;
}

static bool ovtable_offer_active(void *ctx, const unsigned char *id,
                                 struct override *o)
{
    struct wanted *w = ctx;

    (void)id;
    if (!o->enabled)
        return true;
    ovtable_note_edge(w, o->not_before_s);
    /* Its last second belongs to it. */
    if (o->not_after_s != 0 && o->not_after_s < INT64_MAX)
        ovtable_note_edge(w, o->not_after_s + 1);
    return !override_active(o, w->now_s) || w->fn(w->ctx, o);
}

enum mxhop_status ovtable_active(struct ovtable *t, enum ovtable_index by,
                                 const char *key, int64_t now_s,
                                 int64_t *edge_s,
                                 bool (*fn)(void *ctx, struct override *o),
                                 void *ctx, struct mxhop_error *err)
{
    struct wanted w = {now_s, edge_s, fn, ctx};

    return ovtable_under(t, by, key, ovtable_offer_active, &w, err);
}

/* ---- all of it ---- */

struct ovtable_walker {
    bool (*fn)(void *ctx, struct override *o);
    void *ctx;
    enum codec_status status;
    uint32_t n;
};

static bool ovtable_walk_record(void *ctx, fixed_kind kind,
                                struct fixed_bytes key, struct fixed_bytes v)
{
    struct ovtable_walker *w = ctx;
    struct override o;
    bool go_on;

    (void)key;
    if (kind != OVTABLE_RECORD_ENTRY)
        return true;
    w->n++;
    w->status = override_decode(v.at, v.len, &o);
    go_on = w->status == CODEC_OK && w->fn(w->ctx, &o);
    override_free(&o);
    return go_on;
}

enum mxhop_status ovtable_walk(struct ovtable *t,
                               bool (*fn)(void *ctx, struct override *o),
                               void *ctx, struct mxhop_error *err)
{
    struct ovtable_walker w = {.fn = fn, .ctx = ctx};
    enum fixed_found found = fixed_walk(t->file, ovtable_walk_record, &w);

    if (found == FIXED_MEMORY)
        return err_nomem(err);
    if (found == FIXED_DAMAGED ||
        (found == FIXED_ABSENT && w.n != t->meta.entries))
        return ovtable_damaged(t, err);
    return ovtable_decoded(t, w.status, err);
}
