/* Hops: any text. What passes is printed so that it reads as the same. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/hop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *in = malloc(size + 1), text[HOP_TEXT_MAX];
    struct hopspec hop, again;
    const char *wrong;

    assert(in != NULL);
    memcpy(in, data, size);
    in[size] = '\0';
    wrong = hop_parse(in, &hop);
    free(in);
    if (wrong != NULL)
        return 0;
    assert(hop.host[strspn(hop.host, "abcdefghijklmnopqrstuvwxyz0123456789"
                                     "-_.:")] == '\0');
    assert(hop.kind == HOP_ADDRESS || strchr(hop.host, ':') == NULL);
    hop_format(&hop, text);
    assert(hop_parse(text, &again) == NULL);
    assert(memcmp(&hop, &again, sizeof(hop)) == 0);
    return 0;
}
