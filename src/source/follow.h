/* Keeping the override table as the directory is: `mxhop refresh --follow`. */

#ifndef SOURCE_FOLLOW_H
#define SOURCE_FOLLOW_H

#include "source/compile.h"

struct follow_options {
    const struct compile_options *compile; /* of a directory; now_s unused */
    uint32_t refresh_ms; /* how often to ask a server that cannot tell */
    /* The directory can be followed (text: which server), or cannot (why).
       Called when that changes, not for each attempt. */
    void (*state)(void *ctx, bool well, const char *text);
    /* The first attempt is over, whatever came of it. */
    void (*ready)(void *ctx);
    void *ctx;
};

/*
 * Never returns: whatever cannot be had is tried again. Blocks in poll(2), and
 * in libldap for as long as the timeouts of the settings allow. The process may
 * be ended at any instruction: a set is committed whole or not at all.
 */
void follow_directory(const struct follow_options *options)
    __attribute__((noreturn));

#endif
