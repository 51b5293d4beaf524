/* The service manager. */

#ifndef UTIL_NOTIFY_H
#define UTIL_NOTIFY_H

#include <stdbool.h>

/* sd_notify(3): tell it, where there is one, that the service is ready. false:
   it cannot be told, and errno says why. */
bool notify_ready(void);

#endif
