/* One content synchronization (RFC 4533) over a connection. */

#ifndef LDAP_LDAP_SYNC_H
#define LDAP_LDAP_SYNC_H

#include "ldap/ldap_conn.h"
#include "ldap/ldap_entry.h"
#include "ldap/stage.h"
#include "ldap/sync_control.h"
#include "ldap/sync_cookie.h"

struct ldap_sync {
    struct ldap_conn *conn; /* the caller's, as is stage */
    struct stage *stage;
    struct ldap_entry entry;
    int msgid;
    bool persist, from_scratch;

    bool refreshed;            /* the refresh stage is over, and well */
    bool complete;             /* what was not mentioned in it does not exist */
    bool changed;              /* something was staged after it */
    bool present;              /* an entry was named as one that is left */
    struct sync_cookie cookie; /* where the server stands */

    /* Why ldap_sync_message() failed, for those who can go on. */
    bool must_reload; /* the cookie is of no use: begin without one */
    bool unsupported; /* not for this search: read it page by page */
};

/* Begin. With cookie_len 0 from scratch. */
enum mxhop_status ldap_sync_begin(struct ldap_sync *y, struct ldap_conn *conn,
                                  struct stage *stage, enum sync_mode mode,
                                  const void *cookie, size_t cookie_len,
                                  struct mxhop_error *err);
/* Take what ldap_conn_next() returned, if it is of this search. After an error
   nothing of what was staged since the last commit may be used. */
enum mxhop_status ldap_sync_message(struct ldap_sync *y, LDAPMessage *m,
                                    struct mxhop_error *err);
/* What was staged is committed: stage is empty again. */
void ldap_sync_committed(struct ldap_sync *y);
void ldap_sync_end(struct ldap_sync *y);

#endif
