/* SPDX-License-Identifier: MIT */
/*
 * The right to a path: of one process at a time, which clears what a dead one left there. The path
 * itself is not touched before /proc/self/mounts shows that no file system of ours is on it.
 */
#ifndef CUSE_PATH_LOCK_H
#define CUSE_PATH_LOCK_H

#include <stddef.h>

/*
 * `path` with its directory resolved, in ret[0..size): the form in which the kernel lists mounts.
 * 0, or -errno after a line in the log.
 */
int path_lock_resolve(const char *path, char *ret, size_t size);

/*
 * Locks the path. The fd that holds it (priv_unlock() releases it), or -errno after a line in the
 * log
 * (-EBUSY: served). -EACCES comes without a line: a process that may not write to the directory can
 * serve there by CUSE only, and the kernel gives each name to one CUSE device only.
 */
int path_lock_take(const char *path);

/*
 * With the path locked: detaches dead mounts of ours and removes the file below them. 0 when the
 * path is free, else -errno after a line in the log (-EEXIST: it exists and is not ours).
 */
int path_lock_clear(const char *path);

/*
 * Removes what the previous daemon left at `path`, which is not trusted: the lock, if `fd` is the
 * lock of that path, and the mount, if the kernel's list of mounts has one of ours there.
 */
void path_lock_discard(const char *path, int fd);

#endif
