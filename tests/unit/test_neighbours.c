/* Entries of the table that share a key with what a refresh read. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "support/suite.h"
#include "source/neighbours.h"
#include "support/ovreplace.h"
#include "support/failmalloc.h"

static char dir[64], path[80], lock[96];

/* "cn=NAME" and the id of it, under KEYS, of which those behind | are
 * exchanges.
 */
static struct override entry(const char *name, const char *keys)
{
    struct override o = {.dn = strdup(name), .enabled = true};
    char text[64], *word, *rest = text;
    bool exchanges = false;

    ck_assert_uint_lt(strlen(keys), sizeof(text));
    strcpy(text, keys);
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word == '|')
            exchanges = true;
        else
            strlist_add(exchanges ? &o.exchanges : &o.keys, word);
    }
    return o;
}

#define SET 6

static void setup(void)
{
    struct ovtable_write w = {.path = path};
    struct override set[SET] = {
        entry("one", "a.test b.test"), entry("two", "b.test | .mx.test"),
        entry("three", "c.test"),      entry("four", "b.test"),
        entry("off", "b.test"),        entry("user", "u@a.test *"),
    };
    struct ovtable_change c;
    struct mxhop_error err = {0};

    strcpy(dir, "/tmp/mxhop-neighbours-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/overrides", dir);
    snprintf(lock, sizeof(lock), "%s.lock", path);
    set[4].enabled = false;
    ck_assert_msg(ovtable_replace(&w, set, SET, &c, &err) == MXHOP_OK, "%s",
                  err.text);
    for (size_t i = 0; i < SET; i++)
        override_free(&set[i]);
}

static void teardown(void)
{
    unlink(path);
    unlink(lock);
    rmdir(dir);
}

/* The id of a name; how many: none of "" and NULL. */
static size_t id_of(const char *name, unsigned char id_r[OVTABLE_ID_LEN])
{
    if (name == NULL || name[0] == '\0')
        return 0;
    ovtable_id_of_dn(name, id_r);
    return 1;
}

static const struct {
    const char *name, *keys; /* of the entry that was read */
    const char *remove;
    const char *present; /* NULL: a delta that is not complete */
    const char *found;
} cases[] = {
    {"new", "b.test", "", NULL, "four one two "},
    {"new", "a.test b.test | .mx.test", "", NULL, "four one two "},
    {"new", "a.test", "", NULL, "one "},
    {"new", "| .mx.test mx.test", "", NULL, "two "},
    {"new", "z.test | b.test", "", NULL, ""},
    {"new", "u@a.test", "", NULL, "user "},
    {"new", "*", "", NULL, "user "},
    {"one", "b.test", "", NULL, "four two "}, /* as it is about to be */
    {"new", "b.test", "four", NULL, "one two "},
    {"new", "b.test", "", "four", "four "},
    {"new", "b.test", "", "", ""}, /* all that there is */
};

static bool find(int i, struct neighbours *n_r)
{
    unsigned char remove[1][OVTABLE_ID_LEN], present[1][OVTABLE_ID_LEN];
    struct override o = entry(cases[i].name, cases[i].keys);
    const struct stage s = {.v = &o, .n = 1};
    struct ovtable_upsert upsert = {.o = &o};
    const struct ovtable_delta d = {
        .upsert = &upsert,
        .n_upsert = 1,
        .remove = (const unsigned char(*)[OVTABLE_ID_LEN])remove,
        .n_remove = id_of(cases[i].remove, remove[0]),
        .complete = cases[i].present != NULL,
        .present = (const unsigned char(*)[OVTABLE_ID_LEN])present,
        .n_present = id_of(cases[i].present, present[0]),
    };
    bool whole;

    ovtable_id_of_dn(o.dn, upsert.id);
    whole = neighbours_find(path, &s, &d, n_r);
    override_free(&o);
    return whole;
}

static void assert_found(int i, const struct neighbours *n)
{
    char text[64] = "";

    for (size_t k = 0; k < n->n; k++) {
        strcat(text, n->v[k].dn);
        strcat(text, " ");
    }
    ck_assert_str_eq(text, cases[i].found);
}

START_TEST(who_shares_a_key_and_stays)
{
    struct neighbours n;

    ck_assert(find(_i, &n));
    assert_found(_i, &n);
    neighbours_free(&n);
}
END_TEST

START_TEST(no_table)
{
    struct neighbours n;

    unlink(path);
    ck_assert(find(0, &n));
    ck_assert_uint_eq(n.n, 0);
    neighbours_free(&n);
}
END_TEST

START_TEST(out_of_memory)
{
    bool hit = true;

    for (unsigned at = 1; hit; at++) {
        struct override o = entry("new", "b.test");
        const struct stage s = {.v = &o, .n = 1};
        struct ovtable_upsert upsert = {.o = &o};
        const struct ovtable_delta d = {.upsert = &upsert, .n_upsert = 1};
        struct neighbours n;
        bool whole;

        failmalloc_at(at);
        whole = neighbours_find(path, &s, &d, &n);
        hit = failmalloc_hit();
        failmalloc_at(0);
        if (whole)
            assert_found(0, &n);
        else
            ck_assert(hit);
        neighbours_free(&n);
        override_free(&o);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("neighbours");
    TCase *tc = tcase_create("neighbours");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, who_shares_a_key_and_stays, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tc, no_table);
    tcase_add_test(tc, out_of_memory);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
