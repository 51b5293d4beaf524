/* Runs the keys of a file through DNS and cache: for warm and survey. */

#ifndef CLI_MANY_H
#define CLI_MANY_H

#include "handle/bulk.h"
#include "cli/lines.h"

#define MANY_JOBS 256

struct many {
    /* From the command. */
    void *ctx;
    void (*answered)(void *ctx, const struct bulk_answer *answer);
    unsigned jobs;
    /* Results. */
    uint64_t done; /* answered and refused */
    uint64_t refused;
    uint64_t took_ms;
    int signal; /* that ended it early, or 0 */
    /* Its own. */
    struct lines lines;
    bool progress; /* standard error is a terminal */
    uint64_t total, start_ms;
};

/* Open the file, while we may still be root; an exit status. */
int many_open(struct many *m, const char *file);
/* All of it; an exit status after a complaint. Results count in any case. */
int many_run(struct many *m, struct mxhop *mx);
/* The last of it: where a signal ended it, the process dies by that, as shells
   expect. Everything that is to be printed must be. */
int many_end(struct many *m, int status);

#endif
