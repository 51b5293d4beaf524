/*
 * overrides - what is in the override table, and what a file would change
 *
 * Needs the configuration only for where the table is. Nothing is changed.
 */

#include "cli/ovset.h"
#include "model/key.h"
#include "ldap/attributes.h"
#include "util/clock.h"
#include "util/str.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_LDIF };

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

static bool overrides_print_one(const struct override *o, enum format format,
                                bool state)
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

static int overrides_print_all(const struct ovset *set, enum format format,
                               bool state)
{
    for (size_t i = 0; i < set->n; i++)
        if (!overrides_print_one(&set->v[i], format, state))
            return EX_IOERR;
    return 0;
}

static int overrides_print_key(const struct ovset *set, const char *text,
                               enum format format)
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

static int overrides_list(const struct conf *conf, enum format format, int n,
                          char **keys)
{
    struct ovset set;
    int worst = ovset_read_table(&set, conf);

    if (worst != 0)
        return worst;
    if (conf->overrides[0] == '\0')
        cli_complain("warning: the parameter overrides is empty: lookups "
                     "ignore this table");
    if (n == 0 && format == FORMAT_TEXT)
        puts(OVERRIDE_SHOW_HEADER);
    if (n == 0)
        worst = overrides_print_all(&set, format, true);
    for (int i = 0; i < n; i++) {
        int status = overrides_print_key(&set, keys[i], format);

        if (status > worst)
            worst = status;
    }
    ovset_free(&set);
    return worst;
}

static int overrides_export(const struct conf *conf, enum format format, int n,
                            char **arguments)
{
    struct ovset set;
    int status = ovset_read_table(&set, conf);

    (void)n;
    (void)arguments;
    if (status == 0)
        status = overrides_print_all(&set, format, false);
    ovset_free(&set);
    return status;
}

/* ---- diff ---- */

static int overrides_diff(const struct conf *conf, enum format format, int n,
                          char **files)
{
    char source[CLI_LDIF_MAX];
    struct ovset table, file;
    int status = ovset_read_table(&table, conf);

    (void)format;
    (void)n;
    if (status != 0)
        return status;
    cli_ldif(files[0], source);
    status = ovset_read_file(&file, source);
    if (status == 0)
        status = override_diff(&table, &file);
    ovset_free(&file);
    ovset_free(&table);
    return status;
}

/* ---- arguments ---- */

static const struct action {
    const char *name;
    int (*run)(const struct conf *conf, enum format format, int n,
               char **arguments);
    int min, max; /* arguments */
    enum format format;
    const char *formats, *usage;
} actions[] = {
    {"list", overrides_list, 0, INT32_MAX, FORMAT_TEXT, "text json",
     "any keys"},
    {"export", overrides_export, 0, 0, FORMAT_LDIF, "ldif json",
     "no arguments"},
    {"diff", overrides_diff, 1, 1, FORMAT_TEXT, "", "one file"},
};

static bool overrides_read_format(const struct action *a, const char *text,
                                  enum format *format_r)
{
    static const char *const names[] = {
        [FORMAT_TEXT] = "text", [FORMAT_JSON] = "json", [FORMAT_LDIF] = "ldif"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0 && str_in_list(a->formats, text)) {
            *format_r = (enum format)i;
            return true;
        }
    cli_usage("overrides", "unknown format \"%s\" for %s; expected one of: %s",
              text, a->name, a->formats);
    return false;
}

static int overrides_run_action(const struct action *a, const char *config,
                                int argc, char **argv)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},
        {0},
    };
    enum format format = a->format;
    struct mxhop_error err;
    struct conf conf;
    int opt, status;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt != 'f')
            return cli_bad_option("overrides", argv[optind - 1]);
        if (a->formats[0] == '\0')
            return cli_usage("overrides", "overrides %s has no --format",
                             argv[0]);
        if (!overrides_read_format(a, optarg, &format))
            return EXIT_USAGE;
    }
    if (argc - optind < a->min || argc - optind > a->max)
        return cli_usage("overrides", "overrides %s takes %s", a->name,
                         a->usage);
    if (conf_load(&conf, config, NULL, NULL, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = a->run(&conf, format, argc - optind, argv + optind);
    conf_free(&conf);
    return status;
}

int cmd_overrides(const char *config, int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(actions) / sizeof(actions[0]);
         i++)
        if (strcmp(argv[1], actions[i].name) == 0)
            return overrides_run_action(&actions[i], config, argc - 1,
                                        argv + 1);
    return cli_usage("overrides", "overrides needs list, export or diff");
}
