/* Entries of somebody else's schema: what their results become. */

#include <stdio.h>
#include <string.h>
#include "support/suite.h"
#include "ldap/ldap_map.h"

static char key_name[] = "mail", result_name[] = "transport", empty[] = "";

static enum entry_verdict map(const char *format, const char *result,
                              struct override *o, struct mxhop_error *err)
{
    char copy[64];
    struct ldap_settings s = {.key_attribute = key_name,
                              .result_attribute = result_name,
                              .result_format = copy,
                              .domains = empty};
    const struct raw_value values[] = {
        {.attribute = "MAIL", .bytes = "a.example", .len = 9},
        {.attribute = "transport", .bytes = result, .len = strlen(result)},
    };
    const struct raw_entry raw = {
        .dn = "cn=a", .values = values, .n_values = 2};

    memset(copy, 'x', sizeof(copy) - 1); /* what is behind its end */
    copy[sizeof(copy) - 1] = '\0';
    snprintf(copy, sizeof(copy), "%s", format);
    *err = (struct mxhop_error){0};
    return ldap_map(&s, &raw, o, &(size_t){0}, err);
}

static const struct {
    const char *format, *result, *hop;
} formats[] = {
    {"", "[h.example]:26", "[h.example]:26"},
    {"%s", "h.example", "h.example"},
    {"smtp:[%s]", "h.example", "[h.example]"},
    {"[%s]:2%%5", "h.example", NULL},
    {"%s, %s:26", "[h.example]", "[h.example]"},
    /* Not accepted by the parser, and no more than text here. */
    {"[%s]:25, %", "h.example", NULL},
    {"[%d]", "h.example", NULL},
};

START_TEST(format)
{
    struct mxhop_error err;
    struct override o;
    enum entry_verdict verdict =
        map(formats[_i].format, formats[_i].result, &o, &err);
    char text[HOP_TEXT_MAX];

    if (formats[_i].hop == NULL) {
        ck_assert_int_eq(verdict, ENTRY_INVALID);
        ck_assert_msg(strncmp(err.text, "transport: ", 11) == 0, "%s",
                      err.text);
        ck_assert_ptr_null(strstr(err.text, "xxx"));
        return;
    }
    ck_assert_msg(verdict == ENTRY_OK, "%s", err.text);
    hop_format(&o.hops[0], text);
    ck_assert_ptr_nonnull(strstr(text, formats[_i].hop));
    override_free(&o);
}
END_TEST

static const struct {
    const char *result, *mode, *transport;
} results[] = {
    {"[h.example]", "replace", NULL},
    {"smtp:[h.example]", "replace", "smtp"},
    {"h.example:26", "replace", NULL},
    {"relay:", "merge", "relay"},
    {":", "pass", NULL},
    {"error:5.1.1 gone", "reject", NULL},
    {"retry:later", "defer", NULL},
};

START_TEST(result)
{
    struct mxhop_error err;
    struct override o;

    ck_assert_msg(map("", results[_i].result, &o, &err) == ENTRY_OK, "%s",
                  err.text);
    ck_assert_str_eq(override_mode_name(o.mode), results[_i].mode);
    ck_assert_pstr_eq(o.transport, results[_i].transport);
    ck_assert_str_eq(o.keys.v[0], "a.example");
    override_free(&o);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
    Suite *suite = suite_create("ldap_map");
    TCase *t = tcase_create("all");

    tcase_add_loop_test(t, format, 0, N(formats));
    tcase_add_loop_test(t, result, 0, N(results));
    suite_add_tcase(suite, t);
    return suite_run(suite);
}
