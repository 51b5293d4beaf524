/* Where log lines go: the host's function, or nowhere. */

#ifndef UTIL_LOG_H
#define UTIL_LOG_H

/* Level: 0 warning, 1 information (enum mxhop_log_level). */
struct log {
    void (*fn)(void *ctx, int level, const char *line);
    void *ctx;
};

/* One line, made printable, at most 1000 octets. Safe with a zeroed log. */
void log_warn(const struct log *log, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_info(const struct log *log, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
