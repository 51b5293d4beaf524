/* Make the nth allocation fail (the linker wraps malloc and friends). */

#ifndef SUPPORT_FAILMALLOC_H
#define SUPPORT_FAILMALLOC_H

#include <stdbool.h>

/*
 * From now on the nth allocation of any thread (1: the next) returns NULL,
 * others work; 0: all work. failmalloc_hit() tells whether it came to that. A
 * test loops:
 *
 *     for (unsigned n = 1;; n++) {
 *         failmalloc_at(n);
 *         ... act, keep the result ...
 *         bool hit = failmalloc_hit();
 *         failmalloc_at(0);
 *         ... assert: success, or a clean out-of-memory ...
 *         if (!hit)
 *             break;
 *     }
 */
void failmalloc_at(unsigned n);
bool failmalloc_hit(void);

#endif
