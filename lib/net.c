/* SPDX-License-Identifier: MIT */
#include "lib/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NET_BACKLOG SOMAXCONN /* after an outage a whole fleet comes back at once */
/* A TCP peer that is silent for a minute is asked, and gone after half a minute more. doc/egd.md 0.
 */
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
net_unix_socket(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* The directory of `path`, with the rest of it in *ret_name; or -errno. */
static int
net_unix_directory(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
	size_t len = slash != NULL ? (size_t)(slash - path) + 1 : 0;
	int fd;

	if (len >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, path, len);
	*ret_name = path + len;
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool
net_unix_answers(const char *path)
{
	int fd = net_unix_connect(path);

	if (fd >= 0)
		close(fd);
	return fd != -ECONNREFUSED;
}

/* Nothing but a socket, and a dead one if `dead`. 0 when `path` is free afterwards. */
static int
net_unix_remove(const char *path, bool dead)
{
	const char *name;
	int result, directory = net_unix_directory(path, &name);
	struct stat st;

	if (directory < 0)
		return directory;
	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		result = errno == ENOENT ? 0 : -errno;
	else if (!S_ISSOCK(st.st_mode))
		result = -EEXIST;
	else if (dead && net_unix_answers(path))
		result = -EADDRINUSE;
	else
		result = unlinkat(directory, name, 0) == 0 ? 0 : -errno;
	close(directory);
	return result;
}

void
net_unix_unlink(const char *path)
{
	(void)net_unix_remove(path, false);
}

void
net_unix_discard(int fd)
{
	struct sockaddr_un at = {0};
	socklen_t len = sizeof(at) - 1; /* a NUL stays behind the longest path */
	bool has_path = getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
			at.sun_family == AF_UNIX && at.sun_path[0] == '/';

	close(fd);
	if (has_path)
		(void)net_unix_remove(at.sun_path, true);
}

/*
 * It has its mode from the first moment on, as fchmod(2) and the umask make it: to change it by its
 * path would be to change what others may have put there in the meantime.
 */
static bool
net_unix_bind(int fd, const struct sockaddr_un *address, mode_t mode)
{
	mode_t mask = umask(0);
	bool bound = fchmod(fd, mode) == 0 &&
		     bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
	int error = errno;

	umask(mask);
	errno = error;
	return bound;
}

int
net_unix_listen(const char *path, mode_t mode)
{
	struct sockaddr_un address;
	int result = net_unix_address(path, &address);
	int fd;

	if (result == 0)
		result = net_unix_remove(path, true);
	if (result < 0)
		return result;
	fd = net_unix_socket(SOCK_STREAM);
	if (fd < 0)
		return fd;
	if (!net_unix_bind(fd, &address, mode) || listen(fd, NET_BACKLOG) != 0) {
		result = -errno;
		close(fd);
		return result;
	}
	return fd;
}

/* The socket at `path`, and not what a link there points to; or -errno, -EEXIST: it is none. */
static int
net_unix_node(const char *path)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
		return fd;
	close(fd);
	return -EEXIST;
}

int
net_unix_chown(const char *path, uid_t uid, gid_t gid)
{
	int result, fd = net_unix_node(path);

	if (fd < 0)
		return fd;
	result = fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0 ? 0 : -errno;
	close(fd);
	return result;
}

/* By its name in /proc, for fchmod(2) does not take such an fd. */
int
net_unix_chmod(const char *path, mode_t mode)
{
	char name[sizeof("/proc/self/fd/") + 10];
	int result, fd = net_unix_node(path);

	if (fd < 0)
		return fd;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	result = chmod(name, mode) == 0 ? 0 : -errno;
	close(fd);
	return result;
}

static int
connect_unix(const char *path, int type)
{
	struct sockaddr_un address;
	int result = net_unix_address(path, &address);
	int fd;

	if (result < 0)
		return result;
	fd = net_unix_socket(type);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		result = -errno;
		close(fd);
		return result;
	}
	return fd;
}

int
net_unix_connect(const char *path)
{
	return connect_unix(path, SOCK_STREAM);
}

int
net_unix_connect_packets(const char *path)
{
	return connect_unix(path, SOCK_SEQPACKET);
}

uid_t
net_peer_uid(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.uid : (uid_t)-1;
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

const char *
net_listen_hint(int error)
{
	return error == EADDRINUSE      ? ": another process listens there"
	       : error == EADDRNOTAVAIL ? ": no interface has it"
	       : error == EACCES        ? ": ports below 1024 are for root"
	       : error == EAFNOSUPPORT
		       ? ": this kernel has no such sockets, or the service may have none:"
			 " see SYSTEMD in ekey-randomd(8)"
		       : "";
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
