/* SPDX-License-Identifier: MIT */
/*
 * The mounter: mounts and unmounts devices by FUSE for a daemon that is not root. A unit of its
 * own, ekey-mount@.service, since what a service mounts in its own namespace of mounts nobody else
 * sees. It believes the configuration alone: its [device] paths, and its user, who is the one to
 * ask.
 */
#ifndef DAEMON_MOUNT_HELPER_H
#define DAEMON_MOUNT_HELPER_H

#include "priv/helper.h"

/* Its argument: the path of the configuration. Requests and answers: priv/mounter.h. */
extern const struct helper_role mount_helper_role;

#endif
