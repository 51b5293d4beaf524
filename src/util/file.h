/* Files that administrators name. */

#ifndef UTIL_FILE_H
#define UTIL_FILE_H

#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Open a regular file for reading; nothing else that may lie there is waited
   for. -1: errno says why, 0 that it is no regular file. */
int file_open(const char *path, struct stat *st_r);

/*
 * Open the directory `path` with O_PATH, for a caller that will write to it. As
 * root only by a way that is root's: a directory on it belongs to root, and
 * others may not write to it, or it is sticky; a link is followed where root
 * made it, and others may not write beside it. Whose the directory itself is,
 * the caller looks. -1: errno says why, 0 that `way_r` is not root's, where the
 * walk ended.
 */
int file_open_dir(const char *path, char way_r[PATH_MAX]);

/* Read to the end, at most `room` octets. How many, or -1 and errno; `room`:
   there may be more. */
ssize_t file_read(int fd, void *to, size_t room);

#endif
