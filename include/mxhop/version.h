/* mxhop/version.h - the version of the library that these headers describe. */

#ifndef MXHOP_VERSION_H
#define MXHOP_VERSION_H

#define MXHOP_VERSION "0.2.0"

#endif
