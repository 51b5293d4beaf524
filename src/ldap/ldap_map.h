/* From an entry of a directory to an override. */

#ifndef LDAP_LDAP_MAP_H
#define LDAP_LDAP_MAP_H

#include "ldap/entry.h"
#include "ldap/ldap_settings.h"

/*
 * With mxhop's own schema as entry_parse(). With ldap_key_attribute the entry
 * is one of somebody else's schema: its results, in the syntax of transport(5),
 * become attributes of ours, and go by the same rules.
 */
enum entry_verdict ldap_map(const struct ldap_settings *s,
                            const struct raw_entry *raw, struct override *o_r,
                            size_t *line_r, struct mxhop_error *err);

#endif
