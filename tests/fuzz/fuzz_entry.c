/* LDIF bytes through reader and entry rules: no crash, and a valid entry only
   with what its mode needs. */

#include <assert.h>
#include <string.h>
#include "ldap/entry.h"
#include "source/ldif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum mxhop_status parse(void *ctx, const struct raw_entry *raw,
                               struct mxhop_error *err)
{
    struct override o;

    (void)ctx;
    if (entry_parse(raw, &o, &(size_t){0}, err) != ENTRY_OK)
        return MXHOP_OK;
    assert(o.keys.n + o.exchanges.n > 0);
    assert(o.mode != OVERRIDE_REPLACE || o.n_hops > 0);
    assert(o.dn[0] != '\0');
    override_free(&o);
    return MXHOP_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mxhop_error err;

    (void)ldif_read_bytes("fuzz", (const char *)data, size, parse, NULL, &err);
    return 0;
}
