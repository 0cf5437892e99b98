/* SPDX-License-Identifier: MIT */
/* What each helper's sandbox forbids is tried, in a child process each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/mount_helper.h"
#include "daemon/roles.h"
#include "lib/priv/resolver.h"

#if defined(__SANITIZE_ADDRESS__)
#define FILTERED 0
#else
#define FILTERED 1
#endif

static long
execute(void)
{
	char *arguments[] = {NULL};

	return execve("/proc/self/exe", arguments, arguments);
}

static long
fork_itself(void)
{
	return fork();
}

static long
look_into_its_parent(void)
{
	return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

static long
kill_its_parent(void)
{
	return kill(getppid(), 0);
}

static long
write_a_file(void)
{
	return open("/dev/null", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long
remove_a_file(void)
{
	return unlink("/none/at/all");
}

static long
mount_something(void)
{
	return mount("none", "/none/at/all", "tmpfs", 0, NULL);
}

static long
become_root(void)
{
	return setuid(0);
}

static long
type_into_a_terminal(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static long
reach_the_network(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long
load_a_filter(void)
{
	return syscall(SYS_seccomp, 0, 0, NULL);
}

static const struct {
	const char *name;
	long (*act)(void);
	const struct helper_role *but; /* the one that may */
} forbidden[] = {
	{"execute", execute, NULL},
	{"fork", fork_itself, NULL},
	{"ptrace", look_into_its_parent, NULL},
	{"kill", kill_its_parent, NULL},
	{"write a file", write_a_file, &mount_helper_role},
	{"remove a file", remove_a_file, &mount_helper_role},
	{"mount", mount_something, &mount_helper_role},
	{"become root", become_root, NULL},
	{"type into a terminal", type_into_a_terminal, NULL},
	{"load a filter", load_a_filter, NULL},
	{"reach the network", reach_the_network, &resolver_role},
};

static int
status_of(const struct sandbox *sandbox, long (*act)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (sandbox_enter(sandbox) != 0)
			_exit(255);
		_exit(act() >= 0 ? 0 : errno);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* By SIGSYS, or by EPERM, as the role says. */
static void
assert_refused(const struct helper_role *role, const char *name, int status)
{
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
	bool failed = WIFEXITED(status) && WEXITSTATUS(status) == EPERM;

	if (role->sandbox.refusal == SANDBOX_KILL ? !killed : !failed)
		fail_msg("%s can %s: status %#x", role->name, name, (unsigned)status);
}

static void
no_helper_can_do_what_its_role_has_no_need_of(void **state)
{
	(void)state;
	if (!FILTERED) {
		print_message("skipped: a build with a sanitizer has no filter\n");
		skip();
	}
	for (size_t i = 0; roles[i] != NULL; i++)
		for (size_t j = 0; j < sizeof(forbidden) / sizeof(forbidden[0]); j++)
			if (forbidden[j].but != roles[i])
				assert_refused(roles[i], forbidden[j].name,
					       status_of(&roles[i]->sandbox, forbidden[j].act));
}

static void
a_helper_has_one_capability_or_none_and_a_time_for_each_request(void **state)
{
	(void)state;
	for (size_t i = 0; roles[i] != NULL; i++) {
		assert_in_range(strlen(roles[i]->name), 1, 15);
		assert_in_range(roles[i]->capability + 1, 0, 64);
		assert_in_range(roles[i]->timeout_s, 1, 120);
		assert_in_range(roles[i]->request_size, 1, HELPER_MESSAGE_MAX);
		assert_in_range(roles[i]->answer_size, 1, HELPER_MESSAGE_MAX);
	}
}

/* As this one, whose main() does not begin with helper_main(). */
static void
a_program_that_would_start_itself_again_starts_no_helper(void **state)
{
	struct helper helper;

	(void)state;
	assert_int_equal(helper_start(&helper, &resolver_role, NULL, NULL), -ENOSYS);
	assert_int_equal(helper.fd, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_helper_can_do_what_its_role_has_no_need_of),
		cmocka_unit_test(a_helper_has_one_capability_or_none_and_a_time_for_each_request),
		cmocka_unit_test(a_program_that_would_start_itself_again_starts_no_helper),
	};

	return cmocka_run_group_tests_name("roles", tests, NULL, NULL);
}
