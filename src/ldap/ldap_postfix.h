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
    char *hosts, *port, *query_filter; /* as written; owned */
    size_t seen[POSTFIX_ROWS_MAX];     /* in which line each was; 0: not yet */
};

/* An error about a parameter. */
enum mxhop_status ldap_postfix_fail(const struct postfix_reading *r,
                                    size_t line, const char *name,
                                    const char *what);
/* Take one parameter; value is without white space around it. */
enum mxhop_status ldap_postfix_set(struct postfix_reading *r, size_t line,
                                   const char *name, const char *value);
/* In which line a parameter was; 0: in none. */
size_t ldap_postfix_line(const struct postfix_reading *r, const char *name);
/* Put a copy in the place of *to, unless there is a text. */
enum mxhop_status ldap_postfix_put(const struct postfix_reading *r, char **to,
                                   const char *value);

#endif
