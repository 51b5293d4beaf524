/*
 * err - fill a caller's struct mxhop_error
 *
 * One place makes error text safe for logs and terminals: values from DNS,
 * LDIF and configuration end up in it.
 */

#include "util/err.h"
#include "util/str.h"

#include <stdarg.h>
#include <stdio.h>

enum mxhop_status err_set(struct mxhop_error *err, enum mxhop_status code,
                          const char *fmt, ...)
{
    va_list ap;

    if (err == NULL)
        return code;
    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    str_printable(err->text);
    return code;
}

enum mxhop_status err_set_utf8(struct mxhop_error *err, enum mxhop_status code,
                               const char *fmt, ...)
{
    va_list ap;

    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    str_printable_utf8(err->text);
    return code;
}

enum mxhop_status err_nomem(struct mxhop_error *err)
{
    return err_set(err, MXHOP_ERR_MEMORY, "out of memory");
}
