/* What a refresh knows beside the table: NAME.state, for `mxhop check`. */

#ifndef SOURCE_STATE_H
#define SOURCE_STATE_H

#include <stdint.h>
#include <sys/types.h>
#include <mxhop/error.h>
#include "overrides/ovtable.h"

#define STATE_LIST   20 /* entries that are named, of any number */
#define STATE_DN_MAX 1024

/* Text that does not fit is cut. */
struct state {
    int64_t read_s;   /* wall time of the last refresh that could read; 0: none
                       */
    int64_t tried_s;  /* of the last one; 0: there is no state */
    char error[1024]; /* why that one failed; "": it did not */
    char source[256];
    char table[2 * OVTABLE_ID_LEN + 1]; /* the id of the set then in force */
    uint32_t entries;                   /* that it has */

    uint32_t held_back; /* removals that wait for --force */
    char held[STATE_LIST][STATE_DN_MAX];
    uint32_t n_held; /* of them in held */

    uint32_t kept_count; /* entries in force in their last good version */
    struct state_kept {
        char dn[STATE_DN_MAX];
        int64_t since_s;
        char why[600];
    } kept[STATE_LIST];
    uint32_t n_kept;

    uint32_t left_out; /* invalid entries of which no version was ever good */

    pid_t follower_pid; /* `mxhop refresh --follow`; 0: there is none */
    int64_t follower_alive_s;
};

/* Of the table at this path. No file: MXHOP_OK, all zero. MXHOP_ERR_IO: not to
   be read, or not such a file; all zero. Who could write it says what is in it:
   to be printed with care. */
enum mxhop_status state_read(const char *table, struct state *s_r,
                             struct mxhop_error *err);
enum mxhop_status state_write(const char *table, const struct state *s,
                              struct mxhop_error *err);

#endif
