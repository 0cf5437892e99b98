/* SPDX-License-Identifier: MIT */
#include "priv/heir.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "priv/servant.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* Linux 5.3; headers of the time may lack it */
#endif

static bool
has_ended(int pidfd, int timeout_ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	while (poll(&p, 1, timeout_ms) < 0)
		if (errno != EINTR)
			return true;
	return p.revents != 0;
}

bool
heir_lives(int heir)
{
	return !has_ended(heir, 0);
}

/* No fork(), which copies the table. The C library does not know of it: there are no threads yet.
 */
static pid_t
clone_with_files(int *ret_pidfd)
{
	return (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, NULL, ret_pidfd, NULL,
			      NULL);
}

int
heir_start(void (*inherit)(void *arg), void *arg)
{
	int we = (int)syscall(SYS_pidfd_open, getpid(), 0), heir = -1, error;
	pid_t child;

	if (we < 0)
		return -errno;
	child = clone_with_files(&heir);
	if (child == 0) {
		servant_settle("ekey-heir");
		(void)has_ended(we, -1);
		inherit(arg);
		_exit(0);
	}
	error = errno;
	if (child > 0)
		return heir;
	close(we);
	return -error;
}
