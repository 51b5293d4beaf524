/* Records: what was written is read back; cut or altered ones are bad. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "support/suite.h"
#include "overrides/codec.h"
#include "support/failmalloc.h"

static struct override sample_override(void)
{
    struct override o = {.mode = OVERRIDE_PREPEND,
                         .enabled = true,
                         .group = OVERRIDE_GROUP_SITE,
                         .not_after_s = 77};
    struct hopspec hop = {
        .kind = HOP_HOST, .has_preference = true, .preference = 5, .port = 587};

    strcpy(hop.host, "relay.example.net");
    o.dn = strdup("cn=one,dc=example");
    o.transport = strdup("smtp");
    ck_assert(strlist_add(&o.keys, "example.com"));
    ck_assert(strlist_add(&o.exchanges, ".example.net"));
    ck_assert(strlist_add(&o.excludes, "old.example.net"));
    ck_assert(override_add_hop(&o, &hop));
    return o;
}

/* Every cut, one octet too many, every octet altered: never a crash, and a
   cut is always bad. */
static void batter(const struct buf *b,
                   enum codec_status (*decode)(const void *, size_t))
{
    char *copy = malloc(b->len + 1);

    for (size_t n = 0; n < b->len; n++) {
        char *exact = malloc(n > 0 ? n : 1);

        memcpy(exact, b->data, n);
        ck_assert_int_eq(decode(exact, n), CODEC_BAD);
        free(exact);
    }
    memcpy(copy, b->data, b->len);
    copy[b->len] = 0;
    ck_assert_int_eq(decode(copy, b->len + 1), CODEC_BAD);
    for (size_t i = 0; i < b->len; i++)
        for (unsigned x = 1; x < 256; x = x * 2 + 1) {
            copy[i] = (char)(b->data[i] ^ (char)x);
            decode(copy, b->len);
            copy[i] = b->data[i];
        }
    copy[0] = 99;
    ck_assert_int_eq(decode(copy, b->len), CODEC_BAD);
    free(copy);
}

static enum codec_status try_override(const void *p, size_t n)
{
    struct override o;
    enum codec_status s = override_decode(p, n, &o);

    if (s != CODEC_OK)
        ck_assert(o.dn == NULL && o.hops == NULL && o.keys.n == 0);
    override_free(&o);
    return s;
}

static enum codec_status try_meta(const void *p, size_t n)
{
    struct table_meta m;

    return table_meta_decode(p, n, &m);
}

START_TEST(damaged)
{
    struct override o = sample_override();
    struct table_meta m = {.entries = 3, .source = "ldif:/x"};
    struct buf b = {0};

    ck_assert(override_encode(&b, &o));
    batter(&b, try_override);
    buf_reset(&b);
    ck_assert(table_meta_encode(&b, &m));
    batter(&b, try_meta);
    buf_free(&b);
    override_free(&o);
}
END_TEST

START_TEST(override_roundtrip)
{
    struct override o = sample_override(), back;
    struct buf b = {0}, again = {0};

    ck_assert(override_encode(&b, &o));
    ck_assert_int_eq(override_decode(b.data, b.len, &back), CODEC_OK);
    ck_assert(override_encode(&again, &back));
    ck_assert_uint_eq(b.len, again.len);
    ck_assert_mem_eq(b.data, again.data, b.len);
    ck_assert_str_eq(back.hops[0].host, "relay.example.net");
    ck_assert_uint_eq(back.hops[0].port, 587);
    ck_assert_ptr_null(back.reason);
    override_free(&o);
    override_free(&back);
    buf_free(&b);
    buf_free(&again);
}
END_TEST

START_TEST(no_memory)
{
    struct override o = sample_override(), back;
    struct buf b = {0};

    ck_assert(override_encode(&b, &o));
    for (unsigned n = 1;; n++) {
        enum codec_status s;
        bool hit;

        failmalloc_at(n);
        s = override_decode(b.data, b.len, &back);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(s, hit ? CODEC_MEMORY : CODEC_OK);
        if (!hit)
            break;
    }
    override_free(&back);
    override_free(&o);
    buf_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("codec");
    TCase *t = tcase_create("codec");

    tcase_add_test(t, damaged);
    tcase_add_test(t, override_roundtrip);
    tcase_add_test(t, no_memory);
    suite_add_tcase(s, t);
    return suite_run(s);
}
