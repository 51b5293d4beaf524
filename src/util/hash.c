/*
 * hash - keyed 64-bit hash
 *
 * XXH3 from libxxhash, compiled in, so that the plugin has no further
 * run-time dependency. It is stable across machines and releases, which the
 * order of ties needs: every process must derive the same list.
 */

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "util/hash.h"

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t n)
{
    return XXH3_64bits_withSeed(bytes, n, seed);
}
