/*
 * A directory for one unit test: a process that answers each search, in order,
 * as a function of the test says. On a socket of its own, whose URI is
 * fakeldap_uri(). What a real slapd does not send is tried with it.
 */

#ifndef SUPPORT_FAKELDAP_H
#define SUPPORT_FAKELDAP_H

#include <stdbool.h>
#include <lber.h>

struct fakeldap_search { /* what is to be answered */
    int fd, msgid;
    int number;      /* 1: the first one on this connection */
    bool has_cookie; /* as far as a sync request control has one */
};

/* supported: OIDs of controls, NULL at the end. */
void fakeldap_start(const char *const *supported,
                    void (*answer)(const struct fakeldap_search *s));
const char *fakeldap_uri(void);
void fakeldap_stop(void);

/* ---- for answer() ---- */

/* The server is gone; not by exit(3), so that valgrind has nothing to say. */
void fakeldap_end(void) __attribute__((noreturn));

/* An override of `key`; id is all octets of the entryUUID. state < 0: without a
   control. */
void fakeldap_entry(const struct fakeldap_search *s, int id, const char *key,
                    int state, const char *cookie);
/* An entry with n values of one attribute; one in which an attribute is cut. */
void fakeldap_values(const struct fakeldap_search *s, size_t n);
void fakeldap_cut_entry(const struct fakeldap_search *s);
/* Octets of a syncInfoValue. */
void fakeldap_info(const struct fakeldap_search *s, const void *value,
                   ber_len_t len);
/* The same without end, faster than it can be read. */
void fakeldap_flood(const struct fakeldap_search *s, const void *value,
                    ber_len_t len) __attribute__((noreturn));
/* A syncIdSet of the ids in a text of digits. */
void fakeldap_ids(const struct fakeldap_search *s, const char *ids,
                  bool deleted);
void fakeldap_reference(const struct fakeldap_search *s);
/* The result, with a control unless oid is NULL. */
void fakeldap_done(const struct fakeldap_search *s, int code, const char *oid,
                   const void *value, ber_len_t len);
void fakeldap_sync_done(const struct fakeldap_search *s, const char *cookie,
                        bool refresh_deletes);

#endif
