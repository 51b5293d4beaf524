/* What libldap, a server or a file said, as an error of ours. */

#ifndef LDAP_LDAP_ERROR_H
#define LDAP_LDAP_ERROR_H

#include <mxhop/error.h>

/*
 * MXHOP_ERR_* for a result code of LDAP (positive) or libldap (negative), with
 * the text "URI: operation: result text (code), server's words; remedy".
 * words: what the server added, or NULL.
 */
enum mxhop_status ldap_error(struct mxhop_error *err, const char *uri,
                             const char *operation, int code,
                             const char *words);
/* For a search that the server refers to other servers with. libldap would
   follow, but a set that came through it cannot be told from a part: it gives
   references to us whether it could follow them or not, and takes the controls
   off the result. */
enum mxhop_status ldap_error_reference(struct mxhop_error *err, const char *uri,
                                       const char *operation);
/* MXHOP_ERR_CONFIG for a file that a parameter names, by errno: who cannot read
   it, which is not always who typed the command. */
enum mxhop_status ldap_file_error(struct mxhop_error *err, const char *name,
                                  const char *path);

#endif
