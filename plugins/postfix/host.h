/* What Postfix knows and libmxhop cannot. Internal to the plugin. */

#ifndef POSTFIX_HOST_H
#define POSTFIX_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <mxhop/mxhop.h>

#define TABLE_TYPE "mxhop"

struct postfix_host; /* opaque */

/*
 * Ask Postfix, in the way of table `name`, and fill *api_r for mxhop_open().
 * Opens the tables in which local domains are listed, so call it before the
 * jail. NULL: out of memory. Free after mxhop_close().
 */
struct postfix_host *host_create(const char *name, struct mxhop_host *api_r);
void host_free(struct postfix_host *host);

/* Whether this process is one of Postfix's daemons, and which program it is
   (valid until Postfix expands another parameter). */
bool host_is_daemon(void);
const char *host_program(void);

/* Log which parameters other than transport_maps lead to a table of our type,
   of those that it would answer. */
void host_warn_misplaced(const char *name);

/*
 * The answer of a table without configuration, as `host` is told what is local:
 * a deferral for what other systems receive. NULL: not found.
 */
const char *broken_lookup(const struct mxhop_host *host, const char *key);

/* Why Postfix must see the domains that table `name` is asked about. False if
   there is no reason; else it is in `text`, for the log. */
bool guard_reason(const char *name, char *text, size_t size);

/*
 * An option `-o name=value` of a service in master.cf, `command` being the
 * program. True to go on.
 */
typedef bool master_option(void *ctx, const char *service, const char *command,
                           const char *name, const char *value);

/* Calls fn for every option. 0, or the errno of what went wrong. */
int master_options(const char *path, master_option *fn, void *ctx);

/*
 * Cut the next word off a text, as Postfix does in main.cf and master.cf:
 * blanks within braces belong to the word. NULL at the end.
 */
char *word_next(char **cursor, const char *blanks);

#define WORDS_IN_LIST " ,\t\r\n" /* main.cf lists */
#define WORDS_IN_LINE " \t\r\n"  /* master.cf */

/* The table behind any number of `proxy:`. */
const char *word_unproxy(const char *table);

#endif
