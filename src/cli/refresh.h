/* Between the files of `mxhop refresh`. */

#ifndef CLI_REFRESH_H
#define CLI_REFRESH_H

#include "cli/cli.h"

/* Both in refresh_dry.c. */

/* compile_overrides(), and the exit status for what came of it, after a
   complaint where nothing did (then *result_r is not done). */
int refresh_run(const struct compile_options *options,
                struct compile_result *result_r);
/* Print what it would change, and change nothing. The same exit status. */
int refresh_dry_run(const struct conf *conf,
                    const struct compile_options *options, const char *config);

#endif
