/* An override as the attributes that say it: the way back of entry.h. */

#ifndef LDAP_ATTRIBUTES_H
#define LDAP_ATTRIBUTES_H

#include <stdbool.h>
#include "model/override.h"
#include "util/buf.h"

/*
 * Call fn with name and value of each attribute, mxhop* only, in the order of
 * mxhop_table(5), until it returns false; false then. entry_parse() makes an
 * equal override of them.
 */
bool attributes_each(const struct override *o,
                     bool (*fn)(void *ctx, const char *name, const char *value),
                     void *ctx);

/* A record of LDIF (RFC 2849) with an empty line after it, with the object
   class and cn. A failure is noted in out. */
void attributes_ldif(const struct override *o, struct buf *out);

#endif
