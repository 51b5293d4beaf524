/* Controls and messages of RFC 4533: what is accepted lies in its value. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ldap/sync_control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const struct berval *v, const void *at, size_t len)
{
    const char *p = at;

    assert(len <= v->bv_len);
    assert(len == 0 || (p >= v->bv_val && p + len <= v->bv_val + v->bv_len));
}

/* Input: which of the three, then the value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct berval v = {0};
    struct sync_entry e;
    struct sync_done d;
    struct sync_info i = {0};

    if (size == 0)
        return 0;
    v.bv_len = size - 1;
    v.bv_val = malloc(size); /* of its own, so that reading on is noticed */
    if (v.bv_val == NULL)
        return 0;
    memcpy(v.bv_val, data + 1, size - 1);
    if (data[0] % 3 == 0 && sync_parse_entry(&v, &e)) {
        check_inside(&v, e.uuid, SYNC_UUID_LEN);
        check_inside(&v, e.cookie.data, e.cookie.len);
    }
    if (data[0] % 3 == 1 && sync_parse_done(&v, &d))
        check_inside(&v, d.cookie.data, d.cookie.len);
    if (data[0] % 3 == 2 && sync_parse_info(&v, &i) == MXHOP_OK) {
        check_inside(&v, i.cookie.data, i.cookie.len);
        assert(i.n_uuids * SYNC_UUID_LEN <= v.bv_len);
    }
    free(i.uuids);
    free(v.bv_val);
    return 0;
}
