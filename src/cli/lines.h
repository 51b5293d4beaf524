/* Keys from a file or standard input, one a line, without waiting. */

#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "handle/bulk.h"

#define LINES_BUFFER 65536

struct lines {
    int fd;
    const char *name; /* for messages */
    bool regular;     /* it can be read twice, and never makes wait */
    bool ended;
    bool cut;       /* the last line was too long, its rest is to come */
    int error;      /* errno of a failed read, 0: none */
    size_t at, len; /* what is unread of data */
    char data[LINES_BUFFER + 1];
};

/* `name` may be "-". false after a complaint. */
bool lines_open(struct lines *l, const char *name);
void lines_close(struct lines *l);

/*
 * The next line that is neither blank nor a comment (#), without white space
 * around it: BULK_KEY, BULK_LATER or BULK_END (of a failed read, too). A line
 * that is too long, or with a NUL in it, comes as something that is no domain.
 */
enum bulk_input lines_next(struct lines *l, const char **line_r);

/* How many there are; 0: not known beforehand. */
uint64_t lines_count(struct lines *l);

#endif
