/* TXT records at _mta-sts: an id is an id, and stays one when written anew. */

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input: records, each behind its length in two octets. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sts_txts t = {0}, again = {0};
    struct sts_record r;
    char text[64];

    for (size_t at = 0; at + 2 <= size;) {
        size_t len = (size_t)data[at] << 8 | data[at + 1];

        at += 2;
        if (len > size - at)
            len = size - at;
        sts_txts_add(&t, data + at, len);
        at += len;
    }
    r = sts_txts_judge(&t);
    assert((r.state == STS_TXT_ID) == (r.id[0] != '\0'));
    if (r.state != STS_TXT_ID)
        return 0;
    assert(sts_is_id(r.id) && t.counted == 1);
    snprintf(text, sizeof(text), "_v=STSv1; id=%s", r.id);
    text[0] = (char)(strlen(text) - 1);
    sts_txts_add(&again, (const uint8_t *)text, strlen(text));
    assert(strcmp(sts_txts_judge(&again).id, r.id) == 0);
    return 0;
}
