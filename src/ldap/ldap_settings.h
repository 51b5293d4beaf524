/* The settings of a directory, checked and complete. */

#ifndef LDAP_LDAP_SETTINGS_H
#define LDAP_LDAP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxhop/error.h>
#include "model/directory.h"

static inline bool ldap_is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

/* Copies of all texts, to be freed. false: out of memory. */
bool ldap_settings_copy(struct ldap_settings *s_r,
                        const struct ldap_settings *from);
/* Check what must hold together, put in what follows from something else, and
   see that the password can be read. Errors (MXHOP_ERR_CONFIG) name the
   parameter. */
enum mxhop_status ldap_settings_complete(struct ldap_settings *s,
                                         struct mxhop_error *err);
/* Wipes what is secret. */
void ldap_settings_free(struct ldap_settings *s);

/* ldap_password.c: the first line of the file, to be wiped whatever is
   returned. Errors name the parameter and the file. */
#define LDAP_PASSWORD_SIZE 1026 /* with one octet too many, and a NUL */
enum mxhop_status ldap_password_read(const char *path,
                                     char text_r[LDAP_PASSWORD_SIZE],
                                     struct mxhop_error *err);

/* Of all that decides which entries the directory shows us and what they mean
   to us: a cookie is good only for the same. */
uint64_t ldap_settings_fingerprint(const struct ldap_settings *s);

/*
 * Take what the file of an ldap_table(5) says where *s has no text yet; other
 * parameters always. Before ldap_settings_complete(). Errors (MXHOP_ERR_CONFIG)
 * name file and line, and what to do where a mirror cannot do the same.
 */
enum mxhop_status ldap_postfix_read(struct ldap_settings *s, const char *path,
                                    struct mxhop_error *err);
/* The same over text; name is for errors. */
enum mxhop_status ldap_postfix_parse(struct ldap_settings *s, const char *name,
                                     const char *text, size_t len,
                                     struct mxhop_error *err);

/*
 * From the filter for one key to that for all: (attr=%s) becomes (attr=*), and
 * attr is what the keys are in. Both results are the caller's to free(3).
 * *why_r: NULL, or why that is not possible (MXHOP_ERR_SYNTAX).
 */
enum mxhop_status ldap_filter_mirror(const char *query_filter, char **filter_r,
                                     char **attribute_r, const char **why_r);

#endif
