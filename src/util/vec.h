/* Arrays that grow. */

#ifndef UTIL_VEC_H
#define UTIL_VEC_H

#include <stdbool.h>
#include <stddef.h>

/*
 * See that there is room for one more in an array of n elements of `size`
 * octets. `v` is the address of the pointer to it, which may change; *cap is
 * the array's own. false: out of memory, all is as it was.
 */
bool vec_room(void *v, size_t n, size_t *cap, size_t size);

#endif
