/*
 * fixed - read an immutable bucket table
 *
 * The file belongs to the user that refreshes it, who is not trusted to have
 * left it alone: it is opened so that neither a FIFO, a lease nor a link holds
 * us up or leads us elsewhere, and read with pread(2) into memory of ours. A
 * file that somebody shortens or copies over while it is read gives pages that
 * do not check, or are not there, and never a signal.
 *
 * A lookup reads the pages of one bucket, mostly one. Whoever asks often loads
 * the filter: a blocked Bloom filter, which says from one cache line of memory
 * that a key is not there.
 *
 * A table owns its descriptor, its filter, and the last long value that it put
 * together. One that was walked keeps all its pages and long values in memory.
 */

#include "table/fixed_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WALK_PAGES 64 /* that are read at once */
#define FIXED_OPEN (O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC)

const char fixed_no_memory[] = "out of memory";
const char fixed_is_link[] = "is a symbolic link; remove it";
const char fixed_is_foreign[] = "is not an override table";

struct fixed_long { /* a value that was put together */
    struct fixed_long *next;
    unsigned char value[];
};

struct fixed {
    int fd;
    struct stat st;
    struct fixed_keys keys;
    uint32_t pages, buckets, blocks;
    uint64_t records;
    unsigned char *filter; /* NULL: not loaded */
    struct fixed_long *longs;
    unsigned char *image; /* all pages before the filter; NULL: not loaded */
    unsigned char header[FIXED_PAGE], page[FIXED_PAGE];
};

/* All n octets, or false: the file is shorter, or cannot be read. */
static bool fixed_read(int fd, void *to, size_t n, uint64_t at)
{
    char *p = to;

    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return true;
}

static void fixed_free_longs(struct fixed *t)
{
    while (t->longs != NULL) {
        struct fixed_long *next = t->longs->next;

        free(t->longs);
        t->longs = next;
    }
}

/* ---- opening ---- */

static const char *fixed_check_header(struct fixed *t)
{
    const unsigned char *h = t->header;

    if (!fixed_read(t->fd, t->header, FIXED_PAGE, 0))
        return memcmp(h + HEADER_MAGIC, FIXED_MAGIC, 8) == 0 ? "is cut short"
                                                             : fixed_is_foreign;
    if (memcmp(h + HEADER_MAGIC, FIXED_MAGIC, 8) != 0)
        return fixed_is_foreign;
    if (load_u32(h + HEADER_FORMAT) != FIXED_FORMAT)
        return "is of another version of mxhop";
    t->keys = fixed_keys_of(h);
    t->pages = load_u32(h + HEADER_PAGES);
    t->buckets = load_u32(h + HEADER_BUCKETS);
    t->blocks = load_u32(h + HEADER_BLOCKS);
    t->records = load_u64(h + HEADER_RECORDS);
    if (load_u64(h + HEADER_CHECK) != page_check(&t->keys, 0, h) ||
        t->buckets == 0 || t->blocks == 0 || t->buckets >= t->pages ||
        t->pages > FIXED_SIZE_MAX / FIXED_PAGE ||
        t->blocks > (uint64_t)t->pages * FILTER_PAGE ||
        filter_octets(t->blocks) > FILTER_MAX ||
        load_u16(h + HEADER_BLOB_LEN) > FIXED_BLOB_MAX)
        return "has a damaged header";
    return NULL;
}

static const char *fixed_load_filter(struct fixed *t)
{
    size_t n = (size_t)filter_octets(t->blocks); /* at most FILTER_MAX */

    t->filter = malloc(n);
    if (t->filter == NULL)
        return fixed_no_memory;
    if (!fixed_read(t->fd, t->filter, n, (uint64_t)t->pages * FIXED_PAGE) ||
        filter_check(&t->keys, t->filter, n) !=
            load_u64(t->header + HEADER_FILTER))
        return "the filter of its keys is damaged";
    return NULL;
}

static const char *fixed_check_file(struct fixed *t, bool filtered)
{
    const char *why;

    if (fstat(t->fd, &t->st) != 0)
        return strerrordesc_np(errno);
    if (!S_ISREG(t->st.st_mode))
        return "is not a regular file";
    if ((t->st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return (t->st.st_mode & S_IWOTH) != 0
                   ? "everybody may write to it; `chmod 0644` it"
                   : "its group may write to it; `chmod 0644` it";
    if (t->st.st_size == 0)
        return "is empty";
    if (t->st.st_size > FIXED_SIZE_MAX)
        return "is too large";
    why = fixed_check_header(t);
    if (why == NULL &&
        fixed_file_octets(t->pages, t->blocks) != (uint64_t)t->st.st_size)
        why = "is cut short, or too long";
    return why == NULL && filtered ? fixed_load_filter(t) : why;
}

const char *fixed_open(struct fixed **t_r, int dir_fd, const char *name,
                       bool filtered)
{
    struct fixed *t = calloc(1, sizeof(*t));
    const char *why;

    *t_r = NULL;
    if (t == NULL)
        return fixed_no_memory;
    t->fd = openat(dir_fd, name, FIXED_OPEN);
    if (t->fd >= 0)
        why = fixed_check_file(t, filtered);
    else if (errno == ELOOP)
        why = fixed_is_link;
    else if (errno == EWOULDBLOCK)
        why = "another process holds a lease on it";
    else
        why = strerrordesc_np(errno);
    if (why != NULL)
        fixed_close(&t);
    *t_r = t;
    return why;
}

void fixed_close(struct fixed **t)
{
    if (*t == NULL)
        return;
    if ((*t)->fd >= 0)
        close((*t)->fd);
    free((*t)->filter);
    fixed_free_longs(*t);
    free((*t)->image);
    free(*t);
    *t = NULL;
}

const unsigned char *fixed_id(const struct fixed *t)
{
    return t->header + HEADER_ID;
}

struct fixed_bytes fixed_blob(const struct fixed *t)
{
    return (struct fixed_bytes){t->header + HEADER_BLOB,
                                load_u16(t->header + HEADER_BLOB_LEN)};
}

size_t fixed_read_blob(int dir_fd, const char *name,
                       unsigned char blob_r[FIXED_BLOB_MAX])
{
    struct fixed t = {.fd = openat(dir_fd, name, FIXED_OPEN)};
    struct fixed_bytes blob = {0};

    if (t.fd >= 0 && fixed_check_header(&t) == NULL)
        blob = fixed_blob(&t);
    if (blob.len > 0)
        memcpy(blob_r, blob.at, blob.len);
    if (t.fd >= 0)
        close(t.fd);
    return blob.len;
}

const struct stat *fixed_stat(const struct fixed *t)
{
    return &t->st;
}

uint64_t fixed_seed(const struct fixed *t)
{
    return t->keys.record;
}

bool fixed_is_unchanged(const struct fixed *t)
{
    unsigned char header[FIXED_PAGE];

    return fixed_read(t->fd, header, sizeof(header), 0) &&
           memcmp(header, t->header, sizeof(header)) == 0;
}

/* ---- pages and records ---- */

static bool fixed_page_checks(const struct fixed *t, uint32_t number,
                              const unsigned char *page)
{
    unsigned used = load_u16(page + PAGE_USED);

    return load_u64(page + PAGE_CHECK) == page_check(&t->keys, number, page) &&
           used >= PAGE_DATA && used <= FIXED_PAGE;
}

/* The record at *at of a page that checks, and *at behind it. false: there is
   none, which is damage unless *at is where the page's records end. */
struct fixed_slot {
    uint32_t tag;
    fixed_kind kind;
    bool in_pieces;
    struct fixed_bytes key, rest;
};

static bool fixed_next_slot(const unsigned char *page, unsigned *at,
                            struct fixed_slot *s)
{
    const unsigned char *p = page + *at;
    unsigned used = load_u16(page + PAGE_USED);

    if (used - *at < RECORD_HEAD)
        return false;
    s->tag = load_u32(p + RECORD_TAG);
    s->kind = p[RECORD_KIND];
    s->in_pieces = p[RECORD_IN_PIECES] != 0;
    s->key.len = load_u16(p + RECORD_KEY_LEN);
    s->rest.len = load_u16(p + RECORD_LEN);
    s->key.at = p + RECORD_HEAD;
    if (used - *at - RECORD_HEAD < s->key.len + s->rest.len ||
        (s->in_pieces && s->rest.len != RECORD_PIECES_LEN))
        return false;
    s->rest.at = s->key.at + s->key.len;
    *at += RECORD_HEAD + (unsigned)(s->key.len + s->rest.len);
    return true;
}

/* A value that does not stand beside its key. */
static enum fixed_found fixed_join(struct fixed *t, struct fixed_bytes pieces,
                                   struct fixed_bytes *value_r)
{
    uint32_t number = load_u32(pieces.at), len = load_u32(pieces.at + 4);
    uint64_t end = number + ((uint64_t)len + PAGE_ROOM - 1) / PAGE_ROOM;
    struct fixed_long *whole;
    unsigned char *value;

    if (number <= t->buckets || end > t->pages || len > FIXED_VALUE_MAX)
        return FIXED_DAMAGED;
    if (t->image == NULL)
        fixed_free_longs(t);
    whole = malloc(sizeof(*whole) + len);
    if (whole == NULL)
        return FIXED_MEMORY;
    whole->next = t->longs;
    t->longs = whole;
    value = whole->value;
    *value_r = (struct fixed_bytes){value, len};
    for (; number < end; number++) {
        unsigned char page[FIXED_PAGE];
        uint32_t n = len < PAGE_ROOM ? len : PAGE_ROOM;

        if (!fixed_read(t->fd, page, FIXED_PAGE,
                        (uint64_t)number * FIXED_PAGE) ||
            !fixed_page_checks(t, number, page) ||
            load_u16(page + PAGE_ROLE) != PAGE_PIECE ||
            load_u16(page + PAGE_USED) != PAGE_DATA + n)
            return FIXED_DAMAGED;
        memcpy(value, page + PAGE_DATA, n);
        value += n;
        len -= n;
    }
    return FIXED_FOUND;
}

enum fixed_found fixed_get(struct fixed *t, fixed_kind kind, const void *key,
                           size_t len, struct fixed_bytes *value_r)
{
    uint64_t hash = record_hash(&t->keys, kind, key, len);
    uint32_t number = record_bucket(hash, t->buckets);
    unsigned char *page = t->page;

    for (int hops = 0; hops <= FIXED_CHAIN_MAX; hops++) {
        unsigned at = PAGE_DATA;
        struct fixed_slot s;
        uint32_t next;

        if (!fixed_read(t->fd, page, FIXED_PAGE,
                        (uint64_t)number * FIXED_PAGE) ||
            !fixed_page_checks(t, number, page) ||
            load_u16(page + PAGE_ROLE) !=
                (hops == 0 ? PAGE_BUCKET : PAGE_OVERFLOW))
            return FIXED_DAMAGED;
        while (fixed_next_slot(page, &at, &s)) {
            if (s.tag != record_tag(hash) || s.kind != kind ||
                s.key.len != len || memcmp(s.key.at, key, len) != 0)
                continue;
            if (s.in_pieces)
                return fixed_join(t, s.rest, value_r);
            *value_r = s.rest;
            return FIXED_FOUND;
        }
        if (at != load_u16(page + PAGE_USED))
            return FIXED_DAMAGED;
        next = load_u32(page + PAGE_NEXT);
        if (next == 0)
            return FIXED_ABSENT;
        if (next <= number || next >= t->pages)
            return FIXED_DAMAGED;
        number = next;
    }
    return FIXED_DAMAGED;
}

bool fixed_has_filter(const struct fixed *t)
{
    return t->filter != NULL;
}

bool fixed_may_have(const struct fixed *t, fixed_kind kind, const void *key,
                    size_t len)
{
    uint64_t hash = record_hash(&t->keys, kind, key, len);
    const unsigned char *block;
    unsigned found = 1;

    if (t->filter == NULL)
        return true;
    block = t->filter + filter_block(hash, t->blocks);
    /* All of them: at which one it ends no processor can foresee. */
    for (int i = 0; i < FILTER_PROBES; i++) {
        unsigned bit = filter_bit(hash, i);

        found &= (unsigned)block[bit / 8] >> bit % 8;
    }
    return found != 0;
}

/* ---- all records ---- */

/* Every page is checked before the next ones are read: a length that only the
   header claims costs no memory. */
static enum fixed_found fixed_load(struct fixed *t)
{
    size_t octets = (size_t)t->pages * FIXED_PAGE;

    t->image = aligned_alloc(FIXED_PAGE, octets);
    if (t->image == NULL)
        return FIXED_MEMORY;
    /* Without, page faults are a quarter of a refresh of a million entries. */
    (void)madvise(t->image, octets, MADV_HUGEPAGE);
    for (uint32_t at = 1, end; at < t->pages; at = end) {
        unsigned char *page = t->image + (size_t)at * FIXED_PAGE;
        bool good;

        end = t->pages - at < WALK_PAGES ? t->pages : at + WALK_PAGES;
        good = fixed_read(t->fd, page, (size_t)(end - at) * FIXED_PAGE,
                          (uint64_t)at * FIXED_PAGE);
        for (uint32_t i = at; i < end && good; i++, page += FIXED_PAGE)
            good = fixed_page_checks(t, i, page) &&
                   (i <= t->buckets) ==
                       (load_u16(page + PAGE_ROLE) == PAGE_BUCKET);
        if (!good) {
            free(t->image);
            t->image = NULL;
            return FIXED_DAMAGED;
        }
    }
    return FIXED_ABSENT;
}

enum fixed_found fixed_walk(struct fixed *t, fixed_walk_fn *fn, void *ctx)
{
    enum fixed_found found = t->image == NULL ? fixed_load(t) : FIXED_ABSENT;
    uint64_t records = 0, joined = 0;

    for (uint32_t i = 1; i < t->pages && found == FIXED_ABSENT; i++) {
        const unsigned char *page = t->image + (size_t)i * FIXED_PAGE;
        unsigned at = PAGE_DATA;
        struct fixed_slot s;

        if (load_u16(page + PAGE_ROLE) == PAGE_PIECE)
            continue;
        for (; fixed_next_slot(page, &at, &s); records++) {
            if (s.in_pieces) {
                /* No piece belongs to two records. */
                joined += load_u32(s.rest.at + 4);
                found = joined <= (uint64_t)t->pages * FIXED_PAGE
                            ? fixed_join(t, s.rest, &s.rest)
                            : FIXED_DAMAGED;
                if (found != FIXED_FOUND)
                    return found;
            }
            if (!fn(ctx, s.kind, s.key, s.rest))
                return FIXED_FOUND;
            found = FIXED_ABSENT;
        }
        if (at != load_u16(page + PAGE_USED))
            return FIXED_DAMAGED;
    }
    return found == FIXED_ABSENT && records != t->records ? FIXED_DAMAGED
                                                          : found;
}
