/* The databases of an override table. Inside src/store. */

#ifndef STORE_OVTABLE_DB_H
#define STORE_OVTABLE_DB_H

#include <stdint.h>
#include <lmdb.h>

enum ovtable_db {
    OVTABLE_DB_ENTRY,    /* id, big-endian, in order of DN -> entry */
    OVTABLE_DB_KEY,      /* key -> ids of enabled entries, ascending */
    OVTABLE_DB_EXCHANGE, /* exchange -> the same */
    OVTABLE_DB_META,     /* OVTABLE_META_KEY -> about the set */
    OVTABLE_DBS
};

#define OVTABLE_META_KEY "set"
#define OVTABLE_KEY_MAX  511 /* of LMDB */
#define OVTABLE_ID_LEN   4   /* octets, big-endian everywhere */

extern const char *const ovtable_db_names[OVTABLE_DBS];

static inline void ovtable_id_put(unsigned char *out, uint32_t id)
{
    out[0] = (unsigned char)(id >> 24);
    out[1] = (unsigned char)(id >> 16);
    out[2] = (unsigned char)(id >> 8);
    out[3] = (unsigned char)id;
}

#endif
