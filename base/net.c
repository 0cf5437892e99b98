/* SPDX-License-Identifier: MIT */
#include "base/net.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NET_BACKLOG 128

static int
net_unix_address(const char *path, struct sockaddr_un *ret)
{
	size_t len = strlen(path);

	if (len >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret->sun_path, path, len);
	return 0;
}

static int
net_unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* Removes a socket that nobody answers on any more. 0 when `path` is free afterwards. */
static int
net_unix_clear(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = net_unix_connect(path);
	if (fd >= 0)
		close(fd);
	if (fd != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) == 0 ? 0 : -errno;
}

int
net_unix_listen(const char *path, mode_t mode)
{
	struct sockaddr_un address;
	int result = net_unix_address(path, &address);
	int fd;

	if (result == 0)
		result = net_unix_clear(path);
	if (result < 0)
		return result;
	fd = net_unix_socket();
	if (fd < 0)
		return fd;
	/* fchmod before bind: there is no moment in which the socket is more open than `mode`. */
	if (fchmod(fd, mode) != 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    chmod(path, mode) != 0 || listen(fd, NET_BACKLOG) != 0) {
		result = -errno;
		close(fd);
		return result;
	}
	return fd;
}

int
net_unix_connect(const char *path)
{
	struct sockaddr_un address;
	int result = net_unix_address(path, &address);
	int fd;

	if (result < 0)
		return result;
	fd = net_unix_socket();
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		result = -errno;
		close(fd);
		return result;
	}
	return fd;
}
