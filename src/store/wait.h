/* Waiting for a lock that somebody stopped may hold: never without end. */

#ifndef STORE_WAIT_H
#define STORE_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Sleep a millisecond. false at once: until_ms (clock_boot_ms()) has come. */
bool wait_nap(uint64_t until_ms);

/* Tries at least once. */
bool wait_mutex(pthread_mutex_t *m, uint64_t until_ms);

/* A write lock on the whole file; *pid_r: who has it, where it is not ours. */
bool wait_file(int fd, uint64_t until_ms, long *pid_r);
void wait_file_done(int fd); /* unlock it */

#endif
