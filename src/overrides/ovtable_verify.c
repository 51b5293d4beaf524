/*
 * ovtable_verify - whether indexes and filter fit the entries
 *
 * Readers find out that something is damaged and ask for `mxhop refresh`; a
 * set that is equal would then change nothing. So a source that has all of
 * the set has it looked through: each key leads to its entry, and each list to
 * entries that there are. What does not fit is MDB_CORRUPTED.
 */

#include "overrides/ovtable_write.h"

#include <string.h>

static bool contains(const MDB_val *list, const unsigned char *id)
{
    for (size_t at = 0; at + OVTABLE_ID_LEN <= list->mv_size;
         at += OVTABLE_ID_LEN)
        if (memcmp((const unsigned char *)list->mv_data + at, id,
                   OVTABLE_ID_LEN) == 0)
            return true;
    return false;
}

static bool leads_to(struct ovtable_job *j, const struct ovtable_filter *filter,
                     enum ovtable_index by, const struct ovtable_item *item)
{
    const struct strlist *keys =
        by == OVTABLE_BY_KEY ? &item->o->keys : &item->o->exchanges;

    for (size_t i = 0; i < keys->n; i++) {
        size_t len = strlen(keys->v[i]);
        MDB_val list;

        if (!ovtable_filter_has(filter, by, keys->v[i], len) ||
            ovtable_job_get(j, ovtable_index_db(by), keys->v[i], len, &list) !=
                0 ||
            !contains(&list, item->id))
            return false;
    }
    return true;
}

static bool list_fits(struct ovtable_job *j, const MDB_val *list)
{
    MDB_val v;

    if (list->mv_size == 0 || list->mv_size % OVTABLE_ID_LEN != 0)
        return false;
    for (size_t at = 0; at < list->mv_size; at += OVTABLE_ID_LEN)
        if (ovtable_job_get(j, OVTABLE_DB_ENTRY,
                            (const unsigned char *)list->mv_data + at,
                            OVTABLE_ID_LEN, &v) != 0)
            return false;
    return true;
}

static int verify_lists(struct ovtable_job *j, enum ovtable_index by)
{
    MDB_cursor *cursor;
    MDB_val k, list;
    int rc = mdb_cursor_open(j->txn, j->dbi[ovtable_index_db(by)], &cursor);

    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &k, &list, MDB_NEXT)) == 0)
        if (!list_fits(j, &list))
            break;
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc == 0 ? MDB_CORRUPTED : rc;
}

int ovtable_verify(struct ovtable_job *j)
{
    struct ovtable_filter filter;
    MDB_val v;
    int rc = ovtable_job_get(j, OVTABLE_DB_META, OVTABLE_FILTER_KEY,
                             strlen(OVTABLE_FILTER_KEY), &v);

    if (rc != 0 || !ovtable_filter_load(&filter, v.mv_data, v.mv_size))
        return MDB_CORRUPTED;
    for (int by = OVTABLE_BY_KEY; by <= OVTABLE_BY_EXCHANGE; by++) {
        for (size_t i = 0; i < j->n_items; i++)
            if (j->item[i].o != NULL && j->item[i].o->enabled &&
                !leads_to(j, &filter, (enum ovtable_index)by, &j->item[i]))
                return MDB_CORRUPTED;
        rc = verify_lists(j, (enum ovtable_index)by);
        if (rc != 0)
            return rc;
    }
    return 0;
}
