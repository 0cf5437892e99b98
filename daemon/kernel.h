/* SPDX-License-Identifier: MIT */
/*
 * The [kernel] section while the daemon runs: daemon/kernel_feed.h. The helper that `credit = yes`
 * needs gets its privilege before the daemon drops it: with one that comes with a reload bytes are
 * mixed without credit.
 */
#ifndef DAEMON_KERNEL_H
#define DAEMON_KERNEL_H

#include "daemon/parts.h"

extern const struct part_functions kernel_part;

#endif
