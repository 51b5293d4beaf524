/*
 * live_write - write the live bucket table
 *
 * Whoever writes holds the lock file, opened for each batch and closed after
 * it. A change is made in a copy of the bucket, which is written with one
 * pwrite(2), or is a record that is written over one of its length; into room
 * that was allocated before (a full file system is an error here, and never a
 * signal for a reader). The order of writes is such that a process that is
 * killed at any instruction leaves every bucket whole, and at worst a record
 * twice, or one whose bucket was split and not told of.
 *
 * A bucket that does not check is started empty; records that are dead are left
 * out when a bucket is written. Whether a record is damaged is for its readers
 * to find out.
 */

#include "table/live_int.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GROW_PERCENT   78 /* of all room, in use */
#define PUT_TRIES      4  /* before anything is forgotten */
#define GROW_AT_ONCE   4  /* buckets split after one put */
#define USED_SLOTS     (LIVE_SLOTS - LIVE_SLOTS / 8)
#define USED_ROOM      (LIVE_ROOM - LIVE_ROOM / 8) /* see enum live_worth */
#define ALLOCATE_SHARE 32 /* of the file, when it becomes longer */
#define LOCK_TRY_NS    500000

struct page_record {
    struct live_record head;
    uint16_t tag, at, len; /* with head, key and value */
};

/* A bucket, read and perhaps changed. */
struct live_page {
    bool loaded;
    uint32_t i;
    unsigned count, used, was_used;
    unsigned end; /* of the last record, and of what was removed behind it */
    struct page_record rec[LIVE_SLOTS];
    unsigned char bytes[LIVE_PAGE];
};

/* ---- one bucket ---- */

static void page_clear(struct live_page *p, uint32_t i)
{
    p->loaded = true;
    p->i = i;
    p->count = p->used = p->was_used = 0;
    p->end = sizeof(struct live_bucket);
}

static void live_forget_pages(struct live *t)
{
    for (int k = 0; k < LIVE_PAGES; k++)
        t->page[k].loaded = false;
}

static void page_forget(struct live *t, uint32_t i)
{
    for (int k = 0; k < LIVE_PAGES; k++)
        if (t->page[k].i == i)
            t->page[k].loaded = false;
}

static void page_load(struct live *t, struct live_page *p, uint32_t i)
{
    const unsigned char *page;
    struct live_bucket b;

    if (p->loaded && p->i == i)
        return;
    page_forget(t, i); /* never two copies of one bucket */
    page_clear(p, i);
    page = live_page_at(t->writer, i);
    if (page == NULL)
        return;
    memcpy(p->bytes, page, LIVE_PAGE);
    memcpy(&b, p->bytes, sizeof(b));
    if (b.count > LIVE_SLOTS ||
        b.check != live_bucket_check(&b, t->head.seed, i))
        return;
    p->was_used = b.used;
    for (unsigned k = 0; k < b.count; k++) {
        struct page_record *r = &p->rec[p->count];

        *r = (struct page_record){.tag = b.slot[k].tag, .at = b.slot[k].at};
        if (r->at < sizeof(b) || r->at > LIVE_PAGE - sizeof(r->head))
            continue;
        memcpy(&r->head, p->bytes + r->at, sizeof(r->head));
        r->len = (uint16_t)live_record_len(&r->head);
        if (live_record_len(&r->head) > (size_t)LIVE_PAGE - r->at ||
            r->head.dead_s <= t->now_s)
            continue;
        if (p->used + r->len > (unsigned)LIVE_ROOM)
            continue; /* they overlap: nobody but an enemy writes such */
        if (r->at + r->len > (int)p->end)
            p->end = r->at + r->len;
        p->used += r->len;
        p->count++;
    }
}

/* Of short records the slots are gone before the room, and the table is to grow
   before that: of 200,000 with 50 octets 330 were forgotten otherwise. */
static unsigned page_used(const struct live_page *p)
{
    unsigned slots = p->count * (LIVE_ROOM / LIVE_SLOTS);

    return p->used > slots ? p->used : slots;
}

/* The records in one piece, without what was removed between them. */
static void page_compact(struct live_page *p)
{
    unsigned char image[LIVE_PAGE];
    unsigned at = sizeof(struct live_bucket);

    if (p->end == at + p->used)
        return;
    for (unsigned k = 0; k < p->count; k++) {
        memcpy(image + at, p->bytes + p->rec[k].at, p->rec[k].len);
        p->rec[k].at = (uint16_t)at;
        at += p->rec[k].len;
    }
    memcpy(p->bytes + sizeof(struct live_bucket),
           image + sizeof(struct live_bucket), p->used);
    p->end = at;
}

static void page_store(struct live *t, struct live_page *p)
{
    struct live_bucket b = {.count = (uint16_t)p->count,
                            .used = (uint16_t)page_used(p)};

    page_compact(p);
    for (unsigned k = 0; k < p->count; k++)
        b.slot[k] = (struct live_slot){p->rec[k].tag, p->rec[k].at};
    memset(p->bytes + p->end, 0, LIVE_PAGE - p->end);
    b.check = live_bucket_check(&b, t->head.seed, p->i);
    memcpy(p->bytes, &b, sizeof(b));
    if (pwrite(t->fd, p->bytes, LIVE_PAGE, ((off_t)p->i + 1) * LIVE_PAGE) !=
        LIVE_PAGE) {
        t->failed = true;
        p->loaded = false; /* the map has it otherwise */
    }
    t->head.used += b.used;
    t->head.used -= t->head.used > p->was_used ? p->was_used : t->head.used;
    p->was_used = b.used;
}

static void page_remove(struct live_page *p, unsigned k)
{
    p->used -= p->rec[k].len;
    p->rec[k] = p->rec[--p->count];
}

static bool page_fits(const struct live_page *p, size_t len)
{
    return p->count < LIVE_SLOTS && p->used + len <= (unsigned)LIVE_ROOM;
}

/* `record` is whole; page_fits() was asked. It is written by page_store(). */
static void page_add(struct live_page *p, uint16_t tag, const void *record)
{
    struct page_record *r = &p->rec[p->count];

    memcpy(&r->head, record, sizeof(r->head));
    r->tag = tag;
    r->len = (uint16_t)live_record_len(&r->head);
    if (p->end + r->len > LIVE_PAGE)
        page_compact(p);
    r->at = (uint16_t)p->end;
    memcpy(p->bytes + r->at, record, r->len);
    p->end += r->len;
    p->used += r->len;
    p->count++;
}

/* What is worth least, and of that what dies first; -1: nothing may go. */
static int page_victim(const struct live_page *p, enum live_worth worth)
{
    unsigned used = 0, n_used = 0;
    int victim = -1;
    bool spare_used;

    for (unsigned k = 0; k < p->count; k++)
        if (p->rec[k].head.worth == LIVE_USED) {
            used += p->rec[k].len;
            n_used++;
        }
    spare_used =
        worth != LIVE_USED && used <= USED_ROOM && n_used <= USED_SLOTS;
    for (unsigned k = 0; k < p->count; k++) {
        const struct live_record *r = &p->rec[k].head,
                                 *v = victim >= 0 ? &p->rec[victim].head : NULL;

        if (r->worth == LIVE_USED && spare_used)
            continue;
        if (v == NULL || r->worth < v->worth ||
            (r->worth == v->worth && r->dead_s < v->dead_s))
            victim = (int)k;
    }
    return victim;
}

/* All or nothing: nothing goes for a record that does not get in. */
static bool page_make_room(struct live_page *p, size_t len,
                           enum live_worth worth)
{
    struct page_record before[LIVE_SLOTS];
    unsigned count = p->count, used = p->used;

    memcpy(before, p->rec, sizeof(before));
    while (!page_fits(p, len)) {
        int victim = page_victim(p, worth);

        if (victim < 0) {
            memcpy(p->rec, before, sizeof(before));
            p->count = count;
            p->used = used;
            return false;
        }
        page_remove(p, (unsigned)victim);
    }
    return true;
}

/* ---- the head, and growth ---- */

static void head_store(struct live *t)
{
    t->head.check = live_head_check(&t->head);
    if (pwrite(t->fd, &t->head, sizeof(t->head), 0) != (ssize_t)sizeof(t->head))
        t->failed = true;
}

static bool head_is_good(const struct live *t)
{
    return t->head.magic == LIVE_MAGIC && t->head.machine == LIVE_MACHINE &&
           t->head.check == live_head_check(&t->head) && t->head.n > 0 &&
           t->head.n <= t->most_n && t->head.boot == t->boot &&
           (uint64_t)t->head.n + 1 <= t->pages;
}

/* Only what is new: tmpfs looks at every page that it is given. */
static bool live_extend(const struct live *t, uint64_t pages)
{
    return fallocate(t->fd, 0, (off_t)t->pages * LIVE_PAGE,
                     (off_t)(pages - t->pages) * LIVE_PAGE) == 0;
}

/* Some more than is wanted now. */
static bool live_allocate(struct live *t, uint64_t pages)
{
    uint64_t most = (uint64_t)t->max_n + 1;
    uint64_t more = pages + pages / ALLOCATE_SHARE + LIVE_FIRST_N;

    if (t->pages >= pages)
        return true;
    if (t->no_room)
        return false;
    if (more > most)
        more = most > pages ? most : pages;
    if (!live_extend(t, more)) {
        more = pages;
        t->no_room = !live_extend(t, more);
    }
    if (!t->no_room)
        t->pages = more;
    return !t->no_room;
}

void live_clear(struct live *t)
{
    live_forget_pages(t);
    t->head = (struct live_head){.magic = LIVE_MAGIC,
                                 .machine = LIVE_MACHINE,
                                 .n = LIVE_FIRST_N,
                                 .boot = t->boot};
    if (!live_allocate(t, LIVE_FIRST_N + 1) ||
        getrandom(&t->head.seed, sizeof(t->head.seed), 0) !=
            (ssize_t)sizeof(t->head.seed)) {
        t->failed = true;
        return;
    }
    for (uint32_t i = 0; i < LIVE_FIRST_N; i++) {
        page_clear(&t->page[0], i);
        page_store(t, &t->page[0]);
    }
    head_store(t);
}

static uint64_t page_hash(const struct live *t, const struct live_page *p,
                          unsigned k)
{
    return hash_bytes(t->head.seed,
                      p->bytes + p->rec[k].at + sizeof(struct live_record),
                      p->rec[k].head.key_len);
}

/* A reader looks for a record in its old bucket until the head says that there
   is a new one, and finds it there, too, until the old one is written last. */
static bool live_split(struct live *t)
{
    uint32_t new = t->head.n, old = new - (1u << (31 - __builtin_clz(new)));
    struct live_page *p = &t->page[0], *q = &t->page[1];

    if (new >= t->max_n || !live_allocate(t, (uint64_t) new + 2))
        return false;
    live_forget_pages(t);
    page_load(t, p, old);
    page_clear(q, new);
    for (unsigned k = p->count; k-- > 0;) {
        uint64_t hash = page_hash(t, p, k);
        uint32_t home = live_home(hash, new + 1);

        if (home != new && (home == old || live_other(hash, new + 1) != new))
            continue;
        page_add(q, p->rec[k].tag, p->bytes + p->rec[k].at);
        page_remove(p, k);
    }
    page_store(t, q);
    if (t->failed)
        return false;
    t->head.n++;
    head_store(t);
    page_store(t, p);
    return true;
}

static bool live_may_grow(const struct live *t)
{
    return t->head.n < t->max_n && !t->no_room;
}

static void live_grow(struct live *t, int buckets)
{
    while (buckets-- > 0 && live_split(t))
        continue;
}

static bool live_is_full(const struct live *t)
{
    return t->head.used * 100 > (uint64_t)t->head.n * LIVE_ROOM * GROW_PERCENT;
}

/* ---- records ---- */

/* Where a record is, as it lies in the map. */
struct live_spot {
    uint32_t bucket;
    unsigned at; /* offset in the page */
    struct live_record head;
};

/* The bucket's head alone tells, nearly always, that the key is not in it. */
static bool live_is_in(struct live *t, uint32_t i, uint64_t hash, bool piece,
                       const void *key, size_t key_len, struct live_spot *s_r)
{
    const unsigned char *page = live_page_at(t->writer, i);
    struct live_record *r = &s_r->head;
    struct live_bucket b;

    if (page == NULL)
        return false;
    memcpy(&b, page, sizeof(b));
    if (b.count > LIVE_SLOTS ||
        b.check != live_bucket_check(&b, t->head.seed, i))
        return false;
    s_r->bucket = i;
    for (unsigned k = 0; k < b.count; k++) {
        unsigned at = s_r->at = b.slot[k].at;

        if (b.slot[k].tag != live_tag(hash) || at < sizeof(b) ||
            at > LIVE_PAGE - sizeof(*r))
            continue;
        memcpy(r, page + at, sizeof(*r));
        if (r->key_len == key_len && (r->kind == LIVE_PIECE) == piece &&
            live_record_len(r) <= LIVE_PAGE - at &&
            memcmp(page + at + sizeof(*r), key, key_len) == 0)
            return true;
    }
    return false;
}

static bool live_locate(struct live *t, uint64_t hash, bool piece,
                        const void *key, size_t key_len, struct live_spot *s_r)
{
    return live_is_in(t, live_home(hash, t->head.n), hash, piece, key, key_len,
                      s_r) ||
           live_is_in(t, live_other(hash, t->head.n), hash, piece, key, key_len,
                      s_r);
}

/* Its bucket without it: the home in page[0], another in page[1]. */
static struct live_page *live_take_out(struct live *t, uint64_t hash,
                                       const struct live_spot *s)
{
    struct live_page *p =
        &t->page[s->bucket == live_home(hash, t->head.n) ? 0 : 1];

    page_load(t, p, s->bucket);
    for (unsigned k = 0; k < p->count; k++)
        if (p->rec[k].at == s->at) {
            page_remove(p, k);
            break;
        }
    return p;
}

/* Move records to the other bucket that they may be in until `len` octets fit.
   Each is there before it is gone here. */
static bool live_shift(struct live *t, struct live_page *p, size_t len)
{
    struct live_page *a = &t->page[2];
    bool moved = false;

    for (unsigned k = p->count; k-- > 0 && !page_fits(p, len);) {
        const struct page_record *r = &p->rec[k];
        uint64_t hash = page_hash(t, p, k);
        uint32_t home = live_home(hash, t->head.n);
        uint32_t to = home == p->i ? live_other(hash, t->head.n) : home;

        if (to == p->i)
            continue;
        page_load(t, a, to);
        if (!page_fits(a, r->len))
            continue;
        page_add(a, r->tag, p->bytes + r->at);
        page_store(t, a);
        page_remove(p, k);
        moved = true;
    }
    if (page_fits(p, len))
        return true;
    if (moved)
        page_store(t, p);
    return false;
}

/* Instead of what stands under the key, if there is room or some can be made:
   by moving, or (evict) by forgetting. The new place is written first. */
static bool live_try_put(struct live *t, uint64_t hash,
                         const unsigned char *record, bool evict)
{
    uint16_t tag = live_tag(hash);
    uint32_t home = live_home(hash, t->head.n),
             other = live_other(hash, t->head.n);
    struct live_page *p = &t->page[0], *q = home == other ? p : &t->page[1];
    struct live_page *was = NULL, *to = NULL;
    struct live_record r;
    struct live_spot s;
    size_t len;

    memcpy(&r, record, sizeof(r));
    len = live_record_len(&r);
    if (live_locate(t, hash, r.kind == LIVE_PIECE, record + sizeof(r),
                    r.key_len, &s))
        was = live_take_out(t, hash, &s);
    page_load(t, p, home);
    if (!page_fits(p, len))
        page_load(t, q, other);
    if (page_fits(p, len)) {
        to = p;
    } else if (page_fits(q, len)) {
        to = q;
    } else if (evict) {
        to = page_make_room(p, len, r.worth)   ? p
             : page_make_room(q, len, r.worth) ? q
                                               : NULL;
    } else {
        if (was != NULL)
            page_store(t, was); /* it is rare that a key is gone a moment */
        was = NULL;
        if (live_shift(t, p, len))
            to = p;
        page_load(t, q, other);
        if (to == NULL && live_shift(t, q, len))
            to = q;
        page_load(t, p, home);
    }
    if (to == NULL) {
        live_forget_pages(t); /* changed, and not written */
        return false;
    }
    page_add(to, tag, record);
    page_store(t, to);
    if (was != NULL && was != to)
        page_store(t, was);
    return true;
}

static void live_put_record(struct live *t, enum live_kind kind,
                            const void *key, size_t key_len, const void *value,
                            size_t len, enum live_worth worth, uint32_t dead_s)
{
    unsigned char record[LIVE_PAGE];
    struct live_record r = {.dead_s = dead_s,
                            .value_len = (uint16_t)len,
                            .key_len = key_len & 1023,
                            .worth = worth & 3,
                            .kind = kind & 3};
    uint64_t hash = hash_bytes(t->head.seed, key, key_len);
    size_t size = live_record_len(&r);
    struct live_spot s;
    bool done;

    memcpy(record, &r, sizeof(r));
    memcpy(record + sizeof(r), key, key_len);
    if (len > 0)
        memcpy(record + sizeof(r) + key_len, value, len);
    r.check = live_record_check(record, t->head.seed);
    memcpy(record, &r.check, sizeof(r.check));
    /* In the place of one of its length: a quarter of the time of a page. */
    done = live_locate(t, hash, kind == LIVE_PIECE, key, key_len, &s) &&
           live_record_len(&s.head) == size;
    if (done) {
        page_forget(t, s.bucket);
        if (pwrite(t->fd, record, size,
                   ((off_t)s.bucket + 1) * LIVE_PAGE + (off_t)s.at) !=
            (ssize_t)size)
            t->failed = true;
    }
    for (int tries = 0; !done && tries < PUT_TRIES && live_may_grow(t);
         tries++) {
        done = live_try_put(t, hash, record, false);
        if (!done)
            live_grow(t, GROW_AT_ONCE);
    }
    if (!done) {
        live_try_put(t, hash, record, true);
        t->failed |= t->no_room; /* it, or what went for it, is lost */
    }
    if (live_is_full(t))
        live_grow(t, GROW_AT_ONCE);
}

/* A writer that was killed may have left an older one in the other bucket. */
static void live_del_record(struct live *t, bool piece, const void *key,
                            size_t key_len)
{
    uint64_t hash = hash_bytes(t->head.seed, key, key_len);
    struct live_spot s;

    while (!t->failed && live_locate(t, hash, piece, key, key_len, &s))
        page_store(t, live_take_out(t, hash, &s));
}

/* The pieces of a long value that is to go. */
static void live_del_pieces(struct live *t, const void *key, size_t key_len)
{
    unsigned char piece_key[LIVE_KEY_MAX + 1];
    struct live_long l;

    if (!live_get_long(t->writer, key, key_len, &l))
        return;
    for (size_t i = 0; i * LIVE_PIECE_MAX < l.len; i++)
        live_del_record(t, true, piece_key,
                        live_piece_key(piece_key, key, key_len, i));
}

/* All that was put is in the map. */
bool live_find(struct live *t, const void *key, size_t key_len,
               struct live_value *value_r)
{
    return live_get(t->writer, key, key_len, value_r);
}

void live_put(struct live *t, const void *key, size_t key_len,
              const void *value, size_t len, enum live_worth worth,
              uint32_t dead_s)
{
    unsigned char piece_key[LIVE_KEY_MAX + 1];
    unsigned char piece[sizeof(uint64_t) + LIVE_PIECE_MAX];
    struct live_long l = {.len = (uint32_t)len};

    if (key_len == 0 || key_len > LIVE_KEY_MAX || len > LIVE_VALUE_MAX)
        return;
    live_del_pieces(t, key, key_len);
    if (len <= LIVE_PIECE_MAX) {
        live_put_record(t, LIVE_WHOLE, key, key_len, value, len, worth, dead_s);
        return;
    }
    if (getrandom(&l.nonce, sizeof(l.nonce), 0) != (ssize_t)sizeof(l.nonce))
        return;
    l.check = hash_bytes(l.nonce, value, len);
    memcpy(piece, &l.nonce, sizeof(l.nonce));
    for (size_t at = 0, i = 0; at < len; at += LIVE_PIECE_MAX, i++) {
        size_t n = len - at < LIVE_PIECE_MAX ? len - at : LIVE_PIECE_MAX;

        memcpy(piece + sizeof(l.nonce), (const unsigned char *)value + at, n);
        live_put_record(t, LIVE_PIECE, piece_key,
                        live_piece_key(piece_key, key, key_len, i), piece,
                        sizeof(l.nonce) + n, worth, dead_s);
    }
    live_put_record(t, LIVE_LONG, key, key_len, &l, sizeof(l), worth, dead_s);
}

void live_del(struct live *t, const void *key, size_t key_len)
{
    if (key_len == 0 || key_len > LIVE_KEY_MAX)
        return;
    live_del_pieces(t, key, key_len);
    live_del_record(t, false, key, key_len);
}

/* ---- begin and end ---- */

/* A process that holds a lock may be stopped: nobody is waited for longer. */
static bool live_pause(uint64_t until_ms)
{
    static const struct timespec some = {0, LOCK_TRY_NS};

    if (clock_boot_ms() >= until_ms)
        return false;
    nanosleep(&some, NULL);
    return true;
}

static bool live_lock(struct live *t, uint64_t until_ms)
{
    while (pthread_mutex_trylock(&t->writing) != 0)
        if (!live_pause(until_ms))
            return false;
    if (t->dir_fd < 0 && t->pid == getpid())
        return true;
    if (t->dir_fd < 0) {
        pthread_mutex_unlock(&t->writing);
        return false;
    }
    t->lock_fd = live_open_own(t->dir_fd, t->lock_name, NULL);
    while (t->lock_fd >= 0 && flock(t->lock_fd, LOCK_EX | LOCK_NB) < 0)
        if (errno != EWOULDBLOCK || !live_pause(until_ms)) {
            close(t->lock_fd);
            t->lock_fd = -1;
        }
    if (t->lock_fd >= 0)
        return true;
    pthread_mutex_unlock(&t->writing);
    return false;
}

/* A child may have the descriptor, and with it the lock. */
static void live_unlock(struct live *t)
{
    if (t->lock_fd >= 0) {
        flock(t->lock_fd, LOCK_UN);
        close(t->lock_fd);
    }
    t->lock_fd = -1;
    pthread_mutex_unlock(&t->writing);
}

/* Under the lock: the file under the name, which somebody may have removed. */
static bool live_follow_name(struct live *t, struct stat *st_r)
{
    struct stat named;
    int fd;

    if (fstat(t->fd, st_r) < 0)
        return false;
    if (t->dir_fd < 0 ||
        (fstatat(t->dir_fd, t->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         named.st_ino == st_r->st_ino && named.st_dev == st_r->st_dev))
        return true;
    fd = live_open_own(t->dir_fd, t->name, NULL);
    if (fd < 0)
        return false;
    if (fallocate(fd, 0, 0, LIVE_PAGE) < 0 || dup3(fd, t->fd, O_CLOEXEC) < 0) {
        close(fd);
        return false;
    }
    close(fd);
    atomic_fetch_add(&t->replaced, 1);
    return fstat(t->fd, st_r) == 0;
}

static bool live_prepare(struct live *t)
{
    struct stat st;

    if (t->page == NULL)
        t->page = calloc(LIVE_PAGES, sizeof(*t->page));
    if (t->writer == NULL)
        t->writer = live_view_open(t);
    if (t->page == NULL || t->writer == NULL || !live_follow_name(t, &st))
        return false;
    live_forget_pages(t);
    t->pages = (uint64_t)st.st_size / LIVE_PAGE;
    t->now_s = (uint32_t)(clock_boot_ms() / 1000);
    t->failed = t->no_room = false;
    if (pread(t->fd, &t->head, sizeof(t->head), 0) != (ssize_t)sizeof(t->head))
        return false;
    if (!head_is_good(t))
        live_clear(t);
    return !t->failed;
}

bool live_begin(struct live *t, uint32_t wait_ms)
{
    if (!live_lock(t, clock_boot_ms() + wait_ms))
        return false;
    if (live_prepare(t))
        return true;
    live_unlock(t);
    return false;
}

bool live_end(struct live *t)
{
    bool done;

    head_store(t);
    done = !t->failed;
    live_unlock(t);
    return done;
}
