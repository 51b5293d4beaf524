/* One ovtable_apply(). For ovtable_apply.c and its parts only. */

#ifndef STORE_OVTABLE_WRITE_H
#define STORE_OVTABLE_WRITE_H

#include "overrides/codec.h"
#include "overrides/ovtable_db.h"

struct ovtable_item { /* an entry that the delta names */
    const unsigned char *id;
    const struct override *o; /* NULL: it goes */
    size_t rank;              /* of several with one id the last counts */
};

struct ovtable_posting { /* a change to one list of an index */
    const char *key;
    unsigned char id[OVTABLE_ID_LEN];
    const char *dn; /* NULL: the id leaves the list, else it enters */
};

struct ovtable_postings {
    struct ovtable_posting *v;
    size_t n, cap;
};

struct ovtable_job {
    const struct ovtable_write *w;
    const struct ovtable_delta *d;
    struct mxhop_error *err;
    struct ovtable_item *item; /* sorted by id, each id once */
    size_t n_items;
    unsigned char (*present)[OVTABLE_ID_LEN]; /* sorted */
    struct env *env;
    bool anew; /* what is on disk is not worth keeping */

    /* Of one attempt: */
    MDB_txn *txn;
    MDB_dbi dbi[OVTABLE_DBS];
    struct table_meta old, now;
    struct override *was; /* entries that changed, as they were */
    size_t n_was, cap_was;
    struct ovtable_postings postings[2]; /* by key, by exchange */
    struct ovtable_filter_edit filter;
    struct ovtable_change change;
};

/* All that returns int returns an LMDB or errno value. */

int ovtable_job_get(struct ovtable_job *j, enum ovtable_db db, const void *key,
                    size_t len, MDB_val *v_r);
int ovtable_job_put(struct ovtable_job *j, enum ovtable_db db, const void *key,
                    size_t len, const struct buf *value, unsigned flags);
/* The delta has all of the set, so that what is damaged can be replaced. */
bool ovtable_job_has_all(const struct ovtable_job *j);
/* Records in a database; 0 also where that cannot be told. */
size_t ovtable_job_count(struct ovtable_job *j, enum ovtable_db db);

/* ovtable_delta.c: check what is asked for, and sort it into item, present. */
enum mxhop_status ovtable_job_prepare(struct ovtable_job *j);

/* ovtable_set.c, in this order. Whether the environment is somebody else's: it
   holds something, but not our set. */
bool ovtable_set_is_foreign(struct ovtable_job *j);
/* Open the databases and read what the table says of itself, into j->old; empty
   it where j->anew. MDB_CORRUPTED: damaged, or of another version. */
int ovtable_set_read(struct ovtable_job *j);
/* MXHOP_ERR_TABLE where the delta is a difference from another set. */
enum mxhop_status ovtable_set_is_expected(struct ovtable_job *j);
/* After ovtable_diff(): MXHOP_ERR_HELD where the set would shrink too much. */
enum mxhop_status ovtable_set_may_follow(struct ovtable_job *j);
int ovtable_set_write(struct ovtable_job *j);

/* ovtable_diff.c: bring the entries up to date, note what that means for the
   indexes, count in j->change. */
int ovtable_diff(struct ovtable_job *j);
/* ovtable_index.c: bring indexes and filter up to date. */
int ovtable_index_update(struct ovtable_job *j);
/* ovtable_verify.c: whether they fit the items, which are the whole set. */
int ovtable_verify(struct ovtable_job *j);

#endif
