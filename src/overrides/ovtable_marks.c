/*
 * ovtable_marks - what is not in force as the source has it
 *
 * What the source says of an entry, and what is in force, may differ: a version
 * that is invalid leaves the last good one (kept), removals beyond the limit
 * wait (held back), and of an entry that never was valid there is nothing (left
 * out). All three are marked in the table itself: the source will not tell
 * again what the cookie has passed by.
 *
 * A key has room for so many entries only. Those that come to a full one count
 * as invalid, the last by DN, as if something were wrong with them: what is in
 * force stays, and so does all the rest of what the source says.
 *
 * Whether too much would go is measured by the largest set of the last day: a
 * set that is emptied in steps, each of them small, is emptied all the same.
 */

#include "overrides/ovtable_apply.h"
#include "util/err.h"
#include "util/vec.h"

#include <stdio.h>
#include <string.h>

#define PEAK_S 86400

uint32_t apply_peak(const struct apply *a)
{
    bool fresh = a->w->now_s - a->old.peak_s < PEAK_S;

    return fresh && a->old.peak > a->old.entries ? a->old.peak : a->old.entries;
}

bool apply_holds(struct apply *a, uint64_t after)
{
    uint64_t peak = apply_peak(a);
    uint32_t limit = a->w->shrink_percent;

    if (a->w->force || limit >= 100 || after >= a->old.entries ||
        after * 100 >= peak * (100 - limit))
        return false;
    snprintf(a->change.held_text, sizeof(a->change.held_text),
             "held back: %lu of %lu entries%s would be dropped, more than "
             "override_shrink_limit (%lu %%) allows; if that is meant, run "
             "`mxhop refresh --force`",
             (unsigned long)(peak - after), (unsigned long)peak,
             peak > a->old.entries ? " of the last day" : "",
             (unsigned long)limit);
    return true;
}

void apply_mark(struct apply *a, struct apply_item *item, bool hold)
{
    struct override_marks m = {0};
    struct fixed_bytes rest = {0};
    size_t before = a->marked.len;

    if (item->was.len > 0)
        (void)override_marks(item->was, &m, &rest); /* seen to be whole */
    if (item->says == SAYS_INVALID) {
        m.kept_s = m.kept_s != 0 ? m.kept_s : a->w->now_s;
        m.off = item->u->off;
        m.why = (struct chars){item->u->why, strlen(item->u->why)};
    }
    m.held_s = item->says != SAYS_GONE ? 0
               : m.held_s != 0         ? m.held_s
                                       : a->w->now_s;
    if (item->was.len > 0) {
        if (item->says != SAYS_GONE || hold)
            override_mark(&a->marked, &m, rest);
    } else if (item->says == SAYS_INVALID && item->u->dn != NULL) {
        item->left_out = true;
        enc_str(&a->marked, item->u->dn);
        enc_str(&a->marked, item->u->why);
    }
    item->record.len = a->marked.len - before;
}

bool apply_refuse(struct apply *a)
{
    struct apply_refused *r = a->refused;

    for (size_t i = 0; i < a->lists.n_excess; i++) {
        const struct lists_excess *e = &a->lists.excess[i];
        const struct apply_item *item = apply_find(a, e->id);
        struct buf why = {0};

        if (item == NULL || item->says != SAYS_VALID)
            continue;
        if (!vec_room(&r->v, r->n, &r->cap, sizeof(*r->v)))
            return false;
        buf_printf(&why,
                   "%s: %.*s: at most %d entries, of %lu MiB in all, may have "
                   "the same, and others were there before: remove some",
                   e->by == OVTABLE_BY_KEY ? "mxhopKey" : "mxhopExchange",
                   (int)e->key.len, e->key.at, OVTABLE_LIST_MAX,
                   (unsigned long)(OVTABLE_ROOM >> 20));
        r->v[r->n] = (struct ovtable_upsert){.why = buf_detach(&why),
                                             .dn = item->u->o->dn,
                                             .line = item->u->line};
        memcpy(r->v[r->n].id, e->id, OVTABLE_ID_LEN);
        if (r->v[r->n++].why == NULL)
            return false;
        r->again = true;
    }
    return true;
}

/* One record of the new set; false: damaged. */
static bool apply_note_record(struct apply *a, const struct fixed_record *r,
                              struct buf *text)
{
    const struct apply_item *item = apply_find(a, r->key.at);
    struct ovtable_note n = {
        .line = item != NULL && item->u != NULL ? item->u->line : 0};
    struct override_marks m = {0};
    struct override_parts parts;
    struct fixed_bytes rest;
    struct chars dn;
    struct dec d;

    if (r->kind == OVTABLE_RECORD_LEFT_OUT) {
        a->change.left_out++;
        dec_init(&d, r->value.at, r->value.len);
        dn.len = dec_u32(&d);
        dn.at = (const char *)dec_take(&d, dn.len);
        m.why.len = dec_u32(&d);
        m.why.at = (const char *)dec_take(&d, m.why.len);
        if (dec_end(&d) != CODEC_OK)
            return false;
    } else {
        if (!override_marks(r->value, &m, &rest))
            return false;
        if (m.kept_s == 0 && m.held_s == 0)
            return true;
        a->change.held += m.held_s != 0;
        a->change.kept += m.held_s == 0;
        if (!override_parts(r->value.at, r->value.len, &parts))
            return false;
        dn = parts.dn;
    }
    if (a->w->note == NULL)
        return true;
    buf_reset(text);
    buf_add(text, dn.at, dn.len);
    buf_putc(text, '\0');
    buf_add(text, m.why.at, m.held_s == 0 ? m.why.len : 0);
    if (text->failed)
        return true;
    n.dn = text->data;
    n.why = text->data + dn.len + 1;
    n.kept_s = m.kept_s;
    n.held_s = m.held_s;
    n.off = m.off;
    a->w->note(a->w->ctx, &n);
    return true;
}

enum mxhop_status apply_note(struct apply *a)
{
    struct buf text = {0};
    bool whole = true, failed;

    for (size_t i = 0; i < a->r.n && whole; i++)
        if (a->r.v[i].kind == OVTABLE_RECORD_ENTRY ||
            a->r.v[i].kind == OVTABLE_RECORD_LEFT_OUT)
            whole = apply_note_record(a, &a->r.v[i], &text);
    failed = text.failed;
    buf_free(&text);
    if (failed)
        return err_nomem(a->err);
    if (!whole)
        return ovtable_refused(a->err, a->w->path, "is damaged");
    if (a->w->strict && a->change.kept + a->change.left_out > 0)
        return err_set(
            a->err, MXHOP_ERR_SYNTAX,
            "%s: nothing is changed: %lu entr%s invalid, and "
            "--strict takes all or nothing",
            a->w->path, (unsigned long)(a->change.kept + a->change.left_out),
            a->change.kept + a->change.left_out == 1 ? "y is" : "ies are");
    return MXHOP_OK;
}
