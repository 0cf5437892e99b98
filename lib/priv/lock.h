/* SPDX-License-Identifier: MIT */
/*
 * A lock file beside a path names the process that serves the path, so that the path itself is not
 * touched. The kernel releases the lock when its holder ends, in any way. Where this process may
 * not make the file, ekey-mount does (lib/priv/mounter.h).
 */
#ifndef LIB_PRIV_LOCK_H
#define LIB_PRIV_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Locks "DIR/.NAME.lock" for "DIR/NAME" and writes our pid into it. Returns the fd that holds the
 * lock; -EBUSY when another process holds it (*ret_holder: its pid, or 0 when it cannot be read),
 * or -errno.
 */
int priv_lock(const char *path, pid_t *ret_holder);

/*
 * Writes our pid into the lock that another process took for `path`, and that `fd` holds. 0, or
 * -errno (-ESTALE: it is not, or no longer, the lock of that path).
 */
int priv_lock_resume(const char *path, int fd);

/* Whether the lock's file names `pid` as its holder, and is of root or of `owner`. */
bool priv_lock_names(const char *path, pid_t pid, uid_t owner);

/* Removes the file of a lock that is held. 0 or -errno. */
int priv_lock_remove(const char *path);

/* Removes the file and releases the lock. */
void priv_unlock(const char *path, int fd);

#endif
