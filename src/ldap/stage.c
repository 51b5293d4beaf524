/*
 * stage - what a source said, kept until all of it was heard
 *
 * A download may end anywhere, and a source that was heard in part is not one:
 * nothing goes into the override table before the end is known to be the end.
 * Until then it is here, outside of any transaction. Entries are judged as they
 * come, so that only overrides take memory, and not what else a directory may
 * hold; how much they take is bounded.
 *
 * A directory may say several things about one entry. The last one counts, but
 * "it is still there" takes back nothing.
 */

#include "ldap/stage.h"
#include "ldap/ldap_map.h"
#include "util/err.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

#define OCTETS_MAX (1ull << 30)
#define EVENTS_MAX (8u << 20)

enum said { SAID_ENTRY, SAID_INVALID, SAID_OTHER, SAID_REMOVED, SAID_PRESENT };

struct stage_event {
    unsigned char id[OVTABLE_ID_LEN];
    uint32_t number; /* in order of time */
    uint32_t at;     /* SAID_ENTRY: in v; SAID_INVALID: in invalid */
    enum said said;
};

static enum mxhop_status stage_note(struct stage *s, const unsigned char *id,
                                    enum said said, size_t at,
                                    struct mxhop_error *err)
{
    struct stage_event *e;

    if (s->n_events == EVENTS_MAX)
        return err_set(err, MXHOP_ERR_ARGUMENT,
                       "more than 8 million entries; narrow ldap_filter or "
                       "ldap_search_base");
    if (!vec_room(&s->events, s->n_events, &s->cap_events, sizeof(*s->events)))
        return err_nomem(err);
    e = &s->events[s->n_events];
    *e = (struct stage_event){
        .number = (uint32_t)s->n_events++, .at = (uint32_t)at, .said = said};
    memcpy(e->id, id, OVTABLE_ID_LEN);
    return MXHOP_OK;
}

static enum mxhop_status stage_note_invalid(struct stage *s,
                                            const unsigned char *id,
                                            const struct raw_entry *raw,
                                            size_t line, const char *why,
                                            struct mxhop_error *err)
{
    static const char no[] = "FALSE";
    struct stage_invalid *i;

    if (!vec_room(&s->invalid, s->n_invalid, &s->cap_invalid,
                  sizeof(*s->invalid)))
        return err_nomem(err);
    i = &s->invalid[s->n_invalid];
    *i = (struct stage_invalid){
        .dn = strdup(raw->dn), .why = strdup(why), .line = line};
    s->n_invalid++;
    if (i->dn == NULL || i->why == NULL)
        return err_nomem(err);
    for (size_t k = 0; k < raw->n_values; k++)
        i->off =
            i->off || (str_ieq(raw->values[k].attribute, "mxhopEnabled") &&
                       raw->values[k].len == strlen(no) &&
                       strncasecmp(raw->values[k].bytes, no, strlen(no)) == 0);
    s->findings++;
    s->octets += sizeof(*i) + strlen(i->dn) + strlen(i->why);
    return stage_note(s, id, SAID_INVALID, s->n_invalid - 1, err);
}

enum mxhop_status stage_entry(struct stage *s, const unsigned char *id,
                              const struct raw_entry *raw,
                              struct mxhop_error *err)
{
    unsigned char of_dn[OVTABLE_ID_LEN];
    enum mxhop_status status = MXHOP_OK;
    struct mxhop_error why;
    struct override *o;
    size_t cap = s->cap, line = raw->line;

    if (id == NULL) {
        ovtable_id_of_dn(raw->dn, of_dn);
        id = of_dn;
    }
    if (!vec_room(&s->lines, s->n, &cap, sizeof(*s->lines)) ||
        !vec_room(&s->v, s->n, &s->cap, sizeof(*s->v)))
        return err_nomem(err);
    o = &s->v[s->n];
    switch (s->ldap != NULL ? ldap_map(s->ldap, raw, o, &line, &why)
                            : entry_parse(raw, o, &line, &why)) {
    case ENTRY_OK:
        s->lines[s->n++] = raw->line;
        s->octets += sizeof(*o) + 128 + o->n_hops * sizeof(*o->hops);
        for (size_t i = 0; i < raw->n_values; i++)
            s->octets += 16 + raw->values[i].len;
        status = stage_note(s, id, SAID_ENTRY, s->n - 1, err);
        break;
    case ENTRY_MEMORY:
        return err_nomem(err);
    case ENTRY_INVALID:
        status = stage_note_invalid(s, id, raw, line, why.text, err);
        break;
    case ENTRY_OTHER:
        return stage_note(s, id, SAID_OTHER, 0, err);
    }
    if (status == MXHOP_OK && s->octets > OCTETS_MAX)
        return err_set(err, MXHOP_ERR_ARGUMENT,
                       "more than 1 GiB of overrides; narrow ldap_filter "
                       "or ldap_search_base");
    return status;
}

void stage_report_invalid(const struct stage *s)
{
    for (size_t i = 0; i < s->n_invalid; i++)
        finding_report(s->report, s->ctx, s->invalid[i].dn, s->invalid[i].line,
                       "%s; the entry is skipped", s->invalid[i].why);
}

enum mxhop_status stage_remove(struct stage *s, const unsigned char *id,
                               struct mxhop_error *err)
{
    return stage_note(s, id, SAID_REMOVED, 0, err);
}

enum mxhop_status stage_present(struct stage *s, const unsigned char *id,
                                struct mxhop_error *err)
{
    return stage_note(s, id, SAID_PRESENT, 0, err);
}

/* Close the gaps in v that freed overrides left; events have the new places
   then. */
static bool stage_close_gaps(struct stage *s)
{
    uint32_t *moved = malloc((s->n + 1) * sizeof(*moved));
    size_t n = 0;

    if (moved == NULL)
        return false;
    for (size_t i = 0; i < s->n; i++) {
        moved[i] = (uint32_t)n;
        if (s->v[i].dn == NULL)
            continue;
        s->v[n] = s->v[i];
        s->lines[n++] = s->lines[i];
    }
    s->n = n;
    for (size_t i = 0; i < s->n_events; i++)
        if (s->events[i].said == SAID_ENTRY)
            s->events[i].at = moved[s->events[i].at];
    free(moved);
    return true;
}

/* ---- the last word about each id ---- */

static int stage_by_id_and_time(const void *a, const void *b)
{
    const struct stage_event *x = a, *y = b;
    int order = memcmp(x->id, y->id, OVTABLE_ID_LEN);

    return order != 0 ? order
                      : (x->number > y->number) - (x->number < y->number);
}

static size_t stage_line(const struct stage *s, const struct stage_event *e)
{
    return e->said == SAID_ENTRY ? s->lines[e->at] : s->invalid[e->at].line;
}

/* Which of two about one id counts. */
static bool stage_is_later(struct stage *s, const struct stage_event *before,
                           const struct stage_event *e)
{
    if (s->ldap != NULL)
        return e->said != SAID_PRESENT || before->said == SAID_REMOVED;
    if (before->said == SAID_OTHER || e->said == SAID_OTHER)
        return before->said == SAID_OTHER;
    s->repeated++;
    s->findings++;
    finding_report(s->report, s->ctx,
                   e->said == SAID_ENTRY ? s->v[e->at].dn
                                         : s->invalid[e->at].dn,
                   stage_line(s, e),
                   "the entry in line %zu has the same DN; this one is skipped",
                   stage_line(s, before));
    return false;
}

/* One event an id, the one that counts; the override of another is freed. */
static void stage_keep_last(struct stage *s)
{
    size_t n = 0;

    if (s->n_events == 0)
        return;
    qsort(s->events, s->n_events, sizeof(*s->events), stage_by_id_and_time);
    for (size_t i = 1; i < s->n_events; i++) {
        struct stage_event *e = &s->events[i], *before = &s->events[n];
        bool later;

        if (memcmp(before->id, e->id, OVTABLE_ID_LEN) != 0) {
            s->events[++n] = *e;
            continue;
        }
        later = stage_is_later(s, before, e);
        if ((later ? before : e)->said == SAID_ENTRY)
            override_free(&s->v[(later ? before : e)->at]);
        if (later)
            *before = *e;
    }
    s->n_events = n + 1;
}

/* What an event says of an entry that the source has. */
static void stage_put_upsert(struct stage *s, const struct stage_event *e)
{
    struct ovtable_upsert *u = &s->upsert[s->n_upsert++];
    const struct stage_invalid *i = s->invalid + e->at;

    *u = (struct ovtable_upsert){0};
    if (e->said == SAID_ENTRY)
        *u =
            (struct ovtable_upsert){.o = &s->v[e->at], .line = s->lines[e->at]};
    else if (e->said == SAID_INVALID)
        *u = (struct ovtable_upsert){
            .why = i->why, .dn = i->dn, .line = i->line, .off = i->off};
    /* What a file calls by the name of an override was one, and somebody has
       written over its class; a directory may well have other entries. */
    else if (s->ldap == NULL)
        u->why = "objectClass: it is no mxhopOverride any more";
    memcpy(u->id, e->id, OVTABLE_ID_LEN);
}

enum mxhop_status stage_settle(struct stage *s, struct ovtable_delta *d_r,
                               struct mxhop_error *err)
{
    stage_keep_last(s);
    s->upsert = malloc((s->n_events + 1) * sizeof(*s->upsert));
    s->remove = malloc((s->n_events + 1) * sizeof(*s->remove));
    s->present = malloc((s->n_events + 1) * sizeof(*s->present));
    if (s->upsert == NULL || s->remove == NULL || s->present == NULL ||
        !stage_close_gaps(s))
        return err_nomem(err);
    for (size_t i = 0; i < s->n_events; i++) {
        const struct stage_event *e = &s->events[i];

        if (e->said == SAID_REMOVED) {
            memcpy(s->remove[s->n_remove++], e->id, OVTABLE_ID_LEN);
        } else if (e->said == SAID_PRESENT) {
            memcpy(s->present[s->n_present++], e->id, OVTABLE_ID_LEN);
        } else {
            stage_put_upsert(s, e);
        }
    }
    *d_r = (struct ovtable_delta){
        .upsert = s->upsert,
        .n_upsert = s->n_upsert,
        .remove = (const unsigned char(*)[OVTABLE_ID_LEN])s->remove,
        .n_remove = s->n_remove,
        .present = (const unsigned char(*)[OVTABLE_ID_LEN])s->present,
        .n_present = s->n_present,
    };
    return MXHOP_OK;
}

void stage_clear(struct stage *s)
{
    struct stage empty = {.ldap = s->ldap, .report = s->report, .ctx = s->ctx};

    for (size_t i = 0; i < s->n; i++)
        override_free(&s->v[i]);
    for (size_t i = 0; i < s->n_invalid; i++) {
        free(s->invalid[i].dn);
        free(s->invalid[i].why);
    }
    free(s->v);
    free(s->lines);
    free(s->invalid);
    free(s->events);
    free(s->upsert);
    free(s->remove);
    free(s->present);
    *s = empty;
}
