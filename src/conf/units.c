/*
 * units - numbers with units, as administrators write them
 *
 * Times as in Postfix (s m h d w) and milliseconds; sizes in powers of 1024.
 * What is printed is what would be read as the same number, in the largest
 * unit without a remainder. No signs, no fractions, no white space; a number
 * that does not fit is no number.
 */

#include "conf/params.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first; of two spellings the first is printed. */
static const struct unit times[] = {
    {"w", 7ull * 24 * 3600 * 1000},
    {"d", 24ull * 3600 * 1000},
    {"h", 3600ull * 1000},
    {"m", 60ull * 1000},
    {"s", 1000},
    {"ms", 1},
};
static const struct unit sizes[] = {
    {"G", 1ull << 30}, {"GiB", 1ull << 30},
    {"M", 1ull << 20}, {"MiB", 1ull << 20},
    {"K", 1ull << 10}, {"KiB", 1ull << 10},
    {"", 1},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Read digits; *rest_r is what follows them. */
static bool units_read_digits(const char *text, uint64_t *n_r,
                              const char **rest_r)
{
    uint64_t n = 0;
    const char *s = text;

    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
            return false;
    *n_r = n;
    *rest_r = s;
    return s != text;
}

static bool units_scale(uint64_t n, const char *name, const struct unit *units,
                        size_t n_units, uint64_t *out)
{
    for (size_t i = 0; i < n_units; i++)
        if (str_ieq(name, units[i].name))
            return !__builtin_mul_overflow(n, units[i].factor, out);
    return false;
}

bool units_read_time(const char *text, const char *unit, uint64_t *ms_r)
{
    const char *rest;
    uint64_t n;

    return units_read_digits(text, &n, &rest) &&
           units_scale(n, *rest != '\0' ? rest : unit, times, COUNT(times),
                       ms_r);
}

bool units_read_size(const char *text, uint64_t *bytes_r)
{
    const char *rest;
    uint64_t n;

    return units_read_digits(text, &n, &rest) &&
           units_scale(n, rest, sizes, COUNT(sizes), bytes_r);
}

bool units_read_number(const char *text, const char *suffix, uint64_t *n_r)
{
    const char *rest;

    return units_read_digits(text, n_r, &rest) &&
           (*rest == '\0' || strcmp(rest, suffix) == 0);
}

static void units_print(uint64_t n, const struct unit *units, size_t n_units,
                        struct buf *out)
{
    size_t i = 0;

    while (i + 1 < n_units && (n == 0 || n % units[i].factor != 0))
        i++;
    buf_printf(out, "%" PRIu64 "%s", n / units[i].factor, units[i].name);
}

void units_print_time(uint64_t ms, struct buf *out)
{
    if (ms == 0)
        buf_puts(out, "0s");
    else
        units_print(ms, times, COUNT(times), out);
}

void units_print_size(uint64_t bytes, struct buf *out)
{
    units_print(bytes, sizes, COUNT(sizes), out);
}
