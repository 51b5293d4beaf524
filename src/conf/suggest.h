/* The name that somebody may have meant. Internal to src/conf. */

#ifndef CONF_SUGGEST_H
#define CONF_SUGGEST_H

/* The parameter whose name is nearest to name, NULL if none is near. */
const char *suggest_name(const char *name);

#endif
