/* Names in a message: what is read is a name, and survives as text. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"
#include "dns/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const struct wire_name *n)
{
    char text[WIRE_NAME_TEXT];
    struct wire_name again;

    assert(n->len > 0 && n->octets[n->len - 1] == 0);
    wire_name_print(n, text);
    assert(strlen(text) < WIRE_NAME_TEXT);
    for (const char *p = text; *p != '\0'; p++)
        assert(*p > ' ' && *p <= '~');
    assert(wire_name_parse(text, &again) && wire_name_equal(n, &again));
    assert(wire_name_within(n, n));
}

/* Input: where the name starts, then the message; read also as text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = {.msg = data + 1, .len = size - 1};
    struct wire_name n;
    char *text;

    if (size == 0)
        return 0;
    c.pos = data[0] < c.len ? data[0] : c.len;
    wire_name_read(&c, &n);
    assert(c.pos <= c.len && c.failed == (n.len == 0));
    if (!c.failed)
        check_name(&n);
    text = strndup((const char *)data + 1, size - 1);
    if (text != NULL && wire_name_parse(text, &n))
        check_name(&n);
    free(text);
    return 0;
}
