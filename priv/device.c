/* SPDX-License-Identifier: MIT */
#include "priv/device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Returns the type before a device is opened, since opening can act on it (and arm a watchdog).
 * DONT_SYNC: no request goes to a file server, which may hang, or be this process. 0 or -errno.
 */
static int
look(const char *path, struct statx *ret)
{
	return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, ret) == 0 ? 0 : -errno;
}

static bool
is_cuse(const struct statx *st)
{
	char path[64], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", st->stx_rdev_major, st->stx_rdev_minor);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	return strstr(target, "/cuse/") != NULL;
}

int
priv_open_input(const char *path)
{
	struct statx st;
	int result = look(path, &st);

	if (result == 0 && !S_ISCHR(st.stx_mode) && !S_ISFIFO(st.stx_mode))
		result = -EMEDIUMTYPE;
	else if (result == 0 && S_ISCHR(st.stx_mode) && is_cuse(&st))
		result = -EDEADLK;
	if (result == 0)
		result = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	return result == -1 ? -errno : result;
}

int
priv_open_tty(const char *path)
{
	struct statx st;
	int fd = look(path, &st);

	if (fd < 0)
		return fd;
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
priv_chmod_node(const char *path, mode_t mode)
{
	return chmod(path, mode) == 0 ? 0 : -errno;
}
