/* A pack of cache entries, as a damaged file may hold it: nothing outside of
   it is read, and what was read survives being written. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "store/kv_pack.h"

static void check_inside(struct kv_value v, const uint8_t *data, size_t size)
{
    assert(v.data >= data && v.data + v.len <= data + size);
    assert(v.len <= KV_VALUE_MAX);
}

static void check_written(const struct kv_pack_list *l)
{
    size_t len = kv_pack_list_size(l, 0, l->n);
    unsigned char *again = malloc(len);
    struct kv_value value;
    struct kv_pack p;
    uint64_t key;

    if (again == NULL)
        return;
    kv_pack_list_write(l, 0, l->n, again, len);
    assert(kv_pack_open(&p, (struct kv_value){again, len}));
    assert(p.n == l->n && p.len == len);
    /* With entries of any size, the first of them can be told. */
    assert(kv_pack_entry(&p, 0, &key, &value));
    assert(key == l->entry[0].key && value.len == l->entry[0].value.len);
    assert(memcmp(value.data, l->entry[0].value.data, value.len) == 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kv_pack_list list;
    struct kv_value bytes = {data, size}, value;
    struct kv_pack p;
    uint64_t key;

    if (kv_pack_find(bytes, 1, &value))
        check_inside(value, data, size);
    if (!kv_pack_open(&p, bytes))
        return 0;
    assert(kv_pack_seek(&p, 1) <= p.n);
    for (size_t i = 0; i < p.n; i++)
        if (kv_pack_entry(&p, i, &key, &value))
            check_inside(value, data, size);
    list.n = 0;
    if (kv_pack_list_add(&list, &p) && list.n > 0)
        check_written(&list);
    return 0;
}
