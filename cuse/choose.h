/* SPDX-License-Identifier: MIT */
/* Which carrier a device gets. */
#ifndef CUSE_CHOOSE_H
#define CUSE_CHOOSE_H

#include "cuse/carrier.h"
#include "cuse/device.h"

/*
 * CUSE where it can be had, else FUSE, as the configuration says. The carrier is made from
 * `config` and `requests`. 0, or -errno as carrier_open(), after a line in the log either way.
 */
int choose_carrier(struct carrier *c, const struct device_config *config,
		   struct requests *requests);

#endif
