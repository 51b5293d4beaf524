/* Reading the file of a Postfix ldap: table. For ldap_postfix.c and
   ldap_postfix_param.c only. */

#ifndef LDAP_LDAP_POSTFIX_H
#define LDAP_LDAP_POSTFIX_H

#include "ldap/ldap_settings.h"

#define POSTFIX_ROWS_MAX 64 /* parameters that are known */

struct postfix_reading {
    struct ldap_settings *s;
    struct mxhop_error *err;
    const char *file;
    size_t line;
    char *hosts, *port, *query_filter; /* as written; owned */
    size_t hosts_line, filter_line, password_line;
    size_t seen[POSTFIX_ROWS_MAX]; /* in which line each was; 0: not yet */
    bool says_bind;
};

/* An error about a parameter, at r->line. */
enum mxhop_status ldap_postfix_fail(const struct postfix_reading *r,
                                    const char *name, const char *what);
/* Take one parameter; value is without white space around it. */
enum mxhop_status ldap_postfix_set(struct postfix_reading *r, const char *name,
                                   const char *value);
/* After the last one: what is only complete now. */
enum mxhop_status ldap_postfix_finish(struct postfix_reading *r);

#endif
