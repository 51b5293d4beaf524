/*
 * failmalloc - make the nth allocation fail
 *
 * The test programs are linked with ld --wrap, so that allocations of our own
 * objects come through here while those of shared libraries do not. Those of
 * all threads count, and exactly one fails.
 */

#include "support/failmalloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint countdown;
static atomic_bool hit;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void failmalloc_at(unsigned n)
{
    atomic_store(&hit, false);
    atomic_store(&countdown, n);
}

bool failmalloc_hit(void)
{
    return atomic_load(&hit);
}

static bool now(void)
{
    unsigned left = atomic_load(&countdown);

    do {
        if (left == 0)
            return false;
    } while (!atomic_compare_exchange_weak(&countdown, &left, left - 1));
    if (left > 1)
        return false;
    atomic_store(&hit, true);
    return true;
}

void *__wrap_malloc(size_t n)
{
    return now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
    return now() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
    return now() ? NULL : __real_realloc(p, n);
}

char *__wrap_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = __wrap_malloc(len + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *__wrap_strdup(const char *s)
{
    return __wrap_strndup(s, strlen(s));
}
