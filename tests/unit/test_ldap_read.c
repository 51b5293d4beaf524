/*
 * A reading of a directory, message by message: what a server may say (RFC
 * 4533, RFC 2696), in any order, and what then holds.
 */

#include <dirent.h>
#include <ldap.h>
#include <stdio.h>
#include <string.h>
#include "support/suite.h"
#include "ldap/ldap_read.h"
#include "support/failmalloc.h"
#include "support/fakeldap.h"

static const char *const sync_too[] = {LDAP_CONTROL_SYNC,
                                       LDAP_CONTROL_PAGEDRESULTS, NULL};
static const char *const pages[] = {LDAP_CONTROL_PAGEDRESULTS, NULL};
static const char *const neither[] = {NULL};

enum { PRESENT, ADD, MODIFY, DELETE };

static struct ldap_settings settings;
static const char *key_attribute, *result_attribute; /* NULL: our own schema */
static uint32_t timeout_s = 60;
static unsigned fail_at; /* the nth allocation of the reading; 0: none */
static bool ran_out;
static struct stage stage;
static struct ldap_reading reading;
static struct ovtable_delta delta;
static struct mxhop_error err;

/* Settings for the fake; its set was read before, up to the cookie "cookie1",
   if `again`. */
static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static enum mxhop_status read_it(const char *const *supported,
                                 void (*answer)(const struct fakeldap_search *),
                                 bool again)
{
    struct ovtable_where where = {0};
    unsigned files = open_files();
    enum mxhop_status status;

    fakeldap_start(supported, answer);
    settings = (struct ldap_settings){.servers = strdup(fakeldap_uri()),
                                      .base = strdup("dc=test"),
                                      .filter = strdup("(x=y)"),
                                      .timeout_s = timeout_s,
                                      .network_timeout_s = 20};
    if (key_attribute != NULL) {
        settings.key_attribute = strdup(key_attribute);
        settings.result_attribute = strdup(result_attribute);
    }
    ck_assert_int_eq(ldap_settings_complete(&settings, &err), MXHOP_OK);
    stage = (struct stage){.ldap = &settings};
    if (again) {
        where.fingerprint = ldap_settings_fingerprint(&settings);
        where.cookie_len = 7;
        where.entries = 5;
        memcpy(where.cookie, "cookie1", 7);
    }
    failmalloc_at(fail_at);
    status = ldap_read(&settings, &where, &stage, &reading, &err);
    if (status != MXHOP_OK)
        ck_assert(stage.n == 0 && stage.n_events == 0);
    else
        status = stage_settle(&stage, &delta, &err);
    ran_out = failmalloc_hit();
    failmalloc_at(0);
    fakeldap_stop();
    ck_assert_uint_eq(open_files(), files);
    return status;
}

static void tidy(void)
{
    stage_clear(&stage);
    ldap_settings_free(&settings);
}

/* "+1 a.test, ..." what would be committed, in order of ids. */
static const char *committed(void)
{
    static char text[500];
    int n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < delta.n_upsert; i++)
        n += snprintf(
            text + n, sizeof(text) - n, "+%d %s ", delta.upsert[i].id[0],
            delta.upsert[i].o != NULL ? delta.upsert[i].o->keys.v[0] : "-");
    for (size_t i = 0; i < delta.n_remove; i++)
        n += snprintf(text + n, sizeof(text) - n, "-%d ", delta.remove[i][0]);
    for (size_t i = 0; i < delta.n_present; i++)
        n += snprintf(text + n, sizeof(text) - n, "=%d ", delta.present[i][0]);
    snprintf(text + n, sizeof(text) - n, "%s %.*s",
             reading.complete ? "all" : "changes", (int)reading.cookie.len,
             reading.cookie.text);
    return text;
}

/* ---- what is taken ---- */

static void scratch(const struct fakeldap_search *s)
{
    fakeldap_entry(s, 2, "b.test", ADD, NULL);
    fakeldap_entry(s, 1, "a.test", ADD, "cookie2");
    fakeldap_sync_done(s, "cookie3", true);
}

static void present_phase(const struct fakeldap_search *s)
{
    fakeldap_ids(s, "14", false);
    fakeldap_entry(s, 2, "b.test", MODIFY, NULL);
    fakeldap_sync_done(s, "cookie2", false);
}

static void delete_phase(const struct fakeldap_search *s)
{
    fakeldap_ids(s, "14", true);
    fakeldap_entry(s, 5, "x.test", DELETE, NULL);
    fakeldap_entry(s, 2, "b.test", ADD, NULL);
    fakeldap_sync_done(s, "cookie2", true);
}

static const unsigned char refresh_present[] = {0xa2, 3, 1, 1, 0};
static const unsigned char refresh_delete[] = {0xa1, 3, 1, 1, 0};
static const unsigned char refresh_over[] = {0xa2, 0};
static const unsigned char new_cookie[] = {0x80, 7,   'c', 'o', 'o',
                                           'k',  'i', 'e', '9'};

/* Present, then delete: what the first did not name is gone all the same. */
static void both_phases(const struct fakeldap_search *s)
{
    fakeldap_ids(s, "134", false);
    fakeldap_info(s, refresh_present, sizeof(refresh_present));
    fakeldap_ids(s, "4", true);
    fakeldap_sync_done(s, NULL, true);
}

/* The end of a delete phase does not make a set of it. */
static void end_of_deletes(const struct fakeldap_search *s)
{
    fakeldap_ids(s, "4", true);
    fakeldap_info(s, refresh_delete, sizeof(refresh_delete));
    fakeldap_info(s, new_cookie, sizeof(new_cookie));
    fakeldap_sync_done(s, NULL, true);
}

/* The last word counts, whichever way. */
static void twice(const struct fakeldap_search *s)
{
    fakeldap_entry(s, 1, "old.test", MODIFY, NULL);
    fakeldap_entry(s, 1, "new.test", MODIFY, NULL);
    fakeldap_entry(s, 2, "b.test", ADD, NULL);
    fakeldap_entry(s, 2, "b.test", DELETE, NULL);
    fakeldap_entry(s, 3, "c.test", DELETE, NULL);
    fakeldap_entry(s, 3, "c.test", ADD, NULL);
    fakeldap_entry(s, 4, "d.test", MODIFY, NULL);
    fakeldap_ids(s, "4", false);
    fakeldap_sync_done(s, "cookie2", true);
}

static void reload(const struct fakeldap_search *s)
{
    if (s->number == 1) {
        fakeldap_entry(s, 7, "gone.test", ADD, "cookie8");
        fakeldap_done(s, LDAP_SYNC_REFRESH_REQUIRED, NULL, NULL, 0);
    } else if (!s->has_cookie) {
        scratch(s);
    }
}

static void by_pages(const struct fakeldap_search *s)
{
    static const unsigned char more[] = {0x30, 6, 2, 1, 0, 4, 1, 'p'},
                               last[] = {0x30, 5, 2, 1, 0, 4, 0};

    fakeldap_entry(s, s->number, s->number == 1 ? "a.test" : "b.test", -1,
                   NULL);
    fakeldap_done(s, LDAP_SUCCESS, LDAP_CONTROL_PAGEDRESULTS,
                  s->number == 1 ? more : last,
                  s->number == 1 ? sizeof(more) : sizeof(last));
}

static void not_this_search(const struct fakeldap_search *s)
{
    const struct fakeldap_search page = {s->fd, s->msgid, s->number - 1, false};

    if (s->number == 1)
        fakeldap_done(s, LDAP_UNAVAILABLE_CRITICAL_EXTENSION, NULL, NULL, 0);
    else
        by_pages(&page);
}

static const struct {
    const char *const *supported;
    void (*answer)(const struct fakeldap_search *s);
    bool again;
    const char *holds;
} good[] = {
    {sync_too, scratch, false, "+1 a.test +2 b.test all cookie3"},
    {sync_too, present_phase, true, "+2 b.test =1 =4 all cookie2"},
    {sync_too, delete_phase, true, "+2 b.test -1 -4 -5 changes cookie2"},
    {sync_too, both_phases, true, "-4 =1 =3 all cookie1"},
    {sync_too, end_of_deletes, true, "-4 changes cookie9"},
    {sync_too, twice, true,
     "+1 new.test +3 c.test +4 d.test -2 changes cookie2"},
    {sync_too, reload, true, "+1 a.test +2 b.test all cookie3"},
    {sync_too, not_this_search, true, "+1 a.test +2 b.test all "},
    {pages, by_pages, true, "+1 a.test +2 b.test all "},
};

START_TEST(taken)
{
    ck_assert_msg(read_it(good[_i].supported, good[_i].answer,
                          good[_i].again) == MXHOP_OK,
                  "%s", err.text);
    ck_assert_str_eq(committed(), good[_i].holds);
    tidy();
}
END_TEST

/* ---- what is not ---- */

static void cut(const struct fakeldap_search *s)
{
    fakeldap_entry(s, 1, "a.test", ADD, "cookie2");
    fakeldap_end();
}

static void no_done_control(const struct fakeldap_search *s)
{
    fakeldap_entry(s, 1, "a.test", ADD, NULL);
    fakeldap_done(s, LDAP_SUCCESS, NULL, NULL, 0);
}

static void no_state(const struct fakeldap_search *s)
{
    fakeldap_entry(s, 1, "a.test", -1, NULL);
    fakeldap_sync_done(s, "cookie2", false);
}

static void size_limit(const struct fakeldap_search *s)
{
    fakeldap_entry(s, 1, "a.test", s->has_cookie ? ADD : -1, NULL);
    fakeldap_done(s, LDAP_SIZELIMIT_EXCEEDED, NULL, NULL, 0);
}

static void reference(const struct fakeldap_search *s)
{
    fakeldap_reference(s);
    fakeldap_sync_done(s, "cookie2", false);
}

static void over_too_soon(const struct fakeldap_search *s)
{
    fakeldap_info(s, refresh_over, sizeof(refresh_over));
    fakeldap_sync_done(s, "cookie2", false);
}

static void unknown_info(const struct fakeldap_search *s)
{
    static const unsigned char info[] = {0xa4, 0};

    fakeldap_info(s, info, sizeof(info));
    fakeldap_sync_done(s, "cookie2", false);
}

static void reload_again(const struct fakeldap_search *s)
{
    fakeldap_done(s, LDAP_SYNC_REFRESH_REQUIRED, NULL, NULL, 0);
}

static void page_without_end(const struct fakeldap_search *s)
{
    fakeldap_entry(s, 1, "a.test", -1, NULL);
    fakeldap_done(s, LDAP_SUCCESS, NULL, NULL, 0);
}

static void cut_entry(const struct fakeldap_search *s)
{
    fakeldap_entry(s, 1, "a.test", -1, NULL);
    fakeldap_cut_entry(s);
    fakeldap_done(s, LDAP_SUCCESS, NULL, NULL, 0);
}

/* Small in a message, and twenty times as large when it is taken apart. */
static void very_many_values(const struct fakeldap_search *s)
{
    fakeldap_values(s, 1100000);
    fakeldap_done(s, LDAP_SUCCESS, NULL, NULL, 0);
}

/* There is always something to read, but no end. */
static void endless(const struct fakeldap_search *s)
{
    fakeldap_flood(s, new_cookie, sizeof(new_cookie));
}

/* Without a cookie there is nothing that could be as it was. */
static void present_of_nothing(const struct fakeldap_search *s)
{
    if (s->has_cookie) {
        reload_again(s);
        return;
    }
    fakeldap_entry(s, 1, "a.test", ADD, NULL);
    fakeldap_ids(s, "2", false);
    fakeldap_sync_done(s, "cookie2", false);
}

static void present_entry(const struct fakeldap_search *s)
{
    if (s->has_cookie) {
        reload_again(s);
        return;
    }
    fakeldap_entry(s, 1, "a.test", PRESENT, NULL);
    fakeldap_sync_done(s, "cookie2", false);
}

static const struct {
    const char *const *supported;
    void (*answer)(const struct fakeldap_search *s);
    const char *says;
} bad[] = {
    {sync_too, cut, "synchronize: Can't contact"},
    {sync_too, no_done_control, "no valid sync done control"},
    {sync_too, no_state, "without a valid sync state control"},
    {sync_too, size_limit, "Size limit exceeded"},
    {sync_too, reference, "on another server"},
    {sync_too, over_too_soon, "over before its result"},
    {sync_too, unknown_info, "a sync info message that is not valid"},
    {sync_too, reload_again, "(4096)"},
    {sync_too, endless, "synchronize: no answer in the time allowed"},
    {sync_too, present_of_nothing, "that it did not send"},
    {sync_too, present_entry, "that it did not send"},
    {pages, endless, "search: no answer in the time allowed"},
    {pages, cut, "search: Can't contact"},
    {pages, size_limit, "Size limit exceeded"},
    {pages, reference, "on another server"},
    {pages, page_without_end, "whether it is the last"},
    {neither, cut_entry, "an entry cannot be read"},
    {neither, very_many_values, "an entry cannot be read"},
    {neither, size_limit, "Size limit exceeded"},
};

START_TEST(refused)
{
    if (bad[_i].answer == endless)
        timeout_s = 1;
    ck_assert_int_ne(read_it(bad[_i].supported, bad[_i].answer, true),
                     MXHOP_OK);
    timeout_s = 60;
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
    tidy();
}
END_TEST

/* ---- without memory ---- */

static const struct {
    const char *const *supported;
    void (*answer)(const struct fakeldap_search *s);
    const char *key_attribute, *result_attribute, *holds;
} scarce[] = {
    {sync_too, twice, NULL, NULL,
     "+1 new.test +3 c.test +4 d.test -2 changes cookie2"},
    {sync_too, both_phases, NULL, NULL, "-4 =1 =3 all cookie1"},
    {sync_too, not_this_search, NULL, NULL, "+1 a.test +2 b.test all "},
    {sync_too, delete_phase, "mxhopKey", "mxhopMode",
     "+2 b.test -1 -4 -5 changes cookie2"},
};

/* A reading fails cleanly, or is the same. */
START_TEST(no_memory)
{
    key_attribute = scarce[_i].key_attribute;
    result_attribute = scarce[_i].result_attribute;
    do {
        enum mxhop_status status;

        fail_at++;
        status = read_it(scarce[_i].supported, scarce[_i].answer, true);
        if (status == MXHOP_OK)
            ck_assert_str_eq(committed(), scarce[_i].holds);
        else
            ck_assert_msg(ran_out && strstr(err.text, "out of memory") != NULL,
                          "%u: %s", fail_at, err.text);
        tidy();
    } while (ran_out);
    ck_assert_uint_gt(fail_at, 10);
    fail_at = 0;
    key_attribute = NULL;
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
    Suite *suite = suite_create("ldap_read");
    TCase *t = tcase_create("all");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, taken, 0, N(good));
    tcase_add_loop_test(t, refused, 0, N(bad));
    tcase_add_loop_test(t, no_memory, 0, N(scarce));
    suite_add_tcase(suite, t);
    return suite_run(suite);
}
