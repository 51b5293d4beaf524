/* Where the cache is, and whose: what is refused, and what comes of a directory
   that is removed while it is in use. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "support/suite.h"
#include "cache/cache.h"
#include "cache/cache_file.h"

static char above[64], dir[96];
static struct cache_place place;
static struct mxhop_error err;

static void setup(void)
{
    strcpy(above, "/tmp/test_cache_file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(above));
    snprintf(dir, sizeof(dir), "%s/cache", above);
}

static void teardown(void)
{
    static const char *const names[] = {CACHE_FILE, CACHE_FILE ".lock"};
    char path[160];

    cache_place_close(&place);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    if (rmdir(dir) < 0)
        unlink(dir);
    snprintf(path, sizeof(path), "%s/other", above);
    rmdir(path);
    rmdir(above);
}

static enum mxhop_status find_place(const char *path)
{
    cache_place_close(&place);
    return cache_place_find(&place, path, geteuid(), getegid(), &err);
}

static struct cache *open_cache(void)
{
    static const struct cache_policy policy = {.ttl_max_s = 60};
    const char *warning;
    struct cache *cache;
    struct live *t;

    ck_assert_msg(cache_place_open(&place, 1 << 20, &t, &warning, &err) ==
                      MXHOP_OK,
                  "%s", err.text);
    ck_assert_int_eq(cache_open(&cache, t, &policy, &err), MXHOP_OK);
    return cache;
}

START_TEST(nothing_is_in_it_before_it_is_opened)
{
    struct stat st;
    struct cache *cache;
    char path[160], slashes[128];

    ck_assert_int_eq(find_place(dir), MXHOP_OK);
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    snprintf(path, sizeof(path), "%s/" CACHE_FILE, dir);
    ck_assert_int_ne(stat(path, &st), 0);
    snprintf(slashes, sizeof(slashes), "%s//", dir); /* it is there already */
    ck_assert_int_eq(find_place(slashes), MXHOP_OK);
    ck_assert_str_eq(place.dir, dir);
    cache = open_cache();
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    cache_close(&cache);
}
END_TEST

START_TEST(no_paths)
{
    char path[PATH_MAX + 8];

    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    ck_assert_int_ne(find_place(path), MXHOP_OK);
    ck_assert_int_ne(find_place("cache"), MXHOP_OK);
    ck_assert_int_ne(find_place("/"), MXHOP_OK);
    ck_assert_int_ne(find_place(""), MXHOP_OK);
    snprintf(path, sizeof(path), "%s/none/none/cache", above);
    ck_assert_int_ne(find_place(path), MXHOP_OK);
}
END_TEST

/* What is wrong with the directory, and what is said of it. */
enum wrong { OF_A_GROUP, A_LINK, ABOVE_FOR_ALL, GONE };
static const struct {
    enum wrong wrong;
    const char *said;
} wrongs[] = {
    {OF_A_GROUP, "others may write to this directory"},
    {A_LINK, "Not a directory"},
    {ABOVE_FOR_ALL, "others may write to the directory above"},
    {GONE, "No such file"},
};

START_TEST(refused)
{
    const char *warning;
    struct live *t;
    char other[96];

    ck_assert_int_eq(find_place(dir), MXHOP_OK);
    switch (wrongs[_i].wrong) {
    case OF_A_GROUP:
        ck_assert_int_eq(chmod(dir, 0770), 0);
        break;
    case A_LINK:
        snprintf(other, sizeof(other), "%s/other", above);
        ck_assert_int_eq(rename(dir, other), 0);
        ck_assert_int_eq(symlink(other, dir), 0);
        break;
    case ABOVE_FOR_ALL:
        ck_assert_int_eq(chmod(above, 0777), 0);
        break;
    case GONE:
        ck_assert_int_eq(rmdir(dir), 0);
        break;
    }
    ck_assert_int_eq(cache_place_open(&place, 1 << 20, &t, &warning, &err),
                     MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, wrongs[_i].said));
    ck_assert_ptr_nonnull(strstr(err.text, dir));
    ck_assert_ptr_null(t);
}
END_TEST

/* Others go on in the new one, and so does who has the old one open. */
START_TEST(removed_and_made_anew)
{
    struct mxset null_mx = {.outcome = MX_NULL, .ttl_s = 60}, got;
    uint64_t now_ms = 1000000000;
    struct cache *mine, *others;
    struct cache_view *view;
    char path[160];

    ck_assert_int_eq(find_place(dir), MXHOP_OK);
    mine = open_cache();
    cache_put_domain(mine, "one.example", now_ms, &null_mx);
    ck_assert(cache_flush(mine, 1000));
    snprintf(path, sizeof(path), "%s/" CACHE_FILE, dir);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/" CACHE_FILE ".lock", dir);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(dir), 0);
    cache_put_domain(mine, "two.example", now_ms, &null_mx);
    ck_assert(!cache_flush(mine, 0));
    cache_place_renew(&place); /* there is none yet */
    ck_assert(!cache_flush(mine, 0));
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    cache_place_renew(&place);
    ck_assert(cache_flush(mine, 1000));
    ck_assert_uint_eq(cache_pending(mine), 0);
    cache_close(&mine);

    ck_assert_int_eq(find_place(dir), MXHOP_OK);
    others = open_cache();
    view = cache_view_open(others);
    ck_assert_int_eq(
        cache_get_domain(view, "two.example", now_ms, &got).verdict,
        CACHE_FRESH);
    cache_view_close(&view);
    cache_close(&others);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache_file");
    TCase *t = tcase_create("cache_file");

    place.up_fd = place.dir_fd = -1;
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, nothing_is_in_it_before_it_is_opened);
    tcase_add_test(t, no_paths);
    tcase_add_loop_test(t, refused, 0, sizeof(wrongs) / sizeof(wrongs[0]));
    tcase_add_test(t, removed_and_made_anew);
    suite_add_tcase(s, t);
    return suite_run(s);
}
