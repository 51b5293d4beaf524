/*
 * key - what an MTA asks, and the normal form of domain names
 *
 * Every name that enters mxhop (keys, overrides, hops, parameters) is brought
 * into one form here, so that everything behind can compare with strcmp(3).
 * Keys are chosen by strangers: names in ASCII, that is nearly all, cost no
 * allocation and one pass, and the length is bounded before anything else
 * looks at the text.
 *
 * Guarantees: a name that passed has labels of 1 to 63 of `a-z0-9-_`, at most
 * 253 octets, no trailing dot, and cannot be taken for an IPv4 address. That
 * holds for the output of libidn2 as well, which maps full-width digits, dots
 * and the like to ASCII: it is checked like any other input. A-labels are
 * taken as they are, whether or not they decode to something sensible: they
 * name what they name in the DNS.
 *
 * Everything is the caller's memory; the texts are static. libidn2 allocates
 * for names that are not ASCII, and that is given back before the return.
 *
 * libidn2 is loaded for the first such name, not linked: most processes that
 * ask never see one (Exim starts a process for every delivery), and the library
 * and its tables cost them more than the answer. Once loaded it stays.
 */

#include "model/key.h"

#include <dlfcn.h>
#include <idn2.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#define IDN_LIBRARY "libidn2.so.0"

/* Octets of UTF-8 that may become a name: four for each of the name's. */
#define IDN_INPUT_MAX (4 * NAME_MAX_TEXT)
#define LABEL_MAX     63

static char name_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* What stands for an octet in a normal form; 0: it cannot be in a name. One
   access instead of several comparisons: each lookup comes through here. */
static const char name_char[256] = {
    ['-'] = '-', ['.'] = '.', ['_'] = '_', ['0'] = '0', ['1'] = '1',
    ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
    ['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b',
    ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g',
    ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l',
    ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q',
    ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v',
    ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a',
    ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f',
    ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',
    ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p',
    ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

/* The last label is digits only: inet_aton(3) and friends may take it. */
static bool name_ends_in_number(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *last = dot != NULL ? dot + 1 : name;

    return last[strspn(last, "0123456789")] == '\0';
}

/* n octets of ASCII, without the trailing dot. */
static const char *name_normalise_ascii(const char *in, size_t n, char *out)
{
    size_t label = 0;

    if (n == 0)
        return "empty domain name";
    if (n > NAME_MAX_TEXT)
        return "domain name longer than 253 octets";
    for (size_t i = 0; i < n; i++) {
        char c = name_char[(unsigned char)in[i]];

        if (c == '.' ? label == 0 : label == LABEL_MAX)
            return c == '.' ? "empty label in domain name"
                            : "label longer than 63 octets in domain name";
        if (c == 0)
            return "domain name with a character other than letters, digits, "
                   "'-', '_' and '.'";
        label = c == '.' ? 0 : label + 1;
        out[i] = c;
    }
    out[n] = '\0';
    if (label == 0)
        return "empty label in domain name";
    return name_ends_in_number(out)
               ? "domain name that looks like an IPv4 address"
               : NULL;
}

static const char *key_normalise(const char *in, char *out)
{
    size_t n = strnlen(in, NAME_MAX_TEXT + 2);

    if (n > 0 && in[n - 1] == '.' && in[n] == '\0')
        n--;
    return name_normalise_ascii(in, n, out);
}

/* Of the library, or NULL; written once. */
static __typeof__(idn2_lookup_u8) *key_idn_lookup;
static __typeof__(idn2_free) *key_idn_free;

static void key_load_idn(void)
{
    void *library = dlopen(IDN_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    void *lookup, *release;

    if (library == NULL)
        return;
    lookup = dlsym(library, "idn2_lookup_u8");
    release = dlsym(library, "idn2_free");
    if (lookup == NULL || release == NULL) {
        dlclose(library);
        return;
    }
    memcpy(&key_idn_free, &release, sizeof(release));
    memcpy(&key_idn_lookup, &lookup, sizeof(lookup));
    // cppcheck-suppress resourceLeak ; it stays for as long as we do
}

const char *name_load_idn(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, key_load_idn);
    return key_idn_lookup != NULL
               ? NULL
               : "internationalised domain name, and " IDN_LIBRARY
                 " cannot be loaded";
}

static const char *name_normalise_idn(const char *in, char *out)
{
    uint8_t *ascii = NULL;
    const char *wrong = name_load_idn();

    if (wrong != NULL)
        return wrong;
    if (key_idn_lookup((const uint8_t *)in, &ascii, IDN2_NONTRANSITIONAL) !=
        IDN2_OK)
        return "not a valid internationalised domain name in UTF-8";
    wrong = key_normalise((const char *)ascii, out);
    key_idn_free(ascii);
    return wrong;
}

/* Nearly all names, in one pass; false: look at it more closely. */
static bool name_normalise_plain(const char *in, char *out)
{
    bool letters = false; /* in this label: anything but digits */
    size_t label = 0, i;

    for (i = 0; i < NAME_MAX_TEXT; i++) {
        char c = name_char[(unsigned char)in[i]];

        if (c == 0 || (c == '.' ? label == 0 : label == LABEL_MAX))
            break;
        letters = c != '.' && (letters || c < '0' || c > '9');
        label = c == '.' ? 0 : label + 1;
        out[i] = c;
    }
    out[i] = '\0';
    return in[i] == '\0' && label > 0 && letters;
}

const char *name_normalise(const char *in, char *out)
{
    const char *wrong;
    bool ascii = true;
    size_t n = 0;

    if (name_normalise_plain(in, out))
        return NULL;
    out[0] = '\0';
    for (; n <= IDN_INPUT_MAX && in[n] != '\0'; n++)
        ascii = ascii && (in[n] & 0x80) == 0;
    if (n > IDN_INPUT_MAX)
        return "domain name longer than 253 octets";
    wrong = ascii ? key_normalise(in, out) : name_normalise_idn(in, out);
    if (wrong != NULL)
        out[0] = '\0'; /* part of a name may be there */
    return wrong;
}

static const char *key_local_part(const char *in, size_t n, char *out)
{
    if (n == 0)
        return "empty local part";
    if (n > LOCAL_MAX)
        return "local part longer than 64 octets";
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)in[i] < ' ' || in[i] == 0x7f)
            return "control character in local part";
        out[i] = name_lower(in[i]);
    }
    return NULL;
}

static const char *key_recipient(const char *in, const char *at,
                                 struct key *key)
{
    size_t n = (size_t)(at - in);
    const char *why = key_local_part(in, n, key->recipient);

    if (why != NULL)
        return why;
    key->recipient[n] = '@';
    strcpy(key->recipient + n + 1, key->domain);
    key->kind = KEY_RECIPIENT;
    return NULL;
}

static const char *key_classify(const char *in, struct key *key)
{
    const char *at = strrchr(in, '@');
    const char *domain = at != NULL ? at + 1 : in;
    const char *why;

    if (*in == '\0')
        return "empty key";
    if (strcmp(in, "*") == 0)
        return "the wildcard key";
    if (*domain == '.')
        return "a parent domain key";
    if (*domain == '[')
        return "address literal";
    why = name_normalise(domain, key->domain);
    if (why != NULL)
        return why;
    key->kind = KEY_DOMAIN;
    return at != NULL ? key_recipient(in, at, key) : NULL;
}

void key_parse(const char *in, struct key *key_r)
{
    key_r->kind = KEY_NONE;
    key_r->domain[0] = '\0';
    key_r->recipient[0] = '\0';
    key_r->why = key_classify(in, key_r);
    if (key_r->why == NULL)
        return;
    key_r->kind = KEY_NONE;
    key_r->domain[0] = '\0';
    key_r->recipient[0] = '\0';
}
