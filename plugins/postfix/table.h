/* What the table types of this plugin have in common. Internal to it. */

#ifndef POSTFIX_TABLE_H
#define POSTFIX_TABLE_H

#include "postfix/host.h"
#include "postfix/postfix_abi.h"

#include <sys/stat.h>

struct dict_mxhop {
    struct postfix_dict dict;
    char spare[DICT_SPARE]; /* what newer releases append to their struct */
    struct {
        struct mxhop *mx; /* NULL: the configuration cannot be used */
        struct postfix_host *host;
        struct mxhop_host api; /* of host */
        bool defers;     /* without mx: there may be overrides, or policies */
        bool not_config; /* without mx: for another reason */
        bool daemon, in_local; /* who asks */
        bool refused;          /* it asks for another parameter: logged */
        bool failing;          /* the last lookup failed: logged */
        unsigned words;        /* flags of mxhop_tls_text() */
        bool strict;           /* level `dane' would be a weaker one */
        bool looked;           /* once more, after the seconds have changed */
        struct stat seen;      /* stat_fd, before the file was read */
        int link_fd;           /* the name itself, which may be a link */
        struct stat link_seen;
        time_t asked; /* whether the file has changed */
    } own;
};

/*
 * A table of `type' with the configuration `name', which is watched from now
 * on, so call it before the file is read. To be filled in; close() is set.
 */
struct dict_mxhop *table_make(const char *type, const char *name,
                              int dict_flags);

/* Has the configuration changed in a way that Postfix does not see? Then make
   it see one. To be called at each lookup. */
void table_watch(struct dict_mxhop *d);

void table_close(struct postfix_dict *dict);

/* In place of a table that somebody wants to change. */
struct postfix_dict *table_refuse_writer(const char *type, const char *name,
                                         int open_flags, int dict_flags);

#endif
