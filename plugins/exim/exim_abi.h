/*
 * exim_abi.h - how Exim calls a function of ${dlfunc}, in our own words
 *
 * Exim publishes a header for local_scan() and such functions. It is not used:
 * all that is needed of it is one function type and three numbers, which have
 * been the same since Exim 4.00 (the numbers) and 4.60 (dlfunc), and without it
 * one binary fits all versions. No symbol of Exim is used either, so that its
 * memory, its taint marks and its log stay its own.
 *
 * The function gets the arguments behind the names of file and function, and
 * leaves at *text_r a string that Exim copies before it does anything else.
 */

#ifndef EXIM_ABI_H
#define EXIM_ABI_H

enum exim_result {
    EXIM_OK = 0,         /* the text is what the item expands to */
    EXIM_FAIL = 2,       /* the expansion fails; the text says why */
    EXIM_FAIL_FORCED = 4 /* it fails as by {fail}: a router declines */
};
/* 1 (DEFER) and 3 (ERROR) write to the panic log, and are never returned. */

typedef int exim_dlfunc(unsigned char **text_r, int argc,
                        unsigned char *argv[]);

#endif
