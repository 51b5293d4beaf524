/* Configuration: any bytes. What is accepted is printed so that it reads as
   the same; an error names the file. */

#include <assert.h>
#include <string.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first = {0}, second = {0};
    struct mxhop_error err = {0};
    struct conf c;

    if (conf_parse(&c, "f.cf", (const char *)data, size, &err) != MXHOP_OK) {
        assert(strncmp(err.text, "f.cf:", 5) == 0);
        assert(c.seed == NULL);
        return 0;
    }
    assert(c.ttl_min_s <= c.ttl_max_s && c.max_hops >= 1 && c.max_hops <= 100);
    conf_print(&c, &first);
    conf_free(&c);
    assert(conf_parse(&c, "f.cf", first.data, first.len, &err) == MXHOP_OK);
    conf_print(&c, &second);
    conf_free(&c);
    assert(strcmp(first.data, second.data) == 0);
    buf_free(&first);
    buf_free(&second);
    return 0;
}
