/* SPDX-License-Identifier: MIT */
#include "priv/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Else a device or socket of ours would live as long as this process waits. */
static void
child_close_all_but(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	if (a < 0 || b < 0)
		low = high;
	if (low > 0)
		close_range(0, low - 1, 0);
	if (low + 1 < high)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, UINT_MAX, 0);
}

static void __attribute__((noreturn))
child_run(void (*work)(void *arg, int result_fd), void *arg, int keep_fd, int result_fd)
{
	if (fork() == 0) {
		child_close_all_but(keep_fd, result_fd);
		work(arg, result_fd);
	}
	_exit(0);
}

int
priv_child_start(void (*work)(void *arg, int result_fd), void *arg, int keep_fd)
{
	int ends[2], error;
	sigset_t all, before;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	/* The child would tell our loop of a signal that was meant for us, and be ended by it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	child = fork();
	if (child == 0)
		child_run(work, arg, keep_fd, ends[1]);
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return -error;
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return ends[0];
}
