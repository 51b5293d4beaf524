/* The site of an MX set, as text: the same for all domains that share it. */

#ifndef MODEL_SITE_H
#define MODEL_SITE_H

#include <stdbool.h>
#include "model/mxset.h"
#include "util/buf.h"

/* "10 mx1.example.com\n20 mx2.example.com\n": by preference, then by name,
   whatever order DNS had them in, each once. Nothing for a set without
   hosts. out->failed: out of memory. */
void site_text(const struct mxset *set, struct buf *out);

/* One line of it. Returns what follows, or NULL at the end; *host_r ends at
 *len_r. */
const char *site_next(const char *text, unsigned *preference_r,
                      const char **host_r, size_t *len_r);

#endif
