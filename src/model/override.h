/* One administrator's entry: what its attributes say, as plain values. */

#ifndef MODEL_OVERRIDE_H
#define MODEL_OVERRIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/hop.h"

enum override_mode { /* mxhopMode; the texts are override_mode_name() */
                     OVERRIDE_REPLACE,
                     OVERRIDE_PREPEND,
                     OVERRIDE_APPEND,
                     OVERRIDE_EXCLUDE,
                     OVERRIDE_MERGE,
                     OVERRIDE_PASS,
                     OVERRIDE_REJECT,
                     OVERRIDE_DEFER,
                     OVERRIDE_MODES
};

enum override_group {
    OVERRIDE_GROUP_UNSET,
    OVERRIDE_GROUP_SITE,
    OVERRIDE_GROUP_DOMAIN
};

struct strlist {
    char **v;
    size_t n;
};

bool strlist_add(struct strlist *l, const char *s); /* copies; false: memory */
void strlist_free(struct strlist *l);

struct override {
    char *dn;
    struct strlist keys;      /* normal form: example.com .example.com *
                                 user@example.com */
    struct strlist exchanges; /* normal form: mx.example.net .example.net */
    enum override_mode mode;
    struct hopspec *hops;
    size_t n_hops;
    struct strlist excludes; /* host or .suffix, normal form */
    char *transport;         /* NULL: unset */
    enum override_group group;
    char *reason; /* NULL: unset; printable ASCII */
    bool enabled;
    int64_t not_before_s; /* seconds since 1970 UTC, 0: unset */
    int64_t not_after_s;

    /* What the override table knows besides; zero in what was just read. Either
       loses against another entry for the same key. */
    int64_t kept_s; /* since then the entry's present version is invalid, and
                       this is the last good one; 0: it is as written */
    int64_t held_s; /* since then the source lacks the entry, and its removal is
                       held back; 0: it has it */
    char *why;      /* kept: what is wrong with the present version */
};

const char *override_mode_name(enum override_mode mode);
/* NULL where it is not set. */
const char *override_group_name(const struct override *o);
bool override_mode_parse(const char *text, enum override_mode *mode_r);
/* Enabled and inside its window (both ends included) at wall time now_s. */
bool override_active(const struct override *o, int64_t now_s);
/* The mode ends the search without asking for the domain's MX set. */
bool override_is_final(const struct override *o);
bool override_add_hop(struct override *o, const struct hopspec *hop);
void override_free(struct override *o); /* frees what is in it, zeroes it */

#endif
