/* SPDX-License-Identifier: MIT */
/* The capabilities of this process. */
#ifndef PRIV_CAPABILITY_H
#define PRIV_CAPABILITY_H

#include <stdint.h>

#define CAPABILITY_NONE UINT64_C(0)

/*
 * Gives up all capabilities but those in `mask` (bits by number, <linux/capability.h>), for good:
 * no program that this process executes gets them back. 0 or -errno.
 */
int capability_keep_only(uint64_t mask);

#endif
