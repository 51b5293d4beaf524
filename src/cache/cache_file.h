/* Where the file of the DNS cache is, and whose. */

#ifndef CACHE_FILE_H
#define CACHE_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <mxhop/error.h>
#include "table/live.h"

#define CACHE_FILE "cache-2" /* the format of the records is in its name */

struct cache_place {
    char dir[PATH_MAX];
    const char *base; /* its last part, in dir */
    uid_t uid;        /* whose it is */
    uint64_t boot;
    int up_fd;  /* O_PATH, of the directory above; -1 */
    int dir_fd; /* O_PATH, of dir once the cache was opened; -1 */
};

/*
 * Before a jail, and perhaps as root: find `dir`, which belongs to uid. Where
 * it is missing it is made (nothing above its parent), by root only in a place
 * where nobody else can put things. Nothing in it is looked at.
 * To be closed, also after an error.
 */
enum mxhop_status cache_place_find(struct cache_place *p_r, const char *dir,
                                   uid_t uid, gid_t gid,
                                   struct mxhop_error *err);
/* As its owner, perhaps in a jail: open or make the cache. Refused: what others
   may write to. *warning_r: a remark, or NULL. p must outlive the table. */
enum mxhop_status cache_place_open(struct cache_place *p, uint64_t size_bytes,
                                   struct live **t_r, const char **warning_r,
                                   struct mxhop_error *err);
/* What cannot be written any more may be in a directory that was removed and
   made anew: the next writer finds the new one. */
void cache_place_renew(struct cache_place *p);
void cache_place_close(struct cache_place *p);

#endif
