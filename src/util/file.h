/* Files that administrators name. */

#ifndef UTIL_FILE_H
#define UTIL_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

/* Open a regular file for reading; nothing else that may lie there is waited
   for. -1: errno says why, 0 that it is no regular file. */
int file_open(const char *path, struct stat *st_r);

/* Read to the end, at most `room` octets. How many, or -1 and errno; `room`:
   there may be more. */
ssize_t file_read(int fd, void *to, size_t room);

#endif
