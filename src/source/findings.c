/*
 * findings - what is wrong with a set that is read again and again
 *
 * A follower reads what cannot be committed once a minute, and what does not
 * tell of changes as often as it is told to. What is wrong with it goes to the
 * log when it is news: not at each reading, and not without end.
 */

#include "source/findings.h"
#include "util/hash.h"

#include <string.h>

#define ROOM 65536 /* octets */

void findings_keep(void *ctx, const struct finding *found)
{
    struct findings *k = ctx;

    k->hash = hash_bytes(k->hash, found->dn, strlen(found->dn));
    k->hash = hash_bytes(k->hash, found->text, strlen(found->text));
    if (k->first.len < ROOM)
        buf_printf(&k->first, "%s%c%s%c", found->dn, '\0', found->text, '\0');
    else
        k->more++;
}

void findings_forget(struct findings *k)
{
    buf_free(&k->first);
    *k = (struct findings){.told = k->told};
}

void findings_tell(struct findings *k, const char *about, finding_fn *report,
                   void *ctx)
{
    bool news = k->hash != k->told && !k->first.failed;

    for (size_t at = 0; news && at < k->first.len;) {
        struct finding one = {.dn = k->first.data + at};

        one.text = one.dn + strlen(one.dn) + 1;
        at += strlen(one.dn) + 1 + strlen(one.text) + 1;
        report(ctx, &one);
    }
    if (news && k->more > 0)
        finding_report(report, ctx, about, 0,
                       "%u more findings; `mxhop check' lists all", k->more);
    if (news)
        k->told = k->hash;
    findings_forget(k);
}
