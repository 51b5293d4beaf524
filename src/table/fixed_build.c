/*
 * fixed_build - write an immutable bucket table
 *
 * Buckets are filled one after another and written as they become full; pages
 * that overflow, and pieces of long values, are few: they wait in memory until
 * all buckets are written, and the header comes last. The file gets a name of
 * its own, its mode and both syncs before it is renamed: a builder that dies at
 * any instruction leaves what was there.
 */

#include "table/fixed_format.h"
#include "util/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define FILL_PERCENT 75  /* of the buckets, on average */
#define WRITE_PAGES  256 /* at once */
#define TRIES        4   /* each with half as much in a bucket */

struct build {
    const struct fixed_set *set;
    int fd;
    struct fixed_keys keys;
    unsigned char header[FIXED_PAGE];
    uint32_t buckets, blocks;
    uint64_t *hash;  /* of each record */
    uint32_t *order; /* records by bucket */
    uint32_t *first; /* where in `order` a bucket begins; one more at the end */
    unsigned char *out; /* buckets that are not written yet */
    struct buf tail;    /* all pages behind the buckets */
    unsigned char *filter;
};

static void store_u16(unsigned char *p, size_t v)
{
    p[0] = (unsigned char)v;
    p[1] = (unsigned char)(v >> 8);
}

static void store_u32(unsigned char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void store_u64(unsigned char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static int build_write(int fd, const void *bytes, size_t n, uint64_t at)
{
    const char *p = bytes;

    while (n > 0) {
        ssize_t put = pwrite(fd, p, n, (off_t)at);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? errno : EIO;
        p += put;
        n -= (size_t)put;
        at += (uint64_t)put;
    }
    return 0;
}

/* ---- which record goes where ---- */

static size_t build_room(const struct fixed_record *r)
{
    return RECORD_HEAD + r->key.len +
           (r->value.len <= RECORD_INLINE_MAX ? r->value.len
                                              : RECORD_PIECES_LEN);
}

/* Records by bucket: a sort by counting. */
static int build_arrange(struct build *b, unsigned fill_percent)
{
    const struct fixed_set *set = b->set;
    uint64_t octets = 0, in_filter = 0, buckets;

    for (size_t i = 0; i < set->n; i++) {
        octets += build_room(&set->records[i]);
        in_filter += set->records[i].filtered;
    }
    buckets = octets * 100 / ((uint64_t)PAGE_ROOM * fill_percent) + 1;
    if (set->n >= UINT32_MAX || in_filter >= FILTER_MAX * 8 / FILTER_KEY_BITS ||
        buckets + octets / PAGE_ROOM > FIXED_SIZE_MAX / FIXED_PAGE)
        return EFBIG;
    b->buckets = (uint32_t)buckets;
    b->blocks =
        (uint32_t)(in_filter * FILTER_KEY_BITS / (FILTER_BLOCK * 8)) + 1;
    b->hash = malloc((set->n + 1) * sizeof(*b->hash));
    b->order = malloc((set->n + 1) * sizeof(*b->order));
    b->first = calloc(buckets + 3, sizeof(*b->first));
    b->filter = calloc(b->blocks, FILTER_BLOCK);
    if (b->hash == NULL || b->order == NULL || b->first == NULL ||
        b->filter == NULL)
        return ENOMEM;
    for (size_t i = 0; i < set->n; i++) {
        const struct fixed_record *r = &set->records[i];

        b->hash[i] = record_hash(&b->keys, r->kind, r->key.at, r->key.len);
        b->first[record_bucket(b->hash[i], b->buckets) + 2]++;
        for (int k = 0; r->filtered && k < FILTER_PROBES; k++) {
            unsigned bit = filter_bit(b->hash[i], k);

            b->filter[filter_block(b->hash[i], b->blocks) + bit / 8] |=
                (unsigned char)(1u << bit % 8);
        }
    }
    /* Bucket k gets order[first[k]..first[k + 1]), when the loop is through. */
    for (uint32_t k = 2; k < b->buckets + 3; k++)
        b->first[k] += b->first[k - 1];
    for (size_t i = 0; i < set->n; i++)
        b->order[b->first[record_bucket(b->hash[i], b->buckets) + 1]++] =
            (uint32_t)i;
    return 0;
}

/* ---- pages ---- */

static void build_seal(const struct build *b, uint32_t number,
                       unsigned char *page, enum page_role role, size_t used,
                       uint32_t next)
{
    store_u32(page + PAGE_NEXT, next);
    store_u16(page + PAGE_USED, used);
    store_u16(page + PAGE_ROLE, (size_t)role);
    memset(page + used, 0, FIXED_PAGE - used);
    store_u64(page + PAGE_CHECK, page_check(&b->keys, number, page));
}

/* The number of the next page behind the buckets. */
static uint32_t build_next(const struct build *b)
{
    return 1 + b->buckets + (uint32_t)(b->tail.len / FIXED_PAGE);
}

static void build_pieces(struct build *b, struct fixed_bytes value)
{
    unsigned char page[FIXED_PAGE];

    while (value.len > 0) {
        size_t n = value.len < PAGE_ROOM ? value.len : PAGE_ROOM;

        memcpy(page + PAGE_DATA, value.at, n);
        build_seal(b, build_next(b), page, PAGE_PIECE, PAGE_DATA + n, 0);
        buf_add(&b->tail, page, FIXED_PAGE);
        value.at += n;
        value.len -= n;
    }
}

static size_t build_put(struct build *b, unsigned char *p, size_t i)
{
    const struct fixed_record *r = &b->set->records[i];
    bool in_pieces = r->value.len > RECORD_INLINE_MAX;

    store_u32(p + RECORD_TAG, record_tag(b->hash[i]));
    store_u16(p + RECORD_KEY_LEN, r->key.len);
    store_u16(p + RECORD_LEN, in_pieces ? RECORD_PIECES_LEN : r->value.len);
    p[RECORD_KIND] = r->kind;
    p[RECORD_IN_PIECES] = in_pieces;
    memcpy(p + RECORD_HEAD, r->key.at, r->key.len); /* never empty */
    p += RECORD_HEAD + r->key.len;
    if (in_pieces) {
        store_u32(p, build_next(b));
        store_u32(p + 4, (uint32_t)r->value.len);
        build_pieces(b, r->value);
    } else if (r->value.len > 0) {
        memcpy(p, r->value.at, r->value.len);
    }
    return build_room(r);
}

/* One bucket, its first page at `page`. A page behind it that is being filled
   has its number already, so pieces of its records come after it. ERANGE: its
   chain would be too long. */
static int build_bucket(struct build *b, uint32_t bucket, unsigned char *page)
{
    uint32_t number = bucket, next;
    enum page_role role = PAGE_BUCKET;
    size_t at = b->first[bucket], end = b->first[bucket + 1];
    unsigned char overflow[FIXED_PAGE];
    size_t slot = 0; /* in the tail, of the overflow page being filled */

    for (int hops = 0;; hops++) {
        size_t used = PAGE_DATA;

        if (hops > FIXED_CHAIN_MAX)
            return ERANGE;
        while (at < end &&
               used + build_room(&b->set->records[b->order[at]]) <= FIXED_PAGE)
            used += build_put(b, page + used, b->order[at++]);
        next = at < end ? build_next(b) : 0;
        build_seal(b, number, page, role, used, next);
        if (b->tail.failed)
            return ENOMEM;
        if (role == PAGE_OVERFLOW)
            memcpy(b->tail.data + slot, page, FIXED_PAGE);
        if (next == 0)
            return 0;
        page = overflow;
        number = next;
        role = PAGE_OVERFLOW;
        slot = b->tail.len;
        memset(overflow, 0, sizeof(overflow));
        buf_add(&b->tail, overflow, FIXED_PAGE);
    }
}

static int build_buckets(struct build *b)
{
    int rc = 0;

    b->out = malloc((size_t)WRITE_PAGES * FIXED_PAGE);
    if (b->out == NULL)
        return ENOMEM;
    for (uint32_t at = 0, n; at < b->buckets && rc == 0; at += n) {
        n = b->buckets - at < WRITE_PAGES ? b->buckets - at : WRITE_PAGES;
        for (uint32_t i = 0; i < n && rc == 0; i++)
            rc = build_bucket(b, 1 + at + i, b->out + (size_t)i * FIXED_PAGE);
        if (rc == 0)
            rc = build_write(b->fd, b->out, (size_t)n * FIXED_PAGE,
                             (uint64_t)(1 + at) * FIXED_PAGE);
    }
    return rc;
}

static int build_rest(struct build *b)
{
    unsigned char *header = b->header;
    uint32_t pages = build_next(b);
    uint64_t size = fixed_file_octets(pages, b->blocks);
    size_t in_filter = (size_t)filter_octets(b->blocks);
    int rc = size > (uint64_t)FIXED_SIZE_MAX ? EFBIG : 0;

    memcpy(header + HEADER_MAGIC, FIXED_MAGIC, 8);
    store_u32(header + HEADER_FORMAT, FIXED_FORMAT);
    store_u32(header + HEADER_PAGES, pages);
    store_u32(header + HEADER_BUCKETS, b->buckets);
    store_u32(header + HEADER_BLOCKS, b->blocks);
    store_u64(header + HEADER_RECORDS, b->set->n);
    store_u64(header + HEADER_FILTER,
              filter_check(&b->keys, b->filter, in_filter));
    store_u16(header + HEADER_BLOB_LEN, b->set->blob.len);
    if (b->set->blob.len > 0)
        memcpy(header + HEADER_BLOB, b->set->blob.at, b->set->blob.len);
    store_u64(header + HEADER_CHECK, page_check(&b->keys, 0, header));
    if (rc == 0 && b->tail.len > 0)
        rc = build_write(b->fd, b->tail.data, b->tail.len,
                         (uint64_t)(1 + b->buckets) * FIXED_PAGE);
    if (rc == 0)
        rc = build_write(b->fd, b->filter, in_filter,
                         (uint64_t)pages * FIXED_PAGE);
    if (rc == 0 && ftruncate(b->fd, (off_t)size) != 0)
        rc = errno;
    return rc == 0 ? build_write(b->fd, header, FIXED_PAGE, 0) : rc;
}

static int build_file(struct build *b)
{
    unsigned fill_percent = FILL_PERCENT;
    int rc = ERANGE;

    for (int try = 0; try < TRIES && rc == ERANGE; try++, fill_percent /= 2) {
        free(b->hash);
        free(b->order);
        free(b->first);
        free(b->filter);
        free(b->out);
        b->hash = NULL;
        b->order = b->first = NULL;
        b->filter = b->out = NULL;
        buf_reset(&b->tail);
        rc = build_arrange(b, fill_percent);
        if (rc == 0)
            rc = build_buckets(b);
    }
    return rc == 0 ? build_rest(b) : rc;
}

static bool build_is_possible(const struct fixed_set *set)
{
    bool possible = set->blob.len <= FIXED_BLOB_MAX;

    for (size_t i = 0; i < set->n && possible; i++)
        possible = set->records[i].key.len > 0 &&
                   set->records[i].key.len <= FIXED_KEY_MAX &&
                   set->records[i].value.len <= FIXED_VALUE_MAX;
    return possible;
}

/* Whether what lies under the name is ours: two builders at once would rename
   each other's half. */
static bool build_is_ours(const struct build *b, int dir_fd, const char *name)
{
    struct stat st, there;

    return b->fd >= 0 && fstat(b->fd, &st) == 0 &&
           fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_ino == there.st_ino && st.st_dev == there.st_dev;
}

int fixed_build(int dir_fd, const char *name, const struct fixed_set *set,
                unsigned char id_r[FIXED_ID_LEN])
{
    struct build b = {.set = set, .fd = -1};
    char temporary[NAME_MAX + 1];
    uint64_t seed;
    int rc = 0;

    if (!build_is_possible(set))
        return EINVAL;
    if (snprintf(temporary, sizeof(temporary), "%s.new", name) >=
        (int)sizeof(temporary))
        return ENAMETOOLONG;
    if (getrandom(b.header + HEADER_ID, FIXED_ID_LEN, 0) != FIXED_ID_LEN ||
        getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return errno;
    store_u64(b.header + HEADER_SEED, set->seed != 0 ? set->seed : seed | 1);
    b.keys = fixed_keys_of(b.header);
    /* What a builder that was killed has left. */
    if (unlinkat(dir_fd, temporary, 0) != 0 && errno != ENOENT)
        return errno;
    b.fd = openat(dir_fd, temporary,
                  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    rc = b.fd < 0 ? errno : build_file(&b);
    if (rc == 0 && (fchmod(b.fd, 0644) != 0 || fsync(b.fd) != 0))
        rc = errno;
    if (rc == 0 && !build_is_ours(&b, dir_fd, temporary))
        rc = EBUSY;
    if (rc == 0 && renameat(dir_fd, temporary, dir_fd, name) != 0)
        rc = errno;
    if (rc != 0 && build_is_ours(&b, dir_fd, temporary))
        unlinkat(dir_fd, temporary, 0);
    else if (fsync(dir_fd) != 0)
        rc = errno;
    memcpy(id_r, b.header + HEADER_ID, FIXED_ID_LEN);
    if (b.fd >= 0)
        close(b.fd);
    free(b.hash);
    free(b.order);
    free(b.first);
    free(b.filter);
    free(b.out);
    buf_free(&b.tail);
    return rc;
}
