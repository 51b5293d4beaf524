/*
 * store - the TLS store: read it, write it whole
 *
 * The key of a record is the domain in normal form. What is read was written by
 * another user's process, which talks to strangers: each value is checked
 * again, and one that is not as it was written is damage, from which no route
 * follows. Nobody writes to a file that is in place.
 */

#include "policy/store.h"
#include "util/codec.h"
#include "util/err.h"
#include "util/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_VERSION     1
#define STORE_KIND_DOMAIN 1

struct store {
    struct fixed *file;
    uint32_t count;
    int64_t written_s;
};

void store_entry_free(struct store_entry *e)
{
    sts_policy_free(&e->policy);
    *e = (struct store_entry){0};
}

/* ---- records ---- */

void store_encode(struct buf *b, const struct store_entry *e)
{
    const struct sts_policy *p = &e->policy;

    enc_u64(b, (uint64_t)e->tried_s);
    enc_u64(b, (uint64_t)e->next_s);
    enc_u32(b, e->failures);
    enc_str(b, e->error);
    enc_u8(b, e->has_policy);
    if (!e->has_policy)
        return;
    enc_u8(b, (uint8_t)p->mode);
    enc_str(b, p->id);
    enc_u32(b, p->max_age_s);
    enc_u64(b, (uint64_t)p->fetched_s);
    enc_u64(b, (uint64_t)p->expires_s);
    enc_u16(b, (uint16_t)p->n_mx);
    for (size_t i = 0; i < p->n_mx; i++)
        enc_str(b, p->mx[i]);
}

/* But for the patterns. */
static bool store_is_policy(const struct sts_policy *p)
{
    return p->mode <= STS_MODE_ENFORCE &&
           sts_id_is_valid(p->id, strlen(p->id)) && p->fetched_s >= 0 &&
           p->fetched_s <= INT64_MAX - STS_MAX_AGE_S &&
           p->max_age_s <= STS_MAX_AGE_S &&
           p->expires_s == p->fetched_s + p->max_age_s;
}

static void store_decode_patterns(struct dec *d, struct sts_policy *p)
{
    char mx[2 + STORE_DOMAIN_MAX + 1];
    uint16_t n = dec_u16(d);

    if (n > STS_MX_MAX || (n == 0 && p->mode != STS_MODE_NONE))
        dec_bad(d);
    for (uint16_t i = 0; i < n && d->status == CODEC_OK; i++) {
        dec_str_into(d, mx, sizeof(mx));
        if (d->status == CODEC_OK && !sts_is_pattern(mx))
            dec_bad(d);
        if (d->status == CODEC_OK && !sts_policy_add(p, mx))
            d->status = CODEC_MEMORY;
    }
}

static void store_decode_policy(struct dec *d, bool patterns,
                                struct store_entry *e)
{
    struct sts_policy *p = &e->policy;

    e->policy_hash = hash_bytes(0, d->at, dec_left(d));
    p->mode = (enum sts_mode)dec_u8(d);
    dec_str_into(d, p->id, sizeof(p->id));
    p->max_age_s = dec_u32(d);
    p->fetched_s = (int64_t)dec_u64(d);
    p->expires_s = (int64_t)dec_u64(d);
    if (d->status == CODEC_OK && !store_is_policy(p))
        dec_bad(d);
    if (patterns)
        store_decode_patterns(d, p);
    else
        d->at = d->end;
}

static enum codec_status store_decode_entry(const void *bytes, size_t len,
                                            bool patterns,
                                            struct store_entry *e_r)
{
    struct dec d;

    *e_r = (struct store_entry){0};
    dec_init(&d, bytes, len);
    e_r->tried_s = (int64_t)dec_u64(&d);
    e_r->next_s = (int64_t)dec_u64(&d);
    e_r->failures = dec_u32(&d);
    dec_str_into(&d, e_r->error, sizeof(e_r->error));
    e_r->has_policy = dec_bool(&d);
    if (e_r->has_policy)
        store_decode_policy(&d, patterns, e_r);
    for (const char *c = e_r->error; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            dec_bad(&d);
    if (dec_end(&d) != CODEC_OK)
        store_entry_free(e_r);
    return d.status;
}

bool store_decode(const void *bytes, size_t len, struct store_entry *e_r)
{
    return store_decode_entry(bytes, len, true, e_r) == CODEC_OK;
}

/* ---- reading ---- */

static enum mxhop_status store_refused(struct mxhop_error *err,
                                       const char *path, const char *why)
{
    const char *remedy = "; remove it, and mxhop-tls makes a new one";

    if (why == fixed_no_memory)
        return err_nomem(err);
    if (why == fixed_is_foreign)
        why = "is not a TLS store";
    if (strstr(why, "chmod") != NULL || why == strerrordesc_np(ENOENT))
        remedy = "";
    return err_set(err, MXHOP_ERR_TABLE, "%s: %s%s", path, why, remedy);
}

enum mxhop_status store_open_at(struct store **s_r, int dir_fd,
                                const char *name, const char *dir, bool often,
                                bool *missing_r, struct mxhop_error *err)
{
    struct store *s = calloc(1, sizeof(*s));
    char path[PATH_MAX];
    const char *why = fixed_no_memory;
    struct fixed_bytes blob;
    struct dec d;

    *s_r = NULL;
    if (missing_r != NULL)
        *missing_r = false;
    if (snprintf(path, sizeof(path), "%s/" STORE_FILE, dir) >=
        (int)sizeof(path)) {
        free(s);
        return err_set(err, MXHOP_ERR_ARGUMENT, "%s: path is too long", dir);
    }
    if (s != NULL)
        why = fixed_open(&s->file, dir_fd, name != NULL ? name : path, often);
    if (why == NULL) {
        blob = fixed_blob(s->file);
        dec_init(&d, blob.at, blob.len);
        if (dec_u8(&d) != STORE_VERSION)
            why = "was written by another version of mxhop";
        s->count = dec_u32(&d);
        s->written_s = (int64_t)dec_u64(&d);
        if (why == NULL && dec_end(&d) != CODEC_OK)
            why = "is damaged";
    } else if (missing_r != NULL) {
        *missing_r = why == strerrordesc_np(ENOENT);
    }
    if (why == NULL) {
        *s_r = s;
        return MXHOP_OK;
    }
    store_close(&s);
    return store_refused(err, path, why);
}

enum mxhop_status store_open(struct store **s_r, const char *dir, bool often,
                             bool *missing_r, struct mxhop_error *err)
{
    return store_open_at(s_r, AT_FDCWD, NULL, dir, often, missing_r, err);
}

void store_close(struct store **s)
{
    if (*s == NULL)
        return;
    fixed_close(&(*s)->file);
    free(*s);
    *s = NULL;
}

const struct fixed *store_file(const struct store *s)
{
    return s->file;
}

const struct stat *store_stat(const struct store *s)
{
    return fixed_stat(s->file);
}

const unsigned char *store_id(const struct store *s)
{
    return fixed_id(s->file);
}

uint32_t store_count(const struct store *s)
{
    return s->count;
}

int64_t store_written_s(const struct store *s)
{
    return s->written_s;
}

bool store_may_have(const struct store *s, const char *domain)
{
    size_t len = strlen(domain);

    return len > 0 && len <= STORE_DOMAIN_MAX &&
           fixed_may_have(s->file, STORE_KIND_DOMAIN, domain, len);
}

static enum fixed_found store_read(struct store *s, const char *domain,
                                   bool patterns, struct store_entry *e_r)
{
    struct fixed_bytes v;
    enum fixed_found found = FIXED_ABSENT;
    enum codec_status status;

    *e_r = (struct store_entry){0};
    if (store_may_have(s, domain))
        found =
            fixed_get(s->file, STORE_KIND_DOMAIN, domain, strlen(domain), &v);
    if (found != FIXED_FOUND)
        return found;
    status = store_decode_entry(v.at, v.len, patterns, e_r);
    if (status == CODEC_OK)
        return FIXED_FOUND;
    return status == CODEC_MEMORY ? FIXED_MEMORY : FIXED_DAMAGED;
}

enum fixed_found store_get(struct store *s, const char *domain,
                           struct store_entry *e_r)
{
    return store_read(s, domain, true, e_r);
}

enum fixed_found store_peek(struct store *s, const char *domain,
                            struct store_entry *e_r)
{
    return store_read(s, domain, false, e_r);
}

struct store_walk {
    store_walk_fn *fn;
    void *ctx;
    bool damaged;
};

static bool store_walk_one(void *ctx, fixed_kind kind, struct fixed_bytes key,
                           struct fixed_bytes value)
{
    struct store_walk *w = ctx;
    char domain[STORE_DOMAIN_MAX + 1];
    struct store_entry e;
    bool go_on;

    if (kind != STORE_KIND_DOMAIN || key.len > STORE_DOMAIN_MAX ||
        memchr(key.at, '\0', key.len) != NULL ||
        !store_decode(value.at, value.len, &e)) {
        w->damaged = true;
        return false;
    }
    memcpy(domain, key.at, key.len);
    domain[key.len] = '\0';
    go_on = w->fn(w->ctx, domain, &e);
    store_entry_free(&e);
    return go_on;
}

enum fixed_found store_walk(struct store *s, store_walk_fn *fn, void *ctx)
{
    struct store_walk w = {fn, ctx, false};
    enum fixed_found found = fixed_walk(s->file, store_walk_one, &w);

    return w.damaged ? FIXED_DAMAGED : found;
}

/* ---- writing ---- */

int store_write(int dir_fd, const struct store_record *records, size_t n,
                int64_t now_s, unsigned char id_r[FIXED_ID_LEN])
{
    struct fixed_record *v = malloc((n + 1) * sizeof(*v));
    struct buf blob = {0};
    struct fixed_set set = {.records = v, .n = n};
    int rc = ENOMEM;

    enc_u8(&blob, STORE_VERSION);
    enc_u32(&blob, (uint32_t)n);
    enc_u64(&blob, (uint64_t)now_s);
    if (v != NULL && !blob.failed) {
        for (size_t i = 0; i < n; i++)
            v[i] = (struct fixed_record){
                .kind = STORE_KIND_DOMAIN,
                .filtered = true,
                .key = {(const unsigned char *)records[i].domain,
                        strlen(records[i].domain)},
                .value = records[i].entry,
            };
        set.blob = (struct fixed_bytes){(unsigned char *)blob.data, blob.len};
        rc = fixed_build(dir_fd, STORE_FILE, &set, id_r);
    }
    buf_free(&blob);
    free(v);
    return rc;
}
