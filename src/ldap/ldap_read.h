/* One reading of a directory: of the first server that lets us. */

#ifndef LDAP_LDAP_READ_H
#define LDAP_LDAP_READ_H

#include "ldap/ldap_conn.h"
#include "ldap/stage.h"
#include "ldap/sync_cookie.h"

struct ldap_reading {
    bool complete;                     /* as in struct ovtable_delta, */
    const struct ovtable_where *since; /* as is this; the caller's */
    struct sync_cookie cookie;
};

/* Call fn for each server, in order, until it succeeds. If none does, *err has
   what was wrong with each, and the status of the last one is returned. */
enum mxhop_status
ldap_each_server(const struct ldap_settings *s,
                 enum mxhop_status (*fn)(void *ctx, const char *uri,
                                         struct mxhop_error *err),
                 void *ctx, struct mxhop_error *err);

/* Whether a set from there can be brought up to date. */
bool ldap_read_since(const struct ldap_settings *s,
                     const struct ovtable_where *where);

/*
 * Stage what changed since `where`, or everything where that is of no use:
 * another fingerprint, no cookie, a server that cannot do that. On error the
 * stage is empty, and says nothing.
 */
enum mxhop_status ldap_read(const struct ldap_settings *s,
                            const struct ovtable_where *where,
                            struct stage *stage, struct ldap_reading *r,
                            struct mxhop_error *err);

/* ldap_paged.c: stage all entries of the search, for servers without RFC 4533.
   On error nothing of what was staged may be used. */
enum mxhop_status ldap_paged_read(struct ldap_conn *c, struct stage *stage,
                                  uint64_t deadline_ms,
                                  struct mxhop_error *err);

#endif
