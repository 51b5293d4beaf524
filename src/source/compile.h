/* From a source of overrides to the override table: `mxhop refresh`. */

#ifndef SOURCE_COMPILE_H
#define SOURCE_COMPILE_H

#include <sys/types.h>
#include "source/entry.h"
#include "store/ovtable.h"

/* Something an administrator should look at; never ends the compilation. */
struct finding {
    const char *dn;
    size_t line;      /* 0: unknown */
    const char *text; /* attribute, value, remedy */
};

struct compile_options {
    const char *source; /* "ldif:/path" (parameter overrides) */
    const char *table;  /* path of the override table */
    gid_t reader_gid;
    uint32_t shrink_percent;
    bool force;
    bool dry_run; /* validate only: the table is not touched */
    int64_t now_s;
    void (*report)(void *ctx, const struct finding *f); /* may be NULL */
    void *ctx;
};

struct compile_result {
    uint32_t entries;  /* valid ones */
    uint32_t skipped;  /* invalid ones */
    uint32_t findings; /* all */
    struct ovtable_change change;
};

/*
 * Findings: invalid entry (skipped), two active entries for one key or
 * exchange with overlapping windows (the lowest DN wins), window long past.
 */
enum mxhop_status compile_overrides(const struct compile_options *options,
                                    struct compile_result *result_r,
                                    struct mxhop_error *err);

/* The valid entries of a source, for `mxhop check`. Free each with
   override_free(), then the array with free(3). */
enum mxhop_status
compile_load(const char *source,
             void (*report)(void *ctx, const struct finding *f), void *ctx,
             struct override **entries_r, size_t *n_r, uint32_t *skipped_r,
             struct mxhop_error *err);

#endif
