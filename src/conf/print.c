/*
 * print - the parameters as text: effective values, defaults
 *
 * What conf_print() writes is a configuration file that says the same. A
 * failed allocation shows in the buffer.
 */

#include "conf/params.h"

void conf_print(const struct conf *c, struct buf *out)
{
    for (size_t i = 0; i < n_params; i++) {
        struct buf value = {0};

        param_print(&params[i], c, &value);
        buf_printf(out, "%s =%s%s\n", params[i].name, value.len > 0 ? " " : "",
                   value.len > 0 ? value.data : "");
        out->failed = out->failed || value.failed;
        buf_free(&value);
    }
}

void conf_print_defaults(struct buf *out)
{
    for (size_t i = 0; i < n_params; i++)
        buf_printf(out, "%s =%s%s\n", params[i].name,
                   *params[i].value != '\0' ? " " : "", params[i].value);
}
