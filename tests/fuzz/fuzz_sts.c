/* Policies: what is accepted is bounded, and means the same when written anew.
 */

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/sts.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sts_policy p, again;
    struct buf b = {0};

    if (sts_parse((const char *)data, size, &p) != NULL) {
        assert(p.n_mx == 0 && p.mx == NULL);
        return 0;
    }
    assert(size <= STS_TEXT_MAX && p.max_age_s <= STS_MAX_AGE_S);
    assert(p.n_mx <= STS_MX_MAX && (p.n_mx > 0 || p.mode == STS_MODE_NONE));
    buf_printf(&b, "version: STSv1\nmode: %s\nmax_age: %u\n",
               sts_mode_word(p.mode), p.max_age_s);
    for (size_t i = 0; i < p.n_mx; i++) {
        assert(sts_is_pattern(p.mx[i]));
        buf_printf(&b, "mx: %s\n", p.mx[i]);
        assert(p.mx[i][0] == '*' || sts_matches(&p, p.mx[i]));
    }
    if (!b.failed) {
        assert(sts_parse(b.data, b.len, &again) == NULL);
        assert(again.mode == p.mode && again.max_age_s == p.max_age_s &&
               again.n_mx == p.n_mx);
        for (size_t i = 0; i < p.n_mx; i++)
            assert(strcmp(again.mx[i], p.mx[i]) == 0);
        sts_policy_free(&again);
    }
    buf_free(&b);
    sts_policy_free(&p);
    return 0;
}
