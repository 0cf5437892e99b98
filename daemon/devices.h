/* SPDX-License-Identifier: MIT */
/* The [device] sections while the daemon runs. */
#ifndef DAEMON_DEVICES_H
#define DAEMON_DEVICES_H

#include "daemon/parts.h"

extern const struct part_functions devices_part;

/* Whether another process, or something else, has the path of one: its line is in the log. */
bool devices_are_taken(const struct daemon *d);

/* Whether CUSE does not serve one: FUSE may mount and unmount it. */
bool devices_may_be_mounts(const struct daemon *d);

/*
 * Before privileges are dropped: removes lock files of CUSE devices, which could not be removed
 * later. The kernel gives each name of CUSE once.
 */
void devices_unlock(struct daemon *d);

#endif
