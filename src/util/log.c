/*
 * log - hand log lines to the host program
 *
 * The library never prints. A line is made printable here, because it may
 * quote DNS answers and directory values.
 */

#include "util/log.h"
#include "util/str.h"

#include <stdarg.h>
#include <stdio.h>

static void log_emit(const struct log *log, int level, const char *fmt,
                     va_list ap)
{
    char line[1000];

    if (log->fn == NULL)
        return;
    vsnprintf(line, sizeof(line), fmt, ap);
    str_printable(line);
    log->fn(log->ctx, level, line);
}

void log_warn(const struct log *log, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_emit(log, 0, fmt, ap);
    va_end(ap);
}

void log_info(const struct log *log, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_emit(log, 1, fmt, ap);
    va_end(ap);
}
