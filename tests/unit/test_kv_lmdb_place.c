/* Where packs lie: what was noted is found, for the keys and the snapshot that
   it was noted for, and nothing else. */

#include <check.h>
#include <stdlib.h>
#include "store/kv_lmdb_place.h"
#include "store/kv_pack.h"

#define PAGE 4096

static unsigned char *map; /* pages; a pack begins behind the head of one */

static void setup(void)
{
    map = aligned_alloc(PAGE, (size_t)PAGE * 200);
    ck_assert_ptr_nonnull(map);
}

static void teardown(void)
{
    free(map);
}

static struct kv_value pack(size_t page)
{
    return (struct kv_value){map + page * PAGE + 16, 3000};
}

/* Keys of pack i, of which all have the same upper half at its edges. */
static uint64_t first_of(size_t i)
{
    return (uint64_t)i << 53;
}

static uint64_t last_of(size_t i)
{
    return first_of(i + 1) - 1;
}

static uint64_t middle_of(size_t i)
{
    return first_of(i) + ((uint64_t)1 << 52);
}

static bool finds(const struct places *p, uint64_t key, size_t page)
{
    struct kv_value bytes;

    if (!places_find(p, key, &bytes))
        return false;
    ck_assert_ptr_eq(bytes.data, pack(page).data);
    ck_assert_uint_eq(bytes.len, KV_PACK_MAX);
    return true;
}

static void note(struct places *p, size_t i, size_t page)
{
    places_note(p, middle_of(i), first_of(i), last_of(i), pack(page));
}

START_TEST(noted)
{
    struct places p = {0};

    note(&p, 3, 0); /* no snapshot yet */
    ck_assert(!finds(&p, middle_of(3), 0));
    places_begin(&p, 7, 200);
    ck_assert(!finds(&p, middle_of(3), 0));
    for (size_t i = 0; i < 200; i++)
        note(&p, i, (i * 77 + 100) % 200);
    for (size_t i = 0; i < 200; i++)
        ck_assert(finds(&p, middle_of(i), (i * 77 + 100) % 200));
    ck_assert(!finds(&p, middle_of(200), 0));
    places_free(&p);
}
END_TEST

/* What the upper half of a key does not tell apart is searched for. */
START_TEST(edges)
{
    const uint64_t half = (uint64_t)1 << 32;
    struct places p = {0};

    places_begin(&p, 7, 1);
    note(&p, 3, 0);
    ck_assert(!finds(&p, first_of(3) - 1, 0));
    ck_assert(!finds(&p, first_of(3), 0));
    ck_assert(!finds(&p, first_of(3) + half - 1, 0));
    ck_assert(finds(&p, first_of(3) + half, 0));
    ck_assert(finds(&p, last_of(3) - half, 0));
    ck_assert(!finds(&p, last_of(3) - half + 1, 0));
    ck_assert(!finds(&p, last_of(3), 0));
    ck_assert(!finds(&p, last_of(3) + 1, 0));
    /* The kind belongs to the key, though not to the row. */
    ck_assert(!finds(&p, middle_of(3) | (uint64_t)1 << KV_KIND_SHIFT, 0));
    places_free(&p);
}
END_TEST

START_TEST(of_one_snapshot)
{
    struct places p = {0};

    places_begin(&p, 7, 200);
    note(&p, 3, 5);
    places_begin(&p, 7, 200);
    ck_assert(finds(&p, middle_of(3), 5));
    places_begin(&p, 8, 200);
    ck_assert(!finds(&p, middle_of(3), 5));
    note(&p, 3, 6);
    ck_assert(finds(&p, middle_of(3), 6));
    places_begin(&p, 7, 200); /* numbers go back where a file is made anew */
    ck_assert(!finds(&p, middle_of(3), 6));
    places_begin(&p, 9, 20000); /* it grows */
    ck_assert(!finds(&p, middle_of(3), 6));
    note(&p, 3, 4);
    ck_assert(finds(&p, middle_of(3), 4));
    places_free(&p);
}
END_TEST

START_TEST(snapshots_are_counted_around)
{
    struct places p = {0};

    places_begin(&p, 1, 200);
    note(&p, 3, 5);
    p.snapshot = UINT32_MAX;
    places_begin(&p, 2, 200);
    ck_assert(!finds(&p, middle_of(3), 5));
    note(&p, 3, 6);
    ck_assert(finds(&p, middle_of(3), 6));
    places_free(&p);
}
END_TEST

/* Of others, KV_PACK_MAX octets need not be in the map. */
START_TEST(only_packs_of_a_page)
{
    struct places p = {0};
    struct kv_value odd[] = {
        {map + 24, 3000}, {map + 16, KV_PACK_MAX + 1}, {map + 4000, 10}};

    places_begin(&p, 1, 200);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        places_note(&p, middle_of(3), first_of(3), last_of(3), odd[i]);
        ck_assert(!finds(&p, middle_of(3), 0));
    }
    places_free(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kv_lmdb_place");
    TCase *t = tcase_create("places");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, noted);
    tcase_add_test(t, edges);
    tcase_add_test(t, of_one_snapshot);
    tcase_add_test(t, snapshots_are_counted_around);
    tcase_add_test(t, only_packs_of_a_page);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
