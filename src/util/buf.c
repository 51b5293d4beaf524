/*
 * buf - growable text and byte buffer
 *
 * For everything whose length is not known beforehand: rendered lists, trace
 * text, records. A failed allocation is remembered in the buffer, so that a
 * run of appends needs one check, at the end.
 */

#include "util/buf.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 80

static bool buf_reserve(struct buf *b, size_t more)
{
    size_t cap = b->cap != 0 ? b->cap : 64;
    char *data;

    if (b->failed)
        return false;
    if (more >= SIZE_MAX / 2 - b->len) {
        b->failed = true;
        return false;
    }
    while (cap < b->len + more + 1)
        cap *= 2;
    if (cap == b->cap)
        return true;
    data = realloc(b->data, cap);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (!buf_reserve(b, n))
        return;
    if (n > 0)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_printable(struct buf *b, const char *text, size_t n)
{
    size_t at = b->len;

    buf_add(b, text, n);
    if (!b->failed)
        str_printable_utf8(b->data + at);
}

void buf_puts_printable(struct buf *b, const char *text)
{
    buf_add_printable(b, text, strlen(text));
}

void buf_puts_wrapped(struct buf *b, const char *text, size_t at, size_t indent)
{
    bool first = true;

    while (*(text += strspn(text, " ")) != '\0') {
        size_t n = strcspn(text, " ");

        if (at + 1 + n > COLUMNS && at > indent) {
            buf_printf(b, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            buf_putc(b, ' ');
            at++;
        }
        buf_add_printable(b, text, n);
        at += n;
        text += n;
        first = false;
    }
}

void buf_putc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if (!buf_reserve(b, (size_t)n))
        return;
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    if (b->data != NULL)
        b->data[0] = '\0';
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

char *buf_detach(struct buf *b)
{
    char *data;

    buf_add(b, "", 0); /* an empty buffer becomes "" */
    if (b->failed) {
        buf_free(b);
        return NULL;
    }
    data = b->data;
    *b = (struct buf){0};
    return data;
}
