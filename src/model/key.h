/* Keys that an MTA asks, and the normal form of domain names. */

#ifndef MODEL_KEY_H
#define MODEL_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <mxhop/error.h>

#define NAME_MAX_TEXT                                                   \
    253              /* octets of a domain name as text, RFC 1035 2.3.4 \
                      */
#define LOCAL_MAX 64 /* octets of a local part, RFC 5321 4.5.3.1.1 */

enum key_kind {
    KEY_DOMAIN,
    KEY_RECIPIENT,
    KEY_NONE /* nothing that mxhop has an opinion about */
};

struct key {
    enum key_kind kind;
    char domain[NAME_MAX_TEXT + 1];                    /* normal form */
    char recipient[LOCAL_MAX + 1 + NAME_MAX_TEXT + 1]; /* KEY_RECIPIENT */
    const char *why; /* KEY_NONE: static text, why */
};

/* What is asked for, in normal form; "" of KEY_NONE. */
static inline const char *key_text(const struct key *key)
{
    return key->kind == KEY_RECIPIENT ? key->recipient : key->domain;
}

/*
 * Normal form of a domain name: IDN to A-labels (UTS #46, non-transitional,
 * STD3 rules off: `_` is in use), lower case, one trailing dot dropped,
 * labels of 1 to 63 octets, at most 253 in all, characters a-z 0-9 - _ only,
 * and not something that looks like an IPv4 address (a last label of digits
 * only). out has NAME_MAX_TEXT + 1 bytes. Returns NULL, or a static text that
 * says what is wrong, and out is then "". Out of memory in libidn2 counts as
 * malformed.
 */
const char *name_normalise(const char *in, char *out);

/*
 * Load libidn2, which name_normalise() does for the first name that is not
 * ASCII. A process that goes into a jail calls this before. Returns NULL, or a
 * static text: such names are then malformed, with this text.
 */
const char *name_load_idn(void);

/*
 * Classify and normalise what the MTA asked (docs/design.md 4.1). Never fails:
 * what is not a domain or user@domain is KEY_NONE: empty, `*`, `.parent`,
 * address literals `[...]`, addresses, anything malformed, any length. The
 * local part is compared without regard to case (as transport(5) folds keys),
 * thus lower-cased; the last @ divides.
 */
void key_parse(const char *in, struct key *key_r);

#endif
