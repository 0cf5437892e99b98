/* SPDX-License-Identifier: MIT */
/* Which of root's powers this process has. */
#ifndef PRIV_CAPABILITY_H
#define PRIV_CAPABILITY_H

#include <stdint.h>

#define CAPABILITY_NONE UINT64_C(0)

/*
 * Keeps those in `mask` (bits by number, <linux/capability.h>) that it has and gives up the others,
 * for good: nothing that it executes gets them back. 0 or -errno.
 */
int capability_keep_only(uint64_t mask);

#endif
