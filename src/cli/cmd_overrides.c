/*
 * overrides - what is in the override table, and what a file would change
 *
 * Needs the configuration only for where the table is. Nothing is changed.
 */

#include "cli/ovset.h"
#include "model/key.h"
#include "ldap/attributes.h"
#include "util/clock.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* ---- list, export ---- */

/* What an entry would be found under: a key as people write it. NULL: none. */
static const char *overrides_normal_key(const char *text,
                                        char out[1 + NAME_MAX_TEXT + 1],
                                        struct key *key)
{
    if (strcmp(text, "*") == 0)
        return text;
    if (text[0] == '.') {
        out[0] = '.';
        return name_normalise(text + 1, out + 1) == NULL ? out : NULL;
    }
    key_parse(text, key);
    if (key->kind == KEY_NONE)
        return NULL;
    return key->kind == KEY_RECIPIENT ? key->recipient : key->domain;
}

static bool overrides_in_list(const struct strlist *l, const char *text)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i], text) == 0)
            return true;
    return false;
}

static bool overrides_print_one(const struct override *o,
                                enum cli_format format, bool state)
{
    struct buf out = {0};
    bool printed;

    if (format == FORMAT_LDIF)
        attributes_ldif(o, &out);
    else if (format == FORMAT_JSON)
        override_show_json(o, state, clock_wall_s(), &out);
    else
        override_show_text(o, clock_wall_s(), &out);
    if (format == FORMAT_LDIF)
        printed = !out.failed && fputs(out.data, stdout) >= 0;
    else
        printed = cli_put_line(&out);
    buf_free(&out);
    return printed;
}

static int overrides_print_all(const struct ovset *set, enum cli_format format,
                               bool state)
{
    for (size_t i = 0; i < set->n; i++)
        if (!overrides_print_one(&set->v[i], format, state))
            return EX_IOERR;
    return 0;
}

static int overrides_print_key(const struct ovset *set, const char *text,
                               enum cli_format format)
{
    char name[1 + NAME_MAX_TEXT + 1];
    int status = EXIT_NOT_THERE;
    struct key key;
    const char *wanted = overrides_normal_key(text, name, &key);

    if (wanted == NULL) {
        cli_complain("%s: expected a key such as example.com, .example.com, "
                     "user@example.com or *",
                     text);
        return EXIT_NOT_THERE;
    }
    for (size_t i = 0; i < set->n; i++) {
        if (!overrides_in_list(&set->v[i].keys, wanted) &&
            !overrides_in_list(&set->v[i].exchanges, wanted))
            continue;
        if (!overrides_print_one(&set->v[i], format, true))
            return EX_IOERR;
        status = 0;
    }
    if (status != 0)
        cli_complain("%s: no override has this key", wanted);
    return status;
}

static int overrides_list(const struct conf *conf, const struct cli_call *call)
{
    struct ovset set;
    int worst = ovset_read_table(&set, conf);

    if (worst != 0)
        return worst;
    if (conf->overrides[0] == '\0')
        cli_complain("warning: the parameter overrides is empty: lookups "
                     "ignore this table");
    if (call->n == 0 && call->format == FORMAT_TEXT)
        puts(OVERRIDE_SHOW_HEADER);
    if (call->n == 0)
        worst = overrides_print_all(&set, call->format, true);
    for (int i = 0; i < call->n; i++) {
        int status =
            overrides_print_key(&set, call->arguments[i], call->format);

        if (status > worst)
            worst = status;
    }
    ovset_free(&set);
    return worst;
}

static int overrides_export(const struct conf *conf,
                            const struct cli_call *call)
{
    struct ovset set;
    int status = ovset_read_table(&set, conf);

    if (status == 0)
        status = overrides_print_all(&set, call->format, false);
    ovset_free(&set);
    return status;
}

/* ---- diff ---- */

static int overrides_diff(const struct conf *conf, const struct cli_call *call)
{
    char source[CLI_LDIF_MAX];
    struct ovset table, file;
    int status = ovset_read_table(&table, conf);

    if (status != 0)
        return status;
    cli_ldif(call->arguments[0], source);
    status = ovset_read_file(&file, source);
    if (status == 0)
        status = override_diff(&table, &file);
    ovset_free(&file);
    ovset_free(&table);
    return status;
}

/* ---- arguments ---- */

static const struct cli_action actions[] = {
    {"list", FORMAT_TEXT, "text json", 0, INT_MAX, "any keys"},
    {"export", FORMAT_LDIF, "ldif json", 0, 0, "no arguments"},
    {"diff", FORMAT_TEXT, "", 1, 1, "one file"},
    {.usage = "list, export or diff"},
};

int cmd_overrides(const char *config, int argc, char **argv)
{
    static int (*const run[])(const struct conf *conf,
                              const struct cli_call *call) = {
        overrides_list, overrides_export, overrides_diff};
    struct mxhop_error err;
    struct cli_call call;
    struct conf conf;
    int status;

    if (!cli_read_action("overrides", actions, argc, argv, &call))
        return EXIT_USAGE;
    if (conf_load(&conf, config, NULL, NULL, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = run[call.action](&conf, &call);
    conf_free(&conf);
    return status;
}
