/* SPDX-License-Identifier: MIT */
/* The [device] sections while the daemon runs. */
#ifndef DAEMON_DEVICES_H
#define DAEMON_DEVICES_H

#include "daemon/parts.h"

extern const struct part_functions devices_part;

/* Whether another process, or something else, has the path of one: its line is in the log. */
bool devices_are_taken(const struct daemon *d);

/* The name of a configured device that CUSE does not serve: its mount takes privileges. NULL: none.
 */
const char *devices_not_by_cuse(const struct daemon *d);

/*
 * Before privileges are dropped: removes lock files of CUSE devices, which could not be removed
 * later. The kernel gives each name of CUSE once.
 */
void devices_unlock(struct daemon *d);

#endif
