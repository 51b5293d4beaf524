/* util/tally: counts of texts. */

#include <stdio.h>
#include <stdlib.h>
#include "support/suite.h"
#include "support/failmalloc.h"
#include "util/tally.h"

static struct tally t;

static void add(const char *text, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        ck_assert(tally_add(&t, text));
}

START_TEST(sorts_by_count_then_text)
{
    static const struct {
        const char *text;
        uint64_t count;
    } want[] = {{"b", 3}, {"d", 3}, {"", 2}, {"a", 1}, {"c", 1}};

    add("d", 2);
    add("c", 1);
    add("b", 3);
    add("", 2);
    add("a", 1);
    add("d", 1);
    tally_sort(&t);
    ck_assert_uint_eq(t.n, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_str_eq(t.v[i]->text, want[i].text);
        ck_assert_uint_eq(t.v[i]->count, want[i].count);
    }
    tally_free(&t);
}
END_TEST

START_TEST(nothing_is_fine)
{
    tally_sort(&t);
    ck_assert_uint_eq(t.n, 0);
    tally_free(&t);
}
END_TEST

START_TEST(many_texts)
{
    char text[16];
    uint64_t sum = 0;

    for (unsigned i = 0; i < 30000; i++) {
        snprintf(text, sizeof(text), "%u", i % 10000);
        add(text, 1);
    }
    tally_sort(&t);
    ck_assert_uint_eq(t.n, 10000);
    for (size_t i = 0; i < t.n; i++)
        sum += t.v[i]->count == 3;
    ck_assert_uint_eq(sum, 10000);
    tally_free(&t);
}
END_TEST

/* The text that there was no memory for is missing, and no other. */
START_TEST(out_of_memory)
{
    bool hit = true;

    for (unsigned n = 1; hit; n++) {
        char text[16];
        unsigned added = 0;

        failmalloc_at(n);
        for (unsigned i = 0; i < 100; i++) {
            snprintf(text, sizeof(text), "%u", i);
            added += tally_add(&t, text);
        }
        hit = failmalloc_hit();
        failmalloc_at(0);
        tally_sort(&t);
        ck_assert_uint_eq(added, hit ? 99 : 100);
        ck_assert_uint_eq(t.n, added);
        for (size_t i = 0; i < t.n; i++)
            ck_assert_uint_eq(t.v[i]->count, 1);
        tally_free(&t);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tally");
    TCase *tc = tcase_create("tally");

    tcase_add_test(tc, sorts_by_count_then_text);
    tcase_add_test(tc, nothing_is_fine);
    tcase_add_test(tc, many_texts);
    tcase_add_test(tc, out_of_memory);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
