/* Text as a JSON string. */

#ifndef UTIL_JSON_H
#define UTIL_JSON_H

#include "util/buf.h"

/* Quoted and escaped to ASCII; octets that are not UTF-8 become U+FFFD. */
void json_escape(const char *text, struct buf *out);

#endif
