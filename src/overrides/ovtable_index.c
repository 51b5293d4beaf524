/*
 * ovtable_index - from key to entries, and which keys there are
 *
 * Under each key stand the ids of its enabled entries in order of DN, so that
 * "the lowest active DN wins" is one list read from the front. A list is made
 * anew from what it was and the postings to it; ids that stay keep their
 * order, and their DNs are only looked up where others enter between them.
 */

#include "overrides/ovtable_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct member { /* of a list that is being made */
    unsigned char id[OVTABLE_ID_LEN];
    struct chars dn;
};

struct members {
    struct member *v;
    size_t n, cap;
};

static int by_key(const void *a, const void *b)
{
    const struct ovtable_posting *x = a, *y = b;
    int d = strcmp(x->key, y->key);

    return d != 0 ? d : memcmp(x->id, y->id, OVTABLE_ID_LEN);
}

static int by_id(const void *a, const void *b)
{
    const struct ovtable_posting *x = a, *y = b;

    return memcmp(x->id, y->id, OVTABLE_ID_LEN);
}

/* As strcmp(3) has them; a tie, which no source has, must have an order too. */
static int by_dn(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    size_t n = x->dn.len < y->dn.len ? x->dn.len : y->dn.len;
    int d = n > 0 ? memcmp(x->dn.at, y->dn.at, n) : 0;

    if (d == 0)
        d = (x->dn.len > y->dn.len) - (x->dn.len < y->dn.len);
    return d != 0 ? d : memcmp(x->id, y->id, OVTABLE_ID_LEN);
}

static bool add_member(struct members *m, const unsigned char *id,
                       struct chars dn)
{
    if (m->n == m->cap) {
        size_t cap = m->cap != 0 ? m->cap * 2 : 16;
        struct member *v = realloc(m->v, cap * sizeof(*v));

        if (v == NULL)
            return false;
        m->v = v;
        m->cap = cap;
    }
    memcpy(m->v[m->n].id, id, OVTABLE_ID_LEN);
    m->v[m->n++].dn = dn;
    return true;
}

/* The ids that enter; postings of one id are side by side. */
static bool add_entering(struct members *m, const struct ovtable_posting *p,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct chars dn = {p[i].dn, 0};

        if (p[i].dn == NULL || (m->n > 0 && memcmp(m->v[m->n - 1].id, p[i].id,
                                                   OVTABLE_ID_LEN) == 0))
            continue; /* an entry may say a key twice */
        dn.len = strlen(p[i].dn);
        if (!add_member(m, p[i].id, dn))
            return false;
    }
    return true;
}

/* The ids of the old list that no posting is about. */
static int add_staying(struct ovtable_job *j, struct members *m,
                       const MDB_val *old, const struct ovtable_posting *p,
                       size_t n, bool with_dns)
{
    struct ovtable_posting key = {0};

    for (size_t at = 0; at < old->mv_size; at += OVTABLE_ID_LEN) {
        struct chars dn = {NULL, 0};
        MDB_val v;

        memcpy(key.id, (const unsigned char *)old->mv_data + at,
               OVTABLE_ID_LEN);
        if (bsearch(&key, p, n, sizeof(*p), by_id) != NULL)
            continue;
        if (with_dns && (ovtable_job_get(j, OVTABLE_DB_ENTRY, key.id,
                                         OVTABLE_ID_LEN, &v) != 0 ||
                         !override_dn_decode(v.mv_data, v.mv_size, &dn)))
            return MDB_CORRUPTED;
        if (!add_member(m, key.id, dn))
            return ENOMEM;
    }
    return 0;
}

/* What the list of a key becomes. */
static int make_list(struct ovtable_job *j, const MDB_val *old,
                     const struct ovtable_posting *p, size_t n,
                     struct members *m)
{
    bool entering;
    int rc;

    m->n = 0;
    if (!add_entering(m, p, n))
        return ENOMEM;
    entering = m->n > 0;
    rc = add_staying(j, m, old, p, n, entering);
    if (rc == 0 && entering)
        qsort(m->v, m->n, sizeof(*m->v), by_dn);
    return rc;
}

static int store_list(struct ovtable_job *j, enum ovtable_index by,
                      const char *key, const MDB_val *old,
                      const struct members *m, struct buf *list)
{
    size_t len = strlen(key);
    MDB_val k = {len, (void *)key};

    buf_reset(list);
    for (size_t i = 0; i < m->n; i++)
        buf_add(list, m->v[i].id, OVTABLE_ID_LEN);
    if (list->failed)
        return ENOMEM;
    if (list->len == old->mv_size &&
        (list->len == 0 || memcmp(list->data, old->mv_data, list->len) == 0))
        return 0;
    if (list->len == 0) {
        ovtable_filter_note_gone(&j->filter);
        return mdb_del(j->txn, j->dbi[ovtable_index_db(by)], &k, NULL);
    }
    if (old->mv_size == 0)
        ovtable_filter_add(&j->filter, by, key, len);
    return ovtable_job_put(j, ovtable_index_db(by), key, len, list, 0);
}

static int old_list(struct ovtable_job *j, enum ovtable_index by,
                    const char *key, MDB_val *old_r)
{
    int rc = ovtable_job_get(j, ovtable_index_db(by), key, strlen(key), old_r);

    if (rc == MDB_NOTFOUND) {
        *old_r = (MDB_val){0};
        return 0;
    }
    if (rc == 0 && old_r->mv_size % OVTABLE_ID_LEN != 0)
        return MDB_CORRUPTED;
    return rc;
}

/* In order of keys, which is the order of the database. */
static int update_lists(struct ovtable_job *j, enum ovtable_index by)
{
    struct ovtable_postings *p = &j->postings[by];
    struct members members = {0};
    struct buf list = {0};
    int rc = 0;

    if (p->n > 0)
        qsort(p->v, p->n, sizeof(*p->v), by_key);
    for (size_t at = 0, n; at < p->n && rc == 0; at += n) {
        const char *key = p->v[at].key;
        MDB_val old;

        for (n = 1; at + n < p->n && strcmp(p->v[at + n].key, key) == 0;)
            n++;
        rc = old_list(j, by, key, &old);
        if (rc == 0)
            rc = make_list(j, &old, &p->v[at], n, &members);
        if (rc == 0)
            rc = store_list(j, by, key, &old, &members, &list);
    }
    free(members.v);
    buf_free(&list);
    return rc;
}

/* ---- the filter ---- */

static int load_filter(struct ovtable_job *j)
{
    MDB_val v;
    int rc = ovtable_job_get(j, OVTABLE_DB_META, OVTABLE_FILTER_KEY,
                             strlen(OVTABLE_FILTER_KEY), &v);

    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc == 0 && !ovtable_filter_edit(&j->filter, v.mv_data, v.mv_size))
        return ENOMEM;
    return rc;
}

static int add_index(struct ovtable_job *j, enum ovtable_index by)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_cursor_open(j->txn, j->dbi[ovtable_index_db(by)], &cursor);

    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
        ovtable_filter_add(&j->filter, by, k.mv_data, k.mv_size);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int make_filter(struct ovtable_job *j)
{
    int rc = 0;

    if (!ovtable_filter_make(&j->filter,
                             ovtable_job_count(j, OVTABLE_DB_KEY) +
                                 ovtable_job_count(j, OVTABLE_DB_EXCHANGE)))
        return ENOMEM;
    for (int by = OVTABLE_BY_KEY; by <= OVTABLE_BY_EXCHANGE && rc == 0; by++)
        rc = add_index(j, (enum ovtable_index)by);
    return rc;
}

static int store_filter(struct ovtable_job *j)
{
    struct buf record = {0};

    if (!j->filter.changed)
        return 0;
    ovtable_filter_seal(&j->filter);
    record.data = (char *)j->filter.record;
    record.len = j->filter.len;
    return ovtable_job_put(j, OVTABLE_DB_META, OVTABLE_FILTER_KEY,
                           strlen(OVTABLE_FILTER_KEY), &record, 0);
}

int ovtable_index_update(struct ovtable_job *j)
{
    int rc = load_filter(j);

    for (int by = OVTABLE_BY_KEY; by <= OVTABLE_BY_EXCHANGE && rc == 0; by++)
        rc = update_lists(j, (enum ovtable_index)by);
    if (rc == 0 && ovtable_filter_is_spent(&j->filter))
        rc = make_filter(j);
    return rc == 0 ? store_filter(j) : rc;
}
