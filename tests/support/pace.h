/* Tests that repeat a thing with other numbers do so less often where each step
   takes thirty times as long: valgrind looks for what one round shows. */

#ifndef SUPPORT_PACE_H
#define SUPPORT_PACE_H

#include <stdbool.h>
#include <stdlib.h>

/* run-unit says so where it has a runner. */
static inline bool pace_is_slow(void)
{
    return getenv("MXHOP_TEST_SLOW") != NULL;
}

#endif
