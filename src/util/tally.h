/* Counts of texts, for reports. */

#ifndef UTIL_TALLY_H
#define UTIL_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_entry {
    uint64_t count;
    uint64_t hash;
    char text[]; /* NUL-terminated */
};

/* Start with TALLY_INIT(seed); the seed should be unknown to strangers, who
   choose the texts. */
struct tally {
    struct tally_entry **slots; /* cap, a power of two; NULL: free */
    size_t cap, n;
    uint64_t seed;
};
#define TALLY_INIT(seed_) ((struct tally){.seed = (seed_)})

/* One more of `text`. false: out of memory, *t is as it was. */
bool tally_add(struct tally *t, const char *text);
/* Sorts by count, highest first, then by text. Afterwards slots[0] to
   slots[n - 1] are the entries; nothing can be added any more. */
void tally_sort(struct tally *t);
void tally_free(struct tally *t);

#endif
