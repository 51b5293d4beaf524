/* In which order overrides are looked for. Pure. */

#ifndef ROUTE_MATCH_H
#define ROUTE_MATCH_H

#include "model/key.h"
#include "model/mxset.h"
#include "model/override.h"

/* The keys under which the override of `key` may stand, most specific first:
   user@example.com (recipients only, and then nothing else), or a.b.example,
   .b.example, .example, `*`. false: out of memory. */
bool match_keys(const struct key *key, struct strlist *keys_r);
/* The same, one by one and without memory: the first (at NULL) or the one
   after `at`, which points into *key or is static; NULL: no more. */
const char *match_next_key(const struct key *key, const char *at);

/* The keys under which an override by exchange may stand, for the hosts of
   best preference, or of any: mx1.example.net, .example.net, .net ..., longest
   first over all hosts (equal length: by the alphabet, as DNS turns the order
   of hosts), without duplicates. false: out of memory. */
bool match_exchanges(const struct mxset *set, bool any, struct strlist *keys_r);

/* Whether a host is covered by `pattern`: the host itself, or .suffix. */
bool match_host(const char *pattern, const char *host);
/* The same for a list (commas, white space) of patterns. */
bool match_host_list(const char *list, const char *host);

#endif
