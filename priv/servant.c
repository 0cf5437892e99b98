/* SPDX-License-Identifier: MIT */
#include "priv/servant.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "priv/capability.h"

#ifndef SYS_close_range
#define SYS_close_range 436 /* Linux 5.9; headers of the time may lack it */
#endif

#define NOBODY 65534

static int
become_nobody(void)
{
	if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0)
		return -errno;
	return 0;
}

/* `capabilities`: those that it keeps, if it has them. */
static int
confine(const char *name, uint64_t capabilities)
{
	int result = 0, kept;

	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (geteuid() == 0)
		result = become_nobody();
	kept = capability_keep_only(result == 0 ? capabilities : CAPABILITY_NONE);
	if (result == 0)
		result = kept;
	secret_shield(); /* changing the uid makes a process dumpable again */
	return result;
}

int
servant_confine(const char *name, unsigned capability)
{
	return confine(name, UINT64_C(1) << capability);
}

/* It ends with who started it, and not before: a signal to the whole group is not for it. */
static void
ignore_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

void
servant_settle(const char *name)
{
	ignore_signals();
	(void)confine(name, CAPABILITY_NONE);
}

/*
 * fds are given lowest first: what we had, and what systemd gave, is below. For what is above a gap
 * there is a call since Linux 5.9, which C libraries of guests may not know.
 */
static void
close_all_but(int keep_fd)
{
	for (int fd = STDIN_FILENO; fd < keep_fd; fd++)
		close(fd);
	(void)syscall(SYS_close_range, (unsigned)keep_fd + 1, UINT_MAX, 0);
}

int
servant_start(void (*serve)(int fd, void *arg), void *arg)
{
	int ends[2], error;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	child = fork();
	if (child == 0) {
		ignore_signals();
		close_all_but(ends[1]);
		serve(ends[1], arg);
		_exit(0);
	}
	error = errno;
	close(ends[1]);
	if (child > 0)
		return ends[0];
	close(ends[0]);
	return -error;
}
