/* SPDX-License-Identifier: MIT */
/* What the parent keeps: devices and clients of a daemon that may be killed at any time. */
#ifndef DAEMON_KEEP_H
#define DAEMON_KEEP_H

#include <stdbool.h>
#include <stddef.h>

#include "priv/kept.h"

struct keep {
	size_t count;
	struct kept at[KEPT_MAX];
	bool managed; /* the service manager has the same */
};

/* What the service manager has kept of a former parent. */
void keep_from_manager(struct keep *keep);

/* Hands all to a new daemon. 0 or -errno. */
int keep_send(const struct keep *keep, int socket);

/* A device, or else clients. */
bool keep_is_device(const struct kept *k);

/* How many devices are among it. */
size_t keep_devices(const struct keep *keep);

/* Does what a daemon asks and returns the answer. Takes the fds of `k`. */
int keep_do(struct keep *keep, enum kept_act act, struct kept *k);

#endif
