/*
 * live - open and read the live bucket table
 *
 * A writer replaces a bucket or a record with one pwrite(2), which a reader may
 * see in part. So reads prove themselves: the head of the bucket is copied and
 * checked, then the record, at most of what is left of the page, and the whole
 * key compared. What does not check is tried again, a few times, as the writer
 * will be through in less than a microsecond; what is damaged for good is a
 * miss. No reader is known to anybody: one that is stopped or killed costs
 * nothing, and neither does fork(2).
 *
 * A map is read-only and no longer than the file, which never becomes shorter:
 * a bucket beyond the size last seen means fstat(2) and a longer map. Whoever
 * cuts the file of its own user kills its own processes, and nobody else's.
 *
 * `memory` is the same on an anonymous file (memfd_create(2)).
 */

#include "table/live_int.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TRIES   8
#define MAP_MAX (sizeof(void *) < 8 ? (uint64_t)512 << 20 : (uint64_t)1 << 40)

/* ---- open ---- */

uint64_t live_boot(void)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char id[64];
    ssize_t n = fd >= 0 ? read(fd, id, sizeof(id)) : -1;

    if (fd >= 0)
        close(fd);
    return n > 0 ? hash_bytes(1, id, (size_t)n) : 0;
}

static uint32_t live_buckets(uint64_t size_bytes)
{
    uint64_t n = (size_bytes < MAP_MAX ? size_bytes : MAP_MAX) / LIVE_PAGE;

    return n > LIVE_FIRST_N + 1 ? (uint32_t)(n - 1) : LIVE_FIRST_N;
}

/* Takes fd. */
static enum mxhop_status live_new(struct live **t_r, int fd,
                                  uint64_t size_bytes, struct mxhop_error *err)
{
    struct live *t = calloc(1, sizeof(*t));
    struct statvfs fs;

    if (t == NULL || pthread_mutex_init(&t->writing, NULL) != 0) {
        free(t);
        close(fd);
        return err_nomem(err);
    }
    t->most_n = UINT32_MAX;
    if (fstatvfs(fd, &fs) == 0 && fs.f_blocks > 0)
        t->most_n = live_buckets((uint64_t)fs.f_blocks / 2 * fs.f_frsize);
    t->max_n = live_buckets(size_bytes);
    if (t->max_n > t->most_n)
        t->max_n = t->most_n;
    t->fd = fd;
    t->dir_fd = t->lock_fd = -1;
    t->pid = getpid();
    atomic_init(&t->replaced, 0);
    *t_r = t;
    return MXHOP_OK;
}

/* Of one file, whoever asks: -1 with *err. */
int live_open_own(int dir_fd, const char *name, struct mxhop_error *err)
{
    int fd = openat(dir_fd, name,
                    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
                        O_NOCTTY,
                    0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        err_set(err, MXHOP_ERR_IO,
                errno == ELOOP ? "%s: is a symbolic link; remove it" : "%s: %s",
                name, strerror(errno));
    else if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        err_set(err, MXHOP_ERR_IO,
                "%s: is not a regular file with one name; remove it", name);
    else if (st.st_uid != geteuid())
        err_set(err, MXHOP_ERR_IO, "%s: belongs to uid %lu; remove it", name,
                (unsigned long)st.st_uid);
    else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        err_set(err, MXHOP_ERR_IO, "%s: others may write to it; remove it",
                name);
    else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0 && fchmod(fd, 0600) < 0)
        err_set(err, MXHOP_ERR_IO, "%s: %s", name, strerror(errno));
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Room for the head, so that there is something to map. Zeroes are no head. */
static bool live_has_head(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 &&
           (st.st_size >= LIVE_PAGE || fallocate(fd, 0, 0, LIVE_PAGE) == 0);
}

enum mxhop_status live_open_file(struct live **t_r, int dir_fd,
                                 const char *name, uint64_t size_bytes,
                                 uint64_t boot, struct mxhop_error *err)
{
    int fd = live_open_own(dir_fd, name, err);
    enum mxhop_status status;

    *t_r = NULL;
    if (fd < 0)
        return MXHOP_ERR_IO;
    if (!live_has_head(fd)) {
        err_set(err, MXHOP_ERR_IO, "%s: %s", name, strerror(errno));
        close(fd);
        return MXHOP_ERR_IO;
    }
    status = live_new(t_r, fd, size_bytes, err);
    if (status != MXHOP_OK)
        return status;
    (*t_r)->boot = boot;
    (*t_r)->dir_fd = dir_fd;
    snprintf((*t_r)->name, sizeof((*t_r)->name), "%s", name);
    snprintf((*t_r)->lock_name, sizeof((*t_r)->lock_name), "%s.lock", name);
    return MXHOP_OK;
}

enum mxhop_status live_open_memory(struct live **t_r, uint64_t size_bytes,
                                   struct mxhop_error *err)
{
    int fd = memfd_create("mxhop-cache", MFD_CLOEXEC);

    *t_r = NULL;
    if (fd < 0 || !live_has_head(fd)) {
        err_set(err, MXHOP_ERR_IO, "memfd_create: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return MXHOP_ERR_IO;
    }
    return live_new(t_r, fd, size_bytes, err);
}

void live_close(struct live **t)
{
    if (*t == NULL)
        return;
    live_view_close(&(*t)->writer);
    close((*t)->fd);
    pthread_mutex_destroy(&(*t)->writing);
    free((*t)->page);
    free(*t);
    *t = NULL;
}

bool live_is_shared(const struct live *t)
{
    return t->dir_fd >= 0;
}

/* ---- views ---- */

struct live_view *live_view_open(struct live *t)
{
    struct live_view *v = calloc(1, sizeof(*v));

    if (v != NULL)
        v->t = t;
    return v;
}

void live_view_close(struct live_view **v)
{
    if (*v == NULL)
        return;
    if ((*v)->map != NULL)
        munmap((void *)(uintptr_t)(*v)->map, (*v)->map_len);
    free((*v)->value);
    free(*v);
    *v = NULL;
}

/* The file has been replaced, or may be longer than the map. */
static bool live_map(struct live_view *v)
{
    unsigned replaced = atomic_load(&v->t->replaced);
    struct stat st;
    size_t len;
    void *map;

    if (fstat(v->t->fd, &st) < 0 || st.st_size < LIVE_PAGE)
        return false;
    len = (uint64_t)st.st_size > MAP_MAX
              ? (size_t)MAP_MAX
              : (size_t)st.st_size & ~(size_t)(LIVE_PAGE - 1);
    if (v->map != NULL && v->replaced == replaced && len == v->map_len)
        return true;
    if (v->map != NULL && v->replaced == replaced) {
        map = mremap((void *)(uintptr_t)v->map, v->map_len, len,
                     MREMAP_MAYMOVE); /* pages that are there stay */
    } else {
        map = mmap(NULL, len, PROT_READ, MAP_SHARED, v->t->fd, 0);
        if (map != MAP_FAILED && v->map != NULL)
            munmap((void *)(uintptr_t)v->map, v->map_len);
    }
    if (map == MAP_FAILED)
        return false;
    v->map = map;
    v->map_len = len;
    v->replaced = replaced;
    return true;
}

const unsigned char *live_page_at(struct live_view *v, uint32_t i)
{
    size_t end = ((size_t)i + 2) * LIVE_PAGE;

    if ((v->map == NULL || end > v->map_len ||
         v->replaced != atomic_load(&v->t->replaced)) &&
        (!live_map(v) || end > v->map_len))
        return NULL;
    return v->map + end - LIVE_PAGE;
}

/* Of what is there now. false: nothing is. */
static bool live_read_head(struct live_view *v, uint32_t *n_r, uint64_t *seed_r)
{
    const volatile struct live_head *h;
    struct live_head whole;

    if ((v->map == NULL || v->replaced != atomic_load(&v->t->replaced)) &&
        !live_map(v))
        return false;
    h = (const volatile struct live_head *)v->map;
    *n_r = h->n;
    *seed_r = h->seed;
    if (h->magic != LIVE_MAGIC || h->machine != LIVE_MACHINE ||
        h->boot != v->t->boot || *n_r == 0 || *n_r > v->t->most_n)
        return false;
    if (((uint64_t)*n_r + 1) * LIVE_PAGE <= v->map_len)
        return true;
    memcpy(&whole, v->map, sizeof(whole)); /* it has grown, or is damaged */
    return whole.check == live_head_check(&whole) && live_map(v) &&
           ((uint64_t)*n_r + 1) * LIVE_PAGE <= v->map_len;
}

uint64_t live_seed(const struct live *t)
{
    struct live_head h;

    return pread(t->fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) ? h.seed : 0;
}

/* ---- reading ---- */

enum live_found { LIVE_ABSENT, LIVE_FOUND, LIVE_TORN };

/* Copies the record to v->page. */
static enum live_found live_search(struct live_view *v, uint32_t i,
                                   uint64_t seed, uint64_t hash, bool piece,
                                   const void *key, size_t key_len)
{
    const unsigned char *page = v->map + ((size_t)i + 1) * LIVE_PAGE;
    uint16_t tag = live_tag(hash);
    struct live_bucket b;
    struct live_record r;

    memcpy(&b, page, sizeof(b));
    if (b.count > LIVE_SLOTS || b.check != live_bucket_check(&b, seed, i))
        return LIVE_TORN;
    for (unsigned k = 0; k < b.count; k++) {
        unsigned at = b.slot[k].at;

        if (b.slot[k].tag != tag)
            continue;
        if (at < sizeof(b) || at > LIVE_PAGE - sizeof(r))
            return LIVE_TORN;
        memcpy(&r, page + at, sizeof(r));
        if (live_record_len(&r) > LIVE_PAGE - at)
            return LIVE_TORN;
        if (r.key_len != key_len || (r.kind == LIVE_PIECE) != piece)
            continue;
        memcpy(v->page, &r, sizeof(r));
        memcpy(v->page + sizeof(r), page + at + sizeof(r),
               live_record_len(&r) - sizeof(r));
        if (live_record_check(v->page, seed) != r.check)
            return LIVE_TORN;
        if (memcmp(v->page + sizeof(r), key, key_len) == 0)
            return LIVE_FOUND;
    }
    return LIVE_ABSENT;
}

/* piece: of a long value. The record is in v->page then. */
static bool live_lookup(struct live_view *v, const void *key, size_t key_len,
                        bool piece)
{
    for (int tries = 0; tries < TRIES; tries++) {
        enum live_found found;
        uint32_t n, later_n;
        uint64_t seed, hash;

        if (!live_read_head(v, &n, &seed))
            return false;
        hash = hash_bytes(seed, key, key_len);
        found =
            live_search(v, live_home(hash, n), seed, hash, piece, key, key_len);
        if (found == LIVE_ABSENT)
            found = live_search(v, live_other(hash, n), seed, hash, piece, key,
                                key_len);
        if (found == LIVE_FOUND)
            return true;
        /* A bucket that was split meanwhile was looked for in its old place. */
        if (found == LIVE_ABSENT && live_read_head(v, &later_n, &seed) &&
            later_n == n)
            return false;
    }
    return false;
}

void live_ahead(struct live_view *v, const void *key, size_t key_len)
{
    const unsigned char *page;
    uint64_t seed;
    uint32_t n;

    if (!live_read_head(v, &n, &seed))
        return;
    page = v->map + ((size_t)live_home(hash_bytes(seed, key, key_len), n) + 1) *
                        LIVE_PAGE;
    __builtin_prefetch(page);
    __builtin_prefetch(page + 64);
}

size_t live_piece_key(unsigned char key_r[LIVE_KEY_MAX + 1], const void *key,
                      size_t key_len, size_t number)
{
    memcpy(key_r, key, key_len);
    key_r[key_len] = (unsigned char)number;
    return key_len + 1;
}

/* Of the record in v->page. */
static bool live_is_long(const struct live_view *v, struct live_long *l_r)
{
    struct live_record r;

    memcpy(&r, v->page, sizeof(r));
    if (r.kind != LIVE_LONG || r.value_len != sizeof(*l_r))
        return false;
    memcpy(l_r, v->page + sizeof(r) + r.key_len, sizeof(*l_r));
    return l_r->len > LIVE_PIECE_MAX && l_r->len <= LIVE_VALUE_MAX;
}

bool live_get_long(struct live_view *v, const void *key, size_t key_len,
                   struct live_long *l_r)
{
    return live_lookup(v, key, key_len, false) && live_is_long(v, l_r);
}

/* Piece by piece into v->value. */
static bool live_assemble(struct live_view *v, const void *key, size_t key_len,
                          const struct live_long *l)
{
    unsigned char piece_key[LIVE_KEY_MAX + 1];
    struct live_record r;
    uint64_t nonce;

    if (v->value == NULL)
        v->value = malloc(LIVE_VALUE_MAX);
    if (v->value == NULL)
        return false;
    for (size_t at = 0, i = 0; at < l->len; at += LIVE_PIECE_MAX, i++) {
        size_t n = l->len - at < LIVE_PIECE_MAX ? l->len - at : LIVE_PIECE_MAX;
        size_t n_key = live_piece_key(piece_key, key, key_len, i);

        if (!live_lookup(v, piece_key, n_key, true))
            return false;
        memcpy(&r, v->page, sizeof(r));
        memcpy(&nonce, v->page + sizeof(r) + n_key, sizeof(nonce));
        if (r.value_len != sizeof(nonce) + n || nonce != l->nonce)
            return false;
        memcpy(v->value + at, v->page + sizeof(r) + n_key + sizeof(nonce), n);
    }
    return hash_bytes(l->nonce, v->value, l->len) == l->check;
}

bool live_get(struct live_view *v, const void *key, size_t key_len,
              struct live_value *value_r)
{
    struct live_record r;
    struct live_long l;

    if (key_len == 0 || key_len > LIVE_KEY_MAX ||
        !live_lookup(v, key, key_len, false))
        return false;
    memcpy(&r, v->page, sizeof(r));
    *value_r = (struct live_value){v->page + sizeof(r) + r.key_len, r.value_len,
                                   (enum live_worth)r.worth, r.dead_s};
    if (r.kind != LIVE_LONG)
        return true;
    if (!live_is_long(v, &l) || !live_assemble(v, key, key_len, &l))
        return false;
    value_r->data = v->value;
    value_r->len = l.len;
    return true;
}

/* ---- all of it ---- */

/* A copy of a bucket whose head checks; false: there is none to be had. */
static bool live_copy_bucket(struct live_view *v, uint32_t i, uint64_t seed,
                             struct live_bucket *b_r,
                             unsigned char page[LIVE_PAGE])
{
    for (int tries = 0; tries < TRIES; tries++) {
        const unsigned char *at = live_page_at(v, i);

        if (at == NULL)
            return false;
        memcpy(page, at, LIVE_PAGE);
        memcpy(b_r, page, sizeof(*b_r));
        if (b_r->count <= LIVE_SLOTS &&
            b_r->check == live_bucket_check(b_r, seed, i))
            return true;
    }
    return false;
}

void live_walk(struct live_view *v, live_walk_fn *fn, void *ctx)
{
    unsigned char page[LIVE_PAGE];
    struct live_bucket b;
    uint32_t n;
    uint64_t seed;

    for (uint32_t i = 0; live_read_head(v, &n, &seed) && i < n; i++) {
        if (!live_copy_bucket(v, i, seed, &b, page))
            continue;
        for (unsigned k = 0; k < b.count; k++) {
            unsigned char *at = page + b.slot[k].at;
            struct live_value value;
            struct live_record r;

            if (b.slot[k].at > LIVE_PAGE - sizeof(r))
                break;
            memcpy(&r, at, sizeof(r));
            if (live_record_len(&r) > (size_t)(page + LIVE_PAGE - at) ||
                live_record_check(at, seed) != r.check ||
                r.kind == LIVE_PIECE || r.key_len == 0 ||
                r.key_len > LIVE_KEY_MAX)
                continue;
            value = (struct live_value){at + sizeof(r) + r.key_len, r.value_len,
                                        (enum live_worth)r.worth, r.dead_s};
            if (r.kind == LIVE_LONG &&
                !live_get(v, at + sizeof(r), r.key_len, &value))
                continue;
            if (!fn(ctx, at + sizeof(r), r.key_len, &value))
                return;
        }
    }
}

void live_stats(const struct live *t, struct live_stats *stats_r)
{
    struct live_head h;
    struct stat st;

    *stats_r =
        (struct live_stats){.size_bytes = ((uint64_t)t->max_n + 1) * LIVE_PAGE};
    if (pread(t->fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) &&
        h.magic == LIVE_MAGIC && h.check == live_head_check(&h))
        stats_r->used_bytes = h.used;
    if (fstat(t->fd, &st) == 0)
        stats_r->file_bytes = (uint64_t)st.st_blocks * 512;
}
