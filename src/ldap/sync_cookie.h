/* What is known of the cookies that OpenLDAP makes. */

#ifndef LDAP_SYNC_COOKIE_H
#define LDAP_SYNC_COOKIE_H

#include "ldap/sync_control.h"

struct sync_cookie {
    char text[SYNC_COOKIE_MAX]; /* any octets */
    size_t len;                 /* 0: none */
};

/* A new one takes the place of *c. It must not be too long. */
void sync_cookie_set(struct sync_cookie *c, struct sync_bytes to);
/* The same where it came with a change: where it says only how far one server
   has come, the others remain where they were. */
void sync_cookie_advance(struct sync_cookie *c, struct sync_bytes to);
/* As who we are, none of the servers. */
void sync_cookie_drop_sender(struct sync_cookie *c);

#endif
