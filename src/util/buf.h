/* Growable text and byte buffer with a sticky failure flag. */

#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Zero-initialise. data is always NUL-terminated once something was added.
 * After a failed allocation `failed` stays set and every further call is a
 * no-op, so that code can append in a straight line and test once.
 */
struct buf {
    char *data;
    size_t len; /* without the NUL */
    size_t cap;
    bool failed;
};

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *text);
/* The same with what str_printable_utf8() leaves of it. */
void buf_add_printable(struct buf *b, const char *text, size_t n);
void buf_puts_printable(struct buf *b, const char *text);
/* The same word by word, in lines of 80 columns. It begins in column `at`; what
   comes on further lines is indented. */
void buf_puts_wrapped(struct buf *b, const char *text, size_t at,
                      size_t indent);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void buf_reset(struct buf *b); /* empty it, keep the memory */
void buf_free(struct buf *b);

/* The text, now the caller's to free(3); NULL if anything failed. Never NULL
   for an empty buffer otherwise. Leaves b zeroed. */
char *buf_detach(struct buf *b);

#endif
