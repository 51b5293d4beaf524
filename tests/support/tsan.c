/*
 * tsan - how ThreadSanitizer is to treat the unit tests
 *
 * Check forks for each test, and the children start threads: let them. A test
 * ends by exit(3), before which it would sleep for a second each time. Linked
 * into the tests of VARIANT=tsan.
 *
 * It does not know mremap(2): a map that moves would have the history of what
 * was at its new place before, and races with it. mmap(2) it knows.
 */

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) void *mremap(void *old, size_t old_len,
                                                    size_t len, int flags, ...)
{
    void *to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (to == MAP_FAILED)
        return to;
    return (void *)syscall(SYS_mremap, old, old_len, len,
                           flags | MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

const char *__tsan_default_options(void);

__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
    return "die_after_fork=0:atexit_sleep_ms=0";
}
