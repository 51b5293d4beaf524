/* TXT records at _mta-sts: an id is an id, and stays one when written anew. */

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input: records as text, each behind its length in two octets. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct domain_txt r = {0}, again = {0};
    unsigned n = 0, n_again = 0;
    char text[64];

    for (size_t at = 0; at + 2 <= size;) {
        size_t len = (size_t)data[at] << 8 | data[at + 1];

        at += 2;
        if (len > size - at)
            len = size - at;
        sts_txt_judge(&r, &n, (const char *)data + at, len);
        at += len;
    }
    assert((r.state == TXT_FOUND) == (r.id[0] != '\0'));
    if (r.state != TXT_FOUND)
        return 0;
    assert(sts_id_is_valid(r.id, strlen(r.id)) && n == 1);
    snprintf(text, sizeof(text), "v=STSv1; id=%s", r.id);
    sts_txt_judge(&again, &n_again, text, strlen(text));
    assert(strcmp(again.id, r.id) == 0);
    return 0;
}
