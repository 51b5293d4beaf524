/* What `mxhop check' finds, and of it what `mxhop refresh' says, too. */

#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "cli/ovset.h"
#include "cli/view.h"

enum check_level {
    CHECK_WARNING, /* somebody should look at it */
    CHECK_ERROR,   /* mail is affected now */
    CHECK_NOTE /* to be known: it is meant to be so, or not seen from here */
};

struct state;

struct check {
    const struct source *source; /* where lines are of; NULL: nowhere */
    bool plain;   /* findings do not begin with "error: " or "warning: " */
    bool verbose; /* a configuration comes behind: the summary is a comment */
    struct state *state; /* what the last refresh left; NULL: not known */
    unsigned errors, warnings;
};

/* place: a file, or a DN, which has a line where that is not 0. */
void check_say(struct check *c, enum check_level level, const char *place,
               size_t line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- check_entries.c ---- */

/* Hosts that cannot be used, and entries that leave none. Asks the DNS. */
void check_entries(struct check *c, struct mxhop *mx, const struct ovset *set);

/* ---- check_redundant.c ---- */

/* Entries that say what DNS says. The handle may be good for nothing
   afterwards. */
void check_redundant(struct check *c, struct mxhop *mx,
                     const struct ovset *set);

/* ---- check_table.c ---- */

/* The table in force, as whoever we are: whether `user` (NULL: not known) can
   read it, and what the last refresh left undone. Fills in c->state, to be
   freed. false: it cannot be used. */
bool check_table(struct check *c, const struct conf *conf, const char *user);
/* Whether it is what the source says now. */
void check_table_is_new(struct check *c, const struct conf *conf,
                        const struct ovset *set);
/* A finding_fn for what the source says: a warning, and of an entry that is not
   valid what is in force in its place. ctx: struct check. */
void check_hear(void *ctx, const struct finding *f);
/* Entries that are kept, and that the source did not tell of. */
void check_kept(struct check *c);
/* Whether that user can open the file, as a lookup does; false after a finding,
   which says what becomes of mail then. Only root can tell; for everybody else,
   and a user that is not known, it is true. */
bool check_readable(struct check *c, enum check_level level, const char *path,
                    const char *user, const char *then);
/* A file that others may write, or put another in its place. */
void check_file_mode(struct check *c, const char *file);

/* ---- check_tls.c ---- */

/* Whether MTA-STS policies are known, to `user` (NULL: not known) too, and kept
   to. config: the file that was read. */
void check_tls(struct check *c, struct mxhop *mx, struct view *v,
               const char *config, const char *user);

/* ---- check_postfix.c ---- */

/* What main.cf and master.cf make of the table, and of the entries. */
void check_main_cf(struct check *c, struct view *v);
void check_services(struct check *c, struct view *v, const struct conf *conf,
                    const struct ovset *set);

#endif
