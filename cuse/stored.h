/* SPDX-License-Identifier: MIT */
/*
 * The state of a device in the service manager's store, from which the next daemon resumes it: the
 * connection to the kernel, the table (cuse/table.h) and the lock of its path, each under a name of
 * its own, "ekey.device.NAME.connection" and so on.
 */
#ifndef CUSE_STORED_H
#define CUSE_STORED_H

#include <stdbool.h>

#include "cuse/table.h"
#include "lib/fd_store.h"

/* The stored parts of one device; each is the caller's, -1: it did not come back. */
struct stored_device {
	int connection, lock, table_fd;
	struct table *table; /* a checked copy, in a memfd of its own: table_fd; NULL: none */
};

/* True when the connection of [device NAME] came back. */
bool stored_is_there(const struct fd_store *store, const char *name);

/* Takes the device that came back: all parts, or none after a line in the log. */
void stored_take(struct fd_store *store, const char *name, struct stored_device *ret);

/* Closes the parts taken, here and in the store. */
void stored_discard(struct fd_store *store, const char *name, struct stored_device *device);

/*
 * Stores a device that has been published or resumed. True: it will come back. The table of a
 * resumed device takes the place of the previous daemon's only when it is in the store itself.
 */
bool stored_put(struct fd_store *store, const char *name, const struct stored_device *device);

/* Returns when the service manager has none of it any more: a connection ends with its last fd. */
void stored_remove(struct fd_store *store, const char *name);

#endif
