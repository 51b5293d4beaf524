/* Packs: entries are found again; of damaged bytes nothing outside is read. */

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "store/kv_pack.h"

static struct kv_pack_list list;
static unsigned char bytes[2 * KV_PACK_MAX];

static struct kv_value value_of(const char *text)
{
    return (struct kv_value){(const unsigned char *)text, strlen(text)};
}

/* n entries with keys 256 apart: the octets that are looked for are equal. */
static void fill(size_t n, const char *text)
{
    list.n = 0;
    for (size_t i = n; i-- > 0;)
        kv_pack_list_put(&list, 7 + 256 * i, value_of(text + i % 5));
}

static struct kv_value write_all(void)
{
    size_t len = kv_pack_list_size(&list, 0, list.n);

    memset(bytes, 0xee, sizeof(bytes));
    kv_pack_list_write(&list, 0, list.n, bytes, len + 10);
    ck_assert_uint_eq(bytes[len], 0);
    ck_assert_uint_eq(bytes[len + 9], 0);
    ck_assert_uint_eq(bytes[len + 10], 0xee);
    return (struct kv_value){bytes, len + 10};
}

START_TEST(found_again)
{
    struct kv_value b, v;
    struct kv_pack p;
    uint64_t key;

    fill(100, "some value");
    b = write_all();
    ck_assert(kv_pack_open(&p, b));
    ck_assert_uint_eq(p.n, 100);
    ck_assert_uint_eq(p.len, b.len - 10);
    for (size_t i = 0; i < 100; i++) {
        ck_assert(kv_pack_find(b, 7 + 256 * i, &v));
        ck_assert_uint_eq(v.len, 10 - i % 5);
        ck_assert_mem_eq(v.data, "some value" + i % 5, v.len);
        ck_assert(!kv_pack_find(b, 7 + 256 * i + (1ull << 40), &v));
        ck_assert(!kv_pack_find(b, 8 + 256 * i, &v));
        ck_assert(kv_pack_entry(&p, i, &key, &v));
        ck_assert_uint_eq(key, 7 + 256 * i);
        ck_assert_uint_eq(kv_pack_seek(&p, key), i);
        ck_assert_uint_eq(kv_pack_seek(&p, key + 1), i + 1);
    }
}
END_TEST

START_TEST(lists)
{
    struct kv_pack p;
    struct kv_value v;

    fill(3, "x1234");
    ck_assert(kv_pack_list_del(&list, 7 + 256));
    ck_assert(!kv_pack_list_del(&list, 7 + 256));
    kv_pack_list_put(&list, 7, value_of("new"));
    ck_assert_uint_eq(list.n, 2);
    ck_assert_uint_eq(kv_pack_list_size(&list, 0, 1), KV_PACK_ONE(3));
    ck_assert(kv_pack_open(&p, write_all()));
    fill(KV_PACK_ENTRIES - 2, "12345");
    ck_assert(kv_pack_list_add(&list, &p));
    ck_assert_uint_eq(list.n, KV_PACK_ENTRIES);
    v = list.entry[KV_PACK_ENTRIES - 2].value;
    ck_assert_uint_eq(v.len, 3);
    ck_assert_mem_eq(v.data, "new", 3);
    ck_assert(!kv_pack_list_add(&list, &p));
    ck_assert_uint_eq(list.n, KV_PACK_ENTRIES);
}
END_TEST

START_TEST(cut_in_the_middle)
{
    static unsigned char big[4000];
    size_t middle;

    fill(100, "1234567890");
    middle = kv_pack_list_middle(&list, 0, 100);
    ck_assert_uint_ge(middle, 48);
    ck_assert_uint_le(middle, 52);
    /* Never an empty part, wherever the large one is. */
    for (size_t i = 0; i < 3; i++) {
        fill(3, "12345");
        list.entry[i].value = (struct kv_value){big, sizeof(big)};
        middle = kv_pack_list_middle(&list, 0, 3);
        ck_assert_uint_ge(middle, 1);
        ck_assert_uint_le(middle, 2);
        ck_assert_uint_eq(kv_pack_list_middle(&list, 1, 3), 2);
    }
}
END_TEST

/* All that can be asked of n octets, which are the last before a wall. */
static void ask(const unsigned char *from, size_t n)
{
    unsigned char *copy = malloc(n + (n == 0));
    struct kv_value b = {copy, n}, v;
    struct kv_pack p;
    uint64_t key;

    memcpy(copy, from, n);
    for (size_t i = 0; i < 20; i++)
        if (kv_pack_find(b, 7 + 256 * i, &v))
            ck_assert(v.data >= copy && v.data + v.len <= copy + n);
    if (kv_pack_open(&p, b)) {
        ck_assert_uint_le(kv_pack_seek(&p, 7 + 256 * 5), p.n);
        for (size_t i = 0; i < p.n; i++)
            if (kv_pack_entry(&p, i, &key, &v))
                ck_assert(v.data >= copy && v.data + v.len <= copy + n);
        list.n = 0;
        kv_pack_list_add(&list, &p);
        ck_assert_uint_le(list.n, KV_PACK_ENTRIES);
    }
    free(copy);
}

START_TEST(damaged)
{
    struct kv_value v;
    size_t len;

    fill(20, "value");
    len = write_all().len - 10;
    for (size_t n = 0; n < len; n++) {
        ask(bytes, n);
        ck_assert(!kv_pack_find((struct kv_value){bytes, n}, 7, &v));
    }
    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (unsigned char)(1 << bit);
            ask(bytes, len);
            bytes[i] ^= (unsigned char)(1 << bit);
        }
    memset(bytes + 2, 0xff, 2); /* a great many, of no size */
    ask(bytes, sizeof(bytes));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kv_pack");
    TCase *t = tcase_create("pack");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, found_again);
    tcase_add_test(t, lists);
    tcase_add_test(t, cut_in_the_middle);
    tcase_add_test(t, damaged);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
