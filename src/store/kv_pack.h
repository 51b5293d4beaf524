/*
 * A pack: some entries whose keys are neighbours, as the bytes of one value.
 * Inside the shared cache's backend; knows nothing of LMDB.
 */

#ifndef STORE_KV_PACK_H
#define STORE_KV_PACK_H

#include "store/kv.h"

/* With the header of an overflow page of LMDB's: one page of 4096 octets. */
#define KV_PACK_MAX 4080
/* Smaller ones are filled up, or LMDB would keep them in the tree. */
#define KV_PACK_MIN  2048

#define KV_PACK_HEAD 8  /* octets */
#define KV_PACK_EACH 11 /* octets an entry takes besides its value */
/* Octets of a pack with nothing but an entry of len octets. */
#define KV_PACK_ONE(len) (KV_PACK_HEAD + KV_PACK_EACH + (len))
/* Values have an octet at least; and one that is to be inserted. */
#define KV_PACK_ENTRIES ((KV_PACK_MAX - KV_PACK_HEAD) / (KV_PACK_EACH + 1) + 1)

/* ---- reading, where the bytes are ---- */

struct kv_pack {
    const unsigned char *bytes;
    size_t n;   /* entries */
    size_t len; /* octets in use */
};

/* false: it is damaged. Entries may be, and are then not found. */
bool kv_pack_open(struct kv_pack *p, struct kv_value bytes);
/* The first with a key of at least `key`; p->n: none. */
size_t kv_pack_seek(const struct kv_pack *p, uint64_t key);
/* i < n. false: it is damaged. */
bool kv_pack_entry(const struct kv_pack *p, size_t i, uint64_t *key_r,
                   struct kv_value *value_r);
/* A hint that an entry of the pack is looked for next: have the processor read
   all that leads to it. */
void kv_pack_prefetch(struct kv_value bytes);
/* The hot path: of a pack's bytes, the value of a key. */
bool kv_pack_find(struct kv_value bytes, uint64_t key,
                  struct kv_value *value_r);

/* ---- writing: a list of entries that lie elsewhere ---- */

struct kv_pack_list {
    size_t n;
    struct {
        uint64_t key;
        struct kv_value value;
    } entry[KV_PACK_ENTRIES];
};

/* All entries of it behind those that are there; the damaged are left out.
   false: there is no room, the list is as it was. */
bool kv_pack_list_add(struct kv_pack_list *l, const struct kv_pack *p);
/* There is room for one more if all came from one pack. */
void kv_pack_list_put(struct kv_pack_list *l, uint64_t key,
                      struct kv_value value);
bool kv_pack_list_del(struct kv_pack_list *l, uint64_t key);

/* Octets that the entries from..to-1 take as a pack. */
size_t kv_pack_list_size(const struct kv_pack_list *l, size_t from, size_t to);
/* Where to cut from..to-1, at least two, so that both parts are about as
   large: the first entry of the second part. */
size_t kv_pack_list_middle(const struct kv_pack_list *l, size_t from,
                           size_t to);
/* Into `len` octets, at least what they take; what is left is zeroed. */
void kv_pack_list_write(const struct kv_pack_list *l, size_t from, size_t to,
                        void *bytes, size_t len);

#endif
