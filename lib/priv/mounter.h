/* SPDX-License-Identifier: MIT */
/*
 * The daemon's end of ekey-mount (daemon/mount_helper.h), which acts where the daemon may not write
 * to a device's directory, and not mount. As a service the daemon connects for each request to the
 * socket that EKEY_MOUNT names, for which the service manager starts one. Otherwise root starts a
 * helper before it becomes another user.
 */
#ifndef LIB_PRIV_MOUNTER_H
#define LIB_PRIV_MOUNTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/priv/helper.h"

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

/* Starts the helper as root, with `role` and its argument. 0 or -errno. */
int mounter_start(const struct helper_role *role, const char *argument);
void mounter_stop(void);

/* Whether a helper was started, or the service manager can start one. */
bool mounter_is_there(void);

/* Whether ekey-mount is there and `error` is a missing right, or a mount that is read-only here. */
bool mounter_is_needed(int error);

/*
 * Requests an act, and waits for the answer. 0, an fd (close-on-exec), or -errno; -EACCES:
 * ekey-mount is not there, or refused, or, after a line in the log, did not answer. *ret_holder
 * (may be NULL) with -EBUSY.
 */
int mounter_ask(enum mounter_act act, const char *path, pid_t *ret_holder);

#endif
