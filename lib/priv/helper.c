/* SPDX-License-Identifier: MIT */
#include "lib/priv/helper.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fd_pass.h"
#include "lib/log.h"
#include "lib/priv/sandbox.h"
#include "lib/secret.h"

/* Linux 5.9, 5.3 and 5.1, and 5.4; headers of the time may lack them. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define WAIT_BY_PIDFD 3 /* P_PIDFD */

#define PROGRAM "/proc/self/exe"
#define SOCKET STDIN_FILENO /* of a helper */
#define LEFT_MAX 32
#define END_MS 1000

/* ---- messages ---- */

static int
send_message(int socket, uint32_t number, const void *bytes, size_t size, int fd, int flags)
{
	const struct iovec parts[] = {{.iov_base = &number, .iov_len = sizeof(number)},
				      {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size}};

	return fd_pass_send(socket, parts, 2, &fd, fd >= 0, flags);
}

/* 0, -EAGAIN, or -EPIPE for an end and for a message of another size. */
static int
receive_message(int socket, uint32_t *ret_number, void *ret, size_t size, int *ret_fd, int flags)
{
	const struct iovec parts[] = {{.iov_base = ret_number, .iov_len = sizeof(*ret_number)},
				      {.iov_base = ret, .iov_len = size}};
	ssize_t n = fd_pass_receive(socket, parts, 2, ret_fd, 1, flags);

	if (n == (ssize_t)(sizeof(*ret_number) + size))
		return 0;
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	return n == -EAGAIN ? -EAGAIN : -EPIPE;
}

/* ---- the helper ---- */

/* Stays root where root may not change its user, as the daemon does. */
static int
become(const char *name)
{
	const struct passwd *user;

	errno = ENOENT;
	user = getpwnam(name);
	if (user == NULL)
		return -errno;
	if (setgroups(0, NULL) != 0)
		return errno == EPERM ? 0 : -errno;
	if (setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
		return -errno;
	return 0;
}

static int
confine(const struct helper_role *role, const char *user)
{
	uint64_t keep = role->capability < 0 ? CAPABILITY_NONE : UINT64_C(1) << role->capability;
	int result = 0;

	(void)prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (geteuid() == 0 && user[0] != '\0')
		result = become(user);
	if (result == 0)
		result = capability_keep_only(keep);
	if (result == 0)
		result = sandbox_enter(&role->sandbox);
	if (result < 0)
		log_err("%s: cannot be confined, and refuses all requests: %s", role->name,
			strerror(-result));
	return result;
}

static bool
serve_one(const struct helper_role *role, int prepared)
{
	alignas(max_align_t) uint8_t request[HELPER_MESSAGE_MAX], answer[HELPER_MESSAGE_MAX] = {0};
	int fd, answer_fd = -1;
	uint32_t number;
	bool good;

	if (receive_message(SOCKET, &number, request, role->request_size, &fd, 0) < 0)
		return false;
	good = role->act(prepared, request, fd, answer, &answer_fd);
	secret_wipe(request, sizeof(request));
	if (good)
		good = send_message(SOCKET, number, answer, role->answer_size, answer_fd, 0) == 0;
	if (fd >= 0)
		close(fd);
	if (answer_fd >= 0)
		close(answer_fd);
	return good;
}

/* Stdin is the socket; other files that were open without close-on-exec are above stderr. */
static _Noreturn void
serve(const struct helper_role *role, const char *user, const char *argument)
{
	int prepared = 0, confined;

	(void)prctl(PR_SET_NAME, role->name, 0, 0, 0);
	(void)syscall(SYS_close_range, STDERR_FILENO + 1U, UINT_MAX, 0);
	if (role->prepare != NULL)
		prepared = role->prepare(argument);
	confined = confine(role, user);
	while (serve_one(role, confined < 0 ? confined : prepared))
		;
	_exit(0);
}

static bool is_first_in_main; /* helper_main() is: otherwise a helper would run main() again */

void
helper_main(const struct helper_role *const roles[], char *const argv[])
{
	is_first_in_main = true;
	if (argv[0] == NULL || argv[1] == NULL || argv[2] == NULL)
		return;
	for (; *roles != NULL; roles++)
		if (strcmp(argv[0], (*roles)->name) == 0)
			serve(*roles, argv[1], argv[2]);
}

/* ---- its user: start and end ---- */

bool
helper_is_idle(const struct helper *helper)
{
	return helper->sent == helper->received;
}

/*
 * Helpers to be waited for: released ones, and those that cannot be killed while the kernel waits
 * for a device. A helper above this number stays a zombie until this process ends.
 */
static struct {
	int pidfds[LEFT_MAX];
	size_t count;
} left;

static void
reap(void)
{
	size_t alive = 0;

	for (size_t i = 0; i < left.count; i++) {
		siginfo_t end = {0};

		if (waitid((idtype_t)WAIT_BY_PIDFD, (id_t)left.pidfds[i], &end,
			   WEXITED | WNOHANG) == 0 &&
		    end.si_pid == 0)
			left.pidfds[alive++] = left.pidfds[i];
		else
			close(left.pidfds[i]);
	}
	left.count = alive;
}

static void
leave(int pidfd)
{
	if (pidfd >= 0 && left.count < LEFT_MAX)
		left.pidfds[left.count++] = pidfd;
	else if (pidfd >= 0)
		close(pidfd);
}

/* Blocks all signals in the helper: it ends with its socket, not with the process group. */
static int
spawn(const char *program, const char *const argv[], int socket, int at, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all;
	int error;

	sigfillset(&all);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	error = posix_spawn_file_actions_adddup2(&actions, socket, at);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawnattr_init(&attributes);
	if (error == 0) {
		posix_spawnattr_setsigmask(&attributes, &all);
		posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
		error = posix_spawn(ret_pid, program, &actions, &attributes,
				    (char *const *)(uintptr_t)argv, environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

int
helper_spawn(struct helper *ret, const char *program, const char *const argv[], int at)
{
	int ends[2], result;
	pid_t pid;

	reap();
	*ret = HELPER_NONE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	result = spawn(program, argv, ends[1], at, &pid);
	close(ends[1]);
	if (result < 0) {
		close(ends[0]);
		return result;
	}
	ret->fd = ends[0];
	ret->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return 0;
}

int
helper_start(struct helper *ret, const struct helper_role *role, const char *user,
	     const char *argument)
{
	const char *const argv[] = {role->name, user == NULL ? "" : user,
				    argument == NULL ? "" : argument, NULL};
	int result = -ENOSYS;

	*ret = HELPER_NONE;
	if (is_first_in_main)
		result = helper_spawn(ret, PROGRAM, argv, SOCKET);
	ret->role = role;
	return result;
}

void
helper_release(struct helper *helper)
{
	if (helper->fd >= 0)
		close(helper->fd);
	leave(helper->pidfd);
	*helper = HELPER_NONE;
	reap();
}

/* An idle helper ends at once; one in a system call that cannot be killed is not waited for. */
void
helper_stop(struct helper *helper)
{
	struct pollfd end = {.fd = helper->pidfd, .events = POLLIN};

	if (helper->pidfd >= 0) {
		(void)syscall(SYS_pidfd_send_signal, helper->pidfd, SIGKILL, NULL, 0);
		(void)poll(&end, 1, helper_is_idle(helper) ? END_MS : 0);
	}
	helper_release(helper);
}

/* ---- its user: requests ---- */

int
helper_send(struct helper *helper, const void *request, int fd)
{
	int result = -EPIPE;

	if (helper->fd >= 0)
		result = send_message(helper->fd, helper->sent + 1, request,
				      helper->role->request_size, fd, MSG_DONTWAIT);
	if (result == 0)
		helper->sent++;
	return result;
}

/* A helper that has ended, or broken the rules, gets no request any more. */
int
helper_receive(struct helper *helper, void *ret_answer, int *ret_fd)
{
	uint32_t number;
	int result = receive_message(helper->fd, &number, ret_answer, helper->role->answer_size,
				     ret_fd, MSG_DONTWAIT);

	if (result == -EAGAIN)
		return result;
	if (result == 0 && !helper_is_idle(helper) && number == ++helper->received)
		return 0;
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	helper->received = helper->sent;
	return -EPIPE;
}

int
helper_call(struct helper *helper, const void *request, void *ret_answer, int *ret_fd)
{
	struct pollfd one = {.fd = helper->fd, .events = POLLIN};
	int n, fd, result = helper_send(helper, request, -1);

	if (result < 0)
		return result;
	do
		n = poll(&one, 1, (int)helper->role->timeout_s * 1000);
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		helper_stop(helper);
		return -ETIMEDOUT;
	}
	result = helper_receive(helper, ret_answer, &fd);
	if (ret_fd != NULL)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return result;
}

/* ---- a helper for one request ---- */

int
helper_begin(struct helper *ret, const struct helper_role *role, const void *request, int fd)
{
	int result = helper_start(ret, role, NULL, NULL);

	if (result == 0)
		result = helper_send(ret, request, fd);
	if (result < 0)
		helper_stop(ret);
	return result;
}

int
helper_finish(struct helper *helper, void *ret_answer)
{
	int fd, result = helper_receive(helper, ret_answer, &fd);

	if (fd >= 0)
		close(fd);
	helper_stop(helper);
	return result;
}
