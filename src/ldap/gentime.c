/*
 * gentime - generalizedTime, the directory's way to write a point in time
 */

#include "ldap/gentime.h"

#include <string.h>
#include <time.h>

#define LAST_S INT64_C(253402300799) /* of the year 9999 */

/* Two digits at *p, between low and high; advances. */
static bool two(const char **p, int low, int high, int *value_r)
{
    const char *s = *p;

    if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
        return false;
    *value_r = (s[0] - '0') * 10 + (s[1] - '0');
    *p += 2;
    return *value_r >= low && *value_r <= high;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool parse_zone(const char *p, int64_t *offset_s_r)
{
    int sign = *p == '-' ? -1 : 1, hours, minutes = 0;

    *offset_s_r = 0;
    if (*p == 'Z')
        return p[1] == '\0';
    if (*p != '+' && *p != '-')
        return false;
    p++;
    if (!two(&p, 0, 23, &hours) || (*p != '\0' && !two(&p, 0, 59, &minutes)))
        return false;
    *offset_s_r = (int64_t)sign * (hours * 3600 + minutes * 60);
    return *p == '\0';
}

static bool parse_fraction(const char **p)
{
    if (**p != '.' && **p != ',')
        return true;
    if (!is_digit(*++*p))
        return false;
    while (is_digit(**p))
        ++*p;
    return true;
}

/* timegm(3) would take 31 February for 3 March. */
static bool same_day(const struct tm *a, const struct tm *b)
{
    return a->tm_mday == b->tm_mday && a->tm_mon == b->tm_mon;
}

bool gentime_parse(const char *text, int64_t *time_s_r)
{
    struct tm tm = {0}, check;
    const char *p = text;
    int century, year, leap_s;
    int64_t offset_s;

    if (!two(&p, 19, 99, &century) || !two(&p, 0, 99, &year) ||
        !two(&p, 1, 12, &tm.tm_mon) || !two(&p, 1, 31, &tm.tm_mday) ||
        !two(&p, 0, 23, &tm.tm_hour))
        return false;
    if (is_digit(*p) && !two(&p, 0, 59, &tm.tm_min))
        return false;
    if (is_digit(*p) && !two(&p, 0, 60, &tm.tm_sec))
        return false;
    if (!parse_fraction(&p) || !parse_zone(p, &offset_s))
        return false;
    tm.tm_year = century * 100 + year - 1900;
    tm.tm_mon--;
    leap_s = tm.tm_sec == 60;
    tm.tm_sec -= leap_s;
    check = tm;
    *time_s_r = timegm(&tm) + leap_s - offset_s;
    return same_day(&tm, &check) && *time_s_r > 0 && *time_s_r <= LAST_S;
}

void gentime_format(int64_t time_s, char out[GENTIME_MAX])
{
    time_t t = (time_t)time_s;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL ||
        strftime(out, GENTIME_MAX, "%Y%m%d%H%M%SZ", &tm) != GENTIME_MAX - 1)
        out[0] = '\0';
}
