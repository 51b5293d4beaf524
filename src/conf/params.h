/* The table of parameters, and values as text. Internal to src/conf. */

#ifndef CONF_PARAMS_H
#define CONF_PARAMS_H

#include <stddef.h>
#include <stdint.h>
#include "conf/conf.h"

enum param_type {
    PARAM_TEXT,    /* char *, through `read` */
    PARAM_TIME_S,  /* uint32_t, in seconds */
    PARAM_TIME_MS, /* uint32_t, in milliseconds */
    PARAM_PERCENT, /* uint32_t */
    PARAM_SIZE,    /* uint64_t, in bytes */
    PARAM_INTEGER, /* uint32_t */
    PARAM_CHOICE   /* int, one of `words` */
};

struct param_word {
    const char *word; /* NULL ends the list */
    int value;
};

/* Check text and add what is to be kept to out: MXHOP_ERR_CONFIG with "what
   was found; expected what". A failed out is the caller's to notice. */
typedef enum mxhop_status param_read(const char *text, struct buf *out,
                                     struct mxhop_error *err);

struct param {
    const char *name;
    enum param_type type;
    size_t offset;     /* of the member of struct conf */
    const char *value; /* the default */
    const char *unit;  /* of a time without one */
    uint64_t min, max; /* times in milliseconds */
    const struct param_word *words;
    param_read *read;
};

#define PARAMS_MAX 96
extern const struct param params[];
extern const size_t n_params;

/* Set the member of *c from text. A value may be empty where the default is,
   and means 0. MXHOP_ERR_CONFIG as param_read; *c is then as it was. */
enum mxhop_status param_set(const struct param *p, struct conf *c,
                            const char *text, struct mxhop_error *err);
/* The member of *c as param_set() reads it. */
void param_print(const struct param *p, const struct conf *c, struct buf *out);
/* "a time from 1ms to 1m"; nothing for PARAM_TEXT. */
void param_print_range(const struct param *p, struct buf *out);
char **param_text(const struct param *p, struct conf *c);

/* conf/suggest.c: the parameter whose name is nearest to name, which somebody
   may have meant; NULL if none is near. */
const char *suggest_name(const char *name);

/* Numbers with units: conf/units.c. false: not such a number. */
bool units_read_time(const char *text, const char *unit, uint64_t *ms_r);
bool units_read_size(const char *text, uint64_t *bytes_r);
bool units_read_number(const char *text, const char *suffix, uint64_t *n_r);
void units_print_time(uint64_t ms, struct buf *out);
void units_print_size(uint64_t bytes, struct buf *out);

/* Kinds of text: conf/text.c. */
param_read text_read_printable, text_read_label, text_read_service,
    text_read_path, text_read_cache, text_read_overrides, text_read_families,
    text_read_servers, text_read_networks, text_read_names, text_read_patterns,
    text_read_line, text_read_attribute, text_read_file, text_read_secret_file;

#endif
