/* SPDX-License-Identifier: MIT */
#include "base/net.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NET_BACKLOG SOMAXCONN /* after an outage a whole fleet comes back at once */
/* A TCP peer that is silent for a minute is asked, and gone after half a minute more. EGD 0. */
#define NET_KEEP_IDLE_S 60
#define NET_KEEP_INTERVAL_S 10
#define NET_KEEP_COUNT 3
#define NET_UNACKED_MS 90000 /* the same patience with what it does not acknowledge */

/* ---- Unix ---- */

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

/* ---- TCP and vsock ---- */

static bool
net_is_tcp(const struct address *address)
{
	return address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6;
}

static bool
net_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* Best effort: without these a connection works, and its loss is noticed later. */
static void
net_keep_alive(int fd)
{
	(void)net_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	(void)net_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, NET_KEEP_IDLE_S);
	(void)net_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, NET_KEEP_INTERVAL_S);
	(void)net_set(fd, IPPROTO_TCP, TCP_KEEPCNT, NET_KEEP_COUNT);
	(void)net_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, NET_UNACKED_MS);
	(void)net_set(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* requests are small, and awaited */
}

static int
net_socket(const struct address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* After a restart the address is free at once, whatever connections linger. */
static bool
net_bind(int fd, const struct address *address)
{
	if (net_is_tcp(address) && !net_set(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return false;
	if (address->any.sa_family == AF_INET6 && !net_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0))
		return false;
	return bind(fd, &address->any, address->len) == 0;
}

int
net_listen(const struct address *address)
{
	int fd = net_socket(address);

	if (fd < 0)
		return fd;
	if (!net_bind(fd, address) || listen(fd, NET_BACKLOG) != 0) {
		int result = -errno;

		close(fd);
		return result;
	}
	return fd;
}

#define PEER_MAX (sizeof(struct address) - offsetof(struct address, any))

static void
take_peer(int fd, struct address *peer)
{
	if (peer->len > PEER_MAX)
		peer->len = PEER_MAX; /* a Unix peer's path, which is cut */
	address_unmap(peer);
	if (net_is_tcp(peer))
		net_keep_alive(fd);
}

int
net_accept(int listener, struct address *ret)
{
	struct address peer = {.len = PEER_MAX};
	int fd = accept4(listener, &peer.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	take_peer(fd, &peer);
	*ret = peer;
	return fd;
}

int
net_peer(int fd, struct address *ret)
{
	struct address peer = {.len = PEER_MAX};

	if (getpeername(fd, &peer.any, &peer.len) != 0)
		return -errno;
	take_peer(fd, &peer);
	*ret = peer;
	return 0;
}

int
net_connect(const struct address *address)
{
	int fd = net_socket(address);

	if (fd < 0)
		return fd;
	if (net_is_tcp(address))
		net_keep_alive(fd);
	if (connect(fd, &address->any, address->len) != 0 && errno != EINPROGRESS) {
		int result = -errno;

		close(fd);
		return result;
	}
	return fd;
}

int
net_connected(int fd)
{
	socklen_t len = sizeof(int);
	int error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? -error : -errno;
}
