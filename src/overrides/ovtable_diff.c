/*
 * ovtable_diff - the entries of a table, against what a source has to say
 *
 * Entries whose record would be the same are left alone, so that a change
 * writes the pages of what changed and no others. What an entry was and what
 * it becomes is noted as postings: the id leaves the lists of its old keys and
 * enters those of its new ones.
 */

#include "overrides/ovtable_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- postings ---- */

static bool add_posting(struct ovtable_postings *p,
                        const struct ovtable_posting *posting)
{
    if (p->n == p->cap) {
        size_t cap = p->cap != 0 ? p->cap * 2 : 64;
        struct ovtable_posting *v = realloc(p->v, cap * sizeof(*v));

        if (v == NULL)
            return false;
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n++] = *posting;
    return true;
}

static bool add_keys(struct ovtable_postings *p, const unsigned char *id,
                     const struct strlist *keys, const char *dn)
{
    struct ovtable_posting posting = {.dn = dn};

    memcpy(posting.id, id, OVTABLE_ID_LEN);
    for (size_t i = 0; i < keys->n; i++) {
        posting.key = keys->v[i];
        if (!add_posting(p, &posting))
            return false;
    }
    return true;
}

/* Only what is enabled stands in an index. */
static bool post(struct ovtable_job *j, const unsigned char *id,
                 const struct override *o, bool enters)
{
    const char *dn = enters ? o->dn : NULL;

    return !o->enabled ||
           (add_keys(&j->postings[OVTABLE_BY_KEY], id, &o->keys, dn) &&
            add_keys(&j->postings[OVTABLE_BY_EXCHANGE], id, &o->exchanges, dn));
}

static bool same_list(const struct strlist *a, const struct strlist *b)
{
    bool same = a->n == b->n;

    for (size_t i = 0; i < a->n && same; i++)
        same = strcmp(a->v[i], b->v[i]) == 0;
    return same;
}

/* Both stand in the same lists at the same place. */
static bool same_postings(const struct override *a, const struct override *b)
{
    return a->enabled == b->enabled && strcmp(a->dn, b->dn) == 0 &&
           same_list(&a->keys, &b->keys) &&
           same_list(&a->exchanges, &b->exchanges);
}

/* ---- entries ---- */

/* Keep what the record on disk says: postings point into it. */
static int remember(struct ovtable_job *j, const MDB_val *v,
                    const struct override **was_r)
{
    enum codec_status status;

    if (j->n_was == j->cap_was) {
        size_t cap = j->cap_was != 0 ? j->cap_was * 2 : 64;
        struct override *was = realloc(j->was, cap * sizeof(*was));

        if (was == NULL)
            return ENOMEM;
        j->was = was;
        j->cap_was = cap;
    }
    status = override_decode(v->mv_data, v->mv_size, &j->was[j->n_was]);
    if (status != CODEC_OK)
        return status == CODEC_MEMORY ? ENOMEM : MDB_CORRUPTED;
    *was_r = &j->was[j->n_was++];
    return 0;
}

static int add_entry(struct ovtable_job *j, const struct ovtable_item *item,
                     const struct buf *record, unsigned flags)
{
    j->change.added++;
    if (!post(j, item->id, item->o, true))
        return ENOMEM;
    return ovtable_job_put(j, OVTABLE_DB_ENTRY, item->id, OVTABLE_ID_LEN,
                           record, flags);
}

static int drop_entry(struct ovtable_job *j, const unsigned char *id,
                      const struct override *was)
{
    MDB_val k = {OVTABLE_ID_LEN, (void *)id};

    j->change.removed++;
    if (!post(j, id, was, false))
        return ENOMEM;
    return mdb_del(j->txn, j->dbi[OVTABLE_DB_ENTRY], &k, NULL);
}

static int change_entry(struct ovtable_job *j, const struct ovtable_item *item,
                        const struct override *was, const struct buf *record)
{
    j->change.modified++;
    if (!same_postings(was, item->o) &&
        (!post(j, item->id, was, false) || !post(j, item->id, item->o, true)))
        return ENOMEM;
    return ovtable_job_put(j, OVTABLE_DB_ENTRY, item->id, OVTABLE_ID_LEN,
                           record, 0);
}

static int settle_absent(struct ovtable_job *j, const unsigned char *id,
                         const MDB_val *old)
{
    const struct override *was;
    int rc = remember(j, old, &was);

    return rc == 0 ? drop_entry(j, id, was) : rc;
}

static int settle_present(struct ovtable_job *j,
                          const struct ovtable_item *item, const MDB_val *old,
                          const struct buf *record)
{
    const struct override *was;
    int rc;

    if (old->mv_size == record->len &&
        memcmp(old->mv_data, record->data, record->len) == 0)
        return 0;
    rc = remember(j, old, &was);
    return rc == 0 ? change_entry(j, item, was, record) : rc;
}

/* record is scratch. */
static int settle_item(struct ovtable_job *j, const struct ovtable_item *item,
                       struct buf *record)
{
    MDB_val old;
    int rc =
        ovtable_job_get(j, OVTABLE_DB_ENTRY, item->id, OVTABLE_ID_LEN, &old);

    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    if (item->o == NULL)
        return rc == 0 ? settle_absent(j, item->id, &old) : 0;
    buf_reset(record);
    if (!override_encode(record, item->o))
        return ENOMEM;
    return rc == 0 ? settle_present(j, item, &old, record)
                   : add_entry(j, item, record, 0);
}

/* Into an empty database, at its end each time. */
static int fill(struct ovtable_job *j)
{
    struct buf record = {0};
    int rc = 0;

    for (size_t i = 0; i < j->n_items && rc == 0; i++) {
        if (j->item[i].o == NULL)
            continue;
        buf_reset(&record);
        override_encode(&record, j->item[i].o);
        rc = add_entry(j, &j->item[i], &record, MDB_APPEND);
    }
    buf_free(&record);
    return rc;
}

static int settle_items(struct ovtable_job *j)
{
    struct buf record = {0};
    int rc = 0;

    for (size_t i = 0; i < j->n_items && rc == 0; i++)
        rc = settle_item(j, &j->item[i], &record);
    buf_free(&record);
    return rc;
}

/* ---- what a complete delta does not mention ---- */

static bool is_mentioned(const struct ovtable_job *j, const unsigned char *id,
                         size_t *item, size_t *present)
{
    while (*item < j->n_items &&
           memcmp(j->item[*item].id, id, OVTABLE_ID_LEN) < 0)
        (*item)++;
    while (*present < j->d->n_present &&
           memcmp(j->present[*present], id, OVTABLE_ID_LEN) < 0)
        (*present)++;
    return (*item < j->n_items &&
            memcmp(j->item[*item].id, id, OVTABLE_ID_LEN) == 0) ||
           (*present < j->d->n_present &&
            memcmp(j->present[*present], id, OVTABLE_ID_LEN) == 0);
}

/* Items, present and entries are all in order of ids: one pass. */
static int drop_others(struct ovtable_job *j, MDB_cursor *cursor)
{
    size_t item = 0, present = 0;
    MDB_val k, v;
    int rc;

    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        const struct override *was;

        if (k.mv_size != OVTABLE_ID_LEN)
            return MDB_CORRUPTED;
        if (is_mentioned(j, k.mv_data, &item, &present))
            continue;
        rc = remember(j, &v, &was);
        if (rc != 0)
            return rc;
        j->change.removed++;
        if (!post(j, k.mv_data, was, false))
            return ENOMEM;
        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0)
            return rc;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int settle_others(struct ovtable_job *j)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(j->txn, j->dbi[OVTABLE_DB_ENTRY], &cursor);

    if (rc != 0)
        return rc;
    rc = drop_others(j, cursor);
    mdb_cursor_close(cursor);
    return rc;
}

int ovtable_diff(struct ovtable_job *j)
{
    int rc = 0;

    if (ovtable_job_count(j, OVTABLE_DB_ENTRY) == 0)
        return fill(j);
    if (j->d->complete)
        rc = settle_others(j);
    return rc == 0 ? settle_items(j) : rc;
}
