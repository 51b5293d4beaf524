/*
 * Finished answers that a view read a moment ago. Inside the cache.
 *
 * Many domains share few MX sets, so the same finished answer is read again
 * and again; reading it here costs one access to memory instead of a search.
 * Bounded; one thread's, as the view is.
 */

#ifndef STORE_CACHE_MEMO_H
#define STORE_CACHE_MEMO_H

#include "store/codec.h"

struct memo;

/* What `mxhop cache flush` drops is forgotten here after this time. */
#define MEMO_KEEP_MS 5000

struct memo *memo_open(void);    /* NULL: do without */
void memo_close(struct memo *m); /* NULL is allowed */
/* The answer under the key that it has in the backend; *r_r points into the
   memo. false: it is not there, or has been for too long. Whether it is the
   right one and still holds is for the caller to judge, as of any record. */
bool memo_get(struct memo *m, uint64_t key, uint64_t now_ms,
              struct route_record *r_r);
/* Copies. A long text is not kept. */
void memo_put(struct memo *m, uint64_t key, uint64_t now_ms,
              const struct route_record *r);

#endif
