/* The password in its file. */

#ifndef LDAP_LDAP_PASSWORD_H
#define LDAP_LDAP_PASSWORD_H

#include <mxhop/error.h>

#define LDAP_PASSWORD_SIZE 1026 /* with one octet too many, and a NUL */

/* The first line of the file, to be wiped whatever is returned. Errors name the
   parameter and the file. */
enum mxhop_status ldap_password_read(const char *path,
                                     char text_r[LDAP_PASSWORD_SIZE],
                                     struct mxhop_error *err);

#endif
