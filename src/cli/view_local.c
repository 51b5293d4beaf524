/*
 * view_local - which domains Postfix delivers itself, by its lists
 *
 * The rules of match_list(3) in Postfix: patterns are tried in order, the first
 * that matches decides, `!` turns its meaning; /file stands for the patterns in
 * it; type:table is asked, here with postmap(1). relay_domains is matched by
 * parent domains, too. A table that cannot be asked makes the domain unknown,
 * as in Postfix, and mail for it passes.
 */

#include "cli/cli.h"
#include "cli/view.h"
#include "model/key.h"
#include "util/str.h"
#include "util/vec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NESTED_MAX 10 /* files within files */

struct view_pattern {
    bool wanted; /* no `!` before it, or two */
    enum { PATTERN_NAME, PATTERN_TABLE, PATTERN_UNREADABLE } kind;
    char *text;     /* the name, the table, or a file and why */
    bool by_parent; /* the table is asked for parent domains, too */
};

static bool local_add(struct view_list *l, struct view_pattern p,
                      const char *text)
{
    if (!vec_room(&l->v, l->n, &l->cap, sizeof(*l->v)))
        return false;
    p.text = strdup(text);
    l->v[l->n++] = p;
    return p.text != NULL;
}

bool view_table_is_fixed(const char *table)
{
    static const char *const types[] = {"regexp:", "pcre:", "cidr:"};

    table = word_unproxy(table);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strncmp(table, types[i], strlen(types[i])) == 0)
            return false;
    return true;
}

bool view_is_table(const struct view *v, const char *word, const char *type)
{
    size_t n = strlen(type);

    word = word_unproxy(word);
    return strncmp(word, type, n) == 0 && word[n] == ':' &&
           strcmp(word + n + 1, v->table) == 0;
}

static bool local_parse(struct view *v, enum postfix_list_id id, char *text,
                        bool wanted, int depth);

static bool local_parse_file(struct view *v, enum postfix_list_id id,
                             const char *file, bool wanted, int depth)
{
    struct view_pattern broken = {.wanted = true, .kind = PATTERN_UNREADABLE};
    FILE *in = depth < NESTED_MAX ? fopen(file, "re") : NULL;
    struct buf why = {0};
    char *line = NULL;
    size_t size = 0;
    bool ok = true;

    if (in == NULL) {
        buf_printf(&why, "%s: %s", file,
                   depth < NESTED_MAX ? strerror(errno) : "nested too deep");
        ok = !why.failed && local_add(&v->lists[id], broken, why.data);
        buf_free(&why);
        return ok;
    }
    while (ok && getline(&line, &size, in) >= 0)
        ok = line[0] == '#' || local_parse(v, id, line, wanted, depth + 1);
    free(line);
    fclose(in);
    return ok;
}

/* Cuts the text. */
static bool local_parse(struct view *v, enum postfix_list_id id, char *text,
                        bool wanted, int depth)
{
    char *cursor = text, *word;
    bool ok = true;
    size_t len;

    while (ok && (word = word_next(&cursor, WORDS_IN_LIST)) != NULL) {
        struct view_pattern p = {.wanted = wanted};

        for (; *word == '!'; word++)
            p.wanted = !p.wanted;
        if (word_our_table(word, &len) != NULL) {
            cli_complain("warning: %s in %s is not asked which domains are "
                         "local",
                         word, postfix_list_names[id]);
        } else if (*word == '/') {
            ok = local_parse_file(v, id, word, p.wanted, depth);
        } else {
            word = (char *)word_unproxy(word);
            if (*word != '[' && strchr(word, ':') != NULL)
                p.kind = PATTERN_TABLE;
            p.by_parent = id == LIST_RELAY && view_table_is_fixed(word);
            ok = local_add(&v->lists[id], p, word) &&
                 (p.kind != PATTERN_TABLE || postmap_name(&v->postfix, word));
        }
    }
    return ok;
}

bool view_open_lists(struct view *v)
{
    for (int i = 0; i < N_LISTS; i++) {
        enum postfix_list_id id = (enum postfix_list_id)i;
        char *copy = strdup(postfix_list_value(&v->config, id));
        bool ok = copy != NULL && local_parse(v, id, copy, true, 0);

        free(copy);
        if (!ok)
            return false;
        v->lists[i].parents =
            id == LIST_RELAY &&
            postfix_parent_style(&v->config, postfix_list_names[i]);
    }
    return true;
}

void view_close_lists(struct view *v)
{
    for (int i = 0; i < N_LISTS; i++) {
        for (size_t j = 0; j < v->lists[i].n; j++)
            free(v->lists[i].v[j].text);
        free(v->lists[i].v);
    }
}

/* A list may hold the Unicode form, which Postfix compares, too. */
static bool local_same_name(const char *pattern, const char *domain)
{
    char normal[NAME_MAX_TEXT + 1];
    bool ascii = true;

    for (const char *p = pattern; *p != '\0'; p++)
        ascii = ascii && (*p & 0x80) == 0;
    if (ascii)
        return str_ieq(pattern, domain);
    return name_normalise(pattern, normal) == NULL &&
           strcmp(normal, domain) == 0;
}

static bool local_is_name(const struct view_list *l, enum postfix_list_id id,
                          const char *pattern, const char *domain)
{
    size_t n = strlen(pattern), len = strlen(domain);

    if (local_same_name(pattern, domain))
        return true;
    if (id != LIST_RELAY || n == 0 || len <= n ||
        !str_ieq(domain + len - n, pattern))
        return false;
    return l->parents ? domain[len - n - 1] == '.' : pattern[0] == '.';
}

static void local_complain(struct view *v, const char *text, const char *domain)
{
    snprintf(v->why, sizeof(v->why), "not known: %s", text);
    if (v->complained)
        return;
    v->complained = true;
    cli_complain("warning: %s: whether %s is local is not known, and it passes",
                 text, domain);
}

/* The name, and its parents where that is how the list is matched. */
static enum postmap_found local_in_table(struct view *v,
                                         const struct view_list *l,
                                         const struct view_pattern *p,
                                         const char *domain)
{
    const char *at = domain;
    char *value;

    for (;;) {
        enum postmap_found found =
            postmap_ask(&v->postfix, p->text, at, &value);

        if (found == POSTMAP_FAILED) {
            struct buf why = {0};

            buf_printf(&why, "%s: %s", p->text, value != NULL ? value : "");
            local_complain(v, why.data != NULL ? why.data : p->text, domain);
            buf_free(&why);
        }
        free(value);
        if (found != POSTMAP_ABSENT || !p->by_parent)
            return found;
        at = strchr(at + 1, '.');
        if (at == NULL)
            return found;
        at += l->parents ? 1 : 0;
    }
}

static enum mxhop_local local_ask(struct view *v, const char *domain)
{
    v->why[0] = '\0';
    for (int i = 0; i < N_LISTS; i++) {
        const struct view_list *l = &v->lists[i];

        for (size_t j = 0; j < l->n; j++) {
            const struct view_pattern *p = &l->v[j];
            enum postmap_found found = POSTMAP_ABSENT;

            if (p->kind == PATTERN_NAME) {
                if (local_is_name(l, (enum postfix_list_id)i, p->text, domain))
                    found = POSTMAP_FOUND;
            } else if (p->kind == PATTERN_TABLE) {
                found = local_in_table(v, l, p, domain);
            } else {
                local_complain(v, p->text, domain);
                found = POSTMAP_FAILED;
            }
            if (found == POSTMAP_FAILED)
                return MXHOP_LOCAL_ERROR;
            if (found == POSTMAP_ABSENT)
                continue;
            if (p->wanted) {
                snprintf(v->why, sizeof(v->why), "%s", postfix_list_names[i]);
                return MXHOP_LOCAL_YES;
            }
            break; /* `!`: not by this list */
        }
    }
    return MXHOP_LOCAL_NO;
}

/* postmap(1) is slow to start, and many addresses are in one domain. */
enum mxhop_local view_is_local(void *ctx, const char *domain)
{
    struct view *v = ctx;
    struct view_known *k;

    for (size_t i = 0; i < VIEW_KNOWN; i++) {
        k = &v->known[i];
        if (strcmp(k->domain, domain) == 0) {
            memcpy(v->why, k->why, sizeof(v->why));
            return k->answer;
        }
    }
    k = &v->known[v->next_known++ % VIEW_KNOWN];
    snprintf(k->domain, sizeof(k->domain), "%s", domain);
    k->answer = local_ask(v, domain);
    memcpy(k->why, v->why, sizeof(k->why));
    return k->answer;
}
