/* SPDX-License-Identifier: MIT */
#include "priv/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for "/sys/class/cuse/NAME/abort" with the longest name a file may have. */
#define CUSE_SYSFS_PATH_MAX (32 + 255)

int
priv_open_tty(const char *path)
{
	struct statx st;
	int fd;

	/*
	 * Asked first: opening is an act on some devices (a watchdog is armed by it). DONT_SYNC: no
	 * file server is asked, which might hang, or be ourselves.
	 */
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &st) != 0)
		return -errno;
	if (!S_ISCHR(st.stx_mode))
		return -ENOTTY;
	fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!isatty(fd)) {
		close(fd);
		return -ENOTTY;
	}
	return fd;
}

int
priv_open_cuse(void)
{
	int fd = open("/dev/cuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int
priv_open_cuse_abort(const char *name)
{
	char path[CUSE_SYSFS_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/cuse/%s/abort", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
priv_chmod_node(const char *path, mode_t mode)
{
	return chmod(path, mode) == 0 ? 0 : -errno;
}
