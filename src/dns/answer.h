/* The records of a reply that answer its question. */

#ifndef WIRE_ANSWER_H
#define WIRE_ANSWER_H

#include "dns/record.h"
#include "dns/reply.h"

struct answer {
    struct wire_name last; /* end of the CNAME chain */
    uint32_t ttl_s;        /* smallest along chain and records, or negative */
    bool secure;
};

/* Called for each record of the asked type at the end of the chain, its data
   checked; false ends the reading: the answer is RECORDS_BAD. */
typedef bool answer_fn(void *ctx, const struct record *r);

/* Walk a judged message and sum up; a question of another type is RECORDS_BAD.
   *last: the end of the CNAME chain; with RECORDS_BAD the question's name (""
   if it is none). *a_r is meaningful unless RECORDS_BAD; fn may have been
   called before an answer proves bad: the caller takes that back.
 */
enum records_status answer_read(const uint8_t *msg, size_t len,
                                const struct question *q, uint16_t type,
                                struct answer *a_r, char *last, answer_fn *fn,
                                void *ctx);

#endif
