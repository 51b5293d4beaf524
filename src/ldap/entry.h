/* The rules of one override entry: from attribute values to an override. */

#ifndef LDAP_ENTRY_H
#define LDAP_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <mxhop/error.h>
#include "model/override.h"

struct raw_value {
    const char *attribute; /* without options, as written */
    const char *bytes;     /* not NUL-terminated, any octet */
    size_t len;
    size_t line;      /* where it stands; 0: not from a file */
    const char *from; /* for errors: the attribute that it was made from; NULL:
                         this one */
};

struct raw_entry {
    const char *dn;
    size_t line; /* of the dn: 0 if not from a file */
    const struct raw_value *values;
    size_t n_values;
};

/* Values with memory of their own, for those who make entries.
   Zero-initialise. */
struct entry_values {
    struct raw_value *v;
    size_t n, cap;
};

/* One more, with copies of both texts; the rest of it is zero. NULL: out of
   memory. */
struct raw_value *entry_values_add(struct entry_values *values,
                                   const char *attribute, size_t attribute_len,
                                   const void *bytes, size_t len);
void entry_values_reset(struct entry_values *values);
void entry_values_free(struct entry_values *values);

/* Something an administrator should look at in an entry; never ends a refresh.
 */
struct finding {
    const char *dn;
    size_t line;      /* 0: not from a file */
    const char *text; /* attribute, value, remedy */
};
typedef void finding_fn(void *ctx, const struct finding *f);
/* Hand one to fn, which may be NULL. */
void finding_report(finding_fn *fn, void *ctx, const char *dn, size_t line,
                    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

enum entry_verdict {
    ENTRY_OK,
    ENTRY_OTHER,   /* not of class mxhopOverride, and nothing of ours in it */
    ENTRY_INVALID, /* err says attribute, value and what was expected */
    ENTRY_MEMORY
};

/*
 * Attribute names and the class name without regard to case. A value that is
 * not valid, an attribute that is single-valued given twice, an unknown
 * attribute that begins with "mxhop", no key and no exchange, hops with a mode
 * that takes none, a mode that needs hops without any, attributes of ours
 * without the class: invalid, whole entry. err->text begins with the
 * attribute's name, and *line_r is where that stands; the DN is the caller's to
 * add.
 */
enum entry_verdict entry_parse(const struct raw_entry *raw,
                               struct override *o_r, size_t *line_r,
                               struct mxhop_error *err);
/* What entry_parse() says of a value that is not valid: ENTRY_INVALID. */
enum entry_verdict entry_complain(const struct raw_value *v, const char *why,
                                  size_t *line_r, struct mxhop_error *err);

#endif
