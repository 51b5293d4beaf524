/* What the subcommands of mxhop(1) share. */

#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <mxhop/mxhop.h>
#include "conf/conf.h"
#include "source/compile.h"

/* Exit statuses, DESIGN 8; the rest from <sysexits.h>. */
enum {
    EXIT_ANSWERED = 0,
    EXIT_PASS = 1,
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

/* "mxhop: ..." on standard error. */
void cli_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Complain about the arguments and return EXIT_USAGE. */
int cli_usage(const char *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Complain with err->text and return the exit status that fits its code. */
int cli_fail(const struct mxhop_error *err);
int cli_status(enum mxhop_disposition disposition);

/* Open a handle that logs to standard error; NULL after a complaint, with
 *status_r the exit status. */
struct mxhop *cli_open(const char *config, int *status_r);

/* Complain about override hosts without an address; an exit status. */
int cli_check_hosts(struct mxhop *mx, unsigned *findings_r);

/* From the configuration: what compile_overrides() needs. */
struct compile_options cli_compile_options(const struct conf *conf);
/* A finding as one line on standard error: file, line, DN, text. */
void cli_report(void *ctx, const struct finding *f);

#endif
