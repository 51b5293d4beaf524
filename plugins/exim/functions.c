/*
 * functions - what routers of Exim call
 *
 *     ${dlfunc{/usr/local/lib/mxhop/exim-mxhop.so}{mxhop_route}{$domain}}
 *
 * Each function takes a domain, then, optionally, the configuration file and
 * the recipient, for which overrides are then looked for as well:
 *
 *     ...{mxhop_route}{$domain}{/etc/mxhop/mxhop.cf}{$local_part@$domain}}
 *
 * mxhop_route      a host list for manualroute; empty where there is none, so
 *                  that the router declines
 * mxhop_fate       `:fail: ...' or `:defer: ...' for a redirect router before
 *                  it; else empty
 * mxhop_transport  the transport that an override or the configuration names;
 *                  else empty
 * mxhop_trace      every step of the decision, for `exim -be'
 *
 * Failures: what is wrong with the configuration, a lack of memory, a call with
 * the wrong number of arguments. The expansion then fails with a text, and Exim
 * defers the address. Nothing that happens here gets into the panic log.
 *
 * The text returned is in memory of this module and valid until the next call;
 * Exim copies it at once. It is not tainted, as far as Exim can know: so
 * nothing is in it but what the library lets into a host list, a transport's
 * name or a line of text. It is never expanded to a file name.
 */

#include "exim/answer.h"
#include "exim/exim_abi.h"

#include <stdlib.h>
#include <string.h>

enum { ARG_DOMAIN, ARG_CONFIG, ARG_RECIPIENT, ARGS_MAX };

/* Makes the text of an answer. */
typedef enum mxhop_status say_fn(const struct question *q, char **text_r,
                                 struct mxhop_error *err);

static const char *argument(int argc, unsigned char *argv[], int i)
{
    return i < argc ? (const char *)argv[i] : "";
}

static struct question question_of(int argc, unsigned char *argv[])
{
    struct question q = {
        .config = argument(argc, argv, ARG_CONFIG),
        .key = argument(argc, argv, ARG_RECIPIENT),
    };

    if (q.config[0] == '\0')
        q.config = MXHOP_DEFAULT_CONFIG;
    if (q.key[0] == '\0')
        q.key = argument(argc, argv, ARG_DOMAIN);
    else
        q.flags = MXHOP_ADDRESS;
    return q;
}

/* Run `say`, and tell Exim. */
static int answer(say_fn *say, unsigned char **text_r, int argc,
                  unsigned char *argv[])
{
    static char *text; /* of the last answer */
    static struct mxhop_error err;
    static char usage[] = "mxhop: expected {domain}, optionally {configuration "
                          "file}, optionally {recipient}";
    struct question q;

    free(text);
    text = NULL;
    if (argc < 1 || argc > ARGS_MAX) {
        *text_r = (unsigned char *)usage;
        return EXIM_FAIL;
    }
    q = question_of(argc, argv);
    if (say(&q, &text, &err) != MXHOP_OK) {
        *text_r = (unsigned char *)err.text;
        return EXIM_FAIL;
    }
    *text_r = (unsigned char *)text; /* NULL is as good as empty */
    return EXIM_OK;
}

static enum mxhop_status say_rendered(const struct question *q,
                                      enum mxhop_format format, char **text_r,
                                      struct mxhop_error *err)
{
    struct mxhop *mx;
    const struct mxhop_route *route = answer_route(q, &mx, err);

    if (route == NULL)
        return err->code;
    return mxhop_render(mx, route, format, text_r, err);
}

static enum mxhop_status say_route(const struct question *q, char **text_r,
                                   struct mxhop_error *err)
{
    return say_rendered(q, MXHOP_FORMAT_EXIM, text_r, err);
}

static enum mxhop_status say_fate(const struct question *q, char **text_r,
                                  struct mxhop_error *err)
{
    return say_rendered(q, MXHOP_FORMAT_EXIM_FATE, text_r, err);
}

static enum mxhop_status say_transport(const struct question *q, char **text_r,
                                       struct mxhop_error *err)
{
    struct mxhop *mx;
    const struct mxhop_route *route = answer_route(q, &mx, err);

    if (route == NULL)
        return err->code;
    *text_r = strdup(route->transport);
    if (*text_r != NULL)
        return MXHOP_OK;
    err->code = MXHOP_ERR_MEMORY;
    strcpy(err->text, "out of memory");
    return err->code;
}

static enum mxhop_status say_trace(const struct question *q, char **text_r,
                                   struct mxhop_error *err)
{
    struct mxhop *mx = answer_handle(q, err);
    struct mxhop_route *route = NULL;
    enum mxhop_status status;

    if (mx == NULL)
        return err->code;
    status = mxhop_explain(mx, q->key, q->flags, &route, text_r, err);
    mxhop_route_free(&route);
    return status;
}

MXHOP_API exim_dlfunc mxhop_route, mxhop_fate, mxhop_transport, mxhop_trace;

int mxhop_route(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return answer(say_route, text_r, argc, argv);
}

int mxhop_fate(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return answer(say_fate, text_r, argc, argv);
}

int mxhop_transport(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return answer(say_transport, text_r, argc, argv);
}

int mxhop_trace(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return answer(say_trace, text_r, argc, argv);
}
