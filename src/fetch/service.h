/* The service: what is wanted, what is due, and writing down what came of it.
 */

#ifndef FETCH_SERVICE_H
#define FETCH_SERVICE_H

#include "conf/conf.h"

struct service;

/* `say` is for lines of the log. The process may write to conf->tls_store. */
enum mxhop_status service_open(struct service **s_r, struct conf *conf,
                               void (*say)(const char *line),
                               struct mxhop_error *err);
/* Takes what is in *conf from now on, and zeroes it. */
enum mxhop_status service_set(struct service *s, struct conf *conf,
                              struct mxhop_error *err);
/* Fetch this one first, whatever is known. false: no memory. */
bool service_want(struct service *s, const char *domain);
/* Work until wake_fd is readable, or (once) until nothing is left that is due.
 */
void service_run(struct service *s, int wake_fd, bool once);
/* Writes what is not written yet: 0, or an errno value. */
int service_close(struct service **s);

#endif
