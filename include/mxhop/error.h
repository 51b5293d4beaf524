/*
 * mxhop/error.h - how every function of libmxhop says that it failed.
 *
 * Functions that can fail return an enum mxhop_status and, where the caller
 * passes a struct mxhop_error, describe the failure there: what happened,
 * where (file and line, DN and attribute, domain) and what was expected.
 * The struct belongs to the caller, holds no pointers and needs no cleanup.
 */

#ifndef MXHOP_ERROR_H
#define MXHOP_ERROR_H

enum mxhop_status {
    MXHOP_OK = 0,
    MXHOP_ERR_MEMORY,   /* out of memory */
    MXHOP_ERR_ARGUMENT, /* a value that the caller may not pass */
    MXHOP_ERR_CONFIG,   /* configuration file missing, unreadable, invalid */
    MXHOP_ERR_SYNTAX,   /* malformed input: LDIF, hop, key, DNS message */
    MXHOP_ERR_IO,       /* operating system call failed */
    MXHOP_ERR_TABLE,    /* override table missing, unreadable, damaged */
    MXHOP_ERR_DNS,      /* name server set or DNS exchange unusable */
    MXHOP_ERR_HELD,     /* a refresh was held back, see override_shrink_limit */
    MXHOP_ERR_TIMEOUT   /* the time allowed was used up */
};

struct mxhop_error {
    enum mxhop_status code;
    char text[512]; /* one line, no newline, printable ASCII */
};

#endif
