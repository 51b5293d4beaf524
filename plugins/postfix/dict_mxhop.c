/*
 * dict_mxhop - the Postfix lookup table type `mxhop'
 *
 * The name of a table is the path of its configuration file:
 *
 *     transport_maps = mxhop:/etc/mxhop/mxhop.cf
 *
 * A lookup answers with a right-hand side of transport(5), or "not found" where
 * mxhop has no opinion. It never reports an error, as that would defer mail
 * that Postfix could have delivered without us.
 *
 * A configuration that cannot be used ends commands. Daemons go on with a table
 * that defers mail to other systems (broken.c), or with an empty one if there
 * can be no overrides, and log why when they start. Either way Postfix is told
 * which file to watch, so that its daemons start afresh when the file changes.
 *
 * Only transport_maps may name the table. Other parameters would take an answer
 * for something else: relay_domains = mxhop:... makes an open relay. Daemons
 * are therefore answered only if they ask in the way of transport_maps, which
 * wants no part of a key in the answer (DICT_FLAG_NO_REGSUB). The flags of a
 * table that several clients of proxymap(8) share are those of the last
 * request, so each lookup is looked at. local(8) asks in that way too, and is
 * told apart by its name.
 *
 * The text of an answer belongs to the library's handle and is valid until the
 * next lookup, as Postfix expects.
 *
 * Diagnostics: through msg_info(), msg_warn() and msg_error(), prefixed
 * mxhop:FILE:.
 */

#include "postfix/table.h"

#include <fcntl.h>
#include <string.h>

/* ---- methods ---- */

static void dict_note_failure(struct dict_mxhop *d, const char *reason)
{
    if (reason != NULL && !d->own.failing)
        msg_warn("%s:%s: %s", d->dict.type, d->dict.name, reason);
    d->own.failing = reason != NULL;
}

static bool dict_is_asked_for_transport(struct dict_mxhop *d)
{
    if (!d->own.daemon ||
        ((d->dict.flags & DICT_FLAG_NO_REGSUB) != 0 && !d->own.in_local))
        return true;
    if (!d->own.refused && d->own.in_local)
        msg_error("%s:%s: not answered: mailbox_transport_maps or "
                  "fallback_transport_maps names this table, which is made for "
                  "transport_maps only. Remove it there",
                  d->dict.type, d->dict.name);
    else if (!d->own.refused)
        msg_error("%s:%s: not answered: a parameter other than transport_maps "
                  "names this table, such as relay_domains, where an answer "
                  "would make this system an open relay. Remove it there; "
                  "\"postconf -n | grep %s:\" shows the parameter",
                  d->dict.type, d->dict.name, d->dict.type);
    d->own.refused = true;
    return false;
}

static const char *dict_mxhop_lookup(struct postfix_dict *dict, const char *key)
{
    struct dict_mxhop *d = (struct dict_mxhop *)dict;
    struct mxhop_error err;
    enum mxhop_status status;
    const char *text;

    dict->error = DICT_ERR_NONE;
    table_watch(d);
    if (!dict_is_asked_for_transport(d))
        return NULL;
    if (d->own.mx == NULL)
        return d->own.defers ? broken_lookup(&d->own.api, key) : NULL;
    status = mxhop_text(d->own.mx, key, MXHOP_FORMAT_POSTFIX, &text, &err);
    dict_note_failure(d, status != MXHOP_OK ? err.text : NULL);
    return text;
}

/* ---- open ---- */

static void dict_begin_without(struct dict_mxhop *d, const char *reason)
{
    d->own.defers = mxhop_may_override(d->dict.name) != 0;
    msg_error("%s:%s: %s. Until this is mended, %s", d->dict.type, d->dict.name,
              reason,
              d->own.defers ? "mail to other systems waits in the queue"
                            : "mail is routed as if there were no such table");
}

MXHOP_API struct postfix_dict *dict_mxhop_open(const char *name, int open_flags,
                                               int dict_flags);

struct postfix_dict *dict_mxhop_open(const char *name, int open_flags,
                                     int dict_flags)
{
    struct mxhop_error err = {.text = "out of memory"};
    enum mxhop_status status = MXHOP_ERR_MEMORY;
    struct dict_mxhop *d;

    if (open_flags != O_RDONLY)
        return table_refuse_writer(TABLE_TYPE, name, open_flags, dict_flags);
    d = table_make(TABLE_TYPE, name, dict_flags);
    d->dict.lookup = dict_mxhop_lookup;
    d->own.in_local = d->own.daemon && strcmp(host_program(), "local") == 0;
    if (d->own.daemon)
        host_warn_misplaced(name);
    d->own.host = host_create(name, &d->own.api);
    if (d->own.host != NULL)
        status = mxhop_open(&d->own.mx, name, &d->own.api, &err);
    if (status == MXHOP_OK)
        return &d->dict;
    if (d->own.host != NULL && d->own.daemon) {
        d->own.not_config = status != MXHOP_ERR_CONFIG;
        dict_begin_without(d, err.text);
        return &d->dict;
    }
    table_close(&d->dict);
    return dict_surrogate(TABLE_TYPE, name, open_flags, dict_flags, "%s:%s: %s",
                          TABLE_TYPE, name, err.text);
}
