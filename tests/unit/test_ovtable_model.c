/* The override table against a plain model of it, under random deltas. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "support/suite.h"
#include "overrides/ovtable.h"
#include "support/failmalloc.h"
#include "support/ovreplace.h"
#include "support/pace.h"

#define SLOTS     200
#define KEYS      60 /* few, so that entries clash */
#define EXCHANGES 8
#define ROUNDS    (pace_is_slow() ? 100u : 400u)

static char dir[64], path[80], lock[96], note[96];

static struct slot { /* what the source has */
    unsigned char id[OVTABLE_ID_LEN];
    unsigned dn; /* a permutation */
    bool present;
    bool invalid;      /* its present version is; o is the last good one */
    struct override o; /* dn NULL: no valid override */
} slot[SLOTS];

static void setup(void)
{
    strcpy(dir, "/tmp/mxhop-model-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/overrides", dir);
    snprintf(lock, sizeof(lock), "%s.lock", path);
    snprintf(note, sizeof(note), "%s.cookie", path);
    memset(slot, 0, sizeof(slot));
    for (unsigned i = 0; i < SLOTS; i++) {
        slot[i].dn = i;
        for (int k = 0; k < OVTABLE_ID_LEN; k++)
            slot[i].id[k] = (unsigned char)random();
    }
}

static void teardown(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        override_free(&slot[i].o);
    unlink(path);
    unlink(lock);
    unlink(note);
    rmdir(dir);
}

static unsigned below(unsigned n)
{
    return (unsigned)random() % n;
}

static const char *some_key(unsigned k)
{
    static char text[300];
    static const char *const form[] = {"k%u.example", ".k%u.example",
                                       "user@k%u.example", ".sub.k%u.example"};

    if (k == 0)
        return "*";
    snprintf(text, sizeof(text), form[k % 4], k);
    return text;
}

static const char *exchange_text(unsigned k)
{
    static char text[64];

    snprintf(text, sizeof(text), "%smx%u.example", k % 2 != 0 ? "." : "", k);
    return text;
}

static void set_dn(struct slot *s)
{
    char text[64];

    free(s->o.dn);
    snprintf(text, sizeof(text), "cn=%u,dc=example", s->dn);
    s->o.dn = strdup(text);
}

/* Anew, or a change that leaves some of it. */
static void fill(struct slot *s)
{
    char mark[600];

    s->present = true;
    s->invalid = false;
    if (s->o.dn == NULL || below(3) != 0) {
        override_free(&s->o);
        set_dn(s);
        for (unsigned n = below(4); n > 0; n--)
            strlist_add(&s->o.keys, some_key(below(KEYS)));
        if (below(4) == 0)
            strlist_add(&s->o.exchanges, exchange_text(below(EXCHANGES)));
        s->o.enabled = below(5) != 0;
        s->o.not_before_s = below(3) == 0 ? 100 : 0;
        s->o.not_after_s = below(3) == 0 ? 200 : 0;
    }
    free(s->o.transport);
    memset(mark, 'x', sizeof(mark));
    snprintf(mark + below(500), 20, "%ld", random()); /* pages split */
    s->o.transport = strdup(mark);
}

static void empty(struct slot *s, bool present)
{
    override_free(&s->o);
    s->present = present;
    s->invalid = false;
}

/* ---- one delta, to the model and as the table gets it ---- */

static struct ovtable_upsert upsert[2 * SLOTS];
static unsigned char gone[2 * SLOTS][OVTABLE_ID_LEN];
static unsigned char present[SLOTS][OVTABLE_ID_LEN];
static struct ovtable_delta delta;

static void say(const struct slot *s)
{
    struct ovtable_upsert *u;

    if (!s->present) {
        memcpy(gone[delta.n_remove++], s->id, OVTABLE_ID_LEN);
        return;
    }
    u = &upsert[delta.n_upsert++];
    memcpy(u->id, s->id, OVTABLE_ID_LEN);
    u->o = s->o.dn != NULL && !s->invalid ? &s->o : NULL;
    u->why = s->invalid ? "bad" : NULL;
    u->dn = "cn=bad";
}

static void swap_dns(struct slot *a, struct slot *b)
{
    unsigned dn = a->dn;

    a->dn = b->dn;
    b->dn = dn;
    if (a->o.dn != NULL)
        set_dn(a);
    if (b->o.dn != NULL)
        set_dn(b);
}

/* Marks in `touched` what the delta must mention. */
static void change_model(bool *touched)
{
    for (unsigned n = below(6) == 0 ? SLOTS : below(12); n > 0; n--) {
        unsigned i = below(SLOTS), k = below(SLOTS);

        /* A version that nobody has seen is not the last good one. */
        if (slot[i].present && !touched[i] && below(5) == 0)
            slot[i].invalid = touched[i] = true;
        if (slot[i].invalid && touched[i] && below(3) != 0)
            continue;
        touched[i] = true;
        if (below(4) == 0 && !slot[i].invalid && !slot[k].invalid) {
            swap_dns(&slot[i], &slot[k]);
            touched[k] = true;
        } else if (below(3) == 0) {
            empty(&slot[i], below(3) == 0);
        } else {
            fill(&slot[i]);
        }
    }
}

static void make_delta(unsigned round)
{
    bool touched[SLOTS] = {false};

    memset(&delta, 0, sizeof(delta));
    delta = (struct ovtable_delta){.upsert = upsert,
                                   .remove = (const void *)gone,
                                   .present = (const void *)present,
                                   .complete = below(3) == 0,
                                   .fingerprint = round,
                                   .cookie = &slot[0].id[1],
                                   .cookie_len = round % OVTABLE_ID_LEN};
    change_model(touched);
    for (unsigned i = 0; i < SLOTS; i++) {
        bool whole = delta.complete && round % 2 == 0;

        if (touched[i] && slot[i].present && below(8) == 0)
            memcpy(gone[delta.n_remove++], slot[i].id, OVTABLE_ID_LEN);
        if ((touched[i] && (slot[i].present || !delta.complete)) ||
            (whole && slot[i].present) || below(50) == 0)
            say(&slot[i]);
        else if (delta.complete && slot[i].present)
            memcpy(present[delta.n_present++], slot[i].id, OVTABLE_ID_LEN);
    }
}

/* Kept ones too. */
static uint32_t valid_ones(void)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < SLOTS; i++)
        n += slot[i].o.dn != NULL;
    return n;
}

static uint32_t invalid_ones(bool kept)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < SLOTS; i++)
        n += slot[i].invalid && (slot[i].o.dn != NULL) == kept;
    return n;
}

/* By DN, but a version that is kept comes behind. */
static int rank(const struct slot *a, const struct slot *b)
{
    int late = a->invalid - b->invalid;

    return late != 0 ? late : strcmp(a->o.dn, b->o.dn);
}

/* ---- what the table must then say ---- */

static bool stands_under(const struct override *o, enum ovtable_index by,
                         const char *key)
{
    const struct strlist *l = by == OVTABLE_BY_KEY ? &o->keys : &o->exchanges;

    for (size_t i = 0; i < l->n; i++)
        if (o->dn != NULL && o->enabled && strcmp(l->v[i], key) == 0)
            return true;
    return false;
}

static void check_key(struct ovtable *t, enum ovtable_index by, const char *key,
                      int64_t now_s)
{
    const struct slot *best = NULL;
    int64_t edge_s = INT64_MAX, expected_s = INT64_MAX;
    bool any = false;
    struct mxhop_error err = {0};
    struct override o;

    for (unsigned i = 0; i < SLOTS; i++) {
        const struct override *m = &slot[i].o;

        if (!stands_under(m, by, key))
            continue;
        any = true;
        if (override_active(m, now_s) &&
            (best == NULL || rank(&slot[i], best) < 0))
            best = &slot[i];
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct override *m = &slot[i].o;

        if (!stands_under(m, by, key) ||
            (best != NULL && rank(&slot[i], best) > 0))
            continue;
        if (m->not_before_s > now_s && m->not_before_s < expected_s)
            expected_s = m->not_before_s;
        if (m->not_after_s >= now_s && m->not_after_s != 0 &&
            m->not_after_s + 1 < expected_s)
            expected_s = m->not_after_s + 1;
    }
    ck_assert_msg(ovtable_find(t, by, key, now_s, &o, &edge_s, &err) ==
                      MXHOP_OK,
                  "%s", err.text);
    ck_assert_str_eq(o.dn != NULL ? o.dn : "", best != NULL ? best->o.dn : "");
    if (best != NULL) {
        ck_assert_str_eq(o.transport, best->o.transport);
        ck_assert_int_eq(o.kept_s != 0, best->invalid);
    }
    override_free(&o);
    ck_assert_int_eq(ovtable_has(t, by, key), any);
    ck_assert_int_eq(edge_s, expected_s);
}

static bool in_model(void *ctx, struct override *o)
{
    unsigned *n = ctx;

    for (unsigned i = 0; i < SLOTS; i++)
        if (slot[i].o.dn != NULL && strcmp(slot[i].o.dn, o->dn) == 0) {
            ck_assert_str_eq(slot[i].o.transport, o->transport);
            ck_assert_uint_eq(slot[i].o.keys.n, o->keys.n);
            (*n)++;
            return true;
        }
    return false;
}

static bool model_has_exchanges(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (slot[i].o.dn != NULL && slot[i].o.enabled &&
            slot[i].o.exchanges.n > 0)
            return true;
    return false;
}

/* Of the same set, made at once. */
static uint64_t general_of_whole_set(void)
{
    char whole[96], whole_lock[112];
    struct ovtable_write w = {.path = whole, .shrink_percent = 100};
    struct override v[SLOTS];
    struct ovtable_change c;
    struct ovtable_info info;
    struct mxhop_error err;
    struct ovtable *t;
    size_t n = 0;

    snprintf(whole, sizeof(whole), "%s.whole", path);
    snprintf(whole_lock, sizeof(whole_lock), "%s.lock", whole);
    for (unsigned i = 0; i < SLOTS; i++)
        if (slot[i].o.dn != NULL)
            v[n++] = slot[i].o;
    ck_assert_int_eq(ovtable_replace(&w, v, n, &c, &err), MXHOP_OK);
    ck_assert_int_eq(ovtable_open(&t, whole, &err), MXHOP_OK);
    ovtable_info(t, &info);
    ovtable_close(&t);
    unlink(whole);
    unlink(whole_lock);
    return info.general;
}

static void check_table(const unsigned char *id)
{
    static const int64_t times_s[] = {50, 100, 150, 200, 201};
    struct mxhop_error err = {0};
    struct ovtable_info info;
    struct ovtable *t;
    unsigned n = 0;

    ck_assert_msg(ovtable_open(&t, path, &err) == MXHOP_OK, "%s", err.text);
    ovtable_info(t, &info);
    ck_assert_mem_eq(info.id, id, OVTABLE_ID_LEN);
    ck_assert_uint_eq(info.entries, valid_ones());
    ck_assert_int_eq(info.has_exchanges, model_has_exchanges());
    if (invalid_ones(true) == 0)
        ck_assert_uint_eq(info.general, general_of_whole_set());
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned k = 0; k < KEYS; k++)
            check_key(t, OVTABLE_BY_KEY, some_key(k), times_s[i]);
        for (unsigned k = 0; k < EXCHANGES; k++)
            check_key(t, OVTABLE_BY_EXCHANGE, exchange_text(k), times_s[i]);
    }
    ck_assert(!ovtable_has(t, OVTABLE_BY_KEY, "nothing.test"));
    ck_assert_int_eq(ovtable_walk(t, in_model, &n, &err), MXHOP_OK);
    ck_assert_uint_eq(n, valid_ones());
    ovtable_close(&t);
}

static void check_where(unsigned round)
{
    struct ovtable_where where;
    struct mxhop_error err;

    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_OK);
    ck_assert_uint_eq(where.fingerprint, round);
    ck_assert_uint_eq(where.cookie_len, round % OVTABLE_ID_LEN);
    ck_assert_mem_eq(where.cookie, delta.cookie, where.cookie_len);
    ck_assert_uint_eq(where.entries, valid_ones());
    ck_assert_int_eq(where.compiled_s, (int64_t)round + 1);
}

START_TEST(random_deltas)
{
    unsigned char id[OVTABLE_ID_LEN] = {0};
    bool there = false;

    srandom((unsigned)_i + 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ovtable_write w = {.path = path,
                                  .source = "model",
                                  .shrink_percent = 100,
                                  .now_s = round + 1};
        struct mxhop_error err = {0};
        struct ovtable_change c;
        uint32_t before = valid_ones();

        make_delta(round);
        ck_assert_msg(ovtable_apply(&w, &delta, &c, &err) == MXHOP_OK, "%s",
                      err.text);
        ck_assert_uint_eq(c.before, before);
        ck_assert_uint_eq(c.after, valid_ones());
        ck_assert_uint_eq(c.before + c.added - c.removed, c.after);
        ck_assert(c.changed ||
                  (there && c.added + c.modified + c.removed == 0));
        ck_assert_uint_eq(c.kept, invalid_ones(true));
        ck_assert_uint_eq(c.left_out, invalid_ones(false));
        ck_assert_int_eq(memcmp(c.id, id, sizeof(id)) != 0, c.changed);
        memcpy(id, c.id, sizeof(id));
        there = true;
        if (round % 4 == 0 || round > ROUNDS - 10)
            check_table(id);
        check_where(round);
    }
}
END_TEST

/* What was said before changes nothing, and writes next to nothing. */
START_TEST(said_twice)
{
    struct ovtable_write w = {.path = path, .shrink_percent = 0, .now_s = 1};
    unsigned char id[OVTABLE_ID_LEN];
    struct ovtable_where where;
    struct ovtable_change c;
    struct mxhop_error err = {0};

    for (unsigned i = 0; i < SLOTS; i++)
        fill(&slot[i]);
    delta = (struct ovtable_delta){.upsert = upsert};
    for (unsigned i = 0; i < SLOTS; i++)
        say(&slot[i]);
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert(c.changed && c.added == SLOTS);
    memcpy(id, c.id, sizeof(id));
    w.now_s = 2;
    delta.cookie = "two";
    delta.cookie_len = 3;
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert(!c.changed && c.added + c.modified + c.removed == 0);
    ck_assert_mem_eq(c.id, id, sizeof(id));
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_OK);
    ck_assert(where.cookie_len == 3 && memcmp(where.cookie, "two", 3) == 0);
    ck_assert_int_eq(where.compiled_s, 2);
}
END_TEST

/* A difference is applied to the set that it is one of, and to no other. */
START_TEST(superseded)
{
    struct ovtable_write w = {.path = path, .shrink_percent = 100, .now_s = 1};
    struct ovtable_where nothing, first, second;
    struct ovtable_change c;
    struct mxhop_error err = {0};

    ck_assert_int_eq(ovtable_where(path, &nothing, &err), MXHOP_OK);
    fill(&slot[0]);
    delta = (struct ovtable_delta){.upsert = upsert,
                                   .remove = (const void *)gone,
                                   .fingerprint = 1,
                                   .cookie = "one",
                                   .cookie_len = 3,
                                   .since = &nothing};
    say(&slot[0]);
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert_int_eq(ovtable_where(path, &first, &err), MXHOP_OK);
    delta.fingerprint = 2;
    delta.since = &first;
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert_int_eq(ovtable_where(path, &second, &err), MXHOP_OK);

    /* As one that read since the first, and waited for the second to end. */
    delta.n_upsert = 0;
    memcpy(gone[delta.n_remove++], slot[0].id, OVTABLE_ID_LEN);
    delta.fingerprint = 1;
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_ERR_TABLE);
    ck_assert(c.superseded && !c.changed);
    ck_assert_int_eq(ovtable_where(path, &first, &err), MXHOP_OK);
    ck_assert(first.fingerprint == 2 && first.entries == 1);

    delta.since = &second;
    delta.cookie = "two";
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert(!c.superseded && c.after == 0);
    /* What has all of the set does not depend on what was there. */
    delta.complete = true;
    delta.n_remove = 0;
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
}
END_TEST

static bool is_held(void *ctx, struct override *o)
{
    *(unsigned *)ctx += o->held_s == 1;
    return true;
}

/* The table remembers what is held back, and has no cookie as long. */
START_TEST(held_delta)
{
    struct ovtable_write w = {.path = path, .shrink_percent = 50, .now_s = 1};
    struct ovtable_where where;
    struct ovtable_change c;
    struct mxhop_error err = {0};
    struct ovtable *t;
    unsigned n = 0;

    for (unsigned i = 0; i < 10; i++)
        fill(&slot[i]);
    delta = (struct ovtable_delta){.upsert = upsert,
                                   .remove = (const void *)gone,
                                   .cookie = "one",
                                   .cookie_len = 3};
    for (unsigned i = 0; i < 10; i++)
        say(&slot[i]);
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    delta.n_upsert = 0;
    delta.cookie = "two";
    for (unsigned i = 0; i < 6; i++) {
        memcpy(gone[delta.n_remove++], slot[i].id, OVTABLE_ID_LEN);
    }
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert_ptr_nonnull(strstr(c.held_text, "6 of 10"));
    ck_assert(c.changed && c.removed == 0 && c.held == 6);
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_OK);
    ck_assert(where.entries == 10 && where.cookie_len == 0);
    /* Nothing is new, and nothing is forgotten. */
    w.now_s = 2;
    delta.n_remove = 0;
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert(!c.changed && c.held == 6);
    ck_assert_int_eq(ovtable_open(&t, path, &err), MXHOP_OK);
    ck_assert_int_eq(ovtable_walk(t, is_held, &n, &err), MXHOP_OK);
    ovtable_close(&t);
    ck_assert_uint_eq(n, 6);
    /* Two are back: what is left may go. */
    memcpy(present[0], slot[0].id, OVTABLE_ID_LEN);
    delta.present = (const void *)present;
    delta.n_present = 1;
    say(&slot[1]);
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert(c.changed && c.after == 6 && c.held == 0 && c.removed == 4);
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_OK);
    ck_assert_uint_eq(where.cookie_len, 3);
}
END_TEST

/* The same, and it is meant. */
START_TEST(held_and_forced)
{
    struct ovtable_write w = {.path = path, .shrink_percent = 50, .now_s = 1};
    struct ovtable_change c;
    struct mxhop_error err = {0};

    for (unsigned i = 0; i < 10; i++)
        fill(&slot[i]);
    delta = (struct ovtable_delta){.upsert = upsert};
    for (unsigned i = 0; i < 10; i++)
        say(&slot[i]);
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    delta.complete = true;
    delta.n_upsert = 1;
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert(c.after == 10 && c.held == 9);
    delta.complete = false;
    delta.n_upsert = 0;
    w.force = true;
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert(c.after == 1 && c.removed == 9 && c.held == 0);
}
END_TEST

/* ---- versions that are invalid ---- */

static unsigned notes;
static char noted[300];

static void note_down(void *ctx, const struct ovtable_note *n)
{
    (void)ctx;
    notes++;
    snprintf(noted, sizeof(noted), "%s|%s|%d|%d|%zu", n->dn, n->why,
             (int)n->kept_s, n->off, n->line);
}

/* Who answers for a key, and since when it is kept. */
static void check_owner(const char *key, const char *dn, int64_t kept_s)
{
    struct mxhop_error err = {0};
    struct override o;
    struct ovtable *t;

    ck_assert_int_eq(ovtable_open(&t, path, &err), MXHOP_OK);
    ck_assert_int_eq(ovtable_find(t, OVTABLE_BY_KEY, key, 1, &o, NULL, &err),
                     MXHOP_OK);
    ck_assert_str_eq(o.dn != NULL ? o.dn : "", dn);
    ck_assert_int_eq(o.kept_s, kept_s);
    ck_assert_str_eq(o.why != NULL ? o.why : "", kept_s != 0 ? "bad" : "");
    override_free(&o);
    ovtable_close(&t);
}

static void put_key(unsigned i, const char *key)
{
    empty(&slot[i], true);
    set_dn(&slot[i]);
    slot[i].o.enabled = true;
    strlist_add(&slot[i].o.keys, key);
}

static struct ovtable_change apply(int64_t now_s, size_t n_invalid)
{
    struct ovtable_write w = {
        .path = path, .shrink_percent = 50, .now_s = now_s, .note = note_down};
    struct ovtable_change c;
    struct mxhop_error err = {0};

    for (size_t i = 0; i < n_invalid; i++) {
        upsert[i].o = NULL;
        upsert[i].why = "bad";
        upsert[i].dn = "cn=new";
        upsert[i].line = i + 7;
    }
    notes = 0;
    ck_assert_msg(ovtable_apply(&w, &delta, &c, &err) == MXHOP_OK, "%s",
                  err.text);
    memset(upsert, 0, sizeof(upsert));
    delta.n_upsert = 0;
    return c;
}

START_TEST(last_good_version)
{
    struct ovtable_change c;

    delta =
        (struct ovtable_delta){.upsert = upsert, .remove = (const void *)gone};
    put_key(0, "a.test");
    say(&slot[0]);
    c = apply(100, 0);
    ck_assert(notes == 0 && c.kept == 0);
    /* Kept, with the date of the first time, also when it is said again, with a
       whole set, or not at all. */
    say(&slot[0]);
    c = apply(200, 1);
    ck_assert(c.changed && c.kept == 1 && c.removed == 0);
    ck_assert_str_eq(noted, "cn=0,dc=example|bad|200|0|7");
    check_owner("a.test", "cn=0,dc=example", 200);
    delta.complete = true;
    say(&slot[0]);
    c = apply(300, 1);
    ck_assert(!c.changed && c.kept == 1);
    delta.complete = false;
    c = apply(400, 0);
    ck_assert(!c.changed && c.kept == 1);
    ck_assert_str_eq(noted, "cn=0,dc=example|bad|200|0|0");
    /* Another entry for the key is better, though its DN is higher. */
    put_key(5, "a.test");
    say(&slot[5]);
    c = apply(500, 0);
    check_owner("a.test", "cn=5,dc=example", 0);
    empty(&slot[5], false);
    say(&slot[5]);
    c = apply(600, 0);
    delta.n_remove = 0;
    ck_assert(c.removed == 1 && c.kept == 1);
    check_owner("a.test", "cn=0,dc=example", 200);
    /* It is switched off, and on again. */
    say(&slot[0]);
    upsert[0].off = true;
    c = apply(700, 1);
    ck_assert_str_eq(noted, "cn=0,dc=example|bad|200|1|7");
    check_owner("a.test", "", 0);
    say(&slot[0]);
    c = apply(800, 1);
    check_owner("a.test", "cn=0,dc=example", 200);
    /* A good version ends it. */
    say(&slot[0]);
    c = apply(900, 0);
    ck_assert(c.changed && c.modified == 1 && c.kept == 0 && notes == 0);
    check_owner("a.test", "cn=0,dc=example", 0);
}
END_TEST

/* It lives as long as the source has the entry. */
START_TEST(kept_and_removed)
{
    struct ovtable_change c;

    delta =
        (struct ovtable_delta){.upsert = upsert, .remove = (const void *)gone};
    for (unsigned i = 0; i < 3; i++) {
        put_key(i, i == 0 ? "a.test" : "b.test");
        say(&slot[i]);
    }
    c = apply(100, 0);
    say(&slot[0]);
    c = apply(200, 1);
    empty(&slot[0], false);
    say(&slot[0]);
    c = apply(300, 0);
    ck_assert(c.removed == 1 && c.kept == 0 && notes == 0);
    check_owner("a.test", "", 0);
}
END_TEST

/* Kept, held back, left out, noted: or nothing of it. */
START_TEST(out_of_memory)
{
    struct ovtable_write w = {
        .path = path, .shrink_percent = 50, .now_s = 2, .note = note_down};
    bool hit = true;

    for (unsigned n = 1; hit; n++) {
        struct ovtable_change c;
        struct mxhop_error err = {0};
        enum mxhop_status status;

        delta = (struct ovtable_delta){.upsert = upsert, .complete = true};
        for (unsigned i = 0; i < 20; i++) {
            put_key(i, some_key(i));
            say(&slot[i]);
        }
        ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
        delta.n_upsert = 3;
        for (unsigned i = 0; i < 2; i++)
            upsert[i] = (struct ovtable_upsert){
                .why = "bad", .dn = "cn=new", .id = {1}};
        memcpy(upsert[1].id, slot[1].id, OVTABLE_ID_LEN);
        failmalloc_at(n);
        status = ovtable_apply(&w, &delta, &c, &err);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(status, hit ? MXHOP_ERR_MEMORY : MXHOP_OK);
        ck_assert(hit || (c.kept == 1 && c.held == 18 && c.left_out == 1));
    }
}
END_TEST

START_TEST(never_valid)
{
    struct ovtable_change c;

    delta =
        (struct ovtable_delta){.upsert = upsert, .remove = (const void *)gone};
    put_key(0, "a.test");
    say(&slot[0]);
    c = apply(100, 1);
    ck_assert(c.changed && c.after == 0 && c.left_out == 1);
    ck_assert_str_eq(noted, "cn=new|bad|0|0|7");
    c = apply(200, 0);
    ck_assert(!c.changed && c.left_out == 1);
    ck_assert_str_eq(noted, "cn=new|bad|0|0|0");
    memcpy(present[0], slot[0].id, OVTABLE_ID_LEN);
    delta.present = (const void *)present;
    delta.n_present = 1;
    delta.complete = true;
    c = apply(300, 0);
    ck_assert(!c.changed && c.left_out == 1);
    delta.n_present = 0;
    say(&slot[0]);
    c = apply(400, 0);
    ck_assert(c.changed && c.after == 1 && c.left_out == 0);
    say(&slot[0]);
    c = apply(500, 1);
    ck_assert(c.kept == 1 && c.left_out == 0);
    c = apply(600, 0);
    ck_assert(c.held == 1); /* the only one */
    memcpy(upsert[0].id, slot[5].id, OVTABLE_ID_LEN);
    delta.n_upsert = 1;
    c = apply(700, 1);
    ck_assert(c.held == 1 && c.left_out == 1);
    c = apply(800, 0);
    ck_assert(c.changed && c.held == 1 && c.left_out == 0);
}
END_TEST

START_TEST(strict)
{
    struct ovtable_write w = {
        .path = path, .shrink_percent = 50, .now_s = 1, .strict = true};
    struct ovtable_change c;
    struct mxhop_error err = {0};

    delta = (struct ovtable_delta){.upsert = upsert, .complete = true};
    put_key(0, "a.test");
    say(&slot[0]);
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    put_key(1, "b.test");
    say(&slot[1]);
    upsert[0].o = NULL;
    upsert[0].why = upsert[0].dn = "bad";
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_ERR_SYNTAX);
    ck_assert_ptr_nonnull(strstr(err.text, "1 entry is invalid"));
    delta.n_upsert = 0;
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_ERR_HELD);
    ck_assert_ptr_nonnull(strstr(err.text, "1 of 1 entries"));
    check_owner("a.test", "cn=0,dc=example", 0);
    check_owner("b.test", "", 0);
}
END_TEST

/* The table that would be, elsewhere. */
START_TEST(trial)
{
    struct ovtable_write w = {.path = path, .shrink_percent = 50, .now_s = 1};
    char there[96], into[64];
    struct ovtable_change c;
    struct mxhop_error err = {0};
    struct ovtable *t;
    int fd;

    strcpy(into, "/tmp/mxhop-trial-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(into));
    snprintf(there, sizeof(there), "%s/overrides", into);
    fd = open(into, O_RDONLY | O_DIRECTORY);
    w.trial = &fd;
    delta = (struct ovtable_delta){.upsert = upsert, .complete = true};
    put_key(0, "a.test");
    say(&slot[0]);
    ck_assert_int_eq(ovtable_apply(&w, &delta, &c, &err), MXHOP_OK);
    ck_assert(c.changed && c.added == 1);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(ovtable_open(&t, there, &err), MXHOP_OK);
    ovtable_close(&t);
    unlink(there);
    rmdir(into);
    close(fd);
}
END_TEST

START_TEST(no_table_no_place)
{
    struct ovtable_where where;
    struct mxhop_error err;

    memset(&where, 'x', sizeof(where));
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_OK);
    ck_assert(where.fingerprint == 0 && where.cookie_len == 0 &&
              where.entries == 0 && where.compiled_s == 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ovtable_model");
    TCase *t = tcase_create("ovtable_model");

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, random_deltas, 0, pace_is_slow() ? 1 : 3);
    tcase_add_test(t, said_twice);
    tcase_add_test(t, superseded);
    tcase_add_test(t, held_delta);
    tcase_add_test(t, held_and_forced);
    tcase_add_test(t, last_good_version);
    tcase_add_test(t, kept_and_removed);
    tcase_add_test(t, never_valid);
    tcase_add_test(t, out_of_memory);
    tcase_add_test(t, strict);
    tcase_add_test(t, trial);
    tcase_add_test(t, no_table_no_place);
    suite_add_tcase(s, t);
    return suite_run(s);
}
