/* What Postfix knows and libmxhop cannot. Internal to the plugin. */

#ifndef POSTFIX_HOST_H
#define POSTFIX_HOST_H

#include <mxhop/mxhop.h>
#include <mxhop/postfix.h>

struct postfix_host; /* opaque */

/*
 * Ask Postfix, in the way of table `name`, and fill *api_r for mxhop_open().
 * Opens the tables in which local domains are listed, so call it before the
 * jail. NULL: out of memory. Free after mxhop_close().
 */
struct postfix_host *host_create(const char *name, struct mxhop_host *api_r);
/* The same for a table that is asked for TLS policies, and for nothing else. */
struct postfix_host *host_create_for_policies(const char *name,
                                              struct mxhop_host *api_r);
void host_free(struct postfix_host *host);

/* Flags of mxhop_tls_text() for this release. */
unsigned host_policy_words(void);
/* The level of smtp(8) asks for encryption in any case. */
bool host_level_is_strict(void);

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

#endif
