/* A hop as an administrator writes it: [preference ]host[:port]. */

#ifndef MODEL_HOP_H
#define MODEL_HOP_H

#include <stdbool.h>
#include <stdint.h>
#include "model/key.h"

enum hop_kind {
    HOP_HOST,    /* [relay.example.com] */
    HOP_ADDRESS, /* [192.0.2.1] [IPv6:2001:db8::1] */
    HOP_MX       /* example.com: that name's own MX set spliced in */
};

struct hopspec {
    enum hop_kind kind;
    bool has_preference;
    uint16_t preference;          /* 0 where none was written */
    uint16_t port;                /* 0: none was written */
    char host[NAME_MAX_TEXT + 1]; /* normal form, or the address as
                                     inet_ntop(3) prints it */
};

/*
 * Parse one hop (host as in transport(5)). Returns NULL, or a static text that
 * says what is wrong and what was expected. Service names as ports are refused:
 * their meaning differs between machines.
 */
const char *hop_parse(const char *text, struct hopspec *hop_r);

/* The same as text, into out of HOP_TEXT_MAX bytes. */
#define HOP_TEXT_MAX (6 + NAME_MAX_TEXT + 2 + 5 + 6 + 1)
void hop_format(const struct hopspec *hop, char *out);

#endif
