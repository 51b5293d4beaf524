/*
 * params_mdoc - mxhop.cf(5) from its text and the table of parameters
 *
 * Reads the text from standard input. A line @name@ in it becomes the item of
 * that parameter, with its default; its range comes behind its text, before the
 * next such line. What the table has, and the text has not in the same order,
 * or the other way round, ends it with an error: they cannot disagree.
 */

#include "conf/params.h"

#include <stdio.h>
#include <string.h>

/* The default as arguments of a macro: no word may be taken for a macro, a
   leading dot not for punctuation. */
static void print_default(const char *value)
{
    fputs(*value == '\0' ? "empty" : "Cm ", stdout);
    for (const char *s = value; *s != '\0'; s++)
        printf("%s%c", s == value || s[-1] == ' ' ? "\\&" : "", *s);
    putchar('\n');
}

static bool print_range(const struct param *p)
{
    struct buf range = {0};
    bool ok;

    param_print_range(p, &range);
    ok = !range.failed;
    if (range.len > 0)
        printf("The value is %s.\n", range.data);
    buf_free(&range);
    return ok;
}

int main(void)
{
    char line[256], name[256];
    size_t n = 0;

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (line[0] != '@') {
            fputs(line, stdout);
            continue;
        }
        if (n > 0 && !print_range(&params[n - 1]))
            return 1;
        snprintf(name, sizeof(name), "@%s@\n",
                 n < n_params ? params[n].name : "");
        if (strcmp(line, name) != 0) {
            fprintf(stderr, "mxhop.cf.5.in: found %sexpected %s", line, name);
            return 1;
        }
        if (n < n_params) {
            printf(".It Cm %s Pq default : ", params[n].name);
            print_default(params[n].value);
        }
        n++;
    }
    if (n != n_params + 1)
        fputs("mxhop.cf.5.in: not all parameters are there\n", stderr);
    return n != n_params + 1 || fflush(stdout) != 0;
}
