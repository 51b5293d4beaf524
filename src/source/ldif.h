/* LDIF files as a source of overrides. */

#ifndef SOURCE_LDIF_H
#define SOURCE_LDIF_H

#include "ldap/entry.h"

#define LDIF_BYTES_MAX (256u * 1024 * 1024)

/* A record; what is not MXHOP_OK ends the reading. */
typedef enum mxhop_status ldif_fn(void *ctx, const struct raw_entry *e,
                                  struct mxhop_error *err);

/*
 * Read a whole LDIF file (RFC 2849). It must be regular and at most 256 MiB;
 * NUL bytes, `include:`, `attr:< URL` and change records are refused with path
 * and line, as is every syntax error: the file is then no source at all.
 */
enum mxhop_status ldif_read(const char *path, ldif_fn *fn, void *ctx,
                            struct mxhop_error *err);

/* The same over bytes in memory (not NUL-terminated); name is for errors. */
enum mxhop_status ldif_read_bytes(const char *name, const char *bytes,
                                  size_t len, ldif_fn *fn, void *ctx,
                                  struct mxhop_error *err);

#endif
