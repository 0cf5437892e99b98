/* SPDX-License-Identifier: MIT */
/* What a sandbox forbids is tried, in a child process each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/priv/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define FILTERED false
#else
#define FILTERED true
#endif

#define ENTERED 77 /* exit status of an act that was allowed */

static const struct sandbox_call calls[] = {
	SANDBOX_ONLY("ioctl", 2, FIONREAD),
	SANDBOX_OPEN_TO_READ,
	{.name = NULL},
};

static const struct sandbox strict = {.calls = calls, .refusal = SANDBOX_KILL};
static const struct sandbox lenient = {.calls = calls, .refusal = SANDBOX_EPERM};

/* The status of a child that runs the act in the sandbox and exits with what it returns. */
static int
status_of(const struct sandbox *sandbox, int (*act)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(sandbox_enter(sandbox) == 0 ? act() : 1);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
assert_kills(int (*act)(void))
{
	int status = status_of(&strict, act);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void
assert_exits(const struct sandbox *sandbox, int (*act)(void), int expected)
{
	int status = status_of(sandbox, act);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
}

static int
outcome(bool succeeded)
{
	return succeeded ? ENTERED : errno;
}

static int
make_socket(void)
{
	return outcome(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
}

static int
execute(void)
{
	char *arguments[] = {NULL};

	return outcome(execve("/proc/self/exe", arguments, arguments) == 0);
}

static int
fork_itself(void)
{
	return outcome(fork() >= 0);
}

static int
ask_another_ioctl(void)
{
	struct winsize size;

	return outcome(ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 || errno == ENOTTY);
}

static int
open_to_write(void)
{
	return outcome(open("/dev/null", O_WRONLY) >= 0);
}

static int
make_memory_executable(void)
{
	return outcome(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0) != MAP_FAILED);
}

static int (*const forbidden[])(void) = {
	make_socket, execute, fork_itself, ask_another_ioctl, open_to_write, make_memory_executable,
};

static void
need_filter(void)
{
	if (!FILTERED) {
		print_message("skipped: a build with a sanitizer has no filter\n");
		skip();
	}
}

static void
a_call_that_is_not_in_the_table_ends_the_process(void **state)
{
	(void)state;
	need_filter();
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		assert_kills(forbidden[i]);
}

static void
or_fails_where_the_code_is_not_ours(void **state)
{
	(void)state;
	need_filter();
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		assert_exits(&lenient, forbidden[i], EPERM);
}

static int
use_what_is_allowed(void)
{
	int ends[2] = {STDIN_FILENO, STDIN_FILENO}, bytes;

	(void)ioctl(ends[0], FIONREAD, &bytes);
	return outcome(open("/dev/null", O_RDONLY) >= 0);
}

static void
a_call_in_the_table_works(void **state)
{
	(void)state;
	assert_exits(&strict, use_what_is_allowed, ENTERED);
}

/* 4 MiB: by mmap(2); the small ones: by brk(2). Each clock as the real call that guests make. */
static int
live(void)
{
	struct timespec now;
	uint8_t byte;

	for (size_t size = 1; size <= 4U << 20; size *= 2) {
		char *bytes = malloc(size);

		if (bytes == NULL)
			return 2;
		memset(bytes, 1, size);
		free(bytes);
	}
	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0 ||
	    getrandom(&byte, 1, GRND_NONBLOCK) < -1)
		return 3;
	log_info("written in a sandbox");
	return ENTERED;
}

static void
memory_time_and_log_work_in_each(void **state)
{
	(void)state;
	assert_exits(&strict, live, ENTERED);
}

static void
a_name_that_is_no_call_is_an_error(void **state)
{
	static const struct sandbox_call wrong[] = {{.name = "opennat"}, {.name = NULL}};
	static const struct sandbox sandbox = {.calls = wrong};
	pid_t child;
	int status;

	(void)state;
	need_filter();
	child = fork();
	if (child == 0)
		_exit(sandbox_enter(&sandbox) == -EINVAL ? ENTERED : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), ENTERED);
}

/* The value of a line in /proc/PID/status. */
static long
process_status(pid_t pid, const char *key)
{
	char path[64], line[256];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			value = strtol(line + strlen(key) + 1, NULL, 10);
	fclose(file);
	return value;
}

static void
says_entered_and_waits(int said, int waits)
{
	char byte = 0;

	if (sandbox_enter(&strict) != 0)
		_exit(1);
	_exit(write(said, &byte, 1) == 1 && read(waits, &byte, 1) == 0 ? 0 : 1);
}

static void
no_privilege_can_be_gained(void **state)
{
	int said[2], waits[2];
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	assert_int_equal(pipe2(waits, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		close(waits[1]);
		says_entered_and_waits(said[1], waits[0]);
	}
	assert_int_equal(read(said[0], &byte, 1), 1);
	assert_int_equal(process_status(child, "NoNewPrivs"), 1);
	assert_int_equal(process_status(child, "Seccomp"), FILTERED ? 2 : 0);
	close(waits[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(waits[0]);
	close(said[0]);
	close(said[1]);
}

static int
open_many(void)
{
	for (int i = 0; i < 8; i++)
		if (open("/dev/null", O_RDONLY) < 0)
			return errno;
	return ENTERED;
}

static int
take_much_memory(void)
{
	void *bytes = malloc(512U << 20);

	return outcome(bytes != NULL);
}

static void
files_and_memory_have_their_limits(void **state)
{
	const struct sandbox few_files = {.calls = calls, .files_max = 8},
			     little_memory = {.calls = calls, .memory_bytes = 256U << 20};

	(void)state;
	assert_exits(&few_files, open_many, EMFILE);
	if (FILTERED)
		assert_exits(&little_memory, take_much_memory, ENOMEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_is_not_in_the_table_ends_the_process),
		cmocka_unit_test(or_fails_where_the_code_is_not_ours),
		cmocka_unit_test(a_call_in_the_table_works),
		cmocka_unit_test(memory_time_and_log_work_in_each),
		cmocka_unit_test(a_name_that_is_no_call_is_an_error),
		cmocka_unit_test(no_privilege_can_be_gained),
		cmocka_unit_test(files_and_memory_have_their_limits),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
