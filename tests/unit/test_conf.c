/* The configuration file. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/suite.h"
#include "conf/conf.h"
#include "support/failmalloc.h"

static enum mxhop_status parse(struct conf *c, const char *text,
                               struct mxhop_error *err)
{
    return conf_parse(c, "t.cf", text, strlen(text), err);
}

/* What conf_print() says of one parameter, after "name =". */
static void value_of(const struct conf *c, const char *name, char *out,
                     size_t cap)
{
    struct buf all = {0};
    char start[100];
    const char *at;

    buf_putc(&all, '\n');
    conf_print(c, &all);
    snprintf(start, sizeof(start), "\n%s =", name);
    at = strstr(all.data, start);
    ck_assert_msg(at != NULL, "%s is not printed", name);
    at += strlen(start);
    snprintf(out, cap, "%.*s", (int)strcspn(at, "\n"), at);
    buf_free(&all);
}

START_TEST(test_defaults)
{
    struct conf c;
    struct mxhop_error err;

    ck_assert_int_eq(parse(&c, "", &err), MXHOP_OK);
    ck_assert_str_eq(c.dns_servers, "");
    ck_assert_uint_eq(c.dns_timeout_ms, 10000);
    ck_assert_uint_eq(c.lookup_budget_ms, 0);
    ck_assert_uint_eq(c.wait_share_percent, 10);
    ck_assert_str_eq(c.cache, "");
    ck_assert(c.cache_size_bytes == 64 << 20);
    ck_assert_uint_eq(c.ttl_min_s, 30);
    ck_assert_uint_eq(c.ttl_max_s, 86400);
    ck_assert_uint_eq(c.negative_ttl_max_s, 900);
    ck_assert_uint_eq(c.stale_max_s, 3 * 86400);
    ck_assert_str_eq(c.overrides, "");
    ck_assert_str_eq(c.override_table, "/var/lib/mxhop/overrides");
    ck_assert_uint_eq(c.override_shrink_limit_percent, 50);
    ck_assert_int_eq(c.on_null_mx, CHOICE_REJECT);
    ck_assert_int_eq(c.on_nxdomain, CHOICE_PASS);
    ck_assert_int_eq(c.on_dns_failure, CHOICE_PASS);
    ck_assert_int_eq(c.on_cold, CHOICE_PASS);
    ck_assert_int_eq(c.on_no_host, CHOICE_PASS);
    ck_assert_int_eq(c.on_bogus, CHOICE_REJECT);
    ck_assert_int_eq(c.on_override_failure, CHOICE_DEFER);
    ck_assert_int_eq(c.on_override_unusable, CHOICE_DEFER);
    ck_assert_str_eq(c.defer_service, "./retry");
    ck_assert_int_eq(c.answer, ANSWER_AUTO);
    ck_assert_int_eq(c.group, GROUP_SITE);
    ck_assert_str_eq(c.single_domain_sites, ".google.com .googlemail.com");
    ck_assert_str_eq(c.transport, "");
    ck_assert_uint_eq(c.max_hops, 3);
    ck_assert_uint_eq(c.rotate_interval_s, 600);
    conf_free(&c);
    ck_assert_ptr_null(c.cache);
    conf_free(&c);
}
END_TEST

static const struct {
    const char *text, *name, *want; /* as conf_print() says it */
} good[] = {
    {"max_hops = 5", "max_hops", " 5"},
    {"\xef\xbb\xbfmax_hops = 5", "max_hops", " 5"}, /* an editor's mark */
    {"\xef\xbb\xbf# x\nmax_hops = 5", "max_hops", " 5"},
    {"ldap_bind = yes", "ldap_bind", " simple"}, /* as in ldap_table(5) */
    {"ldap_bind = no", "ldap_bind", " none"},
    {"ldap_start_tls = true", "ldap_start_tls", " yes"},
    {"ldap_version = 2", "ldap_version", " 3"},
    {"max_hops=5\n", "max_hops", " 5"},
    {"max_hops\t= \t100 \t\r\n", "max_hops", " 100"},
    {"# max_hops = 4\n  # also = a comment\n\nmax_hops = 5", "max_hops", " 5"},
    {"max_hops =\n 7", "max_hops", " 7"},
    {"max_hops =\n# between\n\n   \n \t7\nseed = x", "max_hops", " 7"},
    {"max_hops\n = 7", "max_hops", " 7"},
    {"seed = a # b = c", "seed", " a # b = c"}, /* comments: whole lines */
    {"seed = \"a  b\"", "seed", " \"a  b\""},   /* no quoting */
    {"seed =", "seed", ""},
    {"own_names = A.Example,\n\tB.example.\n  b\xc3\xbc"
     "cher.example",
     "own_names", " a.example b.example xn--bcher-kva.example"},
    {"local_domains = .Example.com example.org", "local_domains",
     " .example.com example.org"},
    {"single_domain_sites =", "single_domain_sites", ""},
    {"dns_servers = 127.0.0.1:5353 [::1]:53, 192.0.2.1 2001:db8::1 [::2]"
     " [192.0.2.3]:1",
     "dns_servers",
     " 127.0.0.1:5353 [::1]:53 192.0.2.1 2001:db8::1 [::2] [192.0.2.3]:1"},
    {"dns_timeout = 5", "dns_timeout", " 5s"},
    {"dns_timeout = 1500ms", "dns_timeout", " 1500ms"},
    {"dns_timeout = 2M", "dns_timeout", " 2m"},
    {"lookup_budget = 300", "lookup_budget", " 300ms"},
    {"lookup_budget = 2s", "lookup_budget", " 2s"},
    {"lookup_budget =", "lookup_budget", ""},
    {"ttl_min = 0", "ttl_min", " 0s"},
    {"ttl_min = 90", "ttl_min", " 90s"},
    {"ttl_min = 3000ms", "ttl_min", " 3s"},
    {"ttl_max = 2w", "ttl_max", " 2w"},
    {"ttl_max = 36h", "ttl_max", " 36h"},
    {"ttl_max = 1440m", "ttl_max", " 1d"},
    {"stale_max = 0", "stale_max", " 0s"},
    {"wait_share = 25", "wait_share", " 25%"},
    {"wait_share = 100%", "wait_share", " 100%"},
    {"cache_size = 1048577", "cache_size", " 1048577"},
    {"cache_size = 2048k", "cache_size", " 2M"},
    {"cache_size = 1g", "cache_size", " 1G"},
    {"cache_size = 64GiB", "cache_size", " 64G"},
    {"cache_size = 3MiB", "cache_size", " 3M"},
    {"cache = none", "cache", " none"},
    {"cache = /run/mta/x", "cache", " /run/mta/x"},
    {"cache =", "cache", ""},
    {"prefetch = 0", "prefetch", " 0%"},
    {"address_families = IPv6, ipv4", "address_families", " ipv6 ipv4"},
    {"overrides = ldif:/etc/mxhop/o.ldif", "overrides",
     " ldif:/etc/mxhop/o.ldif"},
    {"override_table = /tmp/t", "override_table", " /tmp/t"},
    {"on_no_host = reject", "on_no_host", " reject"},
    {"on_cold = defer", "on_cold", " defer"},
    {"answer = list", "answer", " list"},
    {"group = domain", "group", " domain"},
    {"bogus_networks = 127.0.0.0/8,[::1] 2001:db8::/32", "bogus_networks",
     " 127.0.0.0/8 [::1] 2001:db8::/32"},
    {"transport = smtp-out", "transport", " smtp-out"},
    {"defer_service = retry", "defer_service", " retry"},
    {"defer_service = ./hold", "defer_service", " ./hold"},
    {"rotate_interval = 1h", "rotate_interval", " 1h"},
    {"max_hops = 0005", "max_hops", " 5"},
};

START_TEST(test_good)
{
    struct conf c;
    struct mxhop_error err = {0};
    char value[300];

    ck_assert_msg(parse(&c, good[_i].text, &err) == MXHOP_OK, "%s: %s",
                  good[_i].text, err.text);
    value_of(&c, good[_i].name, value, sizeof(value));
    ck_assert_str_eq(value, good[_i].want);
    conf_free(&c);
}
END_TEST

static const struct {
    const char *text, *says; /* says: the beginning, then `...` what else */
    const char *also;
} bad[] = {
    {"max_hop = 3", "t.cf:1: max_hop: unknown", "perhaps max_hops"},
    {"\n\nsede = 3", "t.cf:3: sede: unknown", "perhaps seed"},
    {"relayhost = 3", "t.cf:1: relayhost: unknown", "mxhop.cf(5)"},
    {"ldap_bind_pw = x", "t.cf:1: ldap_bind_pw: unknown",
     "perhaps ldap_bind_pw_file"},
    {"server_host = x", "t.cf:1: server_host: unknown",
     "perhaps ldap_server_host"},
    {"Max_hops = 3", "t.cf:1: Max_hops: unknown", "perhaps max_hops"},
    {"max_hops = 3\n#\nmax_hops = 3", "t.cf:3: max_hops: ", "line 1"},
    {"max_hops = 0",
     "t.cf:1: max_hops: \"0\"; expected a whole number from 1"
     " to 100",
     ""},
    {"max_hops = 101", "t.cf:1: max_hops: \"101\"; expected", ""},
    {"max_hops = -1", "t.cf:1: max_hops: ", "expected"},
    {"max_hops = 3x", "t.cf:1: max_hops: ", "expected"},
    {"max_hops =", "t.cf:1: max_hops: \"\"; expected", ""},
    {"max_hops = 3 # three", "t.cf:1: max_hops: \"3 # three\"; expected",
     "; a comment needs a line of its own"},
    {"overrides = ldif:/o.ldif # ours",
     "t.cf:1: overrides: ", "; a comment needs a line of its own"},
    {"max_hops = \"3\"",
     "t.cf:1: max_hops: ", "; write the value without quotes"},
    {"overrides = 'ldif:/o.ldif'", "t.cf:1: overrides: ", "without quotes"},
    {"ldap_search_base = \"dc=example\"",
     "t.cf:1: ldap_search_base: ", "without quotes"},
    {"x\n\xef\xbb\xbfmax_hops = 3", "t.cf:1: x: no equals sign", ""},
    {"max_hops = 18446744073709551617", "t.cf:1: max_hops: ", "expected"},
    {"max_hops = 4294967299", "t.cf:1: max_hops: ", "expected"},
    {"# one\nmax_hops =\n  3\n  4", "t.cf:2: max_hops: \"3 4\"", "expected"},
    {"max_hops", "t.cf:1: max_hops: no equals sign", "name = value"},
    {"[section]", "t.cf:1: [section]: no equals sign", "name = value"},
    {"= 3", "t.cf:1: =: no name", "name = value"},
    {"  max_hops = 3", "t.cf:1: white space: continues nothing", "beginning"},
    {"ttl_min = 1500ms", "t.cf:1: ttl_min: ", "a time from 0s to 1d"},
    {"ttl_min = 1.5h", "t.cf:1: ttl_min: ", "a time"},
    {"ttl_min = 5 m", "t.cf:1: ttl_min: ", "a time"},
    {"ttl_min = 5y", "t.cf:1: ttl_min: ", "a time"},
    {"ttl_min = s", "t.cf:1: ttl_min: ", "a time"},
    {"ttl_min = 99999999999999999w", "t.cf:1: ttl_min: ", "a time"},
    {"ttl_max = 99999999999999999999d", "t.cf:1: ttl_max: ", "a time"},
    {"lookup_budget = 0", "t.cf:1: lookup_budget: ", "1ms to 1m"},
    {"wait_share = 101%", "t.cf:1: wait_share: ", "0% to 100%"},
    {"wait_share = 10 %", "t.cf:1: wait_share: ", "a percentage"},
    {"cache_size = 64KB", "t.cf:1: cache_size: ", "1M to 64G"},
    {"cache_size = 1", "t.cf:1: cache_size: ", "1M to 64G"},
    {"cache = run/mxhop", "t.cf:1: cache: ", "absolute path"},
    {"prefetch = 60%", "t.cf:1: prefetch: ", "0% to 50%"},
    {"on_null_mx = defer",
     "t.cf:1: on_null_mx: \"defer\"; expected one of"
     " reject, pass",
     ""},
    {"on_cold = reject", "t.cf:1: on_cold: ", "one of pass, defer"},
    {"on_nxdomain = Pass", "t.cf:1: on_nxdomain: ", "one of pass, reject"},
    {"answer = yes", "t.cf:1: answer: ", "auto, list, override"},
    {"overrides = ldap:x", "t.cf:1: overrides: ", "ldap_server_host"},
    {"overrides = ldif:o.ldif", "t.cf:1: overrides: ", "absolute"},
    {"overrides = /etc/o.ldif", "t.cf:1: overrides: ", "ldif:/"},
    {"overrides = ldif:", "t.cf:1: overrides: ", "absolute"},
    {"override_table = t", "t.cf:1: override_table: ", "absolute path"},
    {"override_table =", "t.cf:1: override_table: ", "absolute path"},
    {"override_table = /t/", "t.cf:1: override_table: ", "absolute path"},
    {"override_table = /a\x01", "t.cf:1: override_table: ", "path"},
    {"dns_servers = ns.example", "t.cf:1: dns_servers: \"ns.example\"",
     "IP address"},
    {"dns_servers = 127.0.0.1:0", "t.cf:1: dns_servers: ", "IP address"},
    {"dns_servers = [::1]53", "t.cf:1: dns_servers: ", "IP address"},
    {"dns_servers = [::1", "t.cf:1: dns_servers: ", "IP address"},
    {"dns_servers = 127.0.0.1:99999", "t.cf:1: dns_servers: ", "IP address"},
    {"dns_servers = 127.1", "t.cf:1: dns_servers: ", "IP address"},
    {"dns_servers = ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1",
     "t.cf:1: dns_servers: 9 name servers", "at most 8"},
    {"bogus_networks = 127.0.0.0/8 10.0.0.1/8",
     "t.cf:1: bogus_networks: \"10.0.0.1/8\"", "beyond the prefix"},
    {"own_addresses = mx.example", "t.cf:1: own_addresses: ", "addresses"},
    {"own_names = .example.com", "t.cf:1: own_names: \".example.com\"",
     "a domain name"},
    {"local_domains = $mydestination",
     "t.cf:1: local_domains: ", "a domain name"},
    {"local_domains = a.example, hash:/etc/x",
     "t.cf:1: local_domains: \"hash:/etc/x\"", "a domain name"},
    {"address_families = ipv4 ipv5", "t.cf:1: address_families: \"ipv5\"",
     "ipv4, ipv6"},
    {"transport = smtp:[x]", "t.cf:1: transport: ", "letters"},
    {"defer_service =", "t.cf:1: defer_service: ", "./retry"},
    {"defer_service = /retry", "t.cf:1: defer_service: ", "./retry"},
    {"defer_service = retry:", "t.cf:1: defer_service: ", "./retry"},
    {"seed = \xc3\xbc", "t.cf:1: seed: ", "ASCII"},
    {"ttl_min = 1h\nttl_max = 1m", "t.cf:2: ttl_max: ttl_min is longer", ""},
    {"ttl_max = 1m\nttl_min = 1h", "t.cf:2: ttl_min: ttl_min is longer", ""},
    {"\nttl_max = 10", "t.cf:2: ttl_max: ttl_min is longer", ""},
};

START_TEST(test_bad)
{
    struct conf c, zero = {0};
    struct mxhop_error err = {0};

    ck_assert_msg(parse(&c, bad[_i].text, &err) == MXHOP_ERR_CONFIG,
                  "%s passed", bad[_i].text);
    ck_assert_int_eq(err.code, MXHOP_ERR_CONFIG);
    ck_assert_msg(strncmp(err.text, bad[_i].says, strlen(bad[_i].says)) == 0,
                  "%s", err.text);
    if (bad[_i].also != NULL)
        ck_assert_msg(strstr(err.text, bad[_i].also) != NULL, "%s", err.text);
    ck_assert_mem_eq(&c, &zero, sizeof(c));
}
END_TEST

/* The mail log has these messages. */
static const char *const secrets[] = {
    "ldap_bind_pw_file = hunter2",    "ldap_bind_pw = hunter2",
    "ldap_bind_pw: hunter2",          "ldap_bind_pw hunter2",
    "ldap_bind_pw_file =\n  hunter2",
};

START_TEST(test_secrets_are_not_shown)
{
    struct mxhop_error err;
    struct conf c;

    ck_assert_int_eq(parse(&c, secrets[_i], &err), MXHOP_ERR_CONFIG);
    ck_assert_msg(strncmp(err.text, "t.cf:1: ldap_bind_pw", 20) == 0, "%s",
                  err.text);
    ck_assert_msg(strstr(err.text, "hunter2") == NULL, "%s", err.text);
}
END_TEST

START_TEST(test_nul_bytes)
{
    static const char text[] = "seed = x\nmax_hops = 3\0\n";
    struct mxhop_error err;
    struct conf c;

    ck_assert_int_eq(conf_parse(&c, "t.cf", text, sizeof(text) - 1, &err),
                     MXHOP_ERR_CONFIG);
    ck_assert_msg(strncmp(err.text, "t.cf:2: NUL byte", 16) == 0, "%s",
                  err.text);
}
END_TEST

static void write_file(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    fclose(f);
}

START_TEST(test_load)
{
    char dir[] = "/tmp/test_conf.XXXXXX", path[100];
    struct mxhop_error err;
    struct conf c;
    struct stat a, b;
    int fd = 99;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/mxhop.cf", dir);
    ck_assert_int_eq(conf_load(&c, path, &fd, NULL, &err), MXHOP_ERR_CONFIG);
    ck_assert_int_eq(fd, -1);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
    ck_assert_ptr_nonnull(strstr(err.text, path));

    write_file(path, "max_hops = 9\n", 13);
    ck_assert_int_eq(conf_load(&c, path, &fd, NULL, &err), MXHOP_OK);
    ck_assert_uint_eq(c.max_hops, 9);
    ck_assert(fstat(fd, &a) == 0 && stat(path, &b) == 0);
    ck_assert_uint_eq(a.st_ino, b.st_ino);
    close(fd);
    conf_free(&c);

    write_file(path, "", 0);
    ck_assert_int_eq(conf_load(&c, path, NULL, NULL, &err), MXHOP_OK);
    conf_free(&c);
    write_file(path, "max_hops = x\n", 13);
    ck_assert_int_eq(conf_load(&c, path, &fd, NULL, &err), MXHOP_ERR_CONFIG);
    ck_assert_int_eq(fd, -1);
    ck_assert_ptr_nonnull(strstr(err.text, "mxhop.cf:1: max_hops: \"x\""));

    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* nobody writes: no waiting */
    ck_assert_int_eq(conf_load(&c, path, &fd, NULL, &err), MXHOP_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    ck_assert_int_eq(conf_load(&c, dir, &fd, NULL, &err), MXHOP_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    unlink(path);
    rmdir(dir);
}
END_TEST

/* Broken or not; a slip in the very line, and what lies elsewhere, count. */
static const struct {
    const char *text;
    bool may;
} overriding[] = {
    {"", false},
    {"max_hops = many\n", false},
    {"overrides =\nmax_hops = 3\n", false},
    {"overrides = \n\n# x\nbad\n", false},
    {"#overrides = ldif:/x\n  # ldap\n", false},
    {"override_table = /x\n", false},
    {"overrides = ldif:/x", true},
    {"max_hops = many\r\noverrides = ldap\r\n", true},
    {"overrides =\n# x\n\n  /x\n", true},
    {"overrides = /x\n", true},
    {"overrides /x\n", true},
    {"overrides=x", true},
    {"Overrides = x\n", true},
    {" overrides = ldap\n", true},
    {"\xef\xbb\xbfoverrides = ldif:/x\n", true},
    {"overides = LDIF:/x\n", true},
    {"ldap_server_host = ldaps://a\n", true},
};

START_TEST(test_may_override)
{
    char path[] = "/tmp/test_conf.XXXXXX";
    int fd = mkstemp(path);
    size_t len = strlen(overriding[_i].text);

    ck_assert_int_eq(write(fd, overriding[_i].text, len), (ssize_t)len);
    close(fd);
    ck_assert_int_eq(conf_may_override(path), overriding[_i].may);
    unlink(path);
}
END_TEST

static const struct {
    const char *text;
    bool may;
} keeping[] = {
    {"", false},
    {"nonsense\n", false},
    {"mta_sts = off\nnonsense\n", false},
    {"nonsense\nmta_sts=watch", false},
    {"mta_sts =\n", false},
    {"mta_sts", false},
    {"mta_sts_wait = nonsense\nmta_stsx = 1\n", false},
    {"# mta_sts = enforce\n  # enforce\n", false},
    {"mta_sts = enforce\nnonsense\n", true},
    {"nonsense\nMTA_STS=Enforce", true},
    {"mta_sts = enforcing\n", true},
    {"mta_sts = yes\n", true},
    {"mta_sts = offf\n", true},
    {"mta_sts =\n  enforce\n", true},
};

START_TEST(test_may_keep_policies)
{
    char path[] = "/tmp/test_conf.XXXXXX";

    close(mkstemp(path));
    write_file(path, keeping[_i].text, strlen(keeping[_i].text));
    ck_assert_int_eq(conf_may_keep_policies(path), keeping[_i].may);
    unlink(path);
    ck_assert(conf_may_keep_policies(path));
}
END_TEST

START_TEST(test_may_override_unread)
{
    char path[] = "/tmp/test_conf.XXXXXX";
    int fd = mkstemp(path);

    ck_assert(conf_may_override("/nonexistent/x.cf"));
    ck_assert(conf_may_override("/tmp"));
    ck_assert_int_eq(write(fd, "a\0b\nover\0", 10), 10);
    ck_assert(!conf_may_override(path));
    ck_assert_int_eq(ftruncate(fd, 2 << 20), 0);
    ck_assert(conf_may_override(path));
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(test_size_limit)
{
    char path[] = "/tmp/test_conf.XXXXXX", *text = malloc((1 << 20) + 1);
    struct mxhop_error err;
    struct conf c;

    close(mkstemp(path));
    memset(text, '#', (1 << 20) + 1);
    write_file(path, text, 1 << 20);
    ck_assert_int_eq(conf_load(&c, path, NULL, NULL, &err), MXHOP_OK);
    conf_free(&c);
    write_file(path, text, (1 << 20) + 1);
    ck_assert_int_eq(conf_load(&c, path, NULL, NULL, &err), MXHOP_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "1 MiB"));
    unlink(path);
    free(text);
}
END_TEST

static const char full[] = "own_names = a.example b.example\n"
                           "dns_servers = 127.0.0.1 [::1]:53\n"
                           "bogus_networks = 127.0.0.0/8 ::1\n"
                           "seed = some\n  more\nttl_min = 1m\n";

/* What is printed reads as the same configuration. */
START_TEST(test_print_round_trip)
{
    struct buf first = {0}, second = {0}, defaults = {0};
    struct mxhop_error err;
    struct conf c;

    ck_assert_int_eq(parse(&c, full, &err), MXHOP_OK);
    conf_print(&c, &first);
    conf_free(&c);
    ck_assert_int_eq(parse(&c, first.data, &err), MXHOP_OK);
    conf_print(&c, &second);
    conf_free(&c);
    ck_assert_str_eq(first.data, second.data);

    conf_print_defaults(&defaults);
    ck_assert_int_eq(parse(&c, "", &err), MXHOP_OK);
    buf_reset(&first);
    conf_print(&c, &first);
    conf_free(&c);
    ck_assert_str_eq(first.data, defaults.data);
    buf_free(&first);
    buf_free(&second);
    buf_free(&defaults);
}
END_TEST

START_TEST(test_memory)
{
    for (unsigned n = 1;; n++) {
        struct mxhop_error err = {0};
        struct buf out = {0};
        enum mxhop_status st;
        struct conf c;
        bool hit;

        failmalloc_at(n);
        st = parse(&c, full, &err);
        if (st == MXHOP_OK)
            conf_print(&c, &out);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(st == MXHOP_OK && !out.failed, !hit);
        if (st != MXHOP_OK) {
            ck_assert_int_eq(st, MXHOP_ERR_MEMORY);
            ck_assert_str_eq(err.text, "out of memory");
        }
        conf_free(&c);
        buf_free(&out);
        if (!hit)
            break;
    }
}
END_TEST

/* Errors allocate as well. */
START_TEST(test_memory_in_errors)
{
    for (unsigned n = 1;; n++) {
        struct mxhop_error err = {0};
        enum mxhop_status st;
        struct conf c;
        bool hit;

        failmalloc_at(n);
        st = parse(&c, "seed = x\nmax_hops = x", &err);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(st, hit ? MXHOP_ERR_MEMORY : MXHOP_ERR_CONFIG);
        if (!hit)
            break;
    }
}
END_TEST

START_TEST(test_random)
{
    static const char *const pieces[] = {"max_hops",
                                         "seed",
                                         "own_names",
                                         "cache_size",
                                         "=",
                                         " = ",
                                         "\n",
                                         "\n ",
                                         "#",
                                         "1",
                                         "64M",
                                         "a.example",
                                         ",",
                                         "ttl_min",
                                         "\r\n",
                                         "\t",
                                         "%",
                                         "::1",
                                         "bogus_networks",
                                         "/8",
                                         "\xff",
                                         "\n\n",
                                         "overrides",
                                         "ldif:/a"};

    srand(1);
    for (int i = 0; i < 5000; i++) {
        struct mxhop_error err = {0};
        struct buf text = {0};
        struct conf c;
        int n = rand() % 20;

        for (int j = 0; j < n; j++)
            buf_puts(
                &text,
                pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))]);
        if (conf_parse(&c, "r", text.len ? text.data : "", text.len, &err) !=
            MXHOP_OK)
            ck_assert_msg(strncmp(err.text, "r:", 2) == 0, "%s", err.text);
        conf_free(&c);
        buf_free(&text);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conf");
    TCase *t = tcase_create("conf");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_defaults);
    tcase_add_loop_test(t, test_good, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(t, test_bad, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_loop_test(t, test_secrets_are_not_shown, 0,
                        sizeof(secrets) / sizeof(secrets[0]));
    tcase_add_test(t, test_nul_bytes);
    tcase_add_test(t, test_load);
    tcase_add_loop_test(t, test_may_override, 0,
                        sizeof(overriding) / sizeof(overriding[0]));
    tcase_add_test(t, test_may_override_unread);
    tcase_add_loop_test(t, test_may_keep_policies, 0,
                        sizeof(keeping) / sizeof(keeping[0]));
    tcase_add_test(t, test_size_limit);
    tcase_add_test(t, test_print_round_trip);
    tcase_add_test(t, test_memory);
    tcase_add_test(t, test_memory_in_errors);
    tcase_add_test(t, test_random);
    return suite_run(s);
}
