/* A connection to one server of a directory, on which nothing hangs. */

#ifndef LDAP_LDAP_CONN_H
#define LDAP_LDAP_CONN_H

#include <stdint.h>
#include <ldap.h>
#include "ldap/ldap_settings.h"

/* ldap_bound.c: bound what libldap's TLS library waits for. */
struct ldap_bound {
    int fd;
    uint64_t deadline_ms; /* clock_boot_ms(); 0: none, reads are as before */
};

/* Below TLS, which comes later, reads pass through here: they wait for the
   peer, and fail with ETIMEDOUT at the deadline. *b must not move while the
   connection is open. An LDAP result code. */
int ldap_bound_install(LDAP *ld, struct ldap_bound *b);

struct ldap_conn {
    LDAP *ld;
    int fd;
    struct ldap_bound bound;
    char *uri;
    const char *doing; /* for errors: the operation; of static duration */
    const struct ldap_settings *settings;
    bool has_sync, has_paging; /* in the rootDSE's supportedControl */
};

/* ldap_open.c: connect, begin TLS, bind, read the rootDSE. On error *c_r is
 * NULL. */
enum mxhop_status ldap_conn_open(struct ldap_conn **c_r,
                                 const struct ldap_settings *s, const char *uri,
                                 struct mxhop_error *err);
void ldap_conn_close(struct ldap_conn **c);

/* Begin the search of the settings, with one more control; `doing` is for
   errors from now on. */
enum mxhop_status ldap_conn_search(struct ldap_conn *c, const char *doing,
                                   LDAPControl *control, int *msgid_r,
                                   struct mxhop_error *err);
/* Begin a read of one attribute of the rootDSE; of LDAP_NO_ATTRS: is the server
   alive? */
enum mxhop_status ldap_conn_root(struct ldap_conn *c, const char *attribute,
                                 int *msgid_r, struct mxhop_error *err);

/*
 * The next message, of whatever operation, which the caller frees with
 * ldap_msgfree(3). At deadline_ms (clock_boot_ms()), messages or not:
 * MXHOP_ERR_TIMEOUT, and the connection is as good as before.
 */
enum mxhop_status ldap_conn_next(struct ldap_conn *c, uint64_t deadline_ms,
                                 LDAPMessage **m_r, struct mxhop_error *err);

/* The end of an operation: an error of ours unless it is LDAP_SUCCESS. The code
   and the controls, for ldap_controls_free(3) in any case, go where asked. */
enum mxhop_status ldap_conn_result(struct ldap_conn *c, LDAPMessage *m,
                                   int *code_r, LDAPControl ***controls_r,
                                   struct mxhop_error *err);

/* An error of ours for a result code of libldap's, with its words. */
enum mxhop_status ldap_conn_fail(struct ldap_conn *c, int code,
                                 struct mxhop_error *err);
/* MXHOP_ERR_SYNTAX for what the server sent, and what is wrong with it. */
enum mxhop_status ldap_conn_refuse(const struct ldap_conn *c, const char *what,
                                   struct mxhop_error *err);

#endif
