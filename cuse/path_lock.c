/* SPDX-License-Identifier: MIT */
#include "cuse/path_lock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/priv/lock.h"
#include "lib/priv/mount.h"

/* Mounts on top of each other that are cleared before we give up. */
#define CLAIM_MOUNTS_MAX 16

int
path_lock_resolve(const char *path, char *ret, size_t size)
{
	char dir[PATH_MAX], real[PATH_MAX];
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? "" : slash + 1;

	if (path[0] != '/' || strcmp(name, "") == 0 || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0) {
		log_err("%s: the path of a device must be absolute and end with its name", path);
		return -EINVAL;
	}
	snprintf(dir, sizeof(dir), "%.*s/", (int)(slash - path), path);
	if (realpath(dir, real) == NULL) {
		int error = errno;

		log_err("%s: its directory %s: %s%s", path, dir, strerror(error),
			error == ENOENT ? "; make it, or choose another path" : "");
		return -error;
	}
	if ((size_t)snprintf(ret, size, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) < size)
		return 0;
	log_err("%s: the path is too long", path);
	return -ENAMETOOLONG;
}

int
path_lock_take(const char *path)
{
	pid_t holder = 0;
	int fd = priv_lock(path, &holder);
	const char *name = strrchr(path, '/') + 1;

	if (fd == -EBUSY && holder == getpid())
		log_err("%s: another [device] of ours already serves it: choose another path",
			path);
	else if (fd == -EBUSY && holder != 0)
		log_err("%s: process %d already serves it: stop that, or choose another path", path,
			(int)holder);
	else if (fd == -EBUSY)
		log_err("%s: another process already serves it", path);
	else if (fd < 0 && fd != -EACCES)
		log_err("%s: cannot lock it by the file %.*s.%s.lock: %s", path, (int)(name - path),
			path, name, strerror(-fd));
	return fd;
}

/* While we hold the lock of the path, a mount of ours there has no server. */
static int
path_lock_clear_mounts(const char *path)
{
	for (int i = 0; i < CLAIM_MOUNTS_MAX; i++) {
		enum priv_mounted mounted;
		int result = priv_mount_look(path, &mounted);

		if (result < 0) {
			log_err("%s: cannot read the list of mounts, /proc/self/mounts: %s "
				"(is /proc mounted?)",
				path, strerror(-result));
			return result;
		}
		if (mounted == PRIV_MOUNTED_NOTHING)
			return 0;
		if (mounted == PRIV_MOUNTED_OTHER)
			return -EEXIST;
		log_warn("%s: clearing the dead mount of a previous process", path);
		result = priv_unmount(path);
		if (result < 0) {
			log_err("%s: cannot unmount it: %s", path, strerror(-result));
			return result;
		}
	}
	return -EEXIST;
}

int
path_lock_clear(const char *path)
{
	int result = path_lock_clear_mounts(path);

	if (result < 0 && result != -EEXIST)
		return result;
	if (result == 0)
		result = priv_mount_point_remove(path);
	if (result == -EEXIST)
		log_err("%s: exists and is not ours: remove it, or choose another path", path);
	else if (result < 0)
		log_err("%s: cannot remove the file of a previous process: %s", path,
			strerror(-result));
	return result;
}

void
path_lock_discard(const char *path, int fd)
{
	enum priv_mounted mounted;

	if (priv_lock_resume(path, fd) < 0) {
		close(fd);
		return;
	}
	if (priv_mount_look(path, &mounted) == 0 && mounted == PRIV_MOUNTED_OURS)
		(void)path_lock_clear(path);
	priv_unlock(path, fd);
}
