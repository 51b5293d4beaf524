/* What the subcommands of mxhop(1) share. */

#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <limits.h>
#include <mxhop/mxhop.h>
#include "conf/conf.h"
#include "model/mxset.h"
#include "handle/probe.h"
#include "source/compile.h"
#include "ldap/ldap_settings.h"
#include "util/buf.h"

/* Exit statuses, mxhop(1); the rest from <sysexits.h>. */
enum {
    EXIT_ANSWERED = 0,
    EXIT_PASS = 1,
    EXIT_NOT_THERE = 1, /* what was asked for */
    EXIT_REJECT = 69,
    EXIT_DEFER = 75,
    EXIT_USAGE = 64,
    EXIT_CONFIG = 78
};

struct command {
    const char *name;
    const char *arguments; /* for the usage text */
    const char *summary;
    int (*run)(const char *config, int argc, char **argv);
};

int cmd_lookup(const char *config, int argc, char **argv);
int cmd_trace(const char *config, int argc, char **argv);
int cmd_refresh(const char *config, int argc, char **argv);
int cmd_check(const char *config, int argc, char **argv);
int cmd_overrides(const char *config, int argc, char **argv);
int cmd_cache(const char *config, int argc, char **argv);
int cmd_warm(const char *config, int argc, char **argv);
int cmd_tls(const char *config, int argc, char **argv);
int cmd_survey(const char *config, int argc, char **argv);

/* "mxhop: ..." on standard error. */
void cli_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Complain about the arguments and return EXIT_USAGE. */
int cli_usage(const char *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same about the option that getopt_long(3) stopped at. */
int cli_bad_option(const char *command, const char *option);
/* Complain that there is none, and return EX_OSERR. */
int cli_no_memory(void);
/* Complain with err->text and return the exit status that fits its code. */
int cli_fail(const struct mxhop_error *err);
int cli_status(enum mxhop_disposition disposition);

/* Open a handle with a configuration that was read from there, as whoever we
   are; NULL after a complaint, with *status_r the exit status. It logs warnings
   only, to standard error. *conf is the handle's then. */
struct mxhop *cli_open_quietly(struct conf *conf, const char *config,
                               int *status_r);
/* identity.c: where we are root, become the user whose the shared cache is, if
   there is one, for good; an exit status. */
int cli_become_owner(const struct conf *conf, const char *config);
/* The same for the owner of the directory that the override table is in. */
int cli_become_table_owner(const struct conf *conf);
/* Of LOGIN_NAME_MAX + 1 octets: that user, where it is not the one that we are
   and there is one. Else false. */
bool cli_cache_owner(const struct conf *conf, const char *config, char *name_r);

/* A row of a command that has commands of its own; behind the last one a row
   without a name, whose usage lists them all. */
enum cli_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_LDIF };
struct cli_action {
    const char *name;
    enum cli_format format; /* unless another is asked for, */
    const char *formats;    /* of these; "": there is no --format */
    int min, max;           /* arguments */
    const char *usage;      /* which: "cache list takes " ... */
};
struct cli_call {
    size_t action; /* the row */
    enum cli_format format;
    int n;
    char **arguments;
};
/* false after a complaint: EXIT_USAGE. */
bool cli_read_action(const char *command, const struct cli_action *actions,
                     int argc, char **argv, struct cli_call *c_r);

/* text or json; false after a complaint. */
bool cli_read_format(const char *command, const char *text, bool *json_r);
/* A number from min to max; false after a complaint. */
bool cli_read_number(const char *command, const char *option, const char *text,
                     unsigned min, unsigned max, unsigned *n_r);

struct view;
/* Open a handle with a shared cache, in the view, unless it is NULL. The
   configuration is read here. Where we are root, the process is the user whose
   the cache is from then on. NULL after a complaint that says what the cache is
   needed for. */
struct mxhop *cli_open_cache(const char *config, struct view *v,
                             const char *purpose, struct probe_cache *cache_r,
                             int *status_r);

/* What became of a domain, for summaries. */
enum cli_outcome {
    OUTCOME_HOSTS,
    OUTCOME_IMPLICIT,
    OUTCOME_NULL,
    OUTCOME_NXDOMAIN,
    OUTCOME_FAILURE,
    OUTCOMES
};
enum cli_outcome cli_outcome(const struct mxset *set);
extern const struct cli_outcome_words {
    const char *text, *word; /* for people, for JSON */
} cli_outcomes[OUTCOMES];

/* Print it with a newline, empty it. false: no memory, or nobody reads. */
bool cli_put_line(struct buf *line);

/* A file of LDIF as a source of overrides; what is longer than a path can be is
   cut, and no file. */
#define CLI_LDIF_MAX (PATH_MAX + 8)
void cli_ldif(const char *file, char source_r[CLI_LDIF_MAX]);

/* Where the overrides come from, checked; false after a complaint. Whatever it
   returned, ldap_settings_free(&s_r->ldap). */
bool cli_source(const struct conf *conf, struct source *s_r);

/* From the configuration: what compile_overrides() needs. */
struct compile_options cli_compile_options(const struct conf *conf,
                                           const struct source *source);
/* refresh_dry.c: compile_overrides(), and the exit status for what came of it,
   after a complaint where nothing did (then *result_r is not done). */
int refresh_run(const struct compile_options *options,
                struct compile_result *result_r);
/* Print what it would change, and change nothing. The same exit status. */
int refresh_dry_run(const struct conf *conf,
                    const struct compile_options *options, const char *config);
/* One line on standard error: `before`, file and line unless that is 0, place,
   text. */
void cli_say_of(const struct source *source, const char *before, size_t line,
                const char *place, const char *text);
/* The same of a finding. ctx: struct source. */
void cli_report(void *ctx, const struct finding *f);

#endif
