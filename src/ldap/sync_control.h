/* The controls of RFC 4533 (content synchronization) as bytes. */

#ifndef LDAP_SYNC_CONTROL_H
#define LDAP_SYNC_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <mxhop/error.h>
#include <lber.h>

#define SYNC_UUID_LEN   16
#define SYNC_COOKIE_MAX 4096 /* what the override table keeps */

/* Part of what was parsed, or a cookie of ours; len 0: none. */
struct sync_bytes {
    const void *data;
    size_t len;
};

enum sync_mode { SYNC_REFRESH_ONLY = 1, SYNC_REFRESH_AND_PERSIST = 3 };

/* The value of a sync request control into *out (ber_memfree(bv_val)). */
enum mxhop_status sync_request(enum sync_mode mode, struct sync_bytes cookie,
                               struct berval *out);

enum sync_state { SYNC_PRESENT, SYNC_ADD, SYNC_MODIFY, SYNC_DELETE };

struct sync_entry {
    enum sync_state state;
    const unsigned char *uuid; /* SYNC_UUID_LEN octets */
    struct sync_bytes cookie;
};

struct sync_done {
    struct sync_bytes cookie;
    bool refresh_deletes;
};

enum sync_info_kind {
    SYNC_NEW_COOKIE,
    SYNC_REFRESH_DELETE,  /* end of a delete phase */
    SYNC_REFRESH_PRESENT, /* end of a present phase */
    SYNC_ID_SET
};

struct sync_info {
    enum sync_info_kind kind;
    struct sync_bytes cookie;
    bool refresh_done;    /* of the two ends */
    bool refresh_deletes; /* of a set: these were deleted */
    unsigned char *uuids; /* of a set: n_uuids times SYNC_UUID_LEN; */
    size_t n_uuids;       /* free(3) */
};

/*
 * Strict parsers: false for anything that is not exactly one such value, for a
 * cookie that is too long, a UUID that is not one, an unknown state. Pointers
 * in the results point into *value, but for uuids.
 */
bool sync_parse_entry(const struct berval *value, struct sync_entry *r);
bool sync_parse_done(const struct berval *value, struct sync_done *r);
/* MXHOP_ERR_SYNTAX, MXHOP_ERR_MEMORY */
enum mxhop_status sync_parse_info(const struct berval *value,
                                  struct sync_info *r);

#endif
