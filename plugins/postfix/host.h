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
void host_free(struct postfix_host *host);

#endif
