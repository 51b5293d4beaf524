/*
 * json - text as a JSON string
 *
 * Written by hand: the library does without jansson. Every text is escaped to
 * ASCII; octets that are not UTF-8 become U+FFFD, so that the result is valid
 * JSON whatever strangers put into DNS or ask for.
 */

#include "util/json.h"
#include "util/str.h"

#include <string.h>

static void json_add_code(uint32_t c, struct buf *out)
{
    if (c > 0xffff) {
        c -= 0x10000;
        buf_printf(out, "\\u%04x\\u%04x", 0xd800 + (unsigned)(c >> 10),
                   0xdc00 + (unsigned)(c & 0x3ff));
    } else {
        buf_printf(out, "\\u%04x", (unsigned)c);
    }
}

void json_escape(const char *text, struct buf *out)
{
    uint32_t code;
    size_t n;

    buf_putc(out, '"');
    for (; *text != '\0'; text += n) {
        n = 1;
        if (*text == '"' || *text == '\\') {
            buf_putc(out, '\\');
            buf_putc(out, *text);
        } else if (*text >= ' ' && *text <= '~') {
            buf_putc(out, *text);
        } else {
            n = str_utf8(text, &code);
            json_add_code(n > 0 ? code : 0xfffd, out);
            n += n == 0;
        }
    }
    buf_putc(out, '"');
}

static void json_begin(const char *name, struct buf *out)
{
    if (out->len > 0 && strchr("{[", out->data[out->len - 1]) == NULL)
        buf_putc(out, ',');
    if (name != NULL)
        buf_printf(out, "\"%s\":", name);
}

void json_add(const char *name, const char *text, struct buf *out)
{
    json_begin(name, out);
    if (text != NULL)
        json_escape(text, out);
    else
        buf_puts(out, "null");
}

void json_add_list(const char *name, char *const *texts, size_t n,
                   struct buf *out)
{
    json_begin(name, out);
    buf_putc(out, '[');
    for (size_t i = 0; i < n; i++)
        json_add(NULL, texts[i], out);
    buf_putc(out, ']');
}
