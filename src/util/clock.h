/* The two clocks: one for durations, one for the calendar. */

#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>

uint64_t clock_boot_ms(void); /* CLOCK_BOOTTIME: counts through suspend */
int64_t clock_wall_s(void);   /* CLOCK_REALTIME: override windows, slots */

#endif
