/*
 * vec - arrays that grow
 *
 * The one place where a capacity is doubled. Whoever owns the array gives it
 * back with free(3).
 */

#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

#define CAP_FIRST 16

bool vec_room(void *v, size_t n, size_t *cap, size_t size)
{
    size_t more = *cap != 0 ? *cap * 2 : CAP_FIRST, octets;
    void *array, *larger;

    if (n < *cap)
        return true;
    memcpy(&array, v, sizeof(array)); /* a pointer of any type */
    if (__builtin_mul_overflow(more, size, &octets))
        return false;
    larger = realloc(array, octets);
    if (larger == NULL)
        return false;
    memcpy(v, &larger, sizeof(larger));
    *cap = more;
    // cppcheck-suppress memleak ; *v has it
    return true;
}
