/* Keys: any bytes. What passes is in normal form and stays as it is. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_domain(const char *domain)
{
    size_t n = strlen(domain);

    assert(n >= 1 && n <= NAME_MAX_TEXT);
    assert(domain[0] != '.' && domain[n - 1] != '.');
    assert(strstr(domain, "..") == NULL);
    assert(domain[strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] ==
           '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *in = malloc(size + 1);
    struct key key, again;

    assert(in != NULL);
    memcpy(in, data, size);
    in[size] = '\0';
    key_parse(in, &key);
    free(in);
    if (key.kind == KEY_NONE) {
        assert(key.why != NULL && key.domain[0] == '\0' &&
               key.recipient[0] == '\0');
        return 0;
    }
    assert(key.why == NULL);
    check_domain(key.domain);
    key_parse(key.kind == KEY_DOMAIN ? key.domain : key.recipient, &again);
    assert(again.kind == key.kind);
    assert(strcmp(again.domain, key.domain) == 0);
    assert(strcmp(again.recipient, key.recipient) == 0);
    return 0;
}
