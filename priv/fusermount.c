/* SPDX-License-Identifier: MIT */
#include "priv/fusermount.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd_pass.h"

#define FUSERMOUNT "fusermount3"
#define FUSERMOUNT_OPTIONS \
	"fsname=ekey-random,subtype=ekey-random,nosuid,nodev,noexec,default_permissions"
#define FUSERMOUNT_PATH "PATH=/usr/local/bin:/usr/bin:/bin"

/* Starts fusermount3 with a small environment; `comm_fd` (or -1) stays open in it. */
static int
fusermount_spawn(const char *const argv[], int comm_fd, pid_t *ret_pid)
{
	char comm[32], path[] = FUSERMOUNT_PATH;
	char *const env[] = {path, comm, NULL};
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (error != 0)
		return -error;
	snprintf(comm, sizeof(comm), "_FUSE_COMMFD=%d", comm_fd);
	/* A dup2 onto itself makes posix_spawn clear close-on-exec. */
	if (comm_fd >= 0)
		error = posix_spawn_file_actions_adddup2(&actions, comm_fd, comm_fd);
	if (error == 0)
		error = posix_spawnp(ret_pid, argv[0], &actions, NULL,
				     (char *const *)(uintptr_t)argv, env);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

static int
fusermount_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Receives one byte with one descriptor, or the end of the stream after a refusal. */
static int
fusermount_receive(int socket)
{
	char byte;
	const struct iovec part = {&byte, 1};
	ssize_t n;
	int fd;

	do
		n = fd_pass_receive(socket, &part, 1, &fd, 1, 0);
	while (n == -EINTR);
	return fd >= 0 ? fd : -EPERM;
}

int
fusermount_mount(const char *path)
{
	const char *const argv[] = {FUSERMOUNT, "-o", FUSERMOUNT_OPTIONS, "--", path, NULL};
	int pair[2], result, fd;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	result = fusermount_spawn(argv, pair[0], &pid);
	close(pair[0]);
	if (result < 0) {
		close(pair[1]);
		return result;
	}
	fd = fusermount_receive(pair[1]);
	close(pair[1]);
	result = fusermount_wait(pid);
	if (fd >= 0 && (result < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)) {
		close(fd);
		return result < 0 ? result : -errno;
	}
	return fd;
}

int
fusermount_unmount(const char *path)
{
	const char *const argv[] = {FUSERMOUNT, "-u", "-z", "-q", "--", path, NULL};
	pid_t pid = 0;
	int result = fusermount_spawn(argv, -1, &pid);

	return result < 0 ? result : fusermount_wait(pid);
}
