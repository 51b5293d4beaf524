/* generalizedTime of RFC 4517 section 3.3.13. */

#ifndef LDAP_GENTIME_H
#define LDAP_GENTIME_H

#include <stdbool.h>
#include <stdint.h>

/* YYYYMMDDHH[MM[SS]][.fraction](Z|+hhmm|-hhmm) to seconds since 1970 UTC;
   the fraction is dropped. false: not one. Times before 1970 are refused, and
   those after 9999, which could not be written again. */
bool gentime_parse(const char *text, int64_t *time_s_r);

/* YYYYMMDDHHMMSSZ; the empty text for a year beyond 9999. */
#define GENTIME_MAX 16
void gentime_format(int64_t time_s, char out[GENTIME_MAX]);

#endif
