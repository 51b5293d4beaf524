/* The databases of an override table. Inside src/store. */

#ifndef STORE_OVTABLE_DB_H
#define STORE_OVTABLE_DB_H

#include <lmdb.h>
#include "store/env.h"
#include "overrides/ovtable.h"
#include "overrides/ovtable_filter.h"

enum ovtable_db {
    OVTABLE_DB_ENTRY,    /* id -> entry */
    OVTABLE_DB_KEY,      /* key -> ids of enabled entries, in order of DN */
    OVTABLE_DB_EXCHANGE, /* exchange -> the same */
    OVTABLE_DB_META,     /* about the set: the keys below */
    OVTABLE_DBS
};

#define OVTABLE_META_KEY   "set"    /* struct table_meta */
#define OVTABLE_WHERE_KEY  "where"  /* struct table_where */
#define OVTABLE_FILTER_KEY "filter" /* ovtable_filter.h */
#define OVTABLE_KEY_MAX    511      /* of LMDB */

extern const char *const ovtable_db_names[OVTABLE_DBS];

static inline enum ovtable_db ovtable_index_db(enum ovtable_index by)
{
    return by == OVTABLE_BY_KEY ? OVTABLE_DB_KEY : OVTABLE_DB_EXCHANGE;
}

/* ---- ovtable_read.c, for ovtable_find.c ---- */

struct ovtable_snap {
    struct ovtable *table;
};

struct ovtable {
    struct env *env;
    MDB_txn *txn; /* NULL until the first lookup; reset between lookups */
    struct ovtable_snap snap;
    /* What is known of the set that transaction `known` sees. */
    size_t known; /* 0: nothing */
    struct ovtable_info info;
    char source[256];
    struct ovtable_filter filter; /* points into the map */
};

/* An LMDB value. */
int ovtable_get(struct ovtable_snap *s, enum ovtable_db db, const void *key,
                size_t len, MDB_val *value_r);
/* Fill what is known of the set, if it is not known yet. */
enum mxhop_status ovtable_know(struct ovtable_snap *s, struct mxhop_error *err);
enum mxhop_status ovtable_damaged(const struct ovtable_snap *s,
                                  struct mxhop_error *err, const char *what);

#endif
