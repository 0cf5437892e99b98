/* SPDX-License-Identifier: MIT */
#include "lib/priv/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The C library and the log need these at any time. clock_gettime() is a real call where the
 * kernel's clock is not the TSC, as in some guests.
 */
static const struct sandbox_call always[] = {
	{.name = "brk clock_gettime clock_nanosleep close exit exit_group fstat futex getpid"
		 " getrandom gettid gettimeofday madvise mremap munmap poll ppoll read"
		 " restart_syscall rt_sigprocmask rt_sigreturn tgkill write"},
	{.name = "mmap", .argument = 3, .mask = PROT_EXEC, .equals = 0},
	SANDBOX_ONLY("newfstatat", 4, AT_EMPTY_PATH),
	SANDBOX_ONLY("sendto", 1, STDERR_FILENO),
	{.name = NULL},
};

static int
add_call(scmp_filter_ctx filter, const char *name, const struct sandbox_call *call)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number == __NR_SCMP_ERROR)
		return -EINVAL;
	if (call->argument == 0)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	return seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, number, 1,
		SCMP_CMP(call->argument - 1, SCMP_CMP_MASKED_EQ, call->mask, call->equals));
}

static int
add_names(scmp_filter_ctx filter, const struct sandbox_call *call)
{
	char *names = strdup(call->name), *rest = names, *name;
	int result = names == NULL ? -ENOMEM : 0;

	while (result == 0 && (name = strsep(&rest, " ")) != NULL)
		result = add_call(filter, name, call);
	free(names);
	return result;
}

static int
add_calls(scmp_filter_ctx filter, const struct sandbox_call *calls)
{
	int result = 0;

	for (; calls->name != NULL && result == 0; calls++)
		result = add_names(filter, calls);
	return result;
}

int
syscall_filter_load(const struct sandbox *sandbox)
{
	uint32_t refusal =
		sandbox->refusal == SANDBOX_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
	scmp_filter_ctx filter = seccomp_init(refusal);
	int result;

	if (filter == NULL)
		return -ENOMEM;
	result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (result == 0)
		result = add_calls(filter, always);
	if (result == 0)
		result = add_calls(filter, sandbox->calls);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result;
}
