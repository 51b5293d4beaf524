/*
 * master_cf - the services in master.cf and their options
 *
 * Postfix parameters can be overridden for one service, with `-o name=value`
 * or `-o { name = value }` after its command. This reads them all, by the rules
 * of master(5): a line that begins with a blank continues the one before;
 * empty lines and lines whose first word begins with # are not there.
 *
 * Nothing is judged here: a line that master(8) would refuse is not there
 * either. Memory is freed before return.
 */

#include "util/vec.h"

#include <ctype.h>
#include <errno.h>
#include <mxhop/postfix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_FIELD   6
#define COMMAND_FIELD 7 /* service type private unpriv chroot wakeup max */

struct reader {
    FILE *file;
    char *next; /* a physical line that was read ahead, or NULL */
    size_t next_size;
    bool have_next;
};

static bool master_is_comment(const char *line)
{
    line += strspn(line, WORDS_IN_LINE);
    return *line == '\0' || *line == '#';
}

static bool master_read_ahead(struct reader *r)
{
    while (!r->have_next && getline(&r->next, &r->next_size, r->file) >= 0)
        r->have_next = !master_is_comment(r->next);
    return r->have_next;
}

/* The next logical line, the caller's to free; NULL at the end or on error,
   then errno says which. */
static char *master_read_logical(struct reader *r)
{
    char *line = NULL, *longer;
    size_t len = 0, more;

    errno = 0;
    while (master_read_ahead(r)) {
        if (line != NULL && !isblank((unsigned char)r->next[0]))
            break;
        more = strlen(r->next);
        longer = realloc(line, len + more + 1);
        if (longer == NULL) {
            free(line);
            return NULL;
        }
        line = longer;
        memcpy(line + len, r->next, more + 1);
        len += more;
        r->have_next = false;
    }
    return line;
}

/* Without outer blanks. */
static char *master_trim(char *text)
{
    size_t len;

    text += strspn(text, WORDS_IN_LINE);
    len = strlen(text);
    while (len > 0 && strchr(WORDS_IN_LINE, text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    return text;
}

/* Without outer braces, which protect blanks. */
static char *master_unbrace(char *word)
{
    size_t len = strlen(word);

    if (word[0] != '{' || len < 2 || word[len - 1] != '}')
        return word;
    word[len - 1] = '\0';
    return master_trim(word + 1);
}

/* The option that begins at `word`, with the next word if it is apart. Flags
   may stand before it, as in `-vo name=value'. */
static char *master_option_text(char *word, char **cursor)
{
    if (word[0] != '-')
        return NULL;
    word += 1 + strspn(word + 1, "cdDlSuvVz");
    if (*word++ != 'o')
        return NULL;
    if (*word == '\0')
        word = word_next(cursor, WORDS_IN_LINE);
    return word != NULL ? master_unbrace(word) : NULL;
}

/* The service of a logical line. false: fn has had enough. */
static bool master_line(char *line, master_service_fn *fn, void *ctx,
                        int *error_r)
{
    char *field[COMMAND_FIELD + 1], *cursor = line, *word, *text, *equals;
    struct master_option *options = NULL;
    struct master_service s = {0};
    size_t cap = 0;
    bool more;

    for (size_t i = 0; i <= COMMAND_FIELD; i++) {
        field[i] = word_next(&cursor, WORDS_IN_LINE);
        if (field[i] == NULL)
            return true;
    }
    while ((word = word_next(&cursor, WORDS_IN_LINE)) != NULL) {
        text = master_option_text(master_unbrace(word), &cursor);
        equals = text != NULL ? strchr(text, '=') : NULL;
        if (equals == NULL)
            continue;
        if (!vec_room(&options, s.n_options, &cap, sizeof(*options))) {
            free(options);
            *error_r = ENOMEM;
            return false;
        }
        *equals = '\0';
        options[s.n_options++] =
            (struct master_option){master_trim(text), master_trim(equals + 1)};
    }
    s.name = field[0];
    s.type = field[1];
    s.limit = field[LIMIT_FIELD];
    s.command = field[COMMAND_FIELD];
    s.options = options;
    more = fn(ctx, &s);
    free(options);
    return more;
}

int master_services(const char *path, master_service_fn *fn, void *ctx)
{
    struct reader r = {.file = fopen(path, "re")};
    bool more = true;
    char *line;
    int error = 0;

    if (r.file == NULL)
        return errno;
    while (more && (line = master_read_logical(&r)) != NULL) {
        more = master_line(line, fn, ctx, &error);
        free(line);
    }
    if (more)
        error = ferror(r.file) && errno == 0 ? EIO : errno;
    free(r.next);
    fclose(r.file);
    return error;
}
