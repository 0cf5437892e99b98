/* SPDX-License-Identifier: MIT */
/* The one place that says which version this is. */
#ifndef LIB_VERSION_H
#define LIB_VERSION_H

#ifndef VERSION /* a test builds another */
#define VERSION "0.1.0"
#endif

#endif
