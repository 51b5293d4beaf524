/* The memory backend: bounded, forgets the right things, survives no memory. */

#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include "store/kv.h"
#include "support/failmalloc.h"

static struct kv *open_kv(size_t max)
{
    struct mxhop_error err;
    struct kv *kv;

    ck_assert_int_eq(kv_memory_open(&kv, max, &err), MXHOP_OK);
    return kv;
}

static void put(struct kv *kv, const char *key, const char *value,
                enum kv_worth worth)
{
    kv->ops->put(kv, key, strlen(key), value, strlen(value), worth);
}

static size_t get(struct kv *kv, const char *key, char *out, size_t cap)
{
    size_t n = kv->ops->get(kv, key, strlen(key), out, cap - 1);

    out[n < cap ? n : 0] = '\0';
    return n;
}

START_TEST(put_get_del)
{
    struct kv *kv = open_kv(65536);
    char v[16];

    ck_assert_uint_eq(get(kv, "a", v, sizeof(v)), 0);
    put(kv, "a", "one", KV_POSITIVE);
    put(kv, "b", "two", KV_NEGATIVE);
    put(kv, "a", "three", KV_NEGATIVE);
    ck_assert_uint_eq(get(kv, "a", v, sizeof(v)), 5);
    ck_assert_str_eq(v, "three");
    memset(v, 'x', sizeof(v));
    ck_assert_uint_eq(kv->ops->get(kv, "a", 1, v, 4), 5);
    ck_assert_int_eq(v[0], 'x');
    kv->ops->del(kv, "a", 1);
    kv->ops->del(kv, "none", 4);
    ck_assert_uint_eq(get(kv, "a", v, sizeof(v)), 0);
    ck_assert_uint_eq(get(kv, "b", v, sizeof(v)), 3);
    kv->ops->close(kv);
}
END_TEST

START_TEST(limits)
{
    static char big[KV_VALUE_MAX + 1];
    struct mxhop_error err;
    struct kv *kv = open_kv(8192);
    char v[16];

    kv->ops->put(kv, big, KV_KEY_MAX + 1, "x", 1, KV_POSITIVE);
    kv->ops->put(kv, "k", 1, big, sizeof(big), KV_POSITIVE);
    kv->ops->put(kv, "k", 1, big, 9000, KV_POSITIVE);
    kv->ops->put(kv, "k", 1, "", 0, KV_POSITIVE);
    ck_assert_uint_eq(get(kv, "k", v, sizeof(v)), 0);
    put(kv, "k", "old", KV_POSITIVE);
    kv->ops->put(kv, "k", 1, big, 9000, KV_POSITIVE);
    ck_assert_uint_eq(get(kv, "k", v, sizeof(v)), 3);
    kv->ops->close(kv);
    ck_assert_int_eq(kv_memory_open(&kv, 100, &err), MXHOP_ERR_ARGUMENT);
    ck_assert_ptr_null(kv);
}
END_TEST

START_TEST(bounded_and_useful)
{
    enum { MAX = 200000, HOT = 50, COLD = 20000 };
    size_t before = mallinfo2().uordblks, kept = 0;
    struct kv *kv = open_kv(MAX);
    char key[32], v[128], value[100];

    memset(value, 'v', sizeof(value));
    value[99] = '\0';
    for (int i = 0; i < HOT; i++) {
        snprintf(key, sizeof(key), "hot%d", i);
        put(kv, key, value, KV_POSITIVE);
    }
    for (int i = 0; i < COLD; i++) {
        snprintf(key, sizeof(key), "cold%d", i);
        put(kv, key, value, KV_NEGATIVE);
        ck_assert_uint_le(mallinfo2().uordblks - before, MAX + 4096);
    }
    for (int i = 0; i < HOT; i++) {
        snprintf(key, sizeof(key), "hot%d", i);
        kept += get(kv, key, v, sizeof(v)) > 0;
    }
    ck_assert_uint_eq(kept, HOT);
    /* Among equals, what is used stays. */
    for (int i = 0; i < COLD; i++) {
        snprintf(key, sizeof(key), "new%d", i);
        put(kv, key, value, KV_POSITIVE);
        snprintf(key, sizeof(key), "hot%d", i % HOT);
        get(kv, key, v, sizeof(v));
    }
    for (int i = kept = 0; i < HOT; i++) {
        snprintf(key, sizeof(key), "hot%d", i);
        kept += get(kv, key, v, sizeof(v)) > 0;
    }
    ck_assert_uint_ge(kept, HOT * 8 / 10);
    kv->ops->close(kv);
}
END_TEST

START_TEST(no_memory)
{
    for (unsigned n = 1;; n++) {
        struct mxhop_error err;
        char key[16], v[16];
        struct kv *kv;
        bool hit, good = true;

        failmalloc_at(n);
        if (kv_memory_open(&kv, 1 << 20, &err) == MXHOP_OK) {
            for (int i = 0; i < 200; i++) {
                snprintf(key, sizeof(key), "k%d", i);
                put(kv, key, key, KV_POSITIVE);
            }
            for (int i = 0; i < 200; i++) {
                snprintf(key, sizeof(key), "k%d", i);
                if (get(kv, key, v, sizeof(v)) > 0)
                    good = good && strcmp(v, key) == 0;
            }
            kv->ops->close(kv);
        } else {
            good = err.code == MXHOP_ERR_MEMORY;
        }
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert(good);
        if (!hit)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kv");
    TCase *t = tcase_create("memory");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, put_get_del);
    tcase_add_test(t, limits);
    tcase_add_test(t, bounded_and_useful);
    tcase_add_test(t, no_memory);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
