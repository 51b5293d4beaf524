/*
 * print - the parameters as text: effective values, defaults, documentation
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

/* The default as arguments of a macro: no word may be taken for a macro, a
   leading dot not for punctuation. */
static void conf_print_default(const struct param *p, struct buf *out)
{
    bool start = true;

    if (*p->value == '\0')
        buf_puts(out, "empty");
    else
        buf_puts(out, "Cm ");
    for (const char *s = p->value; *s != '\0'; s++) {
        if (start)
            buf_puts(out, "\\&");
        buf_putc(out, *s);
        start = *s == ' ';
    }
}

void conf_print_mdoc(struct buf *out)
{
    buf_puts(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < n_params; i++) {
        const struct param *p = &params[i];

        buf_printf(out, ".It Cm %s Pq default : ", p->name);
        conf_print_default(p, out);
        buf_printf(out, "\n%s\n", p->doc);
        if (p->type == PARAM_TEXT)
            continue;
        buf_puts(out, "The value is ");
        param_print_range(p, out);
        buf_puts(out, ".\n");
    }
    buf_puts(out, ".El\n");
}
