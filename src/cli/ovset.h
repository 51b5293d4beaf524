/* A whole set of overrides in memory, for people: in order of DN. */

#ifndef CLI_OVSET_H
#define CLI_OVSET_H

#include "cli/cli.h"
#include "model/override.h"

struct ovset {
    struct override *v;
    size_t n, cap;
    const size_t *lines; /* where v[i] stands; NULL: not known, or sorted */
};

static inline size_t ovset_line(const struct ovset *set,
                                const struct override *o)
{
    return set->lines != NULL ? set->lines[o - set->v] : 0;
}

/* Both: an exit status, after a complaint unless it is 0. */
int ovset_read_table(struct ovset *set_r, const struct conf *conf);
/* source: "ldif:...". What refresh would skip is skipped, and what it would
   report is reported. */
int ovset_read_file(struct ovset *set_r, const char *source);
void ovset_free(struct ovset *set);

/* override_show.c: one line each, without newline; the columns of text. */
#define OVERRIDE_SHOW_HEADER "# DN\tKEYS\tMODE\tHOPS\tSTATE\tFROM\tUNTIL"
void override_show_text(const struct override *o, int64_t now_s,
                        struct buf *out);
/* state: with "state", as it is at now_s. */
void override_show_json(const struct override *o, bool state, int64_t now_s,
                        struct buf *out);
/* override_diff.c: whether two entries of one DN differ; out of memory counts
   as that. */
bool override_differs(const struct override *a, const struct override *b);
/* override_diff.c: print what makes `to` of `from`; an exit status. */
int override_diff(const struct ovset *from, const struct ovset *to);

#endif
