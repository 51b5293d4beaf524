/*
 * test_text - finished answers: the same as the long way gives, for nothing,
 * and never past anything that they were made from
 *
 * A handle as inside Postfix, with a shared cache in a directory of its own
 * and a name server in a thread that counts what it is asked.
 */

#include "support/suite.h"
#include "text_fixture.h"

static const struct {
    const char *key, *want;
} cases[] = {
    {"a.example", ":[mx1.example], [mx2.example]"},
    {"A.Example.", ":[mx1.example], [mx2.example]"},
    {"user@a.example", "(none)"},
    {".example", "(none)"},
    {"*", "(none)"},
    {"[192.0.2.1]", "(none)"},
    {"gone.example", "(none)"},
};

START_TEST(costs_no_allocation)
{
    struct mxhop *mx = open_handle();

    ck_assert_str_eq(text_of(mx, cases[_i].key), cases[_i].want);
    ck_assert_msg(becomes_free(mx, cases[_i].key, cases[_i].want), "%s",
                  cases[_i].key);
    mxhop_close(&mx);
}
END_TEST

/* One MX set: what one domain left behind serves the other, whatever the
   order of the records. */
START_TEST(a_site_shares_its_answer)
{
    struct mxhop *mx = open_handle();

    ck_assert(becomes_free(mx, "a.example", ":[mx1.example], [mx2.example]"));
    ck_assert(becomes_free(mx, "b.example", ":[mx1.example], [mx2.example]"));
    ck_assert_uint_eq(minidns_count(&dns, "mx1.example 1"), 1);
    mxhop_close(&mx);
}
END_TEST

START_TEST(another_process_asks_nobody)
{
    struct mxhop *mx = open_handle(), *other;

    ck_assert(becomes_free(mx, "a.example", ":[mx1.example], [mx2.example]"));
    mxhop_close(&mx);
    other = open_handle();
    ck_assert_str_eq(text_of(other, "a.example"),
                     ":[mx1.example], [mx2.example]");
    ck_assert_uint_eq(minidns_count(&dns, "a.example 15"), 1);
    mxhop_close(&other);
}
END_TEST

/* Each in a queue of its own: the text without the mark is shared. */
START_TEST(marks_differ_by_domain)
{
    struct mxhop *mx = open_handle();
    char first[1024], second[1024];

    snprintf(first, sizeof(first), "%s", text_of(mx, "g1.example"));
    snprintf(second, sizeof(second), "%s", text_of(mx, "g2.example"));
    ck_assert_int_eq(strncmp(first, ":[mx.google.com],", 17), 0);
    ck_assert_str_ne(first, second);
    ck_assert(becomes_free(mx, "g1.example", first));
    ck_assert(becomes_free(mx, "g2.example", second));
    mxhop_close(&mx);
}
END_TEST

/* Rejections name the domain: not to be shared. */
START_TEST(null_mx_is_rejected_each_time)
{
    struct mxhop *mx = open_handle();

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(
            strncmp(text_of(mx, "null.example"), "error:5.1.10", 12), 0);
        usleep(50000);
    }
    ck_assert_uint_eq(minidns_count(&dns, "null.example 15"), 1);
    mxhop_close(&mx);
}
END_TEST

/* Formats that name what was asked are nobody else's answer. */
START_TEST(people_read_what_they_asked)
{
    static const enum mxhop_format formats[] = {MXHOP_FORMAT_TEXT,
                                                MXHOP_FORMAT_JSON};
    static const char *const keys[] = {"a.example", "b.example", "a.example",
                                       "user@b.example", "*"};
    struct mxhop *mx = open_handle();
    struct mxhop_error err;
    struct mxhop_route *route;
    const char *text;
    char *want;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        text_of(mx, keys[i]);
        usleep(100000);
        ck_assert_int_eq(mxhop_text(mx, keys[i], formats[_i], &text, &err),
                         MXHOP_OK);
        ck_assert_ptr_nonnull(text);
        ck_assert_int_eq(mxhop_lookup(mx, keys[i], 0, &route, &err), MXHOP_OK);
        ck_assert_int_eq(mxhop_render(mx, route, formats[_i], &want, &err),
                         MXHOP_OK);
        ck_assert_str_eq(text, want);
        free(want);
        mxhop_route_free(&route);
    }
    mxhop_close(&mx);
}
END_TEST

static const struct {
    const char *families, *more, *want;
} other_configurations[] = {
    {"ipv4", "max_hops = 1\n", ":[mx1.example]"},
    {"ipv4", "own_names = mx2.example\n", ":[mx1.example]"},
    {"ipv4", "bogus_networks = 192.0.2.2/32\n", ":[mx1.example]"},
    {"ipv4", "transport = other\n", "other:[mx1.example], [mx2.example]"},
    {"ipv6", "", "(none)"},
};

START_TEST(belongs_to_its_configuration)
{
    struct mxhop *mx = open_handle();

    ck_assert(becomes_free(mx, "a.example", ":[mx1.example], [mx2.example]"));
    mxhop_close(&mx);
    families = other_configurations[_i].families;
    configure(other_configurations[_i].more);
    mx = open_handle();
    ck_assert_str_eq(text_of(mx, "a.example"), other_configurations[_i].want);
    ck_assert(becomes_free(mx, "a.example", other_configurations[_i].want));
    mxhop_close(&mx);
    families = "ipv4";
    configure("");
    mx = open_handle();
    ck_assert_str_eq(text_of(mx, "a.example"), ":[mx1.example], [mx2.example]");
    mxhop_close(&mx);
}
END_TEST

/* ---- overrides ---- */

static const char *const new_sets[] = {
    ENTRY("mxhopKey: a.example\nmxhopHop: [r.example]\n"),
    ENTRY("mxhopKey: .example\nmxhopHop: [r.example]\n"),
    ENTRY("mxhopKey: *\nmxhopHop: [r.example]\n"),
    ENTRY("mxhopExchange: mx1.example\nmxhopHop: [r.example]\n"),
    ENTRY("mxhopExchange: .example\nmxhopHop: [r.example]\n"),
};

START_TEST(a_new_override_counts)
{
    struct mxhop *mx = open_with_overrides(OTHER);

    ck_assert(becomes_free(mx, "a.example", ":[mx1.example], [mx2.example]"));
    refresh_elsewhere(new_sets[_i]);
    ck_assert(answer_becomes(mx, "a.example", ":[r.example]"));
    refresh_elsewhere(OTHER);
    ck_assert(answer_becomes(mx, "a.example", ":[mx1.example], [mx2.example]"));
    mxhop_close(&mx);
}
END_TEST

static const struct {
    const char *entry, *key, *answer;
} overridden[] = {
    {ENTRY("mxhopKey: a.example\nmxhopHop: [192.0.2.5]:26\n"), "a.example",
     ":[192.0.2.5]:26"},
    {ENTRY("mxhopKey: .example\nmxhopHop: [mx1.example]\n"), "a.example",
     ":[mx1.example]"},
    {ENTRY("mxhopKey: *\nmxhopMode: append\nmxhopHop: [192.0.2.5]\n"),
     "a.example", ":[mx1.example], [mx2.example], [192.0.2.5]"},
    {ENTRY("mxhopKey: u@a.example\nmxhopHop: [192.0.2.5]\n"), "u@a.example",
     ":[192.0.2.5]"},
    {ENTRY("mxhopKey: a.example\nmxhopMode: reject\n"), "a.example",
     "error:5.7.1 mail to this domain is not accepted here"},
    {ENTRY("mxhopKey: a.example\nmxhopMode: pass\n"), "a.example", ":"},
    /* For later: until then it is as without. */
    {ENTRY("mxhopKey: *\nmxhopHop: [o.example]\n"
           "mxhopNotBefore: 20990101000000Z\n"),
     "a.example", ":[mx1.example], [mx2.example]"},
};

START_TEST(overridden_answers_become_free)
{
    struct mxhop *mx = open_with_overrides(overridden[_i].entry);

    ck_assert_str_eq(text_of(mx, overridden[_i].key), overridden[_i].answer);
    ck_assert(becomes_free(mx, overridden[_i].key, overridden[_i].answer));
    refresh_elsewhere(ENTRY("mxhopKey: a.example\nmxhopKey: u@a.example\n"
                            "mxhopHop: [192.0.2.6]\n"));
    ck_assert(answer_becomes(mx, overridden[_i].key, ":[192.0.2.6]"));
    mxhop_close(&mx);
}
END_TEST

/* An override for exactly the key, and no other; also where what is local
   changes while the answer is kept. */
START_TEST(overrides_of_a_local_domain)
{
    struct mxhop *mx = open_with_overrides(
        ENTRY("mxhopKey: a.example\nmxhopKey: u@b.example\n"
              "mxhopKey: .example\nmxhopKey: *\n"
              "mxhopExchange: mx1.example\nmxhopHop: [192.0.2.5]\n"));

    for (int i = 0; i < 2; i++) {
        local_domain = "a.example";
        ck_assert(becomes_free(mx, "a.example", "relay:[192.0.2.5]"));
        ck_assert_str_eq(text_of(mx, "v@a.example"), "(none)");
        ck_assert_str_eq(text_of(mx, "u@b.example"), ":[192.0.2.5]");
        local_domain = "b.example";
        ck_assert(becomes_free(mx, "a.example", ":[192.0.2.5]"));
        ck_assert(becomes_free(mx, "u@b.example", "relay:[192.0.2.5]"));
        ck_assert_str_eq(text_of(mx, "b.example"), "(none)");
    }
    local_domain = "";
    ck_assert_str_eq(text_of(mx, "b.example"), ":[192.0.2.5]");
    mxhop_close(&mx);
}
END_TEST

START_TEST(belongs_to_its_override_table)
{
    struct mxhop *mx = open_with_overrides(
        ENTRY("mxhopExchange: mx1.example\nmxhopHop: [192.0.2.7]\n"));

    ck_assert(becomes_free(mx, "a.example", ":[192.0.2.7]"));
    mxhop_close(&mx);
    ck_assert_int_eq(unlink(table), 0);
    usleep(1100000);
    mx = open_with_overrides(
        ENTRY("mxhopExchange: mx1.example\nmxhopHop: [192.0.2.8]\n"));
    ck_assert_str_eq(text_of(mx, "a.example"), ":[192.0.2.8]");
    mxhop_close(&mx);
}
END_TEST

static struct timespec changed_at(void)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/cache/" CACHE_FILE, dir);
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_mtim;
}

/* An override that is for later sends lookups the long way: no reason to write
   an answer that nobody will read. */
START_TEST(nothing_is_written_for_nobody)
{
    struct mxhop *mx =
        open_with_overrides(ENTRY("mxhopKey: *\nmxhopHop: [o.example]\n"
                                  "mxhopNotBefore: 20990101000000Z\n"));
    struct timespec before, after;

    for (int i = 0; i < 4; i++) {
        text_of(mx, "a.example");
        usleep(200000);
    }
    before = changed_at();
    for (int i = 0; i < 4; i++) {
        text_of(mx, "a.example");
        usleep(100000);
    }
    after = changed_at();
    ck_assert_int_eq(before.tv_sec, after.tv_sec);
    ck_assert_int_eq(before.tv_nsec, after.tv_nsec);
    mxhop_close(&mx);
}
END_TEST

/* As another process saw it so long ago. */
static void report_open_server(const char *owner, uint64_t ago_ms)
{
    struct passwd *pw = getpwnam(owner);
    char path[128];
    struct cache_policy policy = {0};
    struct cache_server s = {.state = BREAKER_OPEN, .opened = 1};
    struct cache_place place;
    struct mxhop_error err;
    struct cache *cache;
    const char *warning;
    struct live *live;

    ck_assert_ptr_nonnull(pw);
    ck_assert_int_eq(chmod(dir, 0755), 0);
    snprintf(path, sizeof(path), "%s/cache", dir);
    snprintf(s.address, sizeof(s.address), "127.0.0.1:%u",
             ntohs(dns.addr.sin_port));
    s.reported_ms = clock_boot_ms() - ago_ms;
    ck_assert_int_eq(
        cache_place_find(&place, path, pw->pw_uid, pw->pw_gid, &err), MXHOP_OK);
    ck_assert_int_eq(seteuid(pw->pw_uid), 0);
    ck_assert_msg(cache_place_open(&place, 64 << 20, &live, &warning, &err) ==
                      MXHOP_OK,
                  "%s", err.text);
    ck_assert_int_eq(cache_open(&cache, live, &policy, &err), MXHOP_OK);
    cache_put_server(cache, &s);
    ck_assert(cache_flush(cache, 1000));
    cache_close(&cache);
    cache_place_close(&place);
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}

/* Not even while it opens the handle: what it reads later is its own. */
START_TEST(root_reads_nobody_elses_cache)
{
    struct mxhop *mx;

    if (geteuid() != 0)
        return;
    report_open_server("nobody", 0);
    configure("cache_owner = nobody\n");
    mx = open_handle();
    ck_assert_str_eq(text_of(mx, "a.example"), ":[mx1.example], [mx2.example]");
    mxhop_close(&mx);
}
END_TEST

static const struct minidns_row dead_rows[] = {
    {"", 2, NULL, .delay_ms = MINIDNS_SILENT},
    {"a.example", 15, NULL, .delay_ms = MINIDNS_SILENT},
    {0},
};

/* Nor does a process without a worker wait for a server that others found
   open, unless it answers at once; but it does not believe them for ever. */
static const struct {
    const struct minidns_row *rows;
    uint64_t ago_ms;
    const char *state, *want;
    size_t asked;
} reports[] = {
    {rows, 0, "open", ":[mx1.example], [mx2.example]", 1},
    {dead_rows, 0, "open", "(none)", 0},
    {dead_rows, 9000, "open", "(none)", 0},
    {dead_rows, 11000, "unknown", "(none)", 1},
};

START_TEST(takes_over_an_open_breaker)
{
    struct cache_server s = {.state = BREAKER_OPEN};
    struct mxhop_error err;
    struct mxhop *mx;

    minidns_stop(&dns);
    minidns_start(&dns, reports[_i].rows);
    configure("");
    report_open_server(getpwuid(geteuid())->pw_name, reports[_i].ago_ms);
    s.reported_ms = clock_boot_ms() - reports[_i].ago_ms;
    ck_assert_str_eq(probe_server_state(&s), reports[_i].state);
    ck_assert_int_eq(mxhop_open(&mx, config, NULL, &err), MXHOP_OK);
    ck_assert_str_eq(text_of(mx, "a.example"), reports[_i].want);
    if (reports[_i].asked == 0)
        ck_assert_uint_eq(minidns_count(&dns, "a.example 15"), 0);
    else
        ck_assert_uint_ge(minidns_count(&dns, "a.example 15"), 1);
    mxhop_close(&mx);
}
END_TEST

/* ---- a cache that takes nothing ---- */

/* As a process does that was stopped while it wrote. */
static pid_t hold_the_cache(int *until)
{
    int ends[2], fd;
    char path[128], byte;
    pid_t pid;

    snprintf(path, sizeof(path), "%s/cache/" CACHE_FILE ".lock", dir);
    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(ends[1]);
        fd = open(path, O_RDWR);
        if (fd < 0 || flock(fd, LOCK_EX) != 0 || read(ends[0], &byte, 1) != 0)
            _exit(1);
        leave_at_once();
    }
    close(ends[0]);
    *until = ends[1];
    return pid;
}

static bool is_said(struct mxhop *mx, const char *what)
{
    uint64_t until_ms = clock_boot_ms() + 40000;

    while (clock_boot_ms() < until_ms) {
        text_of(mx, "spliced.example"); /* often the long way */
        text_of(mx, "short.example");
        if (strstr(said, what) != NULL)
            return true;
        usleep(100000);
    }
    return false;
}

START_TEST(a_cache_that_takes_nothing_is_mentioned_once)
{
    struct mxhop *mx = open_handle();
    int until;
    pid_t pid;

    text_of(mx, "a.example");
    usleep(QUICK_MS * 1000); /* it is written, and its lock is there */
    pid = hold_the_cache(&until);
    said[0] = '\0';
    ck_assert(is_said(mx, "cannot be written"));
    ck_assert_ptr_null(strstr(strstr(said, "cannot") + 1, "cannot"));
    close(until);
    ck_assert(left_at_once(pid));
    ck_assert(is_said(mx, "is written again"));
    mxhop_close(&mx);
}
END_TEST

/* ---- threads ---- */

#define CREW      3
#define TIMES     2
#define LOOKUPS   150
#define ANSWER    ":[mx1.example], [mx2.example]"
#define CREW_KEYS 3

static const struct {
    const char *key, *want;
} crew_asks[CREW_KEYS] = {{"a.example", ANSWER},
                          {"b.example", ANSWER},
                          {"o.example", ":[mx2.example]"}};

struct crew {
    pthread_t thread;
    struct mxhop_error err;
    const char *wrong;
};

static const char *look_up_as_crew(struct mxhop *mx, struct mxhop_error *err)
{
    struct mxhop_route *route;
    const char *text;
    char *trace;

    for (int i = 0; i < LOOKUPS; i++) {
        const char *key = crew_asks[i % CREW_KEYS].key;

        if (mxhop_text(mx, key, MXHOP_FORMAT_POSTFIX, &text, err) != MXHOP_OK)
            return err->text;
        if (text == NULL ||
            strcasecmp(text, crew_asks[i % CREW_KEYS].want) != 0)
            return key;
        if (i % 10 == 0)
            usleep(2000); /* the workers write */
        if (i % 25 != 0)
            continue;
        if (mxhop_explain(mx, key, 0, &route, &trace, err) != MXHOP_OK)
            return err->text;
        free(trace);
        mxhop_route_free(&route);
    }
    return NULL;
}

static void *be_of_the_crew(void *ctx)
{
    static const struct mxhop_host in_mta = {.flags = MXHOP_WORKER,
                                             .own_names = "mta.example"};
    struct crew *c = ctx;
    struct mxhop *mx;

    for (int i = 0; i < TIMES && c->wrong == NULL; i++) {
        if (mxhop_open(&mx, config, &in_mta, &c->err) == MXHOP_OK)
            c->wrong = look_up_as_crew(mx, &c->err);
        else
            c->wrong = c->err.text;
        mxhop_close(&mx);
    }
    return NULL;
}

/* Each with a handle and a worker; cache and override table are one for all.
   The first name server is not there: their breakers have something to do. */
START_TEST(threads_with_a_handle_each)
{
    struct crew crew[CREW] = {0};
    struct mxhop *mx;

    unreachable = "127.0.0.1:9 ";
    mx = open_with_overrides(
        ENTRY("mxhopKey: o.example\nmxhopHop: [mx2.example]\n"));
    mxhop_close(&mx);
    for (int i = 0; i < CREW; i++)
        ck_assert_int_eq(
            pthread_create(&crew[i].thread, NULL, be_of_the_crew, &crew[i]), 0);
    for (int i = 0; i < CREW; i++)
        ck_assert_int_eq(pthread_join(crew[i].thread, NULL), 0);
    for (int i = 0; i < CREW; i++)
        ck_assert_msg(crew[i].wrong == NULL, "%s", crew[i].wrong);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text");
    TCase *tc = tcase_create("finished answers");
    TCase *starved = tcase_create("a cache that takes nothing");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_tags(tc, "threads");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, costs_no_allocation, 0,
                        sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tc, a_site_shares_its_answer);
    tcase_add_test(tc, another_process_asks_nobody);
    tcase_add_test(tc, marks_differ_by_domain);
    tcase_add_test(tc, null_mx_is_rejected_each_time);
    tcase_add_loop_test(tc, people_read_what_they_asked, 0, 2);
    tcase_add_loop_test(tc, belongs_to_its_configuration, 0,
                        sizeof(other_configurations) /
                            sizeof(other_configurations[0]));
    tcase_add_test(tc, belongs_to_its_override_table);
    tcase_add_test(tc, nothing_is_written_for_nobody);
    tcase_add_loop_test(tc, overridden_answers_become_free, 0,
                        sizeof(overridden) / sizeof(overridden[0]));
    tcase_add_test(tc, overrides_of_a_local_domain);
    tcase_add_loop_test(tc, a_new_override_counts, 0,
                        sizeof(new_sets) / sizeof(new_sets[0]));
    tcase_add_test(tc, root_reads_nobody_elses_cache);
    tcase_add_loop_test(tc, takes_over_an_open_breaker, 0,
                        sizeof(reports) / sizeof(reports[0]));
    tcase_add_test(tc, threads_with_a_handle_each);
    suite_add_tcase(s, tc);
    tcase_add_checked_fixture(starved, set_up, tear_down);
    tcase_set_timeout(starved, 120);
    tcase_add_test(starved, a_cache_that_takes_nothing_is_mentioned_once);
    suite_add_tcase(s, starved);
    return suite_run(s);
}
