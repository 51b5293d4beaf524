/* A handle as inside Postfix, with a shared cache in a directory of its own, a
   name server in a thread that counts what it is asked, and overrides. For the
   tests of finished answers; each is one program. */

#ifndef UNIT_TEXT_FIXTURE_H
#define UNIT_TEXT_FIXTURE_H

#include <check.h>
#include <ctype.h>
#include <fcntl.h>
#include <mxhop/mxhop.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "dns/breaker.h"
#include "handle/probe.h"
#include "source/compile.h"
#include "cache/cache_file.h"
#include "cache/cache.h"
#include "support/failmalloc.h"
#include "support/minidns.h"

#define QUICK_MS 3000 /* what the worker does "soon" is done by then */

static const struct minidns_row rows[] = {
    {"a.example", 15, "mx 10 mx1.example mx 20 mx2.example"},
    {"b.example", 15, "mx 20 mx2.example mx 10 mx1.example"},
    {"short.example", 15, "ttl 1 mx 10 mx1.example"},
    {"brief.example", 15, "mx 10 brief-mx.example"},
    {"brief-mx.example", 1, "ttl 1 a 192.0.2.9"},
    {"g1.example", 15, "mx 10 mx.google.com"},
    {"g2.example", 15, "mx 10 mx.google.com"},
    {"null.example", 15, "mx 0 ."},
    {"gone.example", 15, "soa 60", .rcode = 3},
    {"mx1.example", 1, "a 192.0.2.1"},
    {"mx2.example", 1, "a 192.0.2.2"},
    {"mx.google.com", 1, "a 192.0.2.3"},
    {"r.example", 1, "a 192.0.2.4"},
    {"half.example", 15, "mx 10 mx1.example mx 20 bare.example"},
    {"bare.example", 15, "mx 10 bare.example"},
    {"bare.example", 1, "soa 3600"},
    {"spliced.example", 15, "ttl 1 mx 10 mx2.example"},
    {"closed.example", 15, "ttl 1 mx 0 ."},
    {0},
};

static struct minidns dns;
static char dir[64], config[96], ldif[96], table[96];
static const char *families = "ipv4";
static const char *unreachable = ""; /* name servers to be tried before it */

static inline void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static inline void configure(const char *more)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "dns_servers = %s127.0.0.1:%u\ndns_timeout = 2s\nttl_min = 0\n"
             "wait_share = 100%%\nlookup_budget = 2s\naddress_families = %s\n"
             "rotate_interval = 1d\ncache = %s/cache\n%s",
             unreachable, ntohs(dns.addr.sin_port), families, dir, more);
    write_file(config, text);
}

static inline void set_up(void)
{
    strcpy(dir, "/tmp/test_textXXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(config, sizeof(config), "%s/mxhop.cf", dir);
    snprintf(ldif, sizeof(ldif), "%s/o.ldif", dir);
    snprintf(table, sizeof(table), "%s/overrides", dir);
    minidns_start(&dns, rows);
    (void)minidns_servers;
    configure("");
}

static inline void tear_down(void)
{
    char command[128];

    minidns_stop(&dns);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static char said[4096];

static inline void hear(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    strncat(said, line, sizeof(said) - strlen(said) - 1);
}

static const char *local_domain = "";

static inline enum mxhop_local is_local(void *ctx, const char *domain)
{
    (void)ctx;
    return strcmp(domain, local_domain) == 0 ? MXHOP_LOCAL_YES : MXHOP_LOCAL_NO;
}

static inline struct mxhop *open_handle(void)
{
    static const struct mxhop_host in_mta = {.flags = MXHOP_WORKER,
                                             .log = hear,
                                             .is_local = is_local,
                                             .own_names = "mta.example"};
    struct mxhop_error err;
    struct mxhop *mx;

    ck_assert_msg(mxhop_open(&mx, config, &in_mta, &err) == MXHOP_OK, "%s",
                  err.text);
    return mx;
}

/* Of wall clocks: somebody sets them. In place of the C library's, for all of
   the program. */
static _Atomic time_t clock_step_s;

time_t time(time_t *t_r)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += clock_step_s;
    if (t_r != NULL)
        *t_r = now.tv_sec;
    return now.tv_sec;
}

/* In lower case: that of a first host means something to smtp(8) only. */
static inline const char *text_of(struct mxhop *mx, const char *key)
{
    static char folded[1024];
    struct mxhop_error err;
    const char *text;

    ck_assert_int_eq(mxhop_text(mx, key, MXHOP_FORMAT_POSTFIX, &text, &err),
                     MXHOP_OK);
    snprintf(folded, sizeof(folded), "%s", text != NULL ? text : "(none)");
    for (char *c = folded; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return folded;
}

/* Whether the answer comes without a single allocation. */
static inline bool is_free(struct mxhop *mx, const char *key, const char *want)
{
    struct mxhop_error err;
    const char *text;
    bool hit;

    failmalloc_at(1);
    if (mxhop_text(mx, key, MXHOP_FORMAT_POSTFIX, &text, &err) != MXHOP_OK)
        text = "(error)";
    hit = failmalloc_hit();
    failmalloc_at(0);
    return !hit && strcasecmp(text != NULL ? text : "(none)", want) == 0;
}

/* The worker, which writes what a lookup leaves behind some milliseconds later,
   needs its memory. */
static inline bool becomes_free(struct mxhop *mx, const char *key,
                                const char *want)
{
    uint64_t until_ms = clock_boot_ms() + QUICK_MS;

    do {
        text_of(mx, key);
        usleep(50000);
        if (is_free(mx, key, want))
            return true;
    } while (clock_boot_ms() < until_ms);
    return false;
}

/* ---- overrides ---- */

static inline void refresh(const char *entry)
{
    char source[128], text[1024], when[2][32];
    time_t now = time(NULL);
    struct compile_options o = {.source = &(struct source){.text = source},
                                .table = table,
                                .shrink_percent = 100,
                                .now_s = now};
    struct compile_result r;
    struct mxhop_error err;

    for (int i = 0; i < 2; i++) {
        time_t t = now + 2 * (i + 1);

        strftime(when[i], sizeof(when[i]), "%Y%m%d%H%M%SZ", gmtime(&t));
    }
    snprintf(source, sizeof(source), "ldif:%s", ldif);
    snprintf(text, sizeof(text), entry, when[0], when[1]);
    write_file(ldif, text);
    ck_assert_msg(compile_overrides(&o, &r, &err) == MXHOP_OK, "%s", err.text);
    ck_assert_uint_eq(r.skipped, 0);
    compile_free(&r);
}

#define ENTRY(rest) \
    "dn: cn=o,dc=x\nobjectClass: mxhopOverride\ncn: o\n" rest "\n"
#define OTHER ENTRY("mxhopKey: other.example\nmxhopHop: [o.example]\n")

static inline struct mxhop *open_with_overrides(const char *entry)
{
    char more[512];

    refresh(entry);
    snprintf(more, sizeof(more), "overrides = ldif:%s\noverride_table = %s\n",
             ldif, table);
    configure(more);
    return open_handle();
}

/* A child ends like this when all is well: valgrind would find that the stack
   of the worker, which a fork leaves behind, is lost with what it pointed to.
 */
static inline void leave_at_once(void)
{
    kill(getpid(), SIGKILL);
}

static inline bool left_at_once(pid_t pid)
{
    int status;

    return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGKILL;
}

/* A refresh is by another process. */
static inline void refresh_elsewhere(const char *entry)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        refresh(entry);
        leave_at_once();
    }
    ck_assert(left_at_once(pid));
}

static inline bool answer_becomes(struct mxhop *mx, const char *key,
                                  const char *want)
{
    uint64_t until_ms = clock_boot_ms() + 8000;

    while (clock_boot_ms() < until_ms) {
        if (strcmp(text_of(mx, key), want) == 0)
            return true;
        usleep(20000);
    }
    return false;
}

#endif
