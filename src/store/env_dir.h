/* The directory of the DNS cache and whose it is, and the ids of the owner of
   a directory. For env_cache.c and env.c only. */

#ifndef STORE_ENV_DIR_H
#define STORE_ENV_DIR_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <mxhop/error.h>

/* Make `dir` where it is missing (nothing above its parent). */
enum mxhop_status env_dir_make(const char *dir, uid_t uid, gid_t gid,
                               struct mxhop_error *err);
/* A descriptor for the *at() calls, of a directory that is uid's alone in a
   place where nobody else can replace it; or -1 with err. */
int env_dir_open(const char *dir, uid_t uid, struct mxhop_error *err);
/*
 * Open a file in it for reading and writing; flags: O_CREAT, O_EXCL. *fd_r is
 * -1 where it does not exist. Refused: what is not a regular file with one
 * name, of uid, that nobody else may write to.
 */
enum mxhop_status env_dir_file(int dir_fd, const char *dir, const char *name,
                               int flags, uid_t uid, int *fd_r,
                               struct stat *st_r, struct mxhop_error *err);

/* The ids that this thread uses files under. */
struct env_ids {
    bool switched;
    uid_t uid; /* before */
    gid_t gid;
};
/* Refused: ids of others, where the process may not take them. */
enum mxhop_status env_ids_take(struct env_ids *ids, const char *dir, uid_t uid,
                               gid_t gid, struct mxhop_error *err);
void env_ids_restore(struct env_ids *ids);

#endif
