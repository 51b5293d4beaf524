/* Counts of texts, for reports. */

#ifndef UTIL_TALLY_H
#define UTIL_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_entry {
    uint64_t count;
    char text[]; /* NUL-terminated */
};

/* Start with zeros. */
struct tally {
    struct tally_entry **v;
    size_t n, cap;
    void *tree; /* of them, for tsearch(3) */
};

/* One more of `text`. false: out of memory, *t is as it was. */
bool tally_add(struct tally *t, const char *text);
/* Sorts v by count, highest first, then by text. */
void tally_sort(struct tally *t);
void tally_free(struct tally *t);

#endif
