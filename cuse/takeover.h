/* SPDX-License-Identifier: MIT */
/* What a former daemon has left of a device: is it ours to go on with, and if not, away with it. */
#ifndef CUSE_TAKEOVER_H
#define CUSE_TAKEOVER_H

#include "cuse/carrier.h"
#include "cuse/device.h"
#include "priv/handover.h"

/*
 * The table that was left in `k`, or a new one, when there is none or we cannot go on with it: then
 * the rest of `k` is closed and forgotten too, after a line in the log. 0 or -errno: no memory.
 */
int takeover_table(struct handover *handover, struct kept *k, const char *path, struct table **ret,
		   int *ret_fd);

/*
 * The connection `fd`, by the table that `requests` has. NULL, or why not; then nothing in `c` is
 * open. Takes `fd` either way.
 */
const char *takeover_carrier(struct carrier *c, const struct device_config *config,
			     struct requests *requests, int fd);

#endif
