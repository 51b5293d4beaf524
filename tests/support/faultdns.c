/*
 * faultdns - a scripted faulty name server for tests
 *
 * SYNOPSIS
 *      faultdns [-T] -l ADDRESS:PORT [-o LOGFILE] RULES
 *
 * Answers DNS queries over UDP and TCP as the file RULES says, to show what a
 * real server will not send. The file is read again when it has changed.
 * -T leaves TCP closed (connection refused). ADDRESS may be [IPv6]. One line a
 * query is appended to LOGFILE before it is answered, so that tests can count:
 *
 *      TIME udp|tcp NAME TYPE EDNS-SIZE|- PORT
 *
 * with the port that it came from (0: TCP).
 *
 * RULES. One rule a line, `#` starts a comment; the first match wins:
 *
 *      NAME TYPE WORD...
 *
 * NAME is a domain, `*.domain` (everything below it) or `*`. TYPE is A, AAAA,
 * MX, CNAME, NS, SOA, TXT, TLSA, TYPEn or `*`. A name without a rule is
 * NXDOMAIN, one with rules for other types only has no data. In names, \DDD is
 * a byte.
 *
 * Words that add to the answer:
 *      a ADDR, aaaa ADDR, mx PREF NAME, cname NAME, ns NAME
 *      txt TEXT                        no space in it; `+` begins another
 * string tlsa USAGE SELECTOR TYPE LENGTH data of zeroes hexmx PREF HEX,
 * hexcname HEX    the name as raw wire bytes manymx N SUFFIX                 N
 * exchanges m<i>.SUFFIX rdata TYPE HEX                  any record with this
 * rdata soa MINIMUM                     a SOA in the authority section ttl=S,
 * owner=NAME               for the records after it (300, question)
 *      rcode=NAME|N                    servfail refused formerr nxdomain notimp
 *      ad, aa                          header bits
 *
 * Words that spoil it:
 *      silence                         no reply at all
 *      delay=MS                        reply later
 *      wrong-id wrong-question         reply to something else
 *      wrong-port wrong-source=ADDR    UDP reply from elsewhere
 *      then-good                       after a spoilt UDP reply, a good one
 *      duplicate=N                     send the UDP reply N times
 *      truncate, truncate-forever      TC and no records, on UDP or on both
 *      cut=N                           only the first N bytes of the message
 *      counts=N                        add N to the answer count
 *      garbage=N                       N pseudo-random bytes after the id
 *      raw=HEX                         these bytes after the id
 *      formerr-if-edns                 FORMERR, without OPT, if OPT was asked
 *      no-opt                          never an OPT in the reply
 *      tcp-silent tcp-close            TCP: say nothing, close at once
 *      tcp-cut=N                       TCP: announce all, send N bytes, close
 *      slow-drip=MS                    TCP: one byte every MS
 *      times=N                         the rule matches N times, then never
 *
 * DIAGNOSTICS. A bad rule is reported with its line; at start it is fatal,
 * later the old rules stay. Ends on a signal.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MSG_MAX = 65535, NAME_WIRE_MAX = 255, CONNS_MAX = 64 };
enum { T_A = 1, T_NS = 2, T_CNAME = 5, T_SOA = 6, T_MX = 15, T_AAAA = 28 };
enum { T_TXT = 16, T_OPT = 41, T_TLSA = 52, R_FORMERR = 1, R_NXDOMAIN = 3 };

enum flag {
    F_SILENCE = 1 << 0,
    F_WRONG_ID = 1 << 1,
    F_WRONG_QUESTION = 1 << 2,
    F_WRONG_PORT = 1 << 3,
    F_THEN_GOOD = 1 << 4,
    F_TRUNCATE = 1 << 5,
    F_TRUNCATE_FOREVER = 1 << 6,
    F_FORMERR_IF_EDNS = 1 << 7,
    F_NO_OPT = 1 << 8,
    F_TCP_SILENT = 1 << 9,
    F_TCP_CLOSE = 1 << 10,
    F_AD = 1 << 11,
    F_AA = 1 << 12
};

/* Bytes that grow; `lost` stays set once something did not fit. */
struct bytes {
    uint8_t data[MSG_MAX];
    size_t len;
    bool lost;
};

struct rule {
    struct rule *next;
    char *name;            /* lower case, no trailing dot */
    unsigned type;         /* 0: any */
    unsigned flags;        /* enum flag */
    unsigned rcode;        /* header */
    unsigned answers;      /* records in answer */
    unsigned authorities;  /* records in authority */
    int times;             /* matches left, -1: no limit */
    int delay_ms, drip_ms; /* 0: at once */
    int duplicate, counts; /* 0: none */
    int cut, tcp_cut;      /* -1: whole */
    int garbage;           /* 0: none */
    char *source;          /* wrong-source */
    struct bytes *answer, *authority, *raw;
};

struct query {
    uint8_t wire[MSG_MAX];
    size_t len;
    size_t question_len; /* name, type, class */
    uint16_t type;
    int edns;      /* size the client takes, -1: no OPT */
    unsigned port; /* UDP: where it came from */
    bool tcp;
    char name[4 * NAME_WIRE_MAX + 1];
};

struct later { /* a datagram to be sent */
    struct later *next;
    int64_t at_ms;
    int fd;
    bool close_fd;
    struct sockaddr_storage to;
    socklen_t to_len;
    size_t len;
    uint8_t data[];
};

struct conn {
    int fd; /* -1: free */
    uint8_t in[MSG_MAX + 2];
    size_t in_len;
    uint8_t out[MSG_MAX + 2];
    size_t out_len, out_sent;
    int64_t at_ms;
    int drip_ms;
    bool close_after;
};

static struct rule *rules;
static const char *rules_path;
static struct stat rules_stat;
static struct later *waiting;
static struct conn conns[CONNS_MAX];
static int udp_fd = -1, listen_fd = -1;
static FILE *log_file;

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fputs("faultdns: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void *must(void *p)
{
    if (!p)
        die("out of memory");
    return p;
}

/* --- bytes --- */

static void put(struct bytes *b, const void *data, size_t len)
{
    if (b->lost || len > sizeof(b->data) - b->len) {
        b->lost = true;
        return;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void put8(struct bytes *b, unsigned v)
{
    put(b, &(uint8_t){(uint8_t)v}, 1);
}

static void put16(struct bytes *b, unsigned v)
{
    put8(b, v >> 8);
    put8(b, v & 0xff);
}

static void put32(struct bytes *b, unsigned v)
{
    put16(b, v >> 16);
    put16(b, v & 0xffff);
}

static void set16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static bool put_hex(struct bytes *b, const char *hex)
{
    unsigned v;

    for (; hex[0]; hex += 2) {
        if (!isxdigit((unsigned char)hex[0]) ||
            !isxdigit((unsigned char)hex[1]) || sscanf(hex, "%2x", &v) != 1)
            return false;
        put8(b, v);
    }
    return true;
}

/* One byte of a name in text, with its escape; moves *s past it. */
static unsigned next_byte(const char **s)
{
    unsigned v;

    if (**s != '\\')
        return (unsigned char)*(*s)++;
    if (sscanf(*s + 1, "%3u", &v) == 1 && v < 256) {
        *s += 4;
        return v;
    }
    *s += 2;
    return (unsigned char)(*s)[-1];
}

static bool put_name(struct bytes *b, const char *s)
{
    uint8_t label[63];
    unsigned len;

    while (*s && strcmp(s, ".") != 0) {
        for (len = 0; *s && *s != '.'; len++) {
            if (len == sizeof(label) || (*s == '\\' && strlen(s) < 2))
                return false;
            label[len] = (uint8_t)next_byte(&s);
        }
        if (len == 0)
            return false;
        put8(b, len);
        put(b, label, len);
        if (*s == '.')
            s++;
    }
    put8(b, 0);
    return true;
}

/* --- rules --- */

static const struct {
    const char *name;
    unsigned type;
} types[] = {{"A", T_A},     {"AAAA", T_AAAA}, {"MX", T_MX}, {"CNAME", T_CNAME},
             {"NS", T_NS},   {"SOA", T_SOA},   {"*", 0},     {"ANY", 0},
             {"TXT", T_TXT}, {"TLSA", T_TLSA}, {NULL, 0}};

static const struct {
    const char *name;
    unsigned rcode;
} rcodes[] = {{"noerror", 0}, {"formerr", R_FORMERR},   {"servfail", 2},
              {"notimp", 4},  {"nxdomain", R_NXDOMAIN}, {"refused", 5},
              {NULL, 0}};

static const struct {
    const char *name;
    unsigned flag;
} flag_words[] = {{"silence", F_SILENCE},
                  {"wrong-id", F_WRONG_ID},
                  {"wrong-question", F_WRONG_QUESTION},
                  {"wrong-port", F_WRONG_PORT},
                  {"then-good", F_THEN_GOOD},
                  {"truncate", F_TRUNCATE},
                  {"truncate-forever", F_TRUNCATE | F_TRUNCATE_FOREVER},
                  {"formerr-if-edns", F_FORMERR_IF_EDNS},
                  {"no-opt", F_NO_OPT},
                  {"tcp-silent", F_TCP_SILENT},
                  {"tcp-close", F_TCP_CLOSE},
                  {"ad", F_AD},
                  {"aa", F_AA},
                  {NULL, 0}};

static bool parse_int(const char *s, int *v_r)
{
    char *end;
    long v = strtol(s, &end, 10);

    *v_r = (int)v;
    return *s && !*end && v >= 0 && v <= 1 << 30;
}

static bool parse_type(const char *s, unsigned *type_r)
{
    int n;

    for (size_t i = 0; types[i].name; i++)
        if (strcasecmp(types[i].name, s) == 0) {
            *type_r = types[i].type;
            return true;
        }
    if (strncasecmp(s, "TYPE", 4) != 0 || !parse_int(s + 4, &n) || n > 65535)
        return false;
    *type_r = (unsigned)n;
    return true;
}

static bool parse_rcode(const char *s, unsigned *rcode_r)
{
    int n;

    for (size_t i = 0; rcodes[i].name; i++)
        if (strcmp(rcodes[i].name, s) == 0) {
            *rcode_r = rcodes[i].rcode;
            return true;
        }
    if (!parse_int(s, &n) || n > 15)
        return false;
    *rcode_r = (unsigned)n;
    return true;
}

/* The words of one line while it is read, and what holds for records. */
struct reader {
    char *save;
    unsigned ttl;
    char *owner; /* NULL: the question's name */
};

static char *next_word(struct reader *r)
{
    char *word = strtok_r(NULL, " \t\r\n", &r->save);

    return word && *word != '#' ? word : NULL;
}

static bool put_record(struct bytes *b, const struct reader *r, unsigned type,
                       const struct bytes *rdata)
{
    if (!r->owner)
        put16(b, 0xc00c);
    else if (!put_name(b, r->owner))
        return false;
    put16(b, type);
    put16(b, 1);
    put32(b, r->ttl);
    put16(b, (unsigned)rdata->len);
    put(b, rdata->data, rdata->len);
    return !b->lost && !rdata->lost;
}

static bool add_answer(struct rule *rule, const struct reader *r, unsigned type,
                       const struct bytes *rdata)
{
    rule->answers++;
    return put_record(rule->answer, r, type, rdata);
}

static bool add_soa(struct rule *rule, const struct reader *r,
                    struct bytes *rdata, const char *minimum)
{
    int n;

    if (!parse_int(minimum, &n))
        return false;
    put_name(rdata, "ns.invalid");
    put_name(rdata, "hostmaster.invalid");
    for (unsigned i = 0; i < 4; i++)
        put32(rdata, 1);
    put32(rdata, (unsigned)n);
    rule->authorities++;
    return put_record(rule->authority, r, T_SOA, rdata);
}

static bool add_txt(struct rule *rule, const struct reader *r,
                    struct bytes *rdata, const char *text)
{
    for (size_t n; *text != '\0'; text += n + (text[n] == '+')) {
        n = strcspn(text, "+");
        if (n > 255)
            return false;
        put8(rdata, (unsigned)n);
        put(rdata, text, n);
    }
    return add_answer(rule, r, T_TXT, rdata);
}

/* The usage was read. */
static bool add_tlsa(struct rule *rule, struct reader *r, struct bytes *rdata,
                     int usage)
{
    int v[4] = {usage};

    for (int i = 1; i < 4; i++) {
        char *arg = next_word(r);

        if (!arg || !parse_int(arg, &v[i]))
            return false;
    }
    for (int i = 0; i < 3; i++)
        put8(rdata, (unsigned)v[i] & 0xff);
    for (int i = 0; i < v[3]; i++)
        put8(rdata, 0);
    return add_answer(rule, r, T_TLSA, rdata);
}

static bool add_manymx(struct rule *rule, const struct reader *r, int n,
                       const char *suffix)
{
    char name[512];
    struct bytes *rdata = must(malloc(sizeof(*rdata)));
    bool ok = true;

    for (int i = 0; ok && i < n; i++) {
        rdata->len = 0;
        rdata->lost = false;
        put16(rdata, (unsigned)i & 0xffff);
        snprintf(name, sizeof(name), "m%d.%s", i, suffix);
        ok = put_name(rdata, name) && add_answer(rule, r, T_MX, rdata);
    }
    free(rdata);
    return ok;
}

/* A record word with its arguments. */
static bool read_record(struct rule *rule, struct reader *r, const char *word,
                        struct bytes *rdata)
{
    char *arg = next_word(r);
    bool hex = strncmp(word, "hex", 3) == 0;
    uint8_t addr[16];
    unsigned type;
    int n;

    if (!arg)
        return false;
    if (strcmp(word, "a") == 0 || strcmp(word, "aaaa") == 0) {
        bool v4 = word[1] == '\0';

        if (inet_pton(v4 ? AF_INET : AF_INET6, arg, addr) != 1)
            return false;
        put(rdata, addr, v4 ? 4 : 16);
        return add_answer(rule, r, v4 ? T_A : T_AAAA, rdata);
    }
    if (strcmp(word, "cname") == 0 || strcmp(word, "hexcname") == 0)
        return (hex ? put_hex : put_name)(rdata, arg) &&
               add_answer(rule, r, T_CNAME, rdata);
    if (strcmp(word, "ns") == 0)
        return put_name(rdata, arg) && add_answer(rule, r, T_NS, rdata);
    if (strcmp(word, "soa") == 0)
        return add_soa(rule, r, rdata, arg);
    if (strcmp(word, "txt") == 0)
        return add_txt(rule, r, rdata, arg);
    if (strcmp(word, "rdata") == 0)
        return parse_type(arg, &type) && (arg = next_word(r)) &&
               put_hex(rdata, arg) && add_answer(rule, r, type, rdata);
    if (!parse_int(arg, &n))
        return false;
    if (strcmp(word, "tlsa") == 0)
        return add_tlsa(rule, r, rdata, n);
    if (!(arg = next_word(r)))
        return false;
    if (strcmp(word, "manymx") == 0)
        return add_manymx(rule, r, n, arg);
    if (strcmp(word, "mx") != 0 && strcmp(word, "hexmx") != 0)
        return false;
    put16(rdata, (unsigned)n & 0xffff);
    return (hex ? put_hex : put_name)(rdata, arg) &&
           add_answer(rule, r, T_MX, rdata);
}

/* name=value */
static bool read_setting(struct rule *rule, struct reader *r, const char *word,
                         char *value)
{
    const struct {
        const char *name;
        int *number;
    } numbers[] = {{"delay", &rule->delay_ms},
                   {"slow-drip", &rule->drip_ms},
                   {"duplicate", &rule->duplicate},
                   {"counts", &rule->counts},
                   {"cut", &rule->cut},
                   {"tcp-cut", &rule->tcp_cut},
                   {"garbage", &rule->garbage},
                   {"times", &rule->times},
                   {"ttl", (int *)&r->ttl}};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(word, numbers[i].name) == 0)
            return parse_int(value, numbers[i].number);
    if (strcmp(word, "rcode") == 0)
        return parse_rcode(value, &rule->rcode);
    if (strcmp(word, "raw") == 0)
        return put_hex(rule->raw = must(calloc(1, sizeof(*rule->raw))), value);
    if (strcmp(word, "wrong-source") == 0)
        return (rule->source = must(strdup(value)));
    if (strcmp(word, "owner") != 0)
        return false;
    r->owner = value;
    return true;
}

static bool read_word(struct rule *rule, struct reader *r, char *word)
{
    char *value = strchr(word, '=');
    struct bytes *rdata;
    bool ok;

    for (size_t i = 0; flag_words[i].name; i++)
        if (strcmp(word, flag_words[i].name) == 0) {
            rule->flags |= flag_words[i].flag;
            return true;
        }
    if (value) {
        *value++ = '\0';
        return read_setting(rule, r, word, value);
    }
    rdata = must(calloc(1, sizeof(*rdata)));
    ok = read_record(rule, r, word, rdata);
    free(rdata);
    return ok;
}

static void free_rules(struct rule *rule)
{
    struct rule *next;

    for (; rule; rule = next) {
        next = rule->next;
        free(rule->name);
        free(rule->source);
        free(rule->answer);
        free(rule->authority);
        free(rule->raw);
        free(rule);
    }
}

static struct rule *new_rule(const char *name)
{
    struct rule *rule = must(calloc(1, sizeof(*rule)));
    size_t len;

    rule->name = must(strdup(name));
    len = strlen(rule->name);
    if (len > 1 && rule->name[len - 1] == '.')
        rule->name[len - 1] = '\0';
    for (char *p = rule->name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    rule->answer = must(calloc(1, sizeof(*rule->answer)));
    rule->authority = must(calloc(1, sizeof(*rule->authority)));
    rule->times = rule->cut = rule->tcp_cut = -1;
    return rule;
}

/* One line; false if it is wrong. An empty line adds no rule. */
static bool read_line(char *line, struct rule ***tail)
{
    struct reader r = {.ttl = 300};
    char *name = strtok_r(line, " \t\r\n", &r.save), *word;
    struct rule *rule;

    if (!name || *name == '#')
        return true;
    rule = new_rule(name);
    **tail = rule;
    *tail = &rule->next;
    word = next_word(&r);
    if (!word || !parse_type(word, &rule->type))
        return false;
    while ((word = next_word(&r)))
        if (!read_word(rule, &r, word))
            return false;
    return true;
}

/* Replace the rules by the file's, if all of it can be understood. */
static bool load_rules(void)
{
    FILE *f = fopen(rules_path, "re");
    struct rule *list = NULL, **tail = &list;
    char *line = NULL;
    size_t size = 0;
    int number = 0;
    bool ok = f != NULL;

    if (f)
        fstat(fileno(f), &rules_stat);
    while (ok && getline(&line, &size, f) >= 0) {
        number++;
        ok = read_line(line, &tail);
    }
    if (!ok)
        fprintf(stderr, "faultdns: %s:%d: %s\n", rules_path, number,
                f ? "bad rule" : strerror(errno));
    if (f)
        fclose(f);
    free(line);
    free_rules(ok ? rules : list);
    if (ok)
        rules = list;
    return ok;
}

static void reload_if_changed(void)
{
    struct stat st;

    if (stat(rules_path, &st) == 0 &&
        (st.st_ino != rules_stat.st_ino || st.st_size != rules_stat.st_size ||
         st.st_mtim.tv_sec != rules_stat.st_mtim.tv_sec ||
         st.st_mtim.tv_nsec != rules_stat.st_mtim.tv_nsec))
        load_rules();
}

static bool name_matches(const char *pattern, const char *name)
{
    size_t plen = strlen(pattern), nlen = strlen(name);

    if (strcmp(pattern, "*") == 0)
        return true;
    if (pattern[0] != '*')
        return strcasecmp(pattern, name) == 0;
    return nlen > plen - 1 &&
           strcasecmp(pattern + 1, name + nlen - plen + 1) == 0;
}

/* The rule for a query, or one that says NXDOMAIN or no data. */
static struct rule *find_rule(const struct query *q)
{
    static struct bytes nothing;
    static struct rule none = {.answer = &nothing,
                               .authority = &nothing,
                               .cut = -1,
                               .tcp_cut = -1,
                               .times = -1};

    none.rcode = R_NXDOMAIN;
    for (struct rule *rule = rules; rule; rule = rule->next) {
        if (!name_matches(rule->name, q->name))
            continue;
        none.rcode = 0;
        if ((rule->type && rule->type != q->type) || rule->times == 0)
            continue;
        if (rule->times > 0)
            rule->times--;
        return rule;
    }
    return &none;
}

/* --- queries --- */

static void append_text(struct query *q, size_t *at, uint8_t c)
{
    char *p = q->name + *at;

    if (c > ' ' && c < 0x7f && c != '.' && c != '\\') {
        *p = (char)c;
        *at += 1;
    } else {
        sprintf(p, "\\%03u", c);
        *at += 4;
    }
}

/* Reads the question and OPT; false if there is no question to answer. */
static bool parse_query(struct query *q)
{
    size_t i = 12, at = 0;

    if (q->len < 12 || (q->wire[2] & 0x80) || get16(q->wire + 4) != 1)
        return false;
    while (i < q->len && q->wire[i]) {
        size_t end = i + 1 + q->wire[i];

        if (q->wire[i] > 63 || end >= q->len || end - 12 > NAME_WIRE_MAX)
            return false;
        for (i++; i < end; i++)
            append_text(q, &at, q->wire[i]);
        q->name[at++] = '.';
    }
    q->name[at > 0 ? at - 1 : 0] = '\0';
    if (i + 5 > q->len)
        return false;
    q->type = (uint16_t)get16(q->wire + i + 1);
    i += 5;
    q->question_len = i - 12;
    q->edns = -1; /* the OPT of an ordinary client follows the question */
    if (get16(q->wire + 10) > 0 && i + 11 <= q->len && q->wire[i] == 0 &&
        get16(q->wire + i + 1) == T_OPT)
        q->edns = (int)get16(q->wire + i + 3);
    return true;
}

static void log_query(const struct query *q)
{
    struct timespec t;
    char type[16], edns[16] = "-";

    clock_gettime(CLOCK_REALTIME, &t);
    snprintf(type, sizeof(type), "TYPE%u", q->type);
    for (size_t i = 0; types[i].name; i++)
        if (types[i].type == q->type)
            snprintf(type, sizeof(type), "%s", types[i].name);
    if (q->edns >= 0)
        snprintf(edns, sizeof(edns), "%d", q->edns);
    fprintf(log_file, "%lld.%03ld %s %s %s %s %u\n", (long long)t.tv_sec,
            t.tv_nsec / 1000000, q->tcp ? "tcp" : "udp",
            q->name[0] ? q->name : ".", type, edns, q->port);
    fflush(log_file);
}

/* --- replies --- */

static void put_garbage(struct bytes *b, int n)
{
    uint32_t seed = 2463534242u; /* xorshift32: the same bytes every time */

    while (n-- > 0) {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        put8(b, seed & 0xff);
    }
}

static unsigned flag_bits(const struct query *q, const struct rule *rule,
                          bool truncated, unsigned rcode)
{
    return 0x8080u | (q->wire[2] & 0x01u) << 8 | (truncated ? 0x0200u : 0) |
           ((rule->flags & F_AA) ? 0x0400u : 0) |
           ((rule->flags & F_AD) ? 0x0020u : 0) | rcode;
}

static void put_question(struct bytes *b, const struct query *q, bool wrong)
{
    size_t at = b->len;

    put(b, q->wire + 12, q->question_len);
    if (wrong && q->question_len > 5)
        b->data[at + 1] ^= 0x01; /* first letter of the first label */
}

static void put_message(struct bytes *b, const struct query *q,
                        const struct rule *rule, bool wrong_question)
{
    bool formerr = (rule->flags & F_FORMERR_IF_EDNS) && q->edns >= 0;
    bool opt = q->edns >= 0 && !(rule->flags & F_NO_OPT) && !formerr;
    size_t room = q->tcp ? MSG_MAX : q->edns > 512 ? (size_t)q->edns : 512;
    size_t full = 12 + q->question_len + rule->answer->len +
                  rule->authority->len + (opt ? 11 : 0);
    bool tc = rule->flags & (q->tcp ? F_TRUNCATE_FOREVER : F_TRUNCATE);
    bool records;

    tc = tc || full > room;
    records = !tc && !formerr;
    put16(b, get16(q->wire));
    put16(b, flag_bits(q, rule, tc, formerr ? R_FORMERR : rule->rcode));
    put16(b, 1);
    put16(b, (records ? rule->answers : 0) + (unsigned)rule->counts);
    put16(b, records ? rule->authorities : 0);
    put16(b, opt);
    put_question(b, q, wrong_question);
    if (records) {
        put(b, rule->answer->data, rule->answer->len);
        put(b, rule->authority->data, rule->authority->len);
    }
    if (opt) {
        put8(b, 0);
        put16(b, T_OPT);
        put16(b, 1232);
        put32(b, 0);
        put16(b, 0);
    }
}

/* The reply as the rule wants it, or as it should be (good). */
static void make_reply(struct bytes *b, const struct query *q,
                       const struct rule *rule, bool good)
{
    b->len = 0;
    b->lost = false;
    if (!good && (rule->garbage || rule->raw)) {
        put16(b, get16(q->wire));
        if (rule->raw)
            put(b, rule->raw->data, rule->raw->len);
        put_garbage(b, rule->garbage);
    } else {
        put_message(b, q, rule, !good && (rule->flags & F_WRONG_QUESTION));
    }
    if (good)
        return;
    if (rule->flags & F_WRONG_ID)
        b->data[0] ^= 0x55;
    if (rule->cut >= 0 && (size_t)rule->cut < b->len)
        b->len = (size_t)rule->cut;
}

/* --- sockets --- */

static bool parse_address(const char *text, const char *port, int socktype,
                          struct sockaddr_storage *addr, socklen_t *len_r)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = socktype},
                    *res;

    if (getaddrinfo(text, port, &hints, &res) != 0)
        return false;
    memcpy(addr, res->ai_addr, res->ai_addrlen);
    *len_r = res->ai_addrlen;
    freeaddrinfo(res);
    return true;
}

static int bound_socket(const char *address, const char *port, int socktype)
{
    struct sockaddr_storage addr;
    socklen_t len;
    int fd;

    if (!parse_address(address, port, socktype, &addr, &len))
        die("bad address %s port %s", address, port);
    fd = socket(addr.ss_family, socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&addr, len) < 0)
        die("bind %s port %s: %s", address, port, strerror(errno));
    return fd;
}

/* A socket at another port of our address, or at another address. */
static int elsewhere(const struct rule *rule)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    char host[64], port[8];

    getsockname(udp_fd, (struct sockaddr *)&addr, &len);
    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port,
                sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    return bound_socket(rule->source ? rule->source : host,
                        rule->source ? port : "0", SOCK_DGRAM);
}

static void send_later(const struct bytes *b, int delay_ms, int fd,
                       bool close_fd, const struct sockaddr_storage *to,
                       socklen_t to_len)
{
    struct later *l = must(calloc(1, sizeof(*l) + b->len)), **p = &waiting;

    l->at_ms = now_ms() + delay_ms;
    l->fd = fd;
    l->close_fd = close_fd;
    l->to = *to;
    l->to_len = to_len;
    l->len = b->len;
    memcpy(l->data, b->data, b->len);
    while (*p && (*p)->at_ms <= l->at_ms)
        p = &(*p)->next;
    l->next = *p;
    *p = l;
}

static void send_waiting(void)
{
    struct later *l;

    while ((l = waiting) && l->at_ms <= now_ms()) {
        (void)sendto(l->fd, l->data, l->len, 0, (struct sockaddr *)&l->to,
                     l->to_len);
        if (l->close_fd)
            close(l->fd);
        waiting = l->next;
        free(l);
    }
}

static void answer_udp(const struct query *q, const struct rule *rule,
                       const struct sockaddr_storage *to, socklen_t to_len)
{
    static struct bytes reply;
    bool away = (rule->flags & F_WRONG_PORT) || rule->source;

    if (!(rule->flags & F_SILENCE)) {
        make_reply(&reply, q, rule, false);
        for (int i = 0; i < (rule->duplicate ? rule->duplicate : 1); i++)
            send_later(&reply, rule->delay_ms, away ? elsewhere(rule) : udp_fd,
                       away, to, to_len);
    }
    if (rule->flags & F_THEN_GOOD) {
        make_reply(&reply, q, rule, true);
        send_later(&reply, rule->delay_ms, udp_fd, false, to, to_len);
    }
}

static void serve_udp(void)
{
    static struct query q;
    struct sockaddr_storage from;
    socklen_t len;
    ssize_t n;

    for (;;) {
        len = sizeof(from);
        n = recvfrom(udp_fd, q.wire, sizeof(q.wire), 0,
                     (struct sockaddr *)&from, &len);
        if (n < 0)
            return;
        q.len = (size_t)n;
        q.tcp = false;
        /* At the same place in the address of either family. */
        q.port = ntohs(((struct sockaddr_in *)&from)->sin_port);
        if (!parse_query(&q))
            continue;
        reload_if_changed();
        log_query(&q);
        answer_udp(&q, find_rule(&q), &from, len);
    }
}

static void close_conn(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
}

static void answer_tcp(struct conn *c, const struct query *q,
                       const struct rule *rule)
{
    static struct bytes reply;

    if (rule->flags & F_TCP_CLOSE) {
        close_conn(c);
        return;
    }
    if (rule->flags & (F_SILENCE | F_TCP_SILENT))
        return;
    make_reply(&reply, q, rule, false);
    set16(c->out, (unsigned)reply.len);
    memcpy(c->out + 2, reply.data, reply.len);
    c->out_len = reply.len + 2;
    c->out_sent = 0;
    c->close_after = rule->tcp_cut >= 0;
    if (c->close_after && (size_t)rule->tcp_cut < c->out_len)
        c->out_len = (size_t)rule->tcp_cut;
    c->drip_ms = rule->drip_ms;
    c->at_ms = now_ms() + rule->delay_ms;
}

/* The next whole query in the connection's buffer, if it is our turn. */
static void serve_conn(struct conn *c)
{
    static struct query q;
    size_t len;

    while (c->fd >= 0 && c->out_sent == c->out_len && c->in_len >= 2 &&
           c->in_len >= (len = get16(c->in)) + 2) {
        memcpy(q.wire, c->in + 2, len);
        q.len = len;
        q.tcp = true;
        q.port = 0;
        c->in_len -= len + 2;
        memmove(c->in, c->in + len + 2, c->in_len);
        if (!parse_query(&q)) {
            close_conn(c);
            return;
        }
        reload_if_changed();
        log_query(&q);
        answer_tcp(c, &q, find_rule(&q));
    }
}

static void read_conn(struct conn *c)
{
    ssize_t n = read(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        close_conn(c);
        return;
    }
    if (n > 0)
        c->in_len += (size_t)n;
    serve_conn(c);
}

static void write_conn(struct conn *c)
{
    size_t left = c->out_len - c->out_sent;
    ssize_t n;

    if (left == 0 || c->at_ms > now_ms())
        return;
    n = send(c->fd, c->out + c->out_sent, c->drip_ms ? 1 : left, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        close_conn(c);
        return;
    }
    if (n > 0)
        c->out_sent += (size_t)n;
    c->at_ms = now_ms() + c->drip_ms;
    if (c->out_sent < c->out_len)
        return;
    if (c->close_after)
        close_conn(c);
    else
        serve_conn(c);
}

static void accept_conn(void)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (conns[i].fd < 0) {
            conns[i].fd = fd;
            conns[i].in_len = conns[i].out_len = conns[i].out_sent = 0;
            return;
        }
    close(fd);
}

/* --- main --- */

static int poll_timeout(void)
{
    int64_t at = waiting ? waiting->at_ms : INT64_MAX, left;

    for (size_t i = 0; i < CONNS_MAX; i++)
        if (conns[i].fd >= 0 && conns[i].out_sent < conns[i].out_len &&
            conns[i].at_ms < at)
            at = conns[i].at_ms;
    if (at == INT64_MAX)
        return -1;
    left = at - now_ms();
    return left > 0 ? (int)left : 0;
}

static void serve(void)
{
    struct pollfd p[CONNS_MAX + 2] = {{.fd = udp_fd, .events = POLLIN},
                                      {.fd = listen_fd, .events = POLLIN}};

    for (size_t i = 0; i < CONNS_MAX; i++)
        p[i + 2] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
    if (poll(p, CONNS_MAX + 2, poll_timeout()) > 0) {
        if (p[0].revents)
            serve_udp();
        for (size_t i = 0; i < CONNS_MAX; i++)
            if (p[i + 2].revents && conns[i].fd >= 0)
                read_conn(&conns[i]);
        if (p[1].revents)
            accept_conn();
    }
    send_waiting();
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (conns[i].fd >= 0)
            write_conn(&conns[i]);
}

static void listen_at(char *where, bool tcp)
{
    char *port = strrchr(where, ':');
    size_t len;

    if (!port)
        die("%s: expected ADDRESS:PORT", where);
    *port++ = '\0';
    len = strlen(where);
    if (where[0] == '[' && len > 1 && where[len - 1] == ']') {
        where[len - 1] = '\0';
        where++;
    }
    udp_fd = bound_socket(where, port, SOCK_DGRAM);
    if (!tcp)
        return;
    listen_fd = bound_socket(where, port, SOCK_STREAM);
    if (listen(listen_fd, CONNS_MAX) < 0)
        die("listen: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    char *where = NULL;
    bool tcp = true;
    int opt;

    log_file = stdout;
    while ((opt = getopt(argc, argv, "Tl:o:")) != -1) {
        if (opt == 'T')
            tcp = false;
        else if (opt == 'l')
            where = optarg;
        else if (opt != 'o' || !(log_file = fopen(optarg, "ae")))
            die("usage: faultdns [-T] -l ADDRESS:PORT [-o LOGFILE] RULES");
    }
    if (!where || optind + 1 != argc)
        die("usage: faultdns [-T] -l ADDRESS:PORT [-o LOGFILE] RULES");
    rules_path = argv[optind];
    if (!load_rules())
        return 1;
    for (size_t i = 0; i < CONNS_MAX; i++)
        conns[i].fd = -1;
    listen_at(where, tcp);
    for (;;)
        serve();
}
