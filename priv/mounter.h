/* SPDX-License-Identifier: MIT */
/*
 * The mounter's side of its daemon: a daemon that may not write to a device's directory, and not
 * mount, asks ekey-mount (daemon/mount_helper.h), which the service manager starts for each
 * connection to the socket that EKEY_MOUNT names in the daemon's unit.
 */
#ifndef PRIV_MOUNTER_H
#define PRIV_MOUNTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MOUNTER_NAME "ekey-mount"
#define MOUNTER_TIMEOUT_S 10
#define MOUNTER_PATH_MAX 256

enum mounter_act {
	MOUNTER_LOCK, /* priv_lock(): an fd comes with the answer */
	MOUNTER_UNLOCK,
	MOUNTER_CREATE, /* priv_mount_point_create() */
	MOUNTER_REMOVE,
	MOUNTER_MOUNT, /* priv_mount_of(): an fd comes with the answer */
	MOUNTER_UNMOUNT,
};

struct mounter_request {
	uint32_t act;
	char path[MOUNTER_PATH_MAX]; /* resolved, with its NUL */
};

struct mounter_answer {
	int32_t result; /* 0 or -errno */
	int32_t holder; /* of a lock that is held: its pid, or 0 */
};

/* Whether there is one to be asked: we are not root, and the unit names its socket. */
bool mounter_is_there(void);

/* Whether it can do what failed for us with `error`: we may not write, or see it read-only. */
bool mounter_is_needed(int error);

/*
 * Asks, and waits for the answer. 0, an fd (close-on-exec), or -errno; -EACCES: there is no
 * mounter, or, after a line in the log, it did not answer. *ret_holder (may be NULL) with -EBUSY.
 */
int mounter_ask(enum mounter_act act, const char *path, pid_t *ret_holder);

#endif
