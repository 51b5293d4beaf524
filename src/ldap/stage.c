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
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

#define OCTETS_MAX (1ull << 30)
#define EVENTS_MAX (8u << 20)

enum said { SAID_ENTRY, SAID_INVALID, SAID_REMOVED, SAID_PRESENT };

struct stage_event {
    unsigned char id[OVTABLE_ID_LEN];
    uint32_t number; /* in order of time */
    uint32_t at;     /* SAID_ENTRY: in v */
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

enum mxhop_status stage_entry(struct stage *s, const unsigned char *id,
                              const struct raw_entry *raw,
                              struct mxhop_error *err)
{
    struct mxhop_error why;
    struct override *o;
    size_t cap = s->cap, line = raw->line;

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
        if (s->octets > OCTETS_MAX)
            return err_set(err, MXHOP_ERR_ARGUMENT,
                           "more than 1 GiB of overrides; narrow ldap_filter "
                           "or ldap_search_base");
        return id != NULL ? stage_note(s, id, SAID_ENTRY, s->n - 1, err)
                          : MXHOP_OK;
    case ENTRY_MEMORY:
        return err_nomem(err);
    case ENTRY_INVALID:
        s->skipped++;
        s->findings++;
        finding_report(s->report, s->ctx, raw->dn, line,
                       "%s; the entry is skipped", why.text);
        break;
    case ENTRY_OTHER:
        break;
    }
    return id != NULL ? stage_note(s, id, SAID_INVALID, 0, err) : MXHOP_OK;
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

/* ---- one entry to a DN ---- */

struct claim {
    const char *dn;
    size_t at; /* in v, which is in the order of the file */
};

static int stage_by_dn_and_place(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int order = strcmp(x->dn, y->dn);

    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

bool stage_drop_same_dn(struct stage *s)
{
    struct claim *c = calloc(s->n + 1, sizeof(*c)), *first = c;

    if (c == NULL)
        return false;
    for (size_t i = 0; i < s->n; i++)
        c[i] = (struct claim){s->v[i].dn, i};
    qsort(c, s->n, sizeof(*c), stage_by_dn_and_place);
    for (size_t i = 1; i < s->n; i++) {
        if (strcmp(first->dn, c[i].dn) != 0) {
            first = &c[i];
            continue;
        }
        s->skipped++;
        s->findings++;
        finding_report(
            s->report, s->ctx, c[i].dn, s->lines[c[i].at],
            "the entry in line %zu has the same DN; this one is skipped",
            s->lines[first->at]);
        override_free(&s->v[c[i].at]);
    }
    free(c);
    return stage_close_gaps(s);
}

/* ---- the last word about each id ---- */

static int stage_by_id_and_time(const void *a, const void *b)
{
    const struct stage_event *x = a, *y = b;
    int order = memcmp(x->id, y->id, OVTABLE_ID_LEN);

    return order != 0 ? order
                      : (x->number > y->number) - (x->number < y->number);
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

        if (memcmp(before->id, e->id, OVTABLE_ID_LEN) != 0) {
            s->events[++n] = *e;
        } else if (e->said != SAID_PRESENT || before->said == SAID_REMOVED) {
            if (before->said == SAID_ENTRY)
                override_free(&s->v[before->at]);
            *before = *e;
        }
    }
    s->n_events = n + 1;
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
            memcpy(s->upsert[s->n_upsert].id, e->id, OVTABLE_ID_LEN);
            s->upsert[s->n_upsert++].o =
                e->said == SAID_ENTRY ? &s->v[e->at] : NULL;
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
    free(s->v);
    free(s->lines);
    free(s->events);
    free(s->upsert);
    free(s->remove);
    free(s->present);
    *s = empty;
}
