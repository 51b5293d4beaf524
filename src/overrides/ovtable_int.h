/* Between the files of src/overrides. */

#ifndef OVERRIDES_OVTABLE_INT_H
#define OVERRIDES_OVTABLE_INT_H

#include <limits.h>
#include "overrides/codec.h"
#include "overrides/ovtable.h"
#include "table/fixed.h"

/* ---- ovtable.c ---- */

extern const char ovtable_is_first[]; /* a reason, as those of fixed.h */

/* "PATH: why", with what to do. */
enum mxhop_status ovtable_refused(struct mxhop_error *err, const char *path,
                                  const char *why);
struct fixed *ovtable_file(struct ovtable *t);
const struct table_meta *ovtable_meta(const struct ovtable *t);

/* ---- ovtable_place.c: directory, lock, and what stands beside the table ----
 */

struct ovtable_place {
    int dir_fd, lock_fd; /* -1: not open */
    const char *path;
    const char *name; /* in the directory */
};

/* Open the directory of the table, see that it is safe to write there, and
   become the only refresh. Waits for another one for some seconds. Errors:
   MXHOP_ERR_IO. To be left in any case. */
enum mxhop_status ovtable_enter(struct ovtable_place *p_r, const char *path,
                                struct mxhop_error *err);
void ovtable_leave(struct ovtable_place *p);

/* Where the source stood at last: what stands in the table, unless a later
   refresh left a note beside it. false: damaged, with *err. */
enum mxhop_status ovtable_read_where(struct ovtable *t, const char *path,
                                     struct ovtable_where *where_r,
                                     struct mxhop_error *err);
/* Leave that note, for the table `id`. 0, or an errno value. */
int ovtable_note_where(const struct ovtable_place *p,
                       const unsigned char id[OVTABLE_ID_LEN],
                       const struct table_where *where);

/* Whether the file is an override table of mxhop 1, which was an LMDB
   environment. */
bool ovtable_is_lmdb(int dir_fd, const char *name);

#endif
