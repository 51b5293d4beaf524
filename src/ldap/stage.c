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

#include <stdarg.h>
#include <stdio.h>
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

void stage_report(struct stage *s, const char *dn, size_t line, const char *fmt,
                  ...)
{
    char text[600];
    struct finding f = {dn, line, text};
    va_list ap;

    s->findings++;
    if (s->report == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    s->report(s->ctx, &f);
}

static bool grow(struct stage *s)
{
    size_t cap = s->cap != 0 ? s->cap * 2 : 64;
    struct override *v;
    size_t *lines;

    if (s->n < s->cap)
        return true;
    v = realloc(s->v, cap * sizeof(*v));
    if (v == NULL)
        return false;
    s->v = v;
    lines = realloc(s->lines, cap * sizeof(*lines));
    if (lines == NULL)
        return false;
    s->lines = lines;
    s->cap = cap;
    return true;
}

static enum mxhop_status note(struct stage *s, const unsigned char *id,
                              enum said said, size_t at,
                              struct mxhop_error *err)
{
    if (s->n_events == s->cap_events) {
        size_t cap = s->cap_events != 0 ? s->cap_events * 2 : 64;
        struct stage_event *events;

        if (cap > EVENTS_MAX)
            return err_set(err, MXHOP_ERR_ARGUMENT,
                           "more than 8 million entries; narrow ldap_filter "
                           "or ldap_search_base");
        events = realloc(s->events, cap * sizeof(*events));
        if (events == NULL)
            return err_nomem(err);
        s->events = events;
        s->cap_events = cap;
    }
    s->events[s->n_events] = (struct stage_event){
        .number = (uint32_t)s->n_events, .at = (uint32_t)at, .said = said};
    memcpy(s->events[s->n_events++].id, id, OVTABLE_ID_LEN);
    return MXHOP_OK;
}

static uint64_t weight(const struct override *o, const struct raw_entry *raw)
{
    uint64_t n = sizeof(*o) + 128 + o->n_hops * sizeof(*o->hops);

    for (size_t i = 0; i < raw->n_values; i++)
        n += 16 + raw->values[i].len;
    return n;
}

static enum mxhop_status take_valid(struct stage *s, const unsigned char *id,
                                    const struct raw_entry *raw,
                                    struct mxhop_error *err)
{
    s->octets += weight(&s->v[s->n], raw);
    s->lines[s->n++] = raw->line;
    if (s->octets > OCTETS_MAX)
        return err_set(err, MXHOP_ERR_ARGUMENT,
                       "more than 1 GiB of overrides; narrow ldap_filter or "
                       "ldap_search_base");
    return id != NULL ? note(s, id, SAID_ENTRY, s->n - 1, err) : MXHOP_OK;
}

static enum entry_verdict judge(const struct stage *s,
                                const struct raw_entry *raw, struct override *o,
                                struct mxhop_error *err)
{
    return s->ldap != NULL ? ldap_map(s->ldap, raw, o, err)
                           : entry_parse(raw, o, err);
}

enum mxhop_status stage_entry(struct stage *s, const unsigned char *id,
                              const struct raw_entry *raw,
                              struct mxhop_error *err)
{
    struct mxhop_error why;

    if (!grow(s))
        return err_nomem(err);
    switch (judge(s, raw, &s->v[s->n], &why)) {
    case ENTRY_OK:
        return take_valid(s, id, raw, err);
    case ENTRY_MEMORY:
        return err_nomem(err);
    case ENTRY_INVALID:
        s->skipped++;
        stage_report(s, raw->dn, raw->line, "%s; the entry is skipped",
                     why.text);
        break;
    case ENTRY_OTHER:
        break;
    }
    return id != NULL ? note(s, id, SAID_INVALID, 0, err) : MXHOP_OK;
}

enum mxhop_status stage_remove(struct stage *s, const unsigned char *id,
                               struct mxhop_error *err)
{
    return note(s, id, SAID_REMOVED, 0, err);
}

enum mxhop_status stage_present(struct stage *s, const unsigned char *id,
                                struct mxhop_error *err)
{
    return note(s, id, SAID_PRESENT, 0, err);
}

/* ---- the last word ---- */

static int by_id_and_time(const void *a, const void *b)
{
    const struct stage_event *x = a, *y = b;
    int order = memcmp(x->id, y->id, OVTABLE_ID_LEN);

    return order != 0 ? order
                      : (x->number > y->number) - (x->number < y->number);
}

static bool counts_more(const struct stage_event *later,
                        const struct stage_event *earlier)
{
    return later->said != SAID_PRESENT || earlier->said == SAID_REMOVED;
}

/* One event an id, the one that counts; the override of another is freed. */
static void keep_last_words(struct stage *s)
{
    size_t n = 0;

    qsort(s->events, s->n_events, sizeof(*s->events), by_id_and_time);
    for (size_t i = 0; i < s->n_events; i++) {
        struct stage_event *e = &s->events[i],
                           *before = n > 0 ? &s->events[n - 1] : NULL;

        if (before == NULL || memcmp(before->id, e->id, OVTABLE_ID_LEN) != 0) {
            s->events[n++] = *e;
        } else if (counts_more(e, before)) {
            if (before->said == SAID_ENTRY)
                override_free(&s->v[before->at]);
            *before = *e;
        }
    }
    s->n_events = n;
}

/* Close the gaps in v: events have the new places then. */
static bool close_gaps(struct stage *s)
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

static bool make_room(struct stage *s)
{
    size_t n = s->n_events + 1;

    s->upsert = malloc(n * sizeof(*s->upsert));
    s->remove = malloc(n * sizeof(*s->remove));
    s->present = malloc(n * sizeof(*s->present));
    return s->upsert != NULL && s->remove != NULL && s->present != NULL;
}

static void distribute(struct stage *s)
{
    for (size_t i = 0; i < s->n_events; i++) {
        const struct stage_event *e = &s->events[i];

        switch (e->said) {
        case SAID_REMOVED:
            memcpy(s->remove[s->n_remove++], e->id, OVTABLE_ID_LEN);
            continue;
        case SAID_PRESENT:
            memcpy(s->present[s->n_present++], e->id, OVTABLE_ID_LEN);
            continue;
        default:
            memcpy(s->upsert[s->n_upsert].id, e->id, OVTABLE_ID_LEN);
            s->upsert[s->n_upsert++].o =
                e->said == SAID_ENTRY ? &s->v[e->at] : NULL;
        }
    }
}

enum mxhop_status stage_settle(struct stage *s, struct ovtable_delta *d_r,
                               struct mxhop_error *err)
{
    if (s->n_events > 0)
        keep_last_words(s);
    if (!close_gaps(s) || !make_room(s))
        return err_nomem(err);
    distribute(s);
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
