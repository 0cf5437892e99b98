/* SPDX-License-Identifier: MIT */
/*
 * ekey-mount mounts and unmounts devices by FUSE for a daemon that is not root. For a service it is
 * a unit of its own, ekey-mount@.service, since other processes do not see what the service mounts
 * in its namespace of mounts. Only the configuration counts: the [device] paths in it, and the user
 * in it, the only one that may ask.
 */
#ifndef DAEMON_MOUNT_HELPER_H
#define DAEMON_MOUNT_HELPER_H

#include "lib/priv/helper.h"

/* Its argument: the path of the configuration. Requests and answers: lib/priv/mounter.h. */
extern const struct helper_role mount_helper_role;

#endif
