/* Bound what libldap's TLS library waits for. */

#ifndef LDAP_LDAP_BOUND_H
#define LDAP_LDAP_BOUND_H

#include <stdint.h>
#include <ldap.h>

/* Belongs to the connection, and must not move while it is open. */
struct ldap_bound {
    int fd;
    uint64_t deadline_ms; /* clock_boot_ms(); 0: none, reads are as before */
};

/* Below TLS, which comes later, reads pass through here: they wait for the
   peer, and fail with ETIMEDOUT at the deadline. An LDAP result code. */
int ldap_bound_install(LDAP *ld, struct ldap_bound *b);

#endif
