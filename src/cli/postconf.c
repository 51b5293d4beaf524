/*
 * postconf - a Postfix instance, as its own commands show it
 *
 * postconf(1) knows where main.cf is, what its parameters are by default and
 * what $name in them stands for, and postmap(1) knows every table type. Both
 * are run, without a shell, and with /usr/sbin behind the PATH, which an
 * ordinary user often lacks.
 *
 * The options of trivial-rewrite(8) in master.cf count, as it is that daemon
 * which asks the table.
 */

#include "cli/postconf.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/vec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 64

/* ---- the instance ---- */

/* Its directory, from the lines of `postmulti -l`: name, group, y or n, and
   directory. */
static const char *postconf_by_name(char *lines, const char *instance)
{
    char *line, *name, *word, *last;

    while ((line = postconf_line(&lines)) != NULL) {
        name = word_next(&line, WORDS_IN_LINE);
        for (last = NULL; (word = word_next(&line, WORDS_IN_LINE)) != NULL;)
            last = word;
        if (name != NULL && last != NULL && strcmp(name, instance) == 0)
            return last;
    }
    return NULL;
}

static enum mxhop_status postconf_find(struct postconf *p, const char *instance,
                                       struct mxhop_error *err)
{
    char *ask[] = {"postconf", "-h", "config_directory", NULL};
    char *list[] = {"postmulti", "-l", NULL};
    struct buf text = {0}, complaint = {0};
    bool named = instance != NULL && strchr(instance, '/') == NULL;
    char *lines;
    const char *dir = instance;
    int status = 0;

    if (named) {
        status = postconf_run(list, &text, &complaint);
        dir = status == 0 ? postconf_by_name(text.data, instance) : NULL;
    } else if (instance == NULL) {
        status = postconf_run(ask, &text, &complaint);
        lines = text.data;
        dir = status == 0 ? postconf_line(&lines) : NULL;
    }
    if (dir != NULL)
        p->dir = strdup(dir);
    if (status == 127)
        err_set(err, MXHOP_ERR_ARGUMENT, "no Postfix here (%s cannot be run)",
                named ? "postmulti" : "postconf");
    else if (status != 0)
        err_set(err,
                strstr(complaint.data, strerror(ENOENT)) != NULL
                    ? MXHOP_ERR_ARGUMENT
                    : MXHOP_ERR_IO,
                "%s: %s", named ? "postmulti" : "postconf",
                postconf_reason(complaint.data));
    else if (dir == NULL)
        err_set(err, MXHOP_ERR_ARGUMENT, "postmulti -l lists no instance %s",
                instance);
    else if (p->dir == NULL)
        err_nomem(err);
    buf_free(&text);
    buf_free(&complaint);
    return p->dir != NULL ? MXHOP_OK : err->code;
}

/* ---- parameters ---- */

char **postconf_words(const char *list)
{
    size_t len = list != NULL ? strlen(list) : 0;
    size_t n_max = len / 2 + 2; /* each has a blank behind it, or NULL */
    char **word = malloc(n_max * sizeof(*word) + len + 1);
    char *cursor;
    size_t n = 0;

    if (word == NULL)
        return NULL;
    cursor = memcpy(word + n_max, list != NULL ? list : "", len + 1);
    do
        word[n] = word_next(&cursor, WORDS_IN_LIST);
    while (word[n++] != NULL);
    return word;
}

static int postconf_compare(const void *a, const void *b)
{
    return strcmp(((const struct postconf_param *)a)->name,
                  ((const struct postconf_param *)b)->name);
}

static struct postconf_param *postconf_get(const struct postconf *p,
                                           const char *name)
{
    struct postconf_param key = {.name = (char *)name};

    return p->n_params == 0 ? NULL
                            : bsearch(&key, p->params, p->n_params, sizeof(key),
                                      postconf_compare);
}

/* The value in a line `name = value`, `name =`, whose name is then cut off;
   NULL: it is none. */
static const char *postconf_cut(char *line)
{
    char *equals = strstr(line, " =");

    if (equals == NULL)
        return NULL;
    *equals = '\0';
    equals += strlen(" =");
    return equals + (*equals == ' ');
}

static bool postconf_take(struct postconf *p, char *lines)
{
    char *line;

    while ((line = postconf_line(&lines)) != NULL) {
        const char *value = postconf_cut(line);
        struct postconf_param q;

        if (value == NULL)
            continue;
        if (!vec_room(&p->params, p->n_params, &p->cap, sizeof(q)))
            return false;
        q = (struct postconf_param){.name = strdup(line),
                                    .value = strdup(value)};
        p->params[p->n_params++] = q;
        if (q.name == NULL || q.value == NULL)
            return false;
    }
    if (p->n_params > 0)
        qsort(p->params, p->n_params, sizeof(*p->params), postconf_compare);
    return true;
}

/* Those that main.cf sets. */
static bool postconf_mark(struct postconf *p, char *lines)
{
    char *line;

    while ((line = postconf_line(&lines)) != NULL) {
        const char *value = postconf_cut(line);
        struct postconf_param *q = postconf_get(p, line);

        if (q == NULL || q->set)
            continue;
        q->set = true;
        q->raw = strdup(value != NULL ? value : "");
        if (q->raw == NULL)
            return false;
    }
    return true;
}

struct postconf_call {
    char *argv[ARGUMENTS_MAX]; /* ends with NULL */
    size_t n;
    bool failed;
};

static bool postconf_take_options(void *ctx, const struct master_service *s)
{
    struct postconf_call *c = ctx;

    if (strcmp(s->command, "trivial-rewrite") != 0)
        return true;
    for (size_t i = 0; i < s->n_options; i++) {
        struct buf text = {0};

        if (c->n + 4 > ARGUMENTS_MAX) {
            c->failed = true;
            return false;
        }
        buf_printf(&text, "%s=%s", s->options[i].name, s->options[i].value);
        c->argv[c->n++] = strdup("-o");
        c->argv[c->n++] = buf_detach(&text);
        c->failed =
            c->failed || c->argv[c->n - 1] == NULL || c->argv[c->n - 2] == NULL;
    }
    return !c->failed;
}

static bool postconf_add(struct postconf_call *c, const char *argument)
{
    c->argv[c->n] = strdup(argument);
    return c->argv[c->n++] != NULL;
}

static char *postconf_path(const struct postconf *p, const char *name)
{
    struct buf path = {0};

    buf_printf(&path, "%s/%s", p->dir, name);
    return buf_detach(&path);
}

static enum mxhop_status postconf_load(struct postconf *p,
                                       struct mxhop_error *err)
{
    struct buf text = {0}, complaint = {0}, set = {0};
    char *names[] = {"postconf", "-c", p->dir, "-n", NULL};
    enum mxhop_status status = MXHOP_OK;
    struct postconf_call call = {0};

    p->main = postconf_path(p, "main.cf");
    p->master = postconf_path(p, "master.cf");
    if (p->main == NULL || p->master == NULL ||
        !postconf_add(&call, "postconf") || !postconf_add(&call, "-c") ||
        !postconf_add(&call, p->dir) || !postconf_add(&call, "-x")) {
        status = err_nomem(err);
        goto out;
    }
    p->master_error = master_services(p->master, postconf_take_options, &call);
    if (call.failed)
        status = err_set(err, MXHOP_ERR_IO,
                         "%s: too many options of trivial-rewrite", p->master);
    else if (postconf_run(call.argv, &text, &complaint) != 0 ||
             postconf_run(names, &set, &complaint) != 0)
        status = err_set(err, MXHOP_ERR_IO, "postconf: %s",
                         postconf_reason(complaint.data));
    else if (!postconf_take(p, text.data) || !postconf_mark(p, set.data))
        status = err_nomem(err);
    for (size_t i = 4; status == MXHOP_OK && i + 1 < call.n; i += 2) {
        call.argv[i + 1][strcspn(call.argv[i + 1], "=")] = '\0';
        if (postconf_get(p, call.argv[i + 1]) != NULL)
            postconf_get(p, call.argv[i + 1])->set = true;
    }
out:
    for (size_t i = 0; i < call.n; i++)
        free(call.argv[i]);
    buf_free(&text);
    buf_free(&set);
    buf_free(&complaint);
    return status;
}

enum mxhop_status postconf_read(struct postconf *p, const char *instance,
                                struct mxhop_error *err)
{
    enum mxhop_status status;

    *p = (struct postconf){.helper = -1};
    status = postconf_find(p, instance, err);
    return status == MXHOP_OK ? postconf_load(p, err) : status;
}

void postconf_free(struct postconf *p)
{
    for (size_t i = 0; i < p->n_params; i++) {
        free(p->params[i].name);
        free(p->params[i].value);
        free(p->params[i].raw);
    }
    free(p->params);
    postmap_end(p);
    free(p->dir);
    free(p->main);
    free(p->master);
    free(p->expanded);
    *p = (struct postconf){.helper = -1};
}

bool postconf_is_builtin(const struct postconf *p, const char *name)
{
    char *argv[] = {"postconf", "-c", p->dir, "-d", (char *)name, NULL};
    struct buf text = {0}, complaint = {0};
    bool builtin = postconf_run(argv, &text, &complaint) == 0 && text.len > 0;

    buf_free(&text);
    buf_free(&complaint);
    return builtin;
}

const char *postconf_param(void *ctx, const char *name)
{
    const struct postconf_param *q = postconf_get(ctx, name);

    if (q == NULL || (!q->set && strncmp(name, "smtp_", 5) == 0))
        return NULL;
    return q->value;
}

const char *postconf_raw(void *ctx, const char *name)
{
    const struct postconf_param *q = postconf_get(ctx, name);

    return q != NULL ? q->raw : NULL;
}

/* postconf(1) expands parameters only, so the text becomes the value of one
   that nothing is made from. */
const char *postconf_expand(void *ctx, const char *text)
{
    static const char name[] = "address_verify_sender";
    struct buf option = {0}, value = {0}, complaint = {0};
    struct postconf *p = ctx;
    char *lines, *line;

    if (strchr(text, '$') == NULL)
        return text;
    buf_printf(&option, "%s=%s", name, text);
    if (!option.failed) {
        char *argv[] = {"postconf", "-c",        p->dir,       "-x", "-h",
                        "-o",       option.data, (char *)name, NULL};

        if (postconf_run(argv, &value, &complaint) == 0) {
            lines = value.data;
            line = postconf_line(&lines);
            free(p->expanded);
            p->expanded = strdup(line != NULL ? line : "");
            text = p->expanded != NULL ? p->expanded : text;
        }
    }
    buf_free(&option);
    buf_free(&value);
    buf_free(&complaint);
    return text;
}
