/* What a source said, kept until all of it was heard. */

#ifndef LDAP_STAGE_H
#define LDAP_STAGE_H

#include "ldap/entry.h"
#include "ldap/ldap_settings.h"
#include "overrides/ovtable.h"

struct stage_event;

struct stage_invalid { /* an entry */
    char *dn, *why;
    size_t line;
    bool off; /* mxhopEnabled: FALSE */
};

/* Set the first three members, zero the rest. */
struct stage {
    const struct ldap_settings *ldap; /* NULL: LDIF */
    finding_fn *report;               /* may be NULL */
    void *ctx;

    struct override *v; /* valid ones */
    size_t *lines;      /* where v[i] stands */
    size_t n, cap;
    struct stage_invalid *invalid;
    size_t n_invalid, cap_invalid;
    struct stage_event *events; /* what happened to which id, in order */
    size_t n_events, cap_events;
    uint64_t octets;   /* about what v takes */
    uint32_t repeated; /* entries of a file whose DN another one has */
    uint32_t findings; /* those, and the invalid ones */

    /* What stage_settle() makes of it. */
    struct ovtable_upsert *upsert;
    unsigned char (*remove)[OVTABLE_ID_LEN];
    unsigned char (*present)[OVTABLE_ID_LEN];
    size_t n_upsert, n_remove, n_present;
};

/* An entry that a file has, where its DN makes the id, or that a directory has
   under this id. MXHOP_ERR_MEMORY; MXHOP_ERR_ARGUMENT: there is more than a set
   of overrides can be. */
enum mxhop_status stage_entry(struct stage *s, const unsigned char *id,
                              const struct raw_entry *raw,
                              struct mxhop_error *err);
/* The directory has no such entry any more; has it, as it was. */
enum mxhop_status stage_remove(struct stage *s, const unsigned char *id,
                               struct mxhop_error *err);
enum mxhop_status stage_present(struct stage *s, const unsigned char *id,
                                struct mxhop_error *err);

/* The last word about each id into the four arrays and *d_r, which points to
   them. Only the overrides that count remain in v. A directory has one entry to
   a DN, and so has the table; a file may have more, copied and not renamed. The
   first one counts, others are reported and skipped. */
enum mxhop_status stage_settle(struct stage *s, struct ovtable_delta *d_r,
                               struct mxhop_error *err);
/* Report the entries that are invalid as skipped: for who does not apply what
   was staged. */
void stage_report_invalid(const struct stage *s);
/* Forget all that was said, and the counts. */
void stage_clear(struct stage *s);

#endif
