/* SPDX-License-Identifier: MIT */
/*
 * The service manager's file descriptor store (sd_pid_notify_with_fds(3)): descriptors that a
 * process puts there come back to the next one of the same unit, after a restart, an upgrade or a
 * crash. A stop of the unit empties it. Where there is no store (no service manager, no
 * FileDescriptorStoreMax=, built without libsystemd) no descriptor is kept and none comes back.
 *
 * Each descriptor has a name of its own: several under one name come back in no fixed order.
 */
#ifndef LIB_FD_STORE_H
#define LIB_FD_STORE_H

#include <stdbool.h>

#define FD_STORE_NAME_MAX 96 /* bytes with the NUL; no ':', which separates names */
#define FD_STORE_MAX 96      /* descriptors; FileDescriptorStoreMax= in the unit */

/* All our names begin so: others are sockets that the service manager itself opened. */
#define FD_STORE_PREFIX "ekey."

struct fd_store;

/* Takes the descriptors that came back, close-on-exec. NULL: no memory. */
struct fd_store *fd_store_new(void);

/* Closes those not taken (the service manager keeps its copies); NULLs the pointer. */
void fd_store_free(struct fd_store **store);

/* True when descriptors that are put there come back. */
bool fd_store_works(const struct fd_store *store);

/* True when a descriptor of this name came back and was not taken yet. */
bool fd_store_has(const struct fd_store *store, const char *name);

/* How many came back and were not taken yet; the name of each. */
unsigned fd_store_count(const struct fd_store *store);
const char *fd_store_name(const struct fd_store *store, unsigned i);

/* The descriptor that came back under this name, which is the caller's now; -1: none did. */
int fd_store_take(struct fd_store *store, const char *name);

/* Asks for a copy of `fd` to be stored, or for the stored copy to be closed. */
void fd_store_put(struct fd_store *store, const char *name, int fd);
void fd_store_remove(struct fd_store *store, const char *name);

/* Waits until all requests are done. False: there is no store, or it does not answer. */
bool fd_store_wait(struct fd_store *store);

#endif
