/* A Postfix instance, as its own commands show it. */

#ifndef CLI_POSTCONF_H
#define CLI_POSTCONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <mxhop/error.h>
#include <mxhop/postfix.h>
#include "util/buf.h"

struct postconf_param {
    char *name, *value; /* every $name expanded */
    char *raw;          /* as main.cf sets it; or NULL */
    bool set;           /* in main.cf, or with -o for trivial-rewrite(8) */
};

struct postmap_table { /* that the helper of postmap_begin() may be asked about
                        */
    char *name;
    char *failed;       /* why it could not be asked last; or NULL */
    uint64_t failed_ms; /* and when */
};

/* All of it belongs to the reader; nobody changes it after postconf_read(). */
struct postconf {
    char *dir;           /* config_directory */
    char *main, *master; /* its main.cf and master.cf */
    struct postconf_param *params;
    size_t n_params, cap;
    int master_error; /* why master.cf cannot be read (errno), or 0 */
    char *expanded;   /* of postconf_expand() */

    struct postmap_table *tables;
    size_t n_tables, tables_cap;
    int helper; /* -1: none */
    pid_t helper_pid;
};

/*
 * Read the parameters of an instance, as trivial-rewrite(8) has them: main.cf,
 * with its own options in master.cf. `instance` is a configuration directory,
 * or a name that postmulti(1) knows; NULL: the one that postconf(1) takes.
 * MXHOP_ERR_ARGUMENT: there is no such instance, or no Postfix on this machine;
 * MXHOP_ERR_IO: it is there, but its parameters cannot be read. The text says
 * why. Blocks for some commands of Postfix. Whatever it returned,
 * postconf_free().
 */
enum mxhop_status postconf_read(struct postconf *p, const char *instance,
                                struct mxhop_error *err);
void postconf_free(struct postconf *p);

/* Whether Postfix has a parameter of this name, and it is not one that main.cf
   made up. A command each time. */
bool postconf_is_builtin(const struct postconf *p, const char *name);

/* The words of a list of parameters, services or tables (NULL: none), with NULL
   behind the last one; one block, to be freed. NULL: out of memory. */
char **postconf_words(const char *list);

/* For struct postfix_config; ctx: struct postconf. */
const char *postconf_param(void *ctx, const char *name);
const char *postconf_expand(void *ctx, const char *text);
const char *postconf_raw(void *ctx, const char *name);

/* ---- postmap.c ---- */

/* Run a command of Postfix: its exit status, and what it wrote; 127: it could
   not be run. */
int postconf_run(char *const argv[], struct buf *text, struct buf *complaint);
/* The next line of such a text, cut with NULs; NULL at the end. */
char *postconf_line(char **cursor);
/* What ended a command, by its complaints; points into them. */
const char *postconf_reason(char *complaint);

/* As root: before root is given up, name the tables that will be asked, and
   have a child that stays root to ask them. */
bool postmap_name(struct postconf *p, const char *table); /* false: memory */
void postmap_begin(struct postconf *p);
void postmap_end(struct postconf *p); /* postconf_free() does it */

/* What postmap(1) finds in a table, `proxy:` left out. */
enum postmap_found {
    POSTMAP_ABSENT,
    POSTMAP_FOUND, /* *value_r is the caller's to free */
    POSTMAP_FAILED /* *value_r says why, the caller's to free; or NULL */
};
enum postmap_found postmap_ask(struct postconf *p, const char *table,
                               const char *key, char **value_r);

#endif
