/* What the cache knows, as text or JSON. */

#ifndef CLI_CACHE_SHOW_H
#define CLI_CACHE_SHOW_H

#include "cli/cli.h"

/* A domain on one line. */
void show_line(const char *domain, const struct cache_entry_state *st,
               const struct mxset *set, bool json, struct buf *out);
/* A domain with everything, and the addresses of its hosts. */
void show_all(const struct probe_cache *c, const char *domain,
              const struct cache_entry_state *st, const struct mxset *set,
              bool json, struct buf *out);

/* cache_stats.c: the cache as a whole, and the name servers; an exit status. */
int show_stats(const struct probe_cache *c, bool json);

#endif
