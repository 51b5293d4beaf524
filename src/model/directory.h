/* A directory of overrides: how to reach it, and what to read there. */

#ifndef MODEL_DIRECTORY_H
#define MODEL_DIRECTORY_H

#include <stdint.h>

enum dir_scope { DIR_SUB, DIR_ONE, DIR_BASE };
enum dir_bind { DIR_BIND_NONE, DIR_BIND_SIMPLE, DIR_BIND_EXTERNAL };

/*
 * Names as in mxhop.cf(5), or in ldap_table(5) for what that file alone has.
 * Texts belong to who owns the struct, and may be NULL, which means the same
 * as "", before ldap_settings_complete(); afterwards none is.
 */
struct ldap_settings {
    char *servers; /* as written; afterwards URIs, one space between them */
    char *base;
    int scope; /* enum dir_scope */
    char *filter;
    char *key_attribute, *result_attribute; /* both or none */
    char *result_format;                    /* %s is the value; "" means "%s" */
    char *domains; /* "": any; else recipients in these count only */
    int bind;      /* enum dir_bind */
    char *bind_dn;
    char *bind_pw; /* never in a message */
    char *bind_pw_file;
    char *sasl_mechs;
    int bind_plaintext; /* 0 or 1: a password may go to another machine in
                           clear */
    int start_tls, tls_require_cert; /* 0 or 1 */
    char *tls_ca_file, *tls_ca_dir, *tls_cert, *tls_key, *tls_ciphers;
    uint32_t timeout_s, network_timeout_s;
};

#endif
