/* An entry as a search returned it. */

#ifndef LDAP_LDAP_ENTRY_H
#define LDAP_LDAP_ENTRY_H

#include "ldap/entry.h"
#include "ldap/ldap_conn.h"

#define LDAP_ENTRY_ID_LEN 16

/* Zero-initialise; used again and again. What is in `raw` belongs to the
   message, and is good until the next call or ldap_msgfree(3). */
struct ldap_entry {
    struct raw_entry raw;
    unsigned char id[LDAP_ENTRY_ID_LEN]; /* entryUUID, objectGUID, nsUniqueId,
                                            else a hash of the DN */
    struct raw_value *values;
    struct berval **lists; /* libldap's arrays, to be freed */
    size_t n_values, cap_values, n_lists, cap_lists;
};

/* MXHOP_ERR_SYNTAX: this is no entry, or has over a million values;
   MXHOP_ERR_MEMORY. */
enum mxhop_status ldap_entry_read(struct ldap_entry *e, struct ldap_conn *c,
                                  LDAPMessage *m, struct mxhop_error *err);
void ldap_entry_free(struct ldap_entry *e);

#endif
