/* SPDX-License-Identifier: MIT */
/*
 * What a device keeps in the service manager's store, so that the next daemon can resume it: the
 * connection to the kernel, the table (cuse/table.h) and the lock of its path, each under a name of
 * its own, "ekey.device.NAME.connection" and so on.
 */
#ifndef CUSE_STORED_H
#define CUSE_STORED_H

#include <stdbool.h>

#include "base/fd_store.h"
#include "cuse/table.h"

/* What came back of one device; each is the caller's, -1: it did not come back. */
struct stored_device {
	int connection, lock, table_fd;
	struct table *table; /* a checked copy, in a memfd of its own: table_fd; NULL: none */
};

/* True when something of the device [device NAME] came back. */
bool stored_is_there(const struct fd_store *store, const char *name);

/*
 * Takes what came back of the device: all of it, or nothing, and one line in the log says why.
 */
void stored_take(struct fd_store *store, const char *name, struct stored_device *ret);

/* Closes what was taken, here and in the store. */
void stored_discard(struct fd_store *store, const char *name, struct stored_device *device);

/*
 * Stores a device that has been published or resumed. True: it will come back. The table of a
 * resumed device takes the place of the previous daemon's only when it is in the store itself.
 */
bool stored_put(struct fd_store *store, const char *name, const struct stored_device *device);

/* Returns when the service manager has none of it any more: a connection ends with its last fd. */
void stored_remove(struct fd_store *store, const char *name);

#endif
