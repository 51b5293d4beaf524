/*
 * Finished answers that a view read a moment ago. Inside the cache.
 *
 * Many domains share few MX sets, so the same finished answer is read again
 * and again; reading it here costs one access to memory instead of a search.
 * Bounded; one thread's, as the view is.
 */

#ifndef STORE_CACHE_MEMO_H
#define STORE_CACHE_MEMO_H

#include "cache/codec.h"

struct memo;

/* What `mxhop cache flush` drops is forgotten here after this time. */
#define MEMO_KEEP_MS 5000

struct memo *memo_open(void);    /* NULL: do without */
void memo_close(struct memo *m); /* NULL is allowed */
/* A hint that memo_get() follows. */
void memo_expect(const struct memo *m, struct site_id site);
/* The answer for a site that was made of that, if it holds; its text is in the
   memo, of the rest of *r_r only has_text and by_domain are set. */
bool memo_get(struct memo *m, struct site_id site, uint64_t made_of,
              uint64_t now_ms, int64_t now_s, struct route_record *r_r);
/* Copies. A long text is not kept, and what was made of something else is
   forgotten. */
void memo_put(struct memo *m, struct site_id site, uint64_t now_ms,
              const struct route_record *r);

#endif
