/* Where overrides come from. */

#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "source/entry.h"

struct ldap_settings;

struct source {
    const char *text; /* the parameter overrides: "ldif:/path" or "ldap" */
    const struct ldap_settings *ldap; /* needed for "ldap" */
};

/* Something an administrator should look at; never ends a refresh. */
struct finding {
    const char *dn;
    size_t line;      /* 0: not from a file */
    const char *text; /* attribute, value, remedy */
};

#endif
