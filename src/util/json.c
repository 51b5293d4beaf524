/*
 * json - text as a JSON string
 *
 * Written by hand: the library does without jansson. Every text is escaped to
 * ASCII; octets that are not UTF-8 become U+FFFD, so that the result is valid
 * JSON whatever strangers put into DNS or ask for.
 */

#include "util/json.h"

/* Decode one character of more than one octet; its length, 0 if it is not
   well-formed UTF-8 (RFC 3629: shortest form, no surrogates). */
static size_t json_decode(const char *text, uint32_t *code_r)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t min, max;
    } forms[] = {
        {0xe0, 0xc0, 0x80, 0x7ff},
        {0xf0, 0xe0, 0x800, 0xffff},
        {0xf8, 0xf0, 0x10000, 0x10ffff},
    };
    const unsigned char *s = (const unsigned char *)text;
    size_t n = 0;
    uint32_t c;

    while (n < 3 && (s[0] & forms[n].mask) != forms[n].lead)
        n++;
    if (n == 3)
        return 0;
    c = s[0] & (unsigned)(unsigned char)~forms[n].mask;
    for (size_t i = 1; i <= n + 1; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    *code_r = c;
    if (c < forms[n].min || c > forms[n].max || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return n + 2;
}

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

void json_string(const char *text, struct buf *out)
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
        } else if ((*text & 0x80) == 0) {
            json_add_code((unsigned char)*text, out);
        } else {
            n = json_decode(text, &code);
            json_add_code(n > 0 ? code : 0xfffd, out);
            n += n == 0;
        }
    }
    buf_putc(out, '"');
}
