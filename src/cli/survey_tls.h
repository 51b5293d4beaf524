/* How many domains of a survey are to be sent to over verified TLS, and want
   reports of TLS. */

#ifndef CLI_SURVEY_TLS_H
#define CLI_SURVEY_TLS_H

#include "handle/bulk.h"
#include "policy/store.h"

enum survey_tls_class {
    SURVEY_ENFORCE,
    SURVEY_TESTING,
    SURVEY_UNFETCHED, /* the domain says that it has a policy */
    SURVEY_UNKNOWN,   /* DNS fails */
    SURVEY_DANE_ALL,
    SURVEY_DANE_SOME,
    SURVEY_NEITHER,
    SURVEY_CLASSES
};

/* Start with zeros. */
struct survey_tls {
    bool on;             /* mta_sts is not off */
    bool reports_on;     /* Postfix sends reports, and tlsrpt is not ignore */
    uint64_t reports;    /* domains that want them */
    struct store *store; /* NULL: no policy is known */
    uint64_t counts[SURVEY_CLASSES];
};

/* A store that cannot be used is complained about. */
void survey_tls_open(struct survey_tls *t, const struct mxhop *mx);
/* One more domain, which has mail hosts. */
void survey_tls_count(struct survey_tls *t, const struct bulk_answer *answer);
/* hosted: how many there were. */
void survey_tls_print(const struct survey_tls *t, uint64_t hosted, bool json);
void survey_tls_close(struct survey_tls *t);

#endif
