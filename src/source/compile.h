/* From a source of overrides to the override table: `mxhop refresh`. */

#ifndef SOURCE_COMPILE_H
#define SOURCE_COMPILE_H

#include "ldap/entry.h"
#include "model/directory.h"
#include "overrides/ovtable.h"

struct ldap_reading;
struct stage;

struct source {
    const char *text; /* the parameter overrides: "ldif:/path" or "ldap" */
    struct ldap_settings ldap; /* complete, for "ldap" */
};

struct compile_options {
    const struct source *source;
    const char *table; /* path of the override table */
    uint32_t shrink_percent;
    bool force;   /* ignore shrink_percent; read a directory from scratch */
    bool dry_run; /* validate only: the table is not looked at */
    bool strict;  /* all that the source says, or nothing of it */
    const int
        *trial;    /* as in struct ovtable_write; there is no state, either */
    bool follower; /* for the state: this process stays */
    int64_t now_s;
    finding_fn *report; /* may be NULL */
    void *ctx;
};

struct compile_result {
    uint32_t entries;  /* in the table; of a dry run: valid ones */
    uint32_t skipped;  /* invalid ones of which no version is in force, or that
                          a file has twice */
    uint32_t findings; /* all */
    bool done;         /* what the source says is in force, as far as it may */
    struct ovtable_change change;
    struct override *read; /* valid ones that were read: all, or what changed;
                              may be taken out */
    size_t *lines;         /* where they stand; 0: not in a file */
    size_t n_read;
};

/*
 * Read the source and commit what it says, and leave the state beside the
 * table. Findings: invalid entry (skipped, or its last good version is kept),
 * whether it was read this time or before; removals that are held back; of what
 * was read: window long past; two active entries for one key or exchange with
 * overlapping windows (the lowest DN wins), one of which was read. From a
 * directory that can tell what changed since last time only that is read.
 * *result_r is to be given to compile_free(), whatever happened.
 */
enum mxhop_status compile_overrides(const struct compile_options *options,
                                    struct compile_result *result_r,
                                    struct mxhop_error *err);
/* The same with what was staged already, as `r` says. *s is empty afterwards.
 */
enum mxhop_status compile_staged(const struct compile_options *options,
                                 struct stage *s, const struct ldap_reading *r,
                                 struct compile_result *result_r,
                                 struct mxhop_error *err);
void compile_free(struct compile_result *result);
/* The state, where nothing was read: why not; or NULL, and the follower is
   alive. */
void compile_leave_state(const struct compile_options *o,
                         const struct mxhop_error *why);

#endif
