/*
 * tsan - how ThreadSanitizer is to treat the unit tests
 *
 * Check forks for each test, and the children start threads: let them. A test
 * ends by exit(3), before which it would sleep for a second each time. Linked
 * into the tests of VARIANT=tsan.
 */

const char *__tsan_default_options(void);

__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
    return "die_after_fork=0:atexit_sleep_ms=0";
}
