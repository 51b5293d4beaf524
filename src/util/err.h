/* Fill a caller's struct mxhop_error. */

#ifndef UTIL_ERR_H
#define UTIL_ERR_H

#include <mxhop/error.h>

/* Store code and text (made printable, cut to fit) and return code, so that a
   function can `return err_set(...)`. err may be NULL. */
enum mxhop_status err_set(struct mxhop_error *err, enum mxhop_status code,
                          const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for an error that only people at a terminal read: UTF-8 stays. */
enum mxhop_status err_set_utf8(struct mxhop_error *err, enum mxhop_status code,
                               const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum mxhop_status err_nomem(struct mxhop_error *err);

#endif
