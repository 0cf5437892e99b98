/* SPDX-License-Identifier: MIT */
/*
 * A lock file beside a path: says that a process serves the path, and which, without a look at the
 * path itself. It ends with its holder, however that ends. Where we may not make the file, the
 * mounter (priv/mounter.h) is asked.
 */
#ifndef PRIV_LOCK_H
#define PRIV_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Takes "DIR/.NAME.lock" for "DIR/NAME" and writes our pid into it. Returns the fd that holds it;
 * -EBUSY when somebody else does (*ret_holder: its pid, or 0 when it cannot be read), or -errno.
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

/* Removes the file and gives the lock back. */
void priv_unlock(const char *path, int fd);

#endif
