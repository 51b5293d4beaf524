/*
 * clock - the two clocks
 *
 * Expiry is counted on CLOCK_BOOTTIME, which no administrator steps and which
 * goes on through suspend; only what the calendar decides (override windows,
 * rotation slots that machines share) reads the wall clock.
 */

#include "util/clock.h"

#include <time.h>

uint64_t clock_boot_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Whole seconds are all that is asked for: time(3) reads them from a page that
   the kernel keeps up to date. */
int64_t clock_wall_s(void)
{
    return time(NULL);
}

const char *clock_text(int64_t wall_s, char text_r[CLOCK_TEXT_MAX])
{
    time_t t = (time_t)wall_s;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL ||
        strftime(text_r, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text_r[0] = '\0';
    return text_r;
}
