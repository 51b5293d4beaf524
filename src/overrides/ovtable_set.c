/*
 * ovtable_set - what a table says of its set, and whether another may follow
 *
 * Two records: about the set, and where the source stood. They are read before
 * anything is changed, and written after all else, in the same transaction.
 */

#include "overrides/ovtable_write.h"
#include "util/err.h"

#include <string.h>

#define PEAK_S 86400

/* Somebody else's environment: it holds something, but not our set. */
bool ovtable_set_is_foreign(struct ovtable_job *j)
{
    MDB_stat st;
    MDB_dbi dbi;

    return mdb_dbi_open(j->txn, NULL, 0, &dbi) == 0 &&
           mdb_stat(j->txn, dbi, &st) == 0 && st.ms_entries > 0 &&
           mdb_dbi_open(j->txn, ovtable_db_names[OVTABLE_DB_META], 0, &dbi) !=
               0;
}

static int start_anew(struct ovtable_job *j)
{
    int rc = 0;

    for (int i = 0; i < OVTABLE_DBS && rc == 0; i++)
        rc = mdb_drop(j->txn, j->dbi[i], 0);
    return rc;
}

/* What a table says of itself; one that is not there yet says nothing. */
static int read_meta(struct ovtable_job *j)
{
    MDB_val v;
    int rc = ovtable_job_get(j, OVTABLE_DB_META, OVTABLE_META_KEY,
                             strlen(OVTABLE_META_KEY), &v);

    if (rc == 0 && table_meta_decode(v.mv_data, v.mv_size, &j->old) != CODEC_OK)
        return MDB_CORRUPTED;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    return ovtable_job_count(j, OVTABLE_DB_ENTRY) == j->old.entries
               ? 0
               : MDB_CORRUPTED;
}

/* MDB_CORRUPTED: it is ours, but damaged or of another version. */
int ovtable_set_read(struct ovtable_job *j)
{
    int rc = 0;

    for (int i = 0; i < OVTABLE_DBS && rc == 0; i++)
        rc = mdb_dbi_open(j->txn, ovtable_db_names[i], MDB_CREATE, &j->dbi[i]);
    if (rc != 0)
        return rc;
    rc = read_meta(j);
    if (j->anew && (rc == 0 || rc == MDB_CORRUPTED))
        rc = start_anew(j);
    return rc;
}

/* Between reading the source and this transaction another may have ended. */
static bool is_since(struct ovtable_job *j, const struct ovtable_where *since)
{
    struct table_where where = {0};
    MDB_val v;
    int rc = ovtable_job_get(j, OVTABLE_DB_META, OVTABLE_WHERE_KEY,
                             strlen(OVTABLE_WHERE_KEY), &v);

    if (rc != MDB_NOTFOUND &&
        (rc != 0 || !table_where_decode(v.mv_data, v.mv_size, &where)))
        return false;
    return where.fingerprint == since->fingerprint &&
           where.cookie.len == since->cookie_len &&
           (where.cookie.len == 0 ||
            memcmp(where.cookie.at, since->cookie, since->cookie_len) == 0);
}

enum mxhop_status ovtable_set_is_expected(struct ovtable_job *j)
{
    const struct ovtable_where *since = j->d->since;

    if (since == NULL || ovtable_job_has_all(j) || is_since(j, since))
        return MXHOP_OK;
    j->change.superseded = true;
    return err_set(j->err, MXHOP_ERR_TABLE,
                   "%s: another refresh was faster, and what has changed since "
                   "an older set is not applied to its; run `mxhop refresh`",
                   j->w->path);
}

/* The largest set of the last day, as far as that is known: a set that is
   emptied in steps, each of them small, is emptied all the same. */
static uint32_t peak_of(const struct ovtable_job *j)
{
    bool fresh = j->w->now_s - j->old.peak_s < PEAK_S;

    return fresh && j->old.peak > j->old.entries ? j->old.peak : j->old.entries;
}

enum mxhop_status ovtable_set_may_follow(struct ovtable_job *j)
{
    uint64_t peak = peak_of(j), after = j->change.after;
    uint32_t limit = j->w->shrink_percent;

    if (j->w->force || limit >= 100 || after >= j->old.entries ||
        after * 100 >= peak * (100 - limit))
        return MXHOP_OK;
    return err_set(j->err, MXHOP_ERR_HELD,
                   "%s: held back: %lu of %lu entries%s would be dropped, more "
                   "than override_shrink_limit (%lu %%) allows; if that is "
                   "meant, run `mxhop refresh --force`",
                   j->w->path, (unsigned long)(peak - after),
                   (unsigned long)peak,
                   peak > j->old.entries ? " of the last day" : "",
                   (unsigned long)limit);
}

static void note_peak(struct ovtable_job *j)
{
    uint32_t peak = peak_of(j);

    j->now.peak = peak;
    j->now.peak_s = j->w->now_s;
    if (j->w->force || j->now.entries > peak)
        j->now.peak = j->now.entries;
    else if (peak > j->old.entries)
        j->now.peak_s = j->old.peak_s; /* it was before */
}

static int put_meta(struct ovtable_job *j)
{
    struct buf b = {0};
    int rc;

    j->now = (struct table_meta){
        .version = j->old.version + j->change.changed,
        .entries = j->change.after,
        .has_exchanges = ovtable_job_count(j, OVTABLE_DB_EXCHANGE) > 0,
        .compiled_s = j->w->now_s,
        .changed_s = j->change.changed ? j->w->now_s : j->old.changed_s};
    note_peak(j);
    strncpy(j->now.source, j->w->source != NULL ? j->w->source : "",
            sizeof(j->now.source) - 1);
    table_meta_encode(&b, &j->now);
    rc = ovtable_job_put(j, OVTABLE_DB_META, OVTABLE_META_KEY,
                         strlen(OVTABLE_META_KEY), &b, 0);
    buf_free(&b);
    return rc;
}

static int put_where(struct ovtable_job *j)
{
    const struct table_where where = {j->d->fingerprint,
                                      {j->d->cookie, j->d->cookie_len}};
    struct buf b = {0};
    int rc;

    table_where_encode(&b, &where);
    rc = ovtable_job_put(j, OVTABLE_DB_META, OVTABLE_WHERE_KEY,
                         strlen(OVTABLE_WHERE_KEY), &b, 0);
    buf_free(&b);
    return rc;
}

int ovtable_set_write(struct ovtable_job *j)
{
    int rc = put_meta(j);

    return rc == 0 ? put_where(j) : rc;
}
