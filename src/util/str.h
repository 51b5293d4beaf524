/* Small helpers for ASCII text; the locale never matters. */

#ifndef UTIL_STR_H
#define UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void str_lower(char *s);                    /* A-Z in place */
int str_icmp(const char *a, const char *b); /* strcmp(3), ignoring case */
bool str_ieq(const char *a, const char *b);
bool str_iends(const char *s, const char *suffix);

bool str_is_space(char c); /* ASCII; a line feed, too */
/* Without white space around it; what is behind it is cut off in place. */
char *str_trim(char *s);

/* The octets of a byte order mark (UTF-8) at s, which has n: 3 or 0. */
size_t str_bom(const char *s, size_t n);

/*
 * The next word of a list whose words are separated by commas and white
 * space (as in main.cf). Returns its start and stores its length, or NULL at
 * the end. *pos is advanced; start with the list itself.
 */
const char *str_next_word(const char **pos, size_t *len_r);

/* Whether `word` is one of the words of `list`, ignoring ASCII case. */
bool str_in_list(const char *list, const char *word);

/* Replace everything but printable ASCII by '?', in place: for logs, SMTP. */
void str_printable(char *s);

/* The same for text that people read in their own script: UTF-8 stays, but for
   what is malformed, and for controls of any kind (C0, C1, line and paragraph
   separators, changes of the direction of writing). */
void str_printable_utf8(char *s);

/* The character at s, in well-formed UTF-8 (RFC 3629: the shortest form, no
   surrogates), and its octets; 0: there is none. */
size_t str_utf8(const char *s, uint32_t *code_r);

#endif
