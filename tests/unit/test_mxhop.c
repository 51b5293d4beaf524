/*
 * test_mxhop - the public interface, as a host program uses it
 *
 * Overrides decide here, so that no name server is needed; the one that is
 * configured is a port where nobody listens.
 */

#include <dirent.h>
#include <fcntl.h>
#include <mxhop/mxhop.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/suite.h"
#include "source/compile.h"
#include "support/damage.h"
#include "support/failmalloc.h"
#include "support/minidns.h"
#include "support/ovreplace.h"
#include "util/clock.h"

static char dir[64], config[96], ldif[96], table[96], lock[128];
static char said[4096];

static void hear(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    if (strlen(said) > sizeof(said) / 2)
        said[0] = '\0';
    strncat(said, line, sizeof(said) - strlen(said) - 2);
    strcat(said, "\n");
}

static enum mxhop_local is_local(void *ctx, const char *domain)
{
    (void)ctx;
    if (strcmp(domain, "unsure.example") == 0)
        return MXHOP_LOCAL_ERROR;
    return strcmp(domain, "here.example") == 0 ? MXHOP_LOCAL_YES
                                               : MXHOP_LOCAL_NO;
}

static const struct mxhop_host host = {.log = hear, .is_local = is_local};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void configure(const char *more)
{
    char text[1024];

    snprintf(
        text, sizeof(text),
        "dns_servers = 127.0.0.1:9\nlookup_budget = 100ms\ncache = memory\n"
        "overrides = ldif:%s\noverride_table = %s\n%s",
        ldif, table, more);
    write_file(config, text);
}

#define ENTRY(name, rest) \
    "dn: cn=" name ",dc=x\nobjectClass: mxhopOverride\ncn: " name "\n" rest "\n"

static void refresh(void)
{
    char source[128];
    struct compile_options o = {.source = &(struct source){.text = source},
                                .table = table,
                                .shrink_percent = 100,
                                .now_s = 1};
    struct compile_result r;
    struct mxhop_error err;

    snprintf(source, sizeof(source), "ldif:%s", ldif);
    write_file(ldif,
               ENTRY("replace", "mxhopKey: r.example\nmxhopKey: .r.example\n"
                                "mxhopHop: 10 [a.example]:26\n"
                                "mxhopHop: 20 [192.0.2.1]:2525\n"
                                "mxhopTransport: relay\n")
                   ENTRY("reject", "mxhopKey: no.example\nmxhopMode: reject\n"
                                   "mxhopReason: moved away\n")
                       ENTRY("user", "mxhopKey: u@d.example\n"
                                     "mxhopHop: [u.example]:26\n")
                           ENTRY("self", "mxhopKey: self.example\n"
                                         "mxhopHop: 10 [127.0.0.1]\n"
                                         "mxhopHop: 20 [192.0.2.1]\n"));
    ck_assert_msg(compile_overrides(&o, &r, &err) == MXHOP_OK, "%s", err.text);
    ck_assert_uint_eq(r.entries, 4);
    compile_free(&r);
}

static void set_up(void)
{
    strcpy(dir, "/tmp/test_mxhopXXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(config, sizeof(config), "%s/mxhop.cf", dir);
    snprintf(ldif, sizeof(ldif), "%s/o.ldif", dir);
    snprintf(table, sizeof(table), "%s/overrides", dir);
    snprintf(lock, sizeof(lock), "%s.lock", table);
    said[0] = '\0';
    configure("");
}

static void tear_down(void)
{
    unlink(config);
    unlink(ldif);
    unlink(table);
    unlink(lock);
    snprintf(lock, sizeof(lock), "%s.cookie", table);
    unlink(lock);
    snprintf(lock, sizeof(lock), "%s.state", table);
    unlink(lock);
    rmdir(dir);
}

static struct mxhop *open_handle(void)
{
    struct mxhop_error err;
    struct mxhop *mx;

    ck_assert_msg(mxhop_open(&mx, config, &host, &err) == MXHOP_OK, "%s",
                  err.text);
    return mx;
}

static void check_answer(struct mxhop *mx, const char *key, unsigned flags,
                         enum mxhop_format format, const char *want)
{
    struct mxhop_route *route;
    struct mxhop_error err;
    char *text;

    ck_assert_int_eq(mxhop_lookup(mx, key, flags, &route, &err), MXHOP_OK);
    ck_assert_int_eq(mxhop_render(mx, route, format, &text, &err), MXHOP_OK);
    if (want == NULL)
        ck_assert_ptr_null(text);
    else
        ck_assert_msg(strcasecmp(text, want) == 0, "%s, expected %s", text,
                      want);
    free(text);
    mxhop_route_free(&route);
    ck_assert_ptr_null(route);
}

static const struct {
    const char *key;
    unsigned flags;
    const char *postfix;
} answers[] = {
    {"r.example", 0, "relay:[a.example]:26, [192.0.2.1]:2525"},
    {"R.Example.", 0, "relay:[a.example]:26, [192.0.2.1]:2525"},
    {"sub.r.example", 0, "relay:[a.example]:26, [192.0.2.1]:2525"},
    {"no.example", 0, "error:5.7.1 moved away"},
    {"u@d.example", 0, ":[u.example]:26, [224.0.0.0]:1"},
    {"U@D.Example", 0, ":[u.example]:26, [224.0.0.0]:1"},
    {"v@r.example", 0, NULL},
    {"v@r.example", MXHOP_ADDRESS, "relay:[a.example]:26, [192.0.2.1]:2525"},
    {"here.example", 0, NULL},
    {"unsure.example", 0, NULL},
    {"", 0, NULL},
    {"*", 0, NULL},
    {".r.example", 0, NULL},
    {"[192.0.2.1]", 0, NULL},
    {"u@[192.0.2.1]", 0, NULL},
    {"a..b", 0, NULL},
    /* Nobody listens at the name server's port: on_dns_failure = pass. */
    {"elsewhere.example", 0, NULL},
};

START_TEST(postfix_answers)
{
    struct mxhop *mx;

    refresh();
    mx = open_handle();
    check_answer(mx, answers[_i].key, answers[_i].flags, MXHOP_FORMAT_POSTFIX,
                 answers[_i].postfix);
    mxhop_close(&mx);
    ck_assert_ptr_null(mx);
}
END_TEST

START_TEST(missing_table_defers_says_so_once_and_recovers)
{
    struct mxhop *mx = open_handle();

    check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX,
                 "./retry:4.3.5 Routing overrides are not available");
    ck_assert_ptr_nonnull(strstr(said, table));
    check_answer(mx, "here.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
    said[0] = '\0';
    for (int i = 0; i < 3; i++)
        check_answer(mx, "elsewhere.example", 0, MXHOP_FORMAT_POSTFIX,
                     "./retry:4.3.5 Routing overrides are not available");
    ck_assert_str_eq(said, "");
    refresh();
    check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX,
                 "relay:[a.example]:26, [192.0.2.1]:2525");
    ck_assert_ptr_nonnull(strstr(said, "is usable"));
    mxhop_close(&mx);
}
END_TEST

/* All pages but the header: what the filter lacks needs none of them. */
static void spoil_entries(void)
{
    int fd = open(table, O_WRONLY);
    struct stat st;

    ck_assert_int_eq(fstat(fd, &st), 0);
    for (off_t at = 4096; at < st.st_size - 4096; at += 4096)
        ck_assert_int_eq((int)pwrite(fd, "damage", 6, at + 20), 6);
    close(fd);
}

START_TEST(damaged_entries_are_mentioned_once)
{
    struct mxhop_host in_mta = host;
    struct mxhop_error err;
    struct mxhop *mx;

    in_mta.flags = MXHOP_WORKER; /* so it has the filter */
    refresh();
    spoil_entries();
    ck_assert_int_eq(mxhop_open(&mx, config, &in_mta, &err), MXHOP_OK);
    check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX,
                 "./retry:4.3.5 Routing overrides are not available");
    ck_assert_ptr_nonnull(strstr(said, "is damaged"));
    said[0] = '\0';
    for (int i = 0; i < 3; i++) {
        check_answer(mx, "elsewhere.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
        check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX,
                     "./retry:4.3.5 Routing overrides are not available");
    }
    ck_assert_str_eq(said, "");
    mxhop_close(&mx);
}
END_TEST

/* What is wrong now, not what was before. */
START_TEST(the_newest_reason_is_told)
{
    struct mxhop_host in_mta = host;
    struct mxhop_error err;
    struct mxhop *mx;

    in_mta.flags = MXHOP_WORKER;
    refresh();
    spoil_entries();
    ck_assert_int_eq(mxhop_open(&mx, config, &in_mta, &err), MXHOP_OK);
    check_answer(mx, "elsewhere.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
    ck_assert_int_eq(chmod(table, 0666), 0);
    said[0] = '\0';
    check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX,
                 "./retry:4.3.5 Routing overrides are not available");
    ck_assert_msg(strstr(said, "everybody may write") != NULL, "%s", said);
    mxhop_close(&mx);
}
END_TEST

/* ---- what lies under the name is in force ---- */

#define OVERRIDE_OF_R "relay:[a.example]:26, [192.0.2.1]:2525"
#define NO_TABLE      "./retry:4.3.5 Routing overrides are not available"

/* Within two seconds; asked without a handle of its own. */
static void becomes(struct mxhop *mx, const char *want)
{
    const char *text = NULL;
    struct mxhop_error err;

    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(mxhop_text(mx, "r.example", MXHOP_FORMAT_POSTFIX,
                                    &text, &err),
                         MXHOP_OK);
        if (text != NULL ? want != NULL && strcasecmp(text, want) == 0
                         : want == NULL)
            return;
        usleep(10000);
    }
    ck_abort_msg("%s", text != NULL ? text : "none");
}

static void run(const char *fmt, ...)
{
    char command[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void write_other(const char *to)
{
    struct ovtable_write w = {.path = to, .shrink_percent = 100};
    struct ovtable_change c;
    struct mxhop_error err;

    ck_assert_msg(ovtable_replace(&w, NULL, 0, &c, &err) == MXHOP_OK, "%s",
                  err.text);
}

/* %1$s: the table, %2$s: a backup of it, made before; each while another set
   is in force. */
static const char *const restores[] = {
    "cp %2$s %1$s",
    "cp %2$s %1$s.x && mv %1$s.x %1$s",
    "cp -p %2$s %1$s.x && mv %1$s.x %1$s",
    "mv %2$s %1$s",
    "rm %1$s; cp -p %2$s %1$s",
    "mv %1$s %1$s.old; ln %2$s %1$s; rm %1$s.old",
};

START_TEST(a_backup_is_restored)
{
    struct mxhop_host in_mta = host;
    struct mxhop_error err;
    struct mxhop *mx;
    char backup[128];

    snprintf(backup, sizeof(backup), "%s.backup", table);
    in_mta.flags = _i % 2 == 0 ? MXHOP_WORKER : 0;
    refresh();
    run("cp -p %s %s", table, backup);
    write_other(table);
    ck_assert_int_eq(mxhop_open(&mx, config, &in_mta, &err), MXHOP_OK);
    becomes(mx, NULL);
    run(restores[_i], table, backup);
    becomes(mx, OVERRIDE_OF_R);
    usleep(1100000);
    becomes(mx, OVERRIDE_OF_R);
    mxhop_close(&mx);
    run("rm -f %s", backup);
}
END_TEST

/* The file is known by its header, where its times do not tell. */
START_TEST(many_sets_in_one_moment)
{
    struct mxhop_host in_mta = host;
    struct mxhop_error err;
    struct mxhop *mx;

    in_mta.flags = MXHOP_WORKER;
    refresh();
    ck_assert_int_eq(mxhop_open(&mx, config, &in_mta, &err), MXHOP_OK);
    for (int i = 0; i < 6; i++) {
        becomes(mx, OVERRIDE_OF_R);
        write_other(table);
        write_other(table);
        becomes(mx, NULL);
        refresh();
    }
    mxhop_close(&mx);
}
END_TEST

START_TEST(a_directory_that_comes_and_goes)
{
    char away[128], there[128];
    struct mxhop *mx;

    snprintf(there, sizeof(there), "%s/d", dir);
    snprintf(away, sizeof(away), "%s/away", dir);
    snprintf(table, sizeof(table), "%s/d/e/overrides", dir);
    snprintf(lock, sizeof(lock), "%s.lock", table);
    configure("");
    mx = open_handle(); /* nothing of it is there yet */
    becomes(mx, NO_TABLE);
    run("mkdir -p %s/e", there);
    becomes(mx, NO_TABLE);
    refresh();
    check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX, OVERRIDE_OF_R);
    mxhop_close(&mx);
    mx = open_handle();
    becomes(mx, OVERRIDE_OF_R);
    run("mv %s/e %s", there, away);
    becomes(mx, OVERRIDE_OF_R); /* the last good set */
    run("mkdir %s/e", there);
    write_other(table);
    becomes(mx, NULL);
    run("rm -r %s/e && mv %s %s/e", there, away, there);
    becomes(mx, OVERRIDE_OF_R);
    mxhop_close(&mx);
    run("rm -r %s", there);
}
END_TEST

/* The first lookup behind a refresh is right, whatever was there. */
START_TEST(a_failed_table_is_looked_at_each_time)
{
    static const char *const broken[] = {"rm -f %s", "echo x >%s",
                                         "truncate -s 5000 %s",
                                         "truncate -s 0 %s", "chmod 666 %s"};
    struct mxhop *mx;

    refresh();
    mx = open_handle();
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        mxhop_close(&mx);
        run(broken[i], table);
        mx = open_handle();
        check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX, NO_TABLE);
        run("rm -f %s", table);
        check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX, NO_TABLE);
        refresh();
        check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX, OVERRIDE_OF_R);
    }
    mxhop_close(&mx);
}
END_TEST

/* How long that takes is its owner's choice, and so is how fresh it is. */
START_TEST(a_failed_table_is_not_read_each_time)
{
    int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    static char happened[1 << 16];
    uint64_t from_ms = clock_boot_ms();
    struct mxhop *mx;
    ssize_t len;

    refresh();
    run("truncate -s 5000 %s", table);
    mx = open_handle();
    ck_assert_int_ge(
        inotify_add_watch(events, table, IN_OPEN | IN_CLOSE_NOWRITE), 0);
    for (int i = 0; i < 1000; i++)
        check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX, NO_TABLE);
    len = read(events, happened, sizeof(happened));
    ck_assert_uint_ge(len, 2 * sizeof(struct inotify_event));
    ck_assert_uint_le(len, 2 * sizeof(struct inotify_event) *
                               ((clock_boot_ms() - from_ms) / 100 + 2));
    close(events);
    mxhop_close(&mx);
}
END_TEST

/* Right answers, or on_override_failure; the override is never absent. */
START_TEST(a_table_is_copied_over_again_and_again)
{
    struct mxhop_host in_mta = host;
    struct mxhop_error err;
    struct mxhop *mx;
    char copy[2][128];
    int status;
    pid_t pid;

    for (int i = 0; i < 2; i++) {
        snprintf(copy[i], sizeof(copy[i]), "%s.%d", table, i);
        if (i > 0)
            unlink(table);
        refresh();
        run("cp %s %s", table, copy[i]);
    }
    in_mta.flags = _i == 0 ? MXHOP_WORKER : 0;
    ck_assert_int_eq(mxhop_open(&mx, config, &in_mta, &err), MXHOP_OK);
    becomes(mx, OVERRIDE_OF_R);
    pid = fork();
    if (pid == 0) {
        char command[600];

        snprintf(command, sizeof(command),
                 "for i in $(seq %u); do cp %s %s; cp %s %s; done",
                 damage_rounds(100, 500), copy[0], table, copy[1], table);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        const char *text;

        ck_assert_int_eq(mxhop_text(mx, "r.example", MXHOP_FORMAT_POSTFIX,
                                    &text, &err),
                         MXHOP_OK);
        ck_assert_ptr_nonnull(text);
        ck_assert_msg(strcasecmp(text, OVERRIDE_OF_R) == 0 ||
                          strcmp(text, NO_TABLE) == 0,
                      "%s", text);
    }
    ck_assert_int_eq(status, 0);
    becomes(mx, OVERRIDE_OF_R);
    mxhop_close(&mx);
    unlink(copy[0]);
    unlink(copy[1]);
}
END_TEST

START_TEST(a_configuration_that_changes)
{
    char link[128], real[2][128];
    struct mxhop_error err;
    struct mxhop *mx;

    refresh();
    mx = open_handle();
    ck_assert(!mxhop_outdated(mx));
    configure("max_hops = 2\n");
    ck_assert(mxhop_outdated(mx));
    mxhop_close(&mx);
    mx = open_handle();
    run("cp %s %s.x && mv %s.x %s", config, config, config, config);
    ck_assert(mxhop_outdated(mx));
    mxhop_close(&mx);
    /* A link that is turned to another file. */
    snprintf(link, sizeof(link), "%s.link", config);
    for (int i = 0; i < 2; i++) {
        snprintf(real[i], sizeof(real[i]), "%s.%d", config, i);
        run("cp %s %s", config, real[i]);
    }
    for (int i = 0; i < 3; i++) {
        run("ln -sf%s %s %s", i == 1 ? "n" : "", real[i % 2], link);
        ck_assert_int_eq(mxhop_open(&mx, link, &host, &err), MXHOP_OK);
        ck_assert(!mxhop_outdated(mx));
        if (i < 2)
            run(i == 0 ? "ln -sf %s %s" : "rm %2$s; ln -s %1$s %2$s",
                real[1 - i], link);
        else
            run("echo >>%s", real[i % 2]);
        ck_assert_int_eq(mxhop_outdated(mx), 1);
        mxhop_close(&mx);
    }
    run("rm %s %s %s", link, real[0], real[1]);
}
END_TEST

START_TEST(missing_table_may_pass)
{
    struct mxhop *mx;

    configure("on_override_failure = pass\n");
    mx = open_handle();
    check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
    mxhop_close(&mx);
}
END_TEST

START_TEST(answer_override_names_the_reason_once)
{
    struct mxhop_host shy = host;
    struct mxhop_error err;
    struct mxhop *mx;

    refresh();
    shy.flags = MXHOP_WORKER; /* a daemon */
    shy.visible_reason = "relayhost = [x]";
    ck_assert_int_eq(mxhop_open(&mx, config, &shy, &err), MXHOP_OK);
    ck_assert_ptr_nonnull(strstr(said, "relayhost = [x]"));
    said[0] = '\0';
    check_answer(mx, "r.example", 0, MXHOP_FORMAT_POSTFIX,
                 "relay:[a.example]:26, [192.0.2.1]:2525");
    check_answer(mx, "elsewhere.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
    ck_assert_str_eq(said, "");
    mxhop_close(&mx);
}
END_TEST

START_TEST(broken_configuration_names_the_place)
{
    struct mxhop_error err;
    struct mxhop *mx;

    configure("max_hopps = 3\n");
    ck_assert_int_eq(mxhop_open(&mx, config, &host, &err), MXHOP_ERR_CONFIG);
    ck_assert_ptr_null(mx);
    ck_assert_ptr_nonnull(strstr(err.text, "mxhop.cf:6"));
    ck_assert_ptr_nonnull(strstr(err.text, "max_hops"));
}
END_TEST

/* The sender chooses the local part: it cannot take a domain's override away.
 */
START_TEST(no_local_part_evades_an_override)
{
    static const char *const parts[] = {
        "a b",
        "a@b",
        "a\tb",
        "",
        "\303\244",
        "\"q\"",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xx",
    };
    struct mxhop *mx;

    refresh();
    mx = open_handle();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char address[256];

        snprintf(address, sizeof(address), "%s@r.example", parts[i]);
        check_answer(mx, address, MXHOP_ADDRESS, MXHOP_FORMAT_POSTFIX,
                     "relay:[a.example]:26, [192.0.2.1]:2525");
    }
    check_answer(mx, "a@", MXHOP_ADDRESS, MXHOP_FORMAT_POSTFIX, NULL);
    check_answer(mx, "a@[192.0.2.1]", MXHOP_ADDRESS, MXHOP_FORMAT_POSTFIX,
                 NULL);
    mxhop_close(&mx);
}
END_TEST

/* 127.0.0.1 is of every machine. */
START_TEST(this_machine_is_left_out)
{
    struct mxhop_host self = host;
    struct mxhop_error err;
    struct mxhop *mx;

    refresh();
    mx = open_handle();
    check_answer(mx, "self.example", 0, MXHOP_FORMAT_POSTFIX,
                 ":[239.149.17.76]:1, [127.0.0.1], [192.0.2.1]");
    mxhop_close(&mx);
    self.flags = MXHOP_THIS_MACHINE;
    ck_assert_int_eq(mxhop_open(&mx, config, &self, &err), MXHOP_OK);
    check_answer(mx, "self.example", 0, MXHOP_FORMAT_POSTFIX, ":[192.0.2.1]");
    mxhop_close(&mx);
    self.own_addresses = "192.0.2.1";
    ck_assert_int_eq(mxhop_open(&mx, config, &self, &err), MXHOP_OK);
    check_answer(mx, "self.example", 0, MXHOP_FORMAT_POSTFIX, ":[127.0.0.1]");
    mxhop_close(&mx);
}
END_TEST

START_TEST(trace_fits_the_terminal)
{
    struct mxhop_route *route;
    struct mxhop_error err;
    struct mxhop *mx;
    char *text;

    refresh();
    mx = open_handle();
    ck_assert_int_eq(mxhop_explain(mx, "v@r.example", MXHOP_ADDRESS, &route,
                                   &text, &err),
                     MXHOP_OK);
    ck_assert_int_eq(route->disposition, MXHOP_ROUTE);
    ck_assert_ptr_nonnull(strstr(text, "cn=replace,dc=x"));
    ck_assert_ptr_nonnull(strcasestr(text, "relay:[a.example]:26"));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        ck_assert_msg(strlen(line) <= 80, "%zu columns: %s", strlen(line),
                      line);
    free(text);
    mxhop_route_free(&route);
    mxhop_close(&mx);
}
END_TEST

static unsigned n_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    unsigned n = 0;

    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* One that was joined may be listed for a moment. */
static bool threads_become(unsigned want)
{
    uint64_t until_ms = clock_boot_ms() + 2000;

    while (n_threads() != want && clock_boot_ms() < until_ms)
        usleep(1000);
    return n_threads() == want;
}

/* Twice: a sanitizer has a thread of its own from the first on. */
START_TEST(close_ends_the_worker)
{
    struct mxhop_host in_mta = host;
    unsigned before = 0;
    struct mxhop_error err;
    struct mxhop *mx;

    in_mta.flags = MXHOP_WORKER;
    refresh();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(mxhop_open(&mx, config, &in_mta, &err), MXHOP_OK);
        check_answer(mx, "elsewhere.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
        if (i == 0)
            before = n_threads() - 1;
        ck_assert_uint_eq(n_threads(), before + 1);
        mxhop_close(&mx);
        ck_assert(threads_become(before));
    }
}
END_TEST

/* Out of memory is an error or a clean answer, never a crash or a leak. */
START_TEST(out_of_memory)
{
    struct mxhop_error err = {0};

    refresh();
    for (unsigned n = 1;; n++) {
        struct mxhop_route *route = NULL;
        struct mxhop *mx = NULL;
        char *text = NULL;
        bool hit;

        said[0] = '\0';
        failmalloc_at(n);
        if (mxhop_open(&mx, config, &host, &err) == MXHOP_OK &&
            mxhop_lookup(mx, "r.example", 0, &route, &err) == MXHOP_OK)
            (void)!mxhop_render(mx, route, MXHOP_FORMAT_JSON, &text, &err);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert(hit || text != NULL);
        free(text);
        mxhop_route_free(&route);
        mxhop_close(&mx);
        if (!hit)
            break;
    }
}
END_TEST

/* ---- with a name server, as inside Postfix ---- */

static const struct minidns_row rows[] = {
    {"half.example", 15, "mx 1 half-mx.example"},
    {"half-mx.example", 1, "a 192.0.2.1"},
    {"half-mx.example", 28, NULL, .rcode = 2},
    {"mute.example", 15, "mx 1 mute-mx.example"},
    {"mute-mx.example", 1, "a 192.0.2.1"},
    {"mute-mx.example", 28, NULL, .delay_ms = MINIDNS_SILENT},
    {"dumb.example", 15, "mx 1 dumb-mx.example"},
    {"dumb-mx.example", 1, NULL, .delay_ms = MINIDNS_SILENT},
    {"dumb-mx.example", 28, NULL, .delay_ms = MINIDNS_SILENT},
    {"late.example", 15, "mx 1 mx.late.example", .delay_ms = 50},
    {0},
};

static struct minidns dns;

static struct mxhop *open_in_mta(const char *budget)
{
    struct mxhop_host in_mta = host;
    struct mxhop_error err;
    struct mxhop *mx;
    char text[256];

    minidns_start(&dns, rows);
    (void)minidns_servers;
    snprintf(text, sizeof(text),
             "dns_servers = 127.0.0.1:%u\ndns_timeout = 2s\n"
             "wait_share = 100%%\nlookup_budget = %s\ncache = memory\n",
             ntohs(dns.addr.sin_port), budget);
    write_file(config, text);
    in_mta.flags = MXHOP_WORKER;
    ck_assert_msg(mxhop_open(&mx, config, &in_mta, &err) == MXHOP_OK, "%s",
                  err.text);
    return mx;
}

static void close_in_mta(struct mxhop *mx)
{
    mxhop_close(&mx);
    minidns_stop(&dns);
}

/* Look up again and again; how many queries for `asked` there were then. */
static size_t asked_after_lookups(struct mxhop *mx, const char *key,
                                  const char *want, const char *asked)
{
    for (int i = 0; i < 20; i++) {
        check_answer(mx, key, 0, MXHOP_FORMAT_POSTFIX, want);
        usleep(5000);
    }
    return minidns_count(&dns, asked);
}

/* A failure is not asked about again for 5 s (RFC 9520), whoever looks. */
START_TEST(failed_addresses_are_not_asked_for_at_each_lookup)
{
    struct mxhop *mx = open_in_mta("2s");

    ck_assert_uint_eq(asked_after_lookups(mx, "half.example",
                                          ":[half-mx.example]",
                                          "half-mx.example 28"),
                      1);
    close_in_mta(mx);
}
END_TEST

/* Nor is silence; and a host with an address is not waited for. */
START_TEST(silence_about_one_family_holds_nobody_up)
{
    struct mxhop *mx = open_in_mta("200ms");
    uint64_t start_ms;
    size_t before;

    check_answer(mx, "mute.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
    usleep(2300 * 1000);
    before = minidns_count(&dns, "mute-mx.example 28");
    start_ms = clock_boot_ms();
    ck_assert_uint_eq(asked_after_lookups(mx, "mute.example",
                                          ":[mute-mx.example]",
                                          "mute-mx.example 28"),
                      before);
    ck_assert_uint_lt(clock_boot_ms() - start_ms, 1000);
    close_in_mta(mx);
}
END_TEST

/* A host of which nothing is known yet may have no address; at the end of a
   list that would bounce mail (5.4.4), hence on_cold. */
START_TEST(unknown_addresses_are_cold)
{
    struct mxhop *mx = open_in_mta("100ms");

    check_answer(mx, "dumb.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
    check_answer(mx, "dumb.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
    usleep(2300 * 1000); /* now the lookup has failed: the MTA may try */
    check_answer(mx, "dumb.example", 0, MXHOP_FORMAT_POSTFIX,
                 ":[dumb-mx.example]");
    close_in_mta(mx);
}
END_TEST

/* Nobody waited for the worker that is at work while the handle is closed: a
   matter for ThreadSanitizer. */
START_TEST(closes_on_a_worker_that_nobody_waited_for)
{
    struct mxhop *mx = open_in_mta("1ms");

    check_answer(mx, "late.example", 0, MXHOP_FORMAT_POSTFIX, NULL);
    for (int i = 0; i < 100 && minidns_count(&dns, "mx.late.example 1") == 0;
         i++)
        usleep(20000);
    ck_assert_uint_eq(minidns_count(&dns, "mx.late.example 1"), 1);
    close_in_mta(mx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mxhop");
    TCase *tc = tcase_create("handle");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_tags(tc, "threads");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, postfix_answers, 0,
                        sizeof(answers) / sizeof(answers[0]));
    tcase_add_test(tc, missing_table_defers_says_so_once_and_recovers);
    tcase_add_test(tc, the_newest_reason_is_told);
    tcase_add_test(tc, damaged_entries_are_mentioned_once);
    tcase_add_test(tc, missing_table_may_pass);
    tcase_add_loop_test(tc, a_backup_is_restored, 0,
                        sizeof(restores) / sizeof(restores[0]));
    tcase_add_test(tc, many_sets_in_one_moment);
    tcase_add_test(tc, a_directory_that_comes_and_goes);
    tcase_add_test(tc, a_failed_table_is_looked_at_each_time);
    tcase_add_test(tc, a_failed_table_is_not_read_each_time);
    tcase_add_loop_test(tc, a_table_is_copied_over_again_and_again, 0, 2);
    tcase_add_test(tc, a_configuration_that_changes);
    tcase_add_test(tc, answer_override_names_the_reason_once);
    tcase_add_test(tc, broken_configuration_names_the_place);
    tcase_add_test(tc, no_local_part_evades_an_override);
    tcase_add_test(tc, this_machine_is_left_out);
    tcase_add_test(tc, trace_fits_the_terminal);
    tcase_add_test(tc, close_ends_the_worker);
    tcase_add_test(tc, out_of_memory);
    tcase_add_test(tc, failed_addresses_are_not_asked_for_at_each_lookup);
    tcase_add_test(tc, silence_about_one_family_holds_nobody_up);
    tcase_add_test(tc, unknown_addresses_are_cold);
    tcase_add_test(tc, closes_on_a_worker_that_nobody_waited_for);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
