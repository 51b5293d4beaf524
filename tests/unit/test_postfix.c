/* What main.cf and master.cf mean: words, lists, addresses, guards. */

#include "support/suite.h"
#include <mxhop/postfix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Parameters of a test: name, value, ... */
static const char *const *params;

static const char *get(void *ctx, const char *name)
{
    (void)ctx;
    for (const char *const *p = params; *p != NULL; p += 2)
        if (strcmp(*p, name) == 0)
            return p[1];
    return NULL;
}

static const char *expand(void *ctx, const char *text)
{
    (void)ctx;
    return strcmp(text, "$level") == 0 ? "dane" : text;
}

/* The same, of which $name comes to dnssec. */
static const char *get_dnssec(void *ctx, const char *name)
{
    const char *value = get(ctx, name);

    return value != NULL && strchr(value, '$') != NULL ? "dnssec" : value;
}

static const struct postfix_config pf = {
    .table = "/etc/mxhop/mxhop.cf", .param = get, .expand = expand, .raw = get};

#define MAIN_CF(...)                                              \
    do {                                                          \
        static const char *const main_cf[] = {__VA_ARGS__, NULL}; \
        params = main_cf;                                         \
    } while (0)

START_TEST(test_words)
{
    char text[] = " hash:/a,unionmap:{hash:/x, hash:/y}\t{ b c } d{e";
    char *cursor = text;

    ck_assert_str_eq(word_next(&cursor, WORDS_IN_LIST), "hash:/a");
    ck_assert_str_eq(word_next(&cursor, WORDS_IN_LIST),
                     "unionmap:{hash:/x, hash:/y}");
    ck_assert_str_eq(word_next(&cursor, WORDS_IN_LIST), "{ b c }");
    ck_assert_str_eq(word_next(&cursor, WORDS_IN_LIST), "d{e");
    ck_assert_ptr_null(word_next(&cursor, WORDS_IN_LIST));
}
END_TEST

START_TEST(test_our_table)
{
    static const struct {
        const char *word, *file;
    } rows[] = {
        {"mxhop:/a", "/a"},
        {"proxy:mxhop:/a", "/a"},
        {"!mxhop:/a", "/a"},
        {"unionmap:{hash:/x,mxhop:/a,hash:/y}", "/a"},
        {"hash:/etc/mxhop", NULL},
        {"notmxhop:/a", NULL},
        {"mxhop_tls:/a", NULL},
        {"notmxhop:/a,mxhop:/b", "/b"},
        {"", NULL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = 0;
        const char *file = word_our_table(rows[i].word, &len);
        char *copy = file != NULL ? strndup(file, len) : NULL;

        ck_assert_pstr_eq(copy, rows[i].file);
        free(copy);
    }
}
END_TEST

static void assert_stripped(const char *address, const char *expected)
{
    char out[100];
    bool stripped = postfix_strip(&pf, address, out, sizeof(out));

    ck_assert_pstr_eq(stripped ? out : NULL, expected);
}

START_TEST(test_strip)
{
    MAIN_CF("recipient_delimiter", "+-");
    assert_stripped("user+ext@a.test", "user@a.test");
    assert_stripped("user-a+b@a.test", "user@a.test");
    assert_stripped("user@a-b.test", NULL);
    assert_stripped("+ext@a.test", NULL);
    assert_stripped("user+@a.test", "user@a.test");
    assert_stripped("a.test", NULL);
    assert_stripped("owner-list@a.test", NULL);
    assert_stripped("list-request@a.test", NULL);
    assert_stripped("Mailer-Daemon@a.test", NULL);
    MAIN_CF("recipient_delimiter", "-", "owner_request_special", "no",
            "double_bounce_sender", "double-bounce");
    assert_stripped("owner-list@a.test", "owner@a.test");
    assert_stripped("double-bounce@a.test", NULL);
    MAIN_CF("recipient_delimiter", "");
    assert_stripped("user+ext@a.test", NULL);
}
END_TEST

START_TEST(test_lists)
{
    MAIN_CF("virtual_alias_maps", "hash:/a", "relay_domains", "a.test",
            "relay_transport", "relay");
    ck_assert_str_eq(postfix_list_value(&pf, LIST_MYDESTINATION), "");
    ck_assert_str_eq(postfix_list_value(&pf, LIST_VIRTUAL_ALIAS), "hash:/a");
    ck_assert_str_eq(postfix_list_value(&pf, LIST_RELAY), "");
    MAIN_CF("virtual_alias_maps", "hash:/a", "virtual_alias_domains", "",
            "relay_domains", "a.test", "relay_transport", "relay:[gw]");
    ck_assert_str_eq(postfix_list_value(&pf, LIST_VIRTUAL_ALIAS), "");
    ck_assert_str_eq(postfix_list_value(&pf, LIST_RELAY), "a.test");
}
END_TEST

START_TEST(test_parent_style)
{
    MAIN_CF("parent_domain_matches_subdomains",
            "a, Relay_Domains !transport_maps,transport_maps");
    ck_assert(postfix_parent_style(&pf, "relay_domains"));
    ck_assert(!postfix_parent_style(&pf, "transport_maps"));
    ck_assert(!postfix_parent_style(&pf, "other"));
}
END_TEST

/* A directory with a master.cf in it. */
static void make_master_cf(char dir[64], const char *text)
{
    char path[80];
    FILE *f;

    strcpy(dir, "/tmp/mxhop-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/master.cf", dir);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void remove_master_cf(const char *dir)
{
    char path[80];

    snprintf(path, sizeof(path), "%s/master.cf", dir);
    unlink(path);
    rmdir(dir);
}

static struct guard_by_domain by_domain; /* of the last guard_reason() */

static const char *reason(const char *master)
{
    static char text[200], dir[64];
    static const char *config[] = {"config_directory", dir, "transport_maps",
                                   "proxy:mxhop:/etc/mxhop/mxhop.cf", NULL};
    bool found;

    make_master_cf(dir, master);
    params = config;
    found = guard_reason(&pf, &by_domain, text, sizeof(text));
    remove_master_cf(dir);
    return found ? text : "";
}

START_TEST(test_guards_in_master_cf)
{
    ck_assert_str_eq(reason("smtp unix - - n - - smtp\n"), "");
    ck_assert_str_eq(reason("smtp unix - - n - - smtp\n"
                            "# a comment\n\n"
                            "  -o { smtp_tls_security_level = $level }\n"),
                     "master.cf: smtp: -o smtp_tls_security_level=dane");
    ck_assert_str_eq(reason("x unix - - n - - lmtp -o relayhost=a\n"), "");
    ck_assert_str_eq(reason("x unix - - n - - trivial-rewrite -o relayhost=a"),
                     "master.cf: x: -o relayhost=a");
    ck_assert_str_eq(reason("x unix -\n -o smtp_enforce_tls=yes\n"), "");
}
END_TEST

START_TEST(test_guards_in_main_cf)
{
    char text[200];

    MAIN_CF("smtp_sasl_password_maps", "hash:/x");
    ck_assert(guard_reason(&pf, &by_domain, text, sizeof(text)));
    ck_assert_str_eq(text, "smtp_sasl_password_maps = hash:/x");
    MAIN_CF("smtp_tls_servername", "nexthop");
    ck_assert(guard_reason(&pf, &by_domain, text, sizeof(text)));
    ck_assert_str_eq(text, "smtp_tls_servername = nexthop");
    MAIN_CF("smtp_requiretls_policy", "cdb:/x, enforce");
    ck_assert(guard_reason(&pf, &by_domain, text, sizeof(text)));
    ck_assert_str_eq(text, "smtp_requiretls_policy = cdb:/x, enforce");
    MAIN_CF("config_directory", "/nonexistent");
    ck_assert(guard_reason(&pf, &by_domain, text, sizeof(text)));
    ck_assert_str_eq(text, "cannot read /nonexistent/master.cf: "
                           "No such file or directory");
}
END_TEST

START_TEST(test_guards_of_requiretls)
{
    static const char own[] = "${domain_to_ascii{$mydomain}} "
                              ".${domain_to_ascii{$mydomain}}";
    static const struct {
        const char *version, *name, *value, *own_domains;
    } rows[] = {
        {"3.11.0", "x", "", own},
        {"3.10.13", "x", "", ""},
        {"3.11.0", "requiretls_enable", "yes", own},
        {"3.11.0", "requiretls_enable", "no", ""},
        {"3.11.0", "smtp_requiretls_policy", "opportunistic", ""},
        {"3.11.0", "smtp_requiretls_policy", "", ""},
    };
    char dir[64], text[200];

    make_master_cf(dir, "smtp unix - - n - - smtp\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *config[] = {"config_directory",
                                dir,
                                "mail_version",
                                rows[i].version,
                                "transport_maps",
                                "mxhop:/etc/mxhop/mxhop.cf",
                                rows[i].name,
                                rows[i].value,
                                NULL};

        params = config;
        ck_assert(!guard_reason(&pf, &by_domain, text, sizeof(text)));
        ck_assert_str_eq(by_domain.own_domains, rows[i].own_domains);
    }
    remove_master_cf(dir);
}
END_TEST

/* ---- policy classes ---- */

#define BOTH (POSTFIX_CLASS_STS | POSTFIX_CLASS_DANE)

/* A system that can do both, but for the parameter that is given last; it
   comes first here, for the first of a name counts. */
static unsigned classes(const char *name, const char *value, const char *master,
                        char why[200])
{
    static char dir[64];
    const char *config[] = {name,
                            value,
                            "config_directory",
                            dir,
                            "smtp_tls_policy_maps",
                            "hash:/x, proxy:mxhop_tls:/etc/mxhop/mxhop.cf",
                            "smtp_tls_CAfile",
                            "/etc/ca.pem",
                            "smtp_dns_support_level",
                            "dnssec",
                            NULL};
    unsigned found;
    bool both;

    make_master_cf(dir, master);
    params = config;
    both = postfix_tls_classes(&pf, &found, why, 200);
    remove_master_cf(dir);
    ck_assert_int_eq(both, found == BOTH);
    ck_assert_int_eq(both, why[0] == '\0');
    return found;
}

START_TEST(test_classes_of_main_cf)
{
    static const struct {
        const char *name, *value;
        unsigned classes;
    } rows[] = {
        {"smtp_tls_policy_maps", "mxhop_tls:/etc/mxhop/mxhop.cf", BOTH},
        {"smtp_tls_policy_maps", "", 0},
        {"smtp_tls_policy_maps", "pcre:/x mxhop_tls:/etc/mxhop/mxhop.cf", 0},
        {"smtp_tls_policy_maps",
         "hash:/x proxy:regexp:/x mxhop_tls:/etc/mxhop/mxhop.cf", 0},
        {"smtp_tls_policy_maps", "static:may mxhop_tls:/etc/mxhop/mxhop.cf", 0},
        {"smtp_tls_policy_maps",
         "cidr:/x mxhop_tls:/etc/mxhop/mxhop.cf pcre:/x", BOTH},
        {"smtp_tls_policy_maps", "mxhop_tls:/other", 0},
        {"smtp_tls_policy_maps", "mxhop_tls:/etc/mxhop/MXHOP.cf", 0},
        {"smtp_tls_policy_maps", "mxhop:/etc/mxhop/mxhop.cf", 0},
        {"smtp_tls_policy_maps", "unionmap:{mxhop_tls:/etc/mxhop/mxhop.cf}", 0},
        {"smtp_tcp_port", "25", BOTH},
        {"smtp_tcp_port", "smtp", BOTH},
        {"smtp_tcp_port", "2525", 0},
        {"smtp_tls_CAfile", "", 0},
        {"tls_append_default_CA", "no", BOTH},
        {"smtp_cname_overrides_servername", "yes", 0},
        {"smtp_dns_support_level", "", POSTFIX_CLASS_STS},
        {"smtp_dns_support_level", "enabled", POSTFIX_CLASS_STS},
        {"smtp_host_lookup", "native", POSTFIX_CLASS_STS},
        {"smtp_host_lookup", "native, dns", BOTH},
        {"ignore_mx_lookup_error", "yes", POSTFIX_CLASS_STS},
        {"ignore_mx_lookup_error", "no", BOTH},
        {"smtp_dns_resolver_options", "res_dnsrch", POSTFIX_CLASS_STS},
        {"smtp_dns_resolver_options", "res_defnames", POSTFIX_CLASS_STS},
        {"tls_dane_digests", "sha512, sha256", BOTH},
        {"tls_dane_digests", "sha512", POSTFIX_CLASS_STS},
    };
    char why[200], expected[80];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned found = classes(rows[i].name, rows[i].value, "", why);

        ck_assert_msg(found == rows[i].classes, "%s = %s: %u: %s", rows[i].name,
                      rows[i].value, found, why);
        snprintf(expected, sizeof(expected), "%s = ", rows[i].name);
        if (found != BOTH)
            ck_assert_ptr_eq(strstr(why, expected), why);
    }
}
END_TEST

/* What a parameter that is made of an option comes to is not known. */
START_TEST(test_classes_made_of_options)
{
    static const struct {
        const char *raw, *option; /* of smtp_dns_support_level */
        unsigned classes;
    } rows[] = {
        {"dnssec", "mine=x", BOTH},
        {"$mine", "mine=x", POSTFIX_CLASS_STS},
        {"dns${mine}", "mine=x", POSTFIX_CLASS_STS},
        {"dns$(mine)", "mine=x", POSTFIX_CLASS_STS},
        {"$ ${x?{$mine}:y}", "mine=x", POSTFIX_CLASS_STS},
        {"$minees", "mine=x", BOTH},
        {"$other", "mine=x", POSTFIX_CLASS_STS},
        {"$again", "mine=x", BOTH},
        {"$mine", "smtp_dns_support_level=dnssec -o mine=x", BOTH},
        {"dnssec", "smtp_dns_support_level=$mine -o mine=x", POSTFIX_CLASS_STS},
    };
    char dir[64], why[200], master[200];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *config[] = {"config_directory",
                                dir,
                                "smtp_tls_policy_maps",
                                "mxhop_tls:/etc/mxhop/mxhop.cf",
                                "smtp_tls_CAfile",
                                "/etc/ca.pem",
                                "other",
                                "a $x $mine",
                                "again",
                                "$again",
                                "smtp_dns_support_level",
                                rows[i].raw,
                                NULL};
        const struct postfix_config dnssec = {.table = pf.table,
                                              .param = get_dnssec,
                                              .expand = expand,
                                              .raw = get};
        unsigned found;

        snprintf(master, sizeof(master), "x unix - - n - - smtp -o %s\n",
                 rows[i].option);
        make_master_cf(dir, master);
        params = config;
        (void)postfix_tls_classes(&dnssec, &found, why, sizeof(why));
        remove_master_cf(dir);
        ck_assert_msg(found == rows[i].classes, "row %zu: %s", i, why);
        if (found != BOTH)
            ck_assert_str_eq(why,
                             "master.cf: x: -o mine: smtp_dns_support_level "
                             "is made of it; set that itself");
    }
}
END_TEST

START_TEST(test_classes_without_ca_file)
{
    static const char *const others[] = {"smtp_tls_CApath", "/etc/ssl/certs",
                                         "tls_append_default_CA", "yes"};
    char why[200], master[200];

    for (size_t i = 0; i < 4; i += 2) {
        snprintf(master, sizeof(master),
                 "x unix - - n - - smtp -o smtp_tls_CAfile= -o %s=%s\n",
                 others[i], others[i + 1]);
        ck_assert_uint_eq(classes("unset", "", master, why), BOTH);
    }
    ck_assert_uint_eq(classes("unset", "",
                              "x unix - - n - - smtp -o smtp_tls_CAfile=\n",
                              why),
                      0);
    ck_assert_str_eq(why, "master.cf: x: smtp_tls_CAfile = : set it, "
                          "smtp_tls_CApath or tls_append_default_CA");
}
END_TEST

START_TEST(test_classes_of_services)
{
    static const struct {
        const char *master;
        unsigned classes;
        const char *why; /* begins with it */
    } rows[] = {
        {"smtp unix - - n - - smtp\nsmtp inet n - n - - smtpd\n"
         "  -o smtp_tls_policy_maps=\n",
         BOTH, ""},
        {"smtp unix - - n - - smtp\nx unix - - n - - smtp -o "
         "smtp_tls_policy_maps=hash:/x\n",
         0, "master.cf: x: smtp_tls_policy_maps = hash:/x: "},
        {"x unix - - n - - smtp -vo smtp_tls_policy_maps=\n", 0,
         "master.cf: x: smtp_tls_policy_maps = : "},
        {"x unix - - n - - smtp -vosmtp_tcp_port=26 -v\n", 0,
         "master.cf: x: smtp_tcp_port = 26: "},
        {"x unix - - n - - smtp -o { smtp_tcp_port = 26 }\n", 0,
         "master.cf: x: smtp_tcp_port = 26: it must be 25"},
        {"x unix - - n - - smtp -o smtp_tcp_port=26 -o smtp_tcp_port=25\n",
         BOTH, ""},
        {"x unix - - n - - smtp -o smtp_dns_support_level=$level\n",
         POSTFIX_CLASS_STS,
         "master.cf: x: smtp_dns_support_level = dane: it must be dnssec"},
    };
    char why[200];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_uint_eq(classes("unset", "", rows[i].master, why),
                          rows[i].classes);
        ck_assert_ptr_eq(strstr(why, rows[i].why), why);
    }
}
END_TEST

/* ---- guards of a system that can do both ---- */

START_TEST(test_guards_with_classes)
{
#define OURS "mxhop_tls:/etc/mxhop/mxhop.cf"
    static const struct {
        const char *name, *value; /* besides those of a system with classes */
        const char *master;
        const char *reason, *tables;
        bool unsigned_mx;
    } rows[] = {
        {"x", "y", "", "", "", false},
        {"smtp_tls_policy_maps", "hash:/x " OURS " cdb:/y, hash:/x", "", "",
         "hash:/x cdb:/y ", false},
        {"smtp_tls_policy_maps", OURS " ldap:/x", "",
         "smtp_tls_policy_maps = " OURS " ldap:/x", "", false},
        {"smtp_tls_policy_maps", "proxy:hash:/x " OURS, "",
         "smtp_tls_policy_maps = proxy:hash:/x " OURS, "", false},
        {"smtp_tls_policy_maps", "unionmap:{hash:/x} " OURS, "",
         "smtp_tls_policy_maps = unionmap:{hash:/x} " OURS, "", false},
        {"x", "y",
         "s unix - - n - - smtp -o { smtp_tls_policy_maps = hash:/z " OURS " }",
         "", "hash:/z ", false},
        {"smtp_tls_security_level", "may", "", "", "", false},
        {"smtp_tls_security_level", "encrypt", "", "", "", false},
        {"smtp_tls_security_level", "dane", "", "", "", false},
        {"smtp_tls_security_level", "dane-only", "", "", "", true},
        {"smtp_tls_security_level", "dane",
         "s unix - - n - - smtp -o smtp_tls_dane_insecure_mx_policy=may", "",
         "", true},
        {"smtp_tls_dane_insecure_mx_policy", "may", "", "", "", false},
        {"smtp_tls_dane_insecure_mx_policy", "may",
         "s unix - - n - - smtp -o smtp_tls_security_level=dane", "", "", true},
        {"smtp_tls_security_level", "secure", "",
         "smtp_tls_security_level = secure", "", false},
        {"smtp_tls_security_level", "fingerprint", "", "", "", false},
        {"smtp_tls_security_level", "verify", "", "", "", false},
        {"smtp_tls_security_level", "verify",
         "s unix - - n - - smtp -o smtp_tls_verify_cert_match=hostname,a.test",
         "", "", false},
        {"smtp_tls_security_level", "verify",
         "s unix - - n - - smtp -o smtp_tls_verify_cert_match=hostname:nexthop",
         "master.cf: s: -o smtp_tls_verify_cert_match=hostname:nexthop", "",
         false},
        {"smtp_tls_verify_cert_match", "hostname, dot-NextHop", "", "", "",
         false},
        {"smtp_tls_verify_cert_match", "hostname, dot-NextHop",
         "s unix - - n - - smtp -o smtp_tls_security_level=Verify",
         "master.cf: s: -o smtp_tls_security_level=Verify", "", false},
        {"smtp_tlsrpt_enable", "yes", "", "", "", false},
        {"relayhost", "[gw.test]", "", "relayhost = [gw.test]", "", false},
        /* without DANE, the level is a reason; without any class, the maps */
        {"smtp_dns_support_level", "", "", "", "", false},
        {"smtp_dns_support_level", "",
         "s unix - - n - - smtp -o smtp_tls_security_level=dane",
         "master.cf: s: -o smtp_tls_security_level=dane", "", false},
        {"smtp_tls_CAfile", "", "",
         "smtp_tls_policy_maps = " OURS "; its TLS classes mean nothing: "
         "smtp_tls_CAfile = : set it, smtp_tls_CApath or tls_append_default_CA",
         "", false},
    };
    char dir[64], text[400];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *config[] = {rows[i].name,
                                rows[i].value,
                                "config_directory",
                                dir,
                                "transport_maps",
                                "mxhop:/etc/mxhop/mxhop.cf",
                                "smtp_tls_policy_maps",
                                OURS,
                                "smtp_tls_CAfile",
                                "/etc/ca.pem",
                                "smtp_dns_support_level",
                                "dnssec",
                                NULL};

        make_master_cf(dir, rows[i].master);
        params = config;
        if (!guard_reason(&pf, &by_domain, text, sizeof(text)))
            text[0] = '\0';
        remove_master_cf(dir);
        ck_assert_msg(strcmp(text, rows[i].reason) == 0, "row %zu: %s", i,
                      text);
        if (text[0] != '\0')
            continue;
        ck_assert_msg(strcmp(by_domain.tables, rows[i].tables) == 0,
                      "row %zu: %s", i, by_domain.tables);
        ck_assert_msg(by_domain.unsigned_mx == rows[i].unsigned_mx, "row %zu",
                      i);
        ck_assert_msg(by_domain.reports ==
                          (strcmp(rows[i].name, "smtp_tlsrpt_enable") == 0),
                      "row %zu", i);
        ck_assert((by_domain.classes & POSTFIX_CLASS_STS) != 0);
    }
}
END_TEST

/* Nothing of that needs classes. */
START_TEST(test_guards_without_classes)
{
    char dir[64], text[200];
    const char *config[] = {"config_directory",
                            dir,
                            "transport_maps",
                            "mxhop:/etc/mxhop/mxhop.cf",
                            "smtp_tls_security_level",
                            "verify",
                            "smtp_tlsrpt_enable",
                            "yes",
                            "smtp_tls_verify_cert_match",
                            "hostname",
                            NULL};

    make_master_cf(dir, "smtp unix - - n - - smtp\n");
    params = config;
    ck_assert(!guard_reason(&pf, &by_domain, text, sizeof(text)));
    ck_assert(by_domain.reports);
    config[9] = "nexthop";
    ck_assert(guard_reason(&pf, &by_domain, text, sizeof(text)));
    ck_assert_str_eq(text, "smtp_tls_verify_cert_match = nexthop");
    remove_master_cf(dir);
    ck_assert_str_eq(reason("s unix - - n - - smtp -o smtp_tlsrpt_enable=yes"),
                     "");
    ck_assert(by_domain.reports);
    ck_assert_str_eq(reason("s unix - - n - - smtp -o smtp_tlsrpt_enable=no"),
                     "");
    ck_assert(!by_domain.reports);
}
END_TEST

START_TEST(test_classes_without_master_cf)
{
    char why[200];
    unsigned found;

    MAIN_CF("config_directory", "/nonexistent", "smtp_tls_policy_maps",
            "mxhop_tls:/etc/mxhop/mxhop.cf", "smtp_tls_CApath", "/x");
    ck_assert(!postfix_tls_classes(&pf, &found, why, sizeof(why)));
    ck_assert_uint_eq(found, 0);
    ck_assert_str_eq(why, "cannot read /nonexistent/master.cf: "
                          "No such file or directory");
}
END_TEST

/* ---- how many, and which words ---- */

START_TEST(test_limit)
{
    static const struct {
        const char *master, *by_default;
        unsigned limit;
    } rows[] = {
        {"a unix - - n - - smtp\n", NULL, 100},
        {"a unix - - n - - smtp\n", "30", 30},
        {"a unix - - n - - smtp\n", "many", 100},
        {"a unix - - n - 20 smtp\nb unix - - n - 7 smtp -o x=y\n", "30", 7},
        {"a unix - - n - 20 smtp\nb unix - - n - 7 pipe\n", "30", 20},
        {"a unix - - n - 200 smtp\n", "30", 200},
        {"a unix - - n - 0 smtp\nb unix - - n - - smtp\n", "30", 30},
    };
    char dir[64];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const config[] = {
            "config_directory", dir,
            rows[i].by_default != NULL ? "default_process_limit" : NULL,
            rows[i].by_default, NULL};

        make_master_cf(dir, rows[i].master);
        params = config;
        ck_assert_msg(postfix_smtp_limit(&pf) == rows[i].limit, "row %zu", i);
        remove_master_cf(dir);
    }
    MAIN_CF("config_directory", "/nonexistent");
    ck_assert_uint_eq(postfix_smtp_limit(&pf), 0);
}
END_TEST

START_TEST(test_knows_sts)
{
    static const char *const no[] = {"3.4.0",  "3.7.11",        "3.10.0",
                                     "3.10.4", "3.10-20241231", "2.11.5",
                                     "",       "mine"};
    static const char *const yes[] = {"3.10.5",        "3.10.13", "3.11.0",
                                      "3.11-20250801", "3.12.1",  "4.0.0"};

    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        ck_assert_msg(!postfix_knows_sts(no[i]), "%s", no[i]);
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        ck_assert_msg(postfix_knows_sts(yes[i]), "%s", yes[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postfix");
    TCase *tcase = tcase_create("postfix");

    tcase_add_test(tcase, test_words);
    tcase_add_test(tcase, test_our_table);
    tcase_add_test(tcase, test_strip);
    tcase_add_test(tcase, test_lists);
    tcase_add_test(tcase, test_parent_style);
    tcase_add_test(tcase, test_guards_in_master_cf);
    tcase_add_test(tcase, test_guards_in_main_cf);
    tcase_add_test(tcase, test_guards_of_requiretls);
    tcase_add_test(tcase, test_guards_with_classes);
    tcase_add_test(tcase, test_guards_without_classes);
    tcase_add_test(tcase, test_classes_of_main_cf);
    tcase_add_test(tcase, test_classes_made_of_options);
    tcase_add_test(tcase, test_classes_without_ca_file);
    tcase_add_test(tcase, test_classes_of_services);
    tcase_add_test(tcase, test_classes_without_master_cf);
    tcase_add_test(tcase, test_limit);
    tcase_add_test(tcase, test_knows_sts);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
