/* All entries of a search, for servers without RFC 4533. */

#ifndef LDAP_LDAP_PAGED_H
#define LDAP_LDAP_PAGED_H

#include "ldap/ldap_conn.h"
#include "ldap/stage.h"

/* On error nothing of what was staged may be used. */
enum mxhop_status ldap_paged_read(struct ldap_conn *c, struct stage *stage,
                                  uint64_t deadline_ms,
                                  struct mxhop_error *err);

#endif
