/* The file of a Postfix ldap: table, and its filter, for a mirror. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "support/suite.h"
#include "ldap/ldap_settings.h"

/* ---- filters ---- */

static const struct {
    const char *query, *filter, *attribute;
} good_filters[] = {
    {"(mail=%s)", "(mail=*)", "mail"},
    {"mail=%s", "(mail=*)", "mail"},
    {"(&(objectClass=route)(dc=%s))", "(&(objectClass=route)(dc=*))", "dc"},
    {"(|(mail=%s)(&(x=1)(MAIL=%s)))", "(|(mail=*)(&(x=1)(MAIL=*)))", "mail"},
    {"(&(!(off=TRUE))(dc=%s))", "(&(!(off=TRUE))(dc=*))", "dc"},
    {"(&(share=5%%)(dc=%s))", "(&(share=5%)(dc=*))", "dc"},
    {"(|(&(dc=%s)(x=1))(&(y=2)(|(dc=%s))))",
     "(|(&(dc=*)(x=1))(&(y=2)(|(dc=*))))", "dc"},
    {"(&(|(x=1)(y=2))(dc=%s)(!(off=TRUE)))",
     "(&(|(x=1)(y=2))(dc=*)(!(off=TRUE)))", "dc"},
    {"(cn;lang-en=%s)", "(cn;lang-en=*)", "cn;lang-en"},
};

START_TEST(filter_for_all)
{
    char *filter, *attribute;
    const char *why;

    ck_assert_int_eq(ldap_filter_mirror(good_filters[_i].query, &filter,
                                        &attribute, &why),
                     MXHOP_OK);
    ck_assert_str_eq(filter, good_filters[_i].filter);
    ck_assert_str_eq(attribute, good_filters[_i].attribute);
    free(filter);
    free(attribute);
}
END_TEST

static const struct {
    const char *query, *why;
} bad_filters[] = {
    {"(objectClass=route)", "same for every key"},
    {"", "same for every key"},
    {"(mail=%u)", "only %s"},
    {"(dc=%1)", "only %s"},
    {"(dc=%", "only %s"},
    {"(mail=smtp:%s)", "not alone"},
    {"(mail=%s*)", "not alone"},
    {"(mail>=%s)", "not alone"},
    {"(cn:caseExactMatch:=%s)", "not alone"},
    {"(%s=x)", "not alone"},
    {"(=%s)", "not alone"},
    {"(|(mail=%s)(uid=%s))", "more than one attribute"},
    {"(!(mail=%s))", "below a \"not\""},
    {"(!(&(x=1)(mail=%s)))", "below a \"not\""},
    {"(|(mail=%s)(type=all))", "other keys"},
    {"(|(type=all)(mail=%s))", "other keys"},
    {"(|(&(x=1)(mail=%s))(y=2))", "other keys"},
    {"(&(x=1)(|(mail=%s)(&(y=2)(z=3))))", "other keys"},
    {"(|(!(|))(mail=%s))", "other keys"},
    {"( \t| (mail=%s)(type=all))", "other keys"},
    {"(& (x=1)( ! (mail=%s)))", "below a \"not\""},
    {"(&(mail=%s)", "do not match"},
    {"(mail=%s))", "do not match"},
};

START_TEST(filter_refused)
{
    char *filter, *attribute;
    const char *why;

    ck_assert_int_eq(ldap_filter_mirror(bad_filters[_i].query, &filter,
                                        &attribute, &why),
                     MXHOP_ERR_SYNTAX);
    ck_assert_msg(strstr(why, bad_filters[_i].why) != NULL, "%s", why);
    ck_assert_ptr_null(filter);
    ck_assert_ptr_null(attribute);
}
END_TEST

START_TEST(filter_nested_without_end)
{
    char text[400], *filter, *attribute;
    const char *why;

    memset(text, '(', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ck_assert_int_eq(ldap_filter_mirror(text, &filter, &attribute, &why),
                     MXHOP_ERR_SYNTAX);
    ck_assert_ptr_nonnull(strstr(why, "too deeply"));
}
END_TEST

/* ---- files ---- */

static enum mxhop_status parse(struct ldap_settings *s, const char *text,
                               struct mxhop_error *err)
{
    *s = (struct ldap_settings){.tls_require_cert = true};
    return ldap_postfix_parse(s, "t.cf", text, strlen(text), err);
}

static const char table[] = "# routes\n"
                            "server_host = ldap1.example.net,\n"
                            "\tldaps://ldap2.example.net\n"
                            "   # a comment in between\n"
                            "  ldap3.example.net:3389\n"
                            "server_port = 1389\n"
                            "search_base = dc=example,dc=net\n"
                            "query_filter = (&(objectClass=route)(dc=%s))\n"
                            "result_attribute = transport\n"
                            "result_format = smtp:[%s]\n"
                            "scope = one\n"
                            "bind = sasl\n"
                            "timeout = 7\n"
                            "cache = yes\n"
                            "version = 3\n"
                            "tls_require_cert = no\n"
                            "start_tls = yes";

START_TEST(table_is_taken)
{
    struct mxhop_error err;
    struct ldap_settings s;

    ck_assert_msg(parse(&s, table, &err) == MXHOP_OK, "%s", err.text);
    ck_assert_str_eq(s.servers,
                     "ldap1.example.net:1389 ldaps://ldap2.example.net "
                     "ldap3.example.net:3389");
    ck_assert_str_eq(s.base, "dc=example,dc=net");
    ck_assert_str_eq(s.filter, "(&(objectClass=route)(dc=*))");
    ck_assert_str_eq(s.key_attribute, "dc");
    ck_assert_str_eq(s.result_attribute, "transport");
    ck_assert_str_eq(s.result_format, "smtp:[%s]");
    ck_assert_int_eq(s.scope, DIR_ONE);
    ck_assert_int_eq(s.bind, DIR_BIND_EXTERNAL);
    ck_assert_uint_eq(s.network_timeout_s, 7);
    ck_assert(s.start_tls && !s.tls_require_cert);
    ldap_settings_free(&s);
}
END_TEST

START_TEST(own_parameters_count_more)
{
    struct ldap_settings s = {.servers = strdup("ldap://own"),
                              .filter = strdup("(own=*)"),
                              .key_attribute = strdup("own"),
                              .base = strdup("")};
    static const char text[] = "server_host = other\nsearch_base = dc=b\n"
                               "query_filter = (mail=%u)\n";
    struct mxhop_error err;

    ck_assert_msg(ldap_postfix_parse(&s, "t.cf", text, strlen(text), &err) ==
                      MXHOP_OK,
                  "%s", err.text);
    ck_assert_str_eq(s.servers, "ldap://own");
    ck_assert_str_eq(s.filter, "(own=*)");
    ck_assert_str_eq(s.key_attribute, "own");
    ck_assert_str_eq(s.base, "dc=b");
    ldap_settings_free(&s);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"\nquery_filtre = x", "t.cf:2: query_filtre: unknown"},
    {"search_base", "t.cf:1: line: expected name = value"},
    {"version = 1", "t.cf:1: version: expected 3"},
    {"version = 3 # three",
     "t.cf:1: version: expected 3, or 2, which means the same: mxhop speaks "
     "LDAPv3 only; a comment needs a line of its own"},
    {"scope = subtree", "t.cf:1: scope: expected sub"},
    {"bind = perhaps", "t.cf:1: bind: expected yes"},
    {"start_tls = 1", "t.cf:1: start_tls: expected yes, no, true or false"},
    {"timeout = 10s", "t.cf:1: timeout: expected seconds"},
    {"timeout = 0", "t.cf:1: timeout: expected seconds"},
    {"dereference = 3", "t.cf:1: dereference: expected 0"},
    {"\n\nspecial_result_attribute = member", "t.cf:3: special_result"},
    {"server_host = a\nserver_port = ldap", "t.cf:1: server_port: expected"},
    {"scope = sub\nquery_filter = (mail=%u@x)\n",
     "t.cf:2: query_filter: cannot be turned"},
    {"chase_referrals = yes", "t.cf:1: chase_referrals: expected no"},
    {"result_format = smtp:[%d]", "t.cf:1: result_format: of the % forms"},
    {"result_filter = %1", "t.cf:1: result_filter: of the % forms"},
    {"result_format = smtp:%", "t.cf:1: result_format: of the % forms"},
    {"search_base = ou=%d,dc=b", "t.cf:1: search_base: a base that depends"},
    {"domain = a.example hash:/etc/domains", "t.cf:1: domain: expected names"},
    {"domain = !a.example", "t.cf:1: domain: expected names"},
    {"bind_pw c2VjcmV0= ", "t.cf:1: line: expected name = value"},
    {"scope = one\n\nscope = sub", "t.cf:3: scope: given again, after line 1"},
};

START_TEST(table_refused)
{
    struct mxhop_error err;
    struct ldap_settings s;

    ck_assert_int_eq(parse(&s, bad[_i].text, &err), MXHOP_ERR_CONFIG);
    ck_assert_msg(strncmp(err.text, bad[_i].says, strlen(bad[_i].says)) == 0,
                  "%s", err.text);
    ldap_settings_free(&s);
}
END_TEST

/* What mxhop.cf has makes what cannot be mirrored harmless. */
START_TEST(refused_only_where_it_is_used)
{
    struct ldap_settings s = {.base = strdup("dc=own"),
                              .result_format = strdup("[%s]")};
    static const char text[] = "search_base = dc=%d\nresult_format = %u:\n";
    struct mxhop_error err;

    ck_assert_msg(ldap_postfix_parse(&s, "t.cf", text, strlen(text), &err) ==
                      MXHOP_OK,
                  "%s", err.text);
    ck_assert_str_eq(s.base, "dc=own");
    ck_assert_str_eq(s.result_format, "[%s]");
    ldap_settings_free(&s);
}
END_TEST

/* ldap_table(5): `bind' is yes where it is not given. */
static const struct {
    const char *text;
    enum dir_bind bind;
} binds[] = {
    {"bind_dn = cn=x\nbind_pw = y", DIR_BIND_SIMPLE},
    {"bind = yes\nbind_dn = cn=x\nbind_pw = y", DIR_BIND_SIMPLE},
    {"bind = no\nbind_dn = cn=x\nbind_pw = y", DIR_BIND_NONE},
    {"bind_dn = cn=x\nbind = sasl", DIR_BIND_EXTERNAL},
    {"search_base = dc=x", DIR_BIND_NONE},
    {"\xef\xbb\xbf"
     "bind = simple\nbind_dn = cn=x\nbind_pw = y\nversion = 2\n"
     "start_tls = TRUE\nchase_referrals = false",
     DIR_BIND_SIMPLE},
};

START_TEST(bind_as_the_table_does)
{
    struct mxhop_error err;
    struct ldap_settings s;

    ck_assert_int_eq(parse(&s, binds[_i].text, &err), MXHOP_OK);
    ck_assert_int_eq(s.bind, binds[_i].bind);
    ldap_settings_free(&s);
}
END_TEST

/* LDAPS is ldaps: TLS begins at once, by our rules. */
START_TEST(scheme_in_capitals)
{
    struct ldap_settings s = {.servers = strdup("LDAPS://Host LdapI://%2Fs b"),
                              .base = strdup("dc=b")};
    struct mxhop_error err = {0};

    ck_assert_int_eq(ldap_settings_complete(&s, &err), MXHOP_OK);
    ck_assert_str_eq(s.servers, "ldaps://Host ldapi://%2Fs ldap://b");
    s.start_tls = true;
    ck_assert_int_eq(ldap_settings_complete(&s, &err), MXHOP_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "ldap_start_tls: yes with"));
    ldap_settings_free(&s);
}
END_TEST

/* A password goes to other machines encrypted, or because somebody said so. */
static const struct {
    const char *servers;
    bool start_tls, allowed, refused;
} clear[] = {
    {"ldap://ldap.example", false, false, true},
    {"ldap.example", false, false, true},
    {"ldaps://a.example ldap://192.0.2.1:389", false, false, true},
    {"ldap://[2001:db8::1]", false, false, true},
    {"ldap://127.0.0.1.example", false, false, true},
    {"ldap://ldap.example", true, false, false},
    {"ldap://ldap.example", false, true, false},
    {"ldaps://ldap.example ldapi://%2Fs", false, false, false},
    {"ldap://127.0.0.2:3890 ldap://[::1] ldap://LocalHost", false, false,
     false},
};

START_TEST(password_in_clear)
{
    struct ldap_settings s = {.servers = strdup(clear[_i].servers),
                              .base = strdup("dc=b"),
                              .bind = DIR_BIND_SIMPLE,
                              .bind_dn = strdup("cn=x"),
                              .bind_pw = strdup("tops3cret"),
                              .bind_plaintext = clear[_i].allowed,
                              .start_tls = clear[_i].start_tls};
    struct mxhop_error err = {0};

    ck_assert_msg(ldap_settings_complete(&s, &err) ==
                      (clear[_i].refused ? MXHOP_ERR_CONFIG : MXHOP_OK),
                  "%s", err.text);
    if (clear[_i].refused)
        ck_assert_msg(strstr(err.text, "ldap_bind_plaintext = yes") != NULL &&
                          strstr(err.text, "tops3cret") == NULL,
                      "%s", err.text);
    ldap_settings_free(&s);
}
END_TEST

static const struct {
    const char *key, *result, *says;
} bad_attributes[] = {
    {"mail", "transport, mailHost", "ldap_result_attribute: \"transport, "},
    {"mail address", "transport", "ldap_key_attribute: \"mail address\""},
    {"cn;lang-en", "transport", "ldap_key_attribute: \"cn;lang-en\""},
    {"mail", "2.5.4.3", "ldap_result_attribute: \"2.5.4.3\""},
};

/* No entry has such an attribute: the mirror would be empty. */
START_TEST(attribute_that_is_none)
{
    struct ldap_settings s = {
        .servers = strdup("ldap://a"),
        .base = strdup("dc=b"),
        .filter = strdup("(x=y)"),
        .key_attribute = strdup(bad_attributes[_i].key),
        .result_attribute = strdup(bad_attributes[_i].result),
    };
    struct mxhop_error err = {0};

    ck_assert_int_eq(ldap_settings_complete(&s, &err), MXHOP_ERR_CONFIG);
    ck_assert_msg(strncmp(err.text, bad_attributes[_i].says,
                          strlen(bad_attributes[_i].says)) == 0,
                  "%s", err.text);
    ldap_settings_free(&s);
}
END_TEST

/* A password is refused where others can read it, and is in no message. */
START_TEST(password_in_the_file)
{
    static const char text[] = "bind_dn = cn=x\nbind_pw = tops3cret\n";
    char path[] = "/tmp/test_ldap_postfix.XXXXXX";
    struct ldap_settings s = {0};
    struct mxhop_error err;
    int fd = mkstemp(path);

    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    ck_assert_int_eq(ldap_postfix_read(&s, path, &err), MXHOP_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, ":2: bind_pw: others have access"));
    ck_assert_ptr_null(strstr(err.text, "tops3cret"));
    ldap_settings_free(&s);
    ck_assert_int_eq(fchmod(fd, 0640), 0);
    ck_assert_msg(ldap_postfix_read(&s, path, &err) == MXHOP_OK, "%s",
                  err.text);
    ck_assert_str_eq(s.bind_pw, "tops3cret");
    ldap_settings_free(&s);
    close(fd);
    unlink(path);
    ck_assert_int_eq(ldap_postfix_read(&s, path, &err), MXHOP_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, path));
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
    Suite *suite = suite_create("ldap_postfix");
    TCase *t = tcase_create("all");

    tcase_add_loop_test(t, filter_for_all, 0, N(good_filters));
    tcase_add_loop_test(t, filter_refused, 0, N(bad_filters));
    tcase_add_test(t, filter_nested_without_end);
    tcase_add_test(t, table_is_taken);
    tcase_add_test(t, own_parameters_count_more);
    tcase_add_loop_test(t, table_refused, 0, N(bad));
    tcase_add_test(t, refused_only_where_it_is_used);
    tcase_add_loop_test(t, bind_as_the_table_does, 0, N(binds));
    tcase_add_test(t, scheme_in_capitals);
    tcase_add_loop_test(t, password_in_clear, 0,
                        sizeof(clear) / sizeof(clear[0]));
    tcase_add_loop_test(t, attribute_that_is_none, 0, N(bad_attributes));
    tcase_add_test(t, password_in_the_file);
    suite_add_tcase(suite, t);
    return suite_run(suite);
}
