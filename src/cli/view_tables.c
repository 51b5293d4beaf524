/*
 * view_tables - which table of transport_maps answers
 *
 * trivial-rewrite(8) has a list of keys for an address: all of it, without its
 * extension, the domain, each parent domain, `*`. Every table is asked for the
 * first key before any is asked for the next, so a table behind ours may answer
 * first, and one before it last. Tables of patterns are asked for the whole
 * address only.
 */

#include "cli/cli.h"
#include "cli/view.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

struct tables {
    struct view *v;
    struct view_asker ours;
    char **word; /* of transport_maps */
    bool json;
    struct buf *out;
    unsigned hits;
};

static void tables_say(struct tables *t, const char *word, const char *key,
                       bool error, const char *text)
{
    bool applies = t->hits == 0;

    t->hits++;
    if (t->json) {
        buf_puts(t->out, applies ? "{" : ",{");
        json_add("table", word, t->out);
        json_add("key", key, t->out);
        json_add(error ? "error" : "answer", text, t->out);
        buf_printf(t->out, ",\"applies\":%s}", applies ? "true" : "false");
        return;
    }
    buf_printf(t->out, "              %s",
               applies ? "answers first: " : "not asked:     ");
    buf_puts_printable(t->out, word);
    buf_puts(t->out, "\n                to ");
    buf_puts_printable(t->out, key);
    buf_puts(t->out, error ? ", fails: " : ": ");
    buf_puts_printable(t->out, text);
    buf_putc(t->out, '\n');
    if (applies && error)
        buf_puts(t->out, "              Postfix then defers the mail\n");
}

static void tables_ask(struct tables *t, const char *key, bool whole)
{
    for (size_t i = 0; t->word[i] != NULL; i++) {
        enum postmap_found found;
        char *value = NULL;

        if (view_is_table(t->v, t->word[i], TABLE_TYPE)) {
            value = t->ours.ask(t->ours.ctx, key);
            found = value != NULL ? POSTMAP_FOUND : POSTMAP_ABSENT;
        } else if (whole || view_table_is_fixed(t->word[i])) {
            found = postmap_ask(&t->v->postfix, t->word[i], key, &value);
        } else {
            continue;
        }
        if (found != POSTMAP_ABSENT)
            tables_say(t, t->word[i], key, found == POSTMAP_FAILED,
                       value != NULL ? value : "");
        free(value);
    }
}

static void tables_ask_all(struct tables *t, const char *key)
{
    bool parents = postfix_parent_style(&t->v->config, "transport_maps");
    const char *at = strrchr(key, '@'), *domain = at != NULL ? at + 1 : key;
    char stripped[512];

    if (at != NULL)
        tables_ask(t, key, true);
    if (postfix_strip(&t->v->config, key, stripped, sizeof(stripped)))
        tables_ask(t, stripped, false);
    while (domain != NULL && *domain != '\0') {
        tables_ask(t, domain, false);
        domain = strchr(domain + 1, '.');
        if (domain != NULL && parents)
            domain++;
    }
    tables_ask(t, "*", true);
}

void view_tables(struct view *v, const char *key, struct view_asker ours,
                 bool json, struct buf *out)
{
    struct tables t = {.v = v, .ours = ours, .json = json, .out = out};

    t.word = postconf_words(postconf_param(&v->postfix, "transport_maps"));
    if (t.word == NULL) {
        out->failed = true;
        return;
    }
    tables_ask_all(&t, key);
    if (t.hits == 0 && !json)
        buf_puts(out, "              no table of transport_maps answers\n");
    free(t.word);
}
