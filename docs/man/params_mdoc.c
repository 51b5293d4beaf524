/*
 * params_mdoc - print the parameter section of mxhop.cf(5)
 *
 * Run when the manual page is made, so that it cannot disagree with the
 * table of parameters in src/conf/params.c.
 */

#include "conf/conf.h"

#include <stdio.h>

int main(void)
{
    struct buf out = {0};
    int status = 1;

    conf_print_mdoc(&out);
    if (!out.failed && out.data != NULL)
        status = fputs(out.data, stdout) < 0 || fflush(stdout) != 0;
    buf_free(&out);
    return status;
}
