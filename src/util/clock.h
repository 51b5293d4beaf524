/* The two clocks: one for durations, one for the calendar. */

#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>

uint64_t clock_boot_ms(void); /* CLOCK_BOOTTIME: counts through suspend */
int64_t clock_wall_s(void);   /* CLOCK_REALTIME: override windows, slots */

/* A wall time in UTC, "2026-12-01T10:00:00Z"; "" where the calendar ends. */
#define CLOCK_TEXT_MAX 32
const char *clock_text(int64_t wall_s, char text_r[CLOCK_TEXT_MAX]);

#endif
