/* Between the files of the service; service.h is the interface. */

#ifndef FETCH_SERVICE_INT_H
#define FETCH_SERVICE_INT_H

#include "fetch/book.h"
#include "fetch/job.h"
#include "fetch/service.h"

#define FIRST_RETRY_S 300 /* after a failure; doubles up to a day */
#define TRIES_MAX     10  /* in a row, of a domain without a policy */
#define DAY_S         86400
#define SETTLE_MS     50u /* results that come together are written together */

struct service {
    struct conf conf;
    struct networks bogus;
    void (*say)(const char *line);
    struct book book;
    struct job_tools tools;
    int epoll_fd, want_fd, dir_fd, lock_fd;
    uid_t owner; /* of the MTA's processes */
    struct item_list soon, urgent;
    unsigned running;
    int64_t clock_s; /* wall time when the other clock began */
    uint64_t scan_ms, save_ms;
    bool save_failed, full_told;
    bool deaf;   /* the socket is somebody else's */
    bool astray; /* the directory is not where it should be */
};

/* service.c */
void service_say(struct service *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
uint32_t service_random(uint32_t below);
void service_save_soon(struct service *s);

/* service_try.c */
void service_queue(struct service *s, struct item *i, enum item_queue queue);
void service_remove(struct service *s, struct item *i); /* not while it runs */
void service_start_some(struct service *s);

/* service_want.c */
void service_take_wants(struct service *s);
void service_scan(struct service *s); /* queue what is due */
/* If the clock was set: the times that it has set, too. */
void service_move_times(struct service *s);

#endif
