/* SPDX-License-Identifier: MIT */
/*
 * Linked into a daemon in the place of accept4(2): with a file at $EKEY_DIES_AT it is killed, once,
 * when it has taken a connection and before it knows of that. See test_egd_handover.py.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int __real_accept4(int fd, struct sockaddr *ret, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *ret, socklen_t *len, int flags);

int
__wrap_accept4(int fd, struct sockaddr *ret, socklen_t *len, int flags)
{
	int taken = __real_accept4(fd, ret, len, flags);
	const char *order = getenv("EKEY_DIES_AT");

	if (taken >= 0 && order != NULL && unlink(order) == 0)
		kill(getpid(), SIGKILL);
	return taken;
}
