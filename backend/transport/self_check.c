/* SPDX-License-Identifier: MIT */
#include "backend/transport/self_check.h"

#include <string.h>
#include <unistd.h>

#include "lib/address.h"

#define PID_OF_INIT 1

/* The credentials are those of the listener, and of ours perhaps the service manager's. */
static enum self_check
peer_of_unix(int fd)
{
	struct ucred other;
	socklen_t len = sizeof(other);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &len) != 0)
		return SELF_CHECK_OTHER;
	if (other.pid == getpid())
		return SELF_CHECK_SELF;
	return other.pid == PID_OF_INIT ? SELF_CHECK_NEAR : SELF_CHECK_OTHER;
}

static bool
peer_is_same_host(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	switch (a->any.sa_family) {
	case AF_INET:
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	case AF_INET6:
		return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
	case AF_VSOCK:
		return a->vm.svm_cid == b->vm.svm_cid;
	default:
		return false;
	}
}

enum self_check
self_check(int fd)
{
	struct address here = {.len = sizeof(here.in6)}, there = {.len = sizeof(there.in6)};

	if (getsockname(fd, &here.any, &here.len) != 0)
		return SELF_CHECK_OTHER;
	if (here.any.sa_family == AF_UNIX)
		return peer_of_unix(fd);
	if (getpeername(fd, &there.any, &there.len) != 0)
		return SELF_CHECK_OTHER;
	return peer_is_same_host(&here, &there) ? SELF_CHECK_NEAR : SELF_CHECK_OTHER;
}
