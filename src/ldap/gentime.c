/*
 * gentime - generalizedTime, the directory's way to write a point in time
 */

#include "ldap/gentime.h"

#include <string.h>
#include <time.h>

#define LAST_S INT64_C(253402300799) /* of the year 9999 */

/* Two digits at *p, between low and high; advances. */
static bool gentime_two(const char **p, int low, int high, int *value_r)
{
    const char *s = *p;

    if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
        return false;
    *value_r = (s[0] - '0') * 10 + (s[1] - '0');
    *p += 2;
    return *value_r >= low && *value_r <= high;
}

static bool gentime_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool gentime_zone(const char *p, int64_t *offset_s_r)
{
    int sign = *p == '-' ? -1 : 1, hours, minutes = 0;

    *offset_s_r = 0;
    if (*p == 'Z')
        return p[1] == '\0';
    if (*p != '+' && *p != '-')
        return false;
    p++;
    if (!gentime_two(&p, 0, 23, &hours) ||
        (*p != '\0' && !gentime_two(&p, 0, 59, &minutes)))
        return false;
    *offset_s_r = (int64_t)sign * (hours * 3600 + minutes * 60);
    return *p == '\0';
}

bool gentime_parse(const char *text, int64_t *time_s_r)
{
    struct tm tm = {0}, check;
    const char *p = text;
    int century, year, leap_s;
    int64_t offset_s;

    if (!gentime_two(&p, 19, 99, &century) || !gentime_two(&p, 0, 99, &year) ||
        !gentime_two(&p, 1, 12, &tm.tm_mon) ||
        !gentime_two(&p, 1, 31, &tm.tm_mday) ||
        !gentime_two(&p, 0, 23, &tm.tm_hour))
        return false;
    if (gentime_is_digit(*p) && !gentime_two(&p, 0, 59, &tm.tm_min))
        return false;
    if (gentime_is_digit(*p) && !gentime_two(&p, 0, 60, &tm.tm_sec))
        return false;
    if (*p == '.' || *p == ',') { /* a fraction */
        if (!gentime_is_digit(*++p))
            return false;
        while (gentime_is_digit(*p))
            p++;
    }
    if (!gentime_zone(p, &offset_s))
        return false;
    tm.tm_year = century * 100 + year - 1900;
    tm.tm_mon--;
    leap_s = tm.tm_sec == 60;
    tm.tm_sec -= leap_s;
    check = tm;
    *time_s_r = timegm(&tm) + leap_s - offset_s;
    /* timegm(3) takes 31 February for 3 March. */
    return tm.tm_mday == check.tm_mday && tm.tm_mon == check.tm_mon &&
           *time_s_r > 0 && *time_s_r <= LAST_S;
}

void gentime_format(int64_t time_s, char out[GENTIME_MAX])
{
    time_t t = (time_t)time_s;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL ||
        strftime(out, GENTIME_MAX, "%Y%m%d%H%M%SZ", &tm) != GENTIME_MAX - 1)
        out[0] = '\0';
}
