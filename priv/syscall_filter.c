/* SPDX-License-Identifier: MIT */
#include "priv/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * What the C library and the log need at any time. clock_gettime() is a real call where the
 * kernel's clock is another than the TSC, as in some guests.
 */
static const struct sandbox_call always[] = {
	{.name = "brk"},
	{.name = "clock_gettime"},
	{.name = "clock_nanosleep"},
	{.name = "close"},
	{.name = "exit"},
	{.name = "exit_group"},
	{.name = "fstat"},
	{.name = "futex"},
	{.name = "getpid"},
	{.name = "getrandom"},
	{.name = "gettid"},
	{.name = "gettimeofday"},
	{.name = "madvise"},
	{.name = "mmap", .argument = 3, .mask = PROT_EXEC, .equals = 0},
	{.name = "mremap"},
	{.name = "munmap"},
	SANDBOX_ONLY("newfstatat", 4, AT_EMPTY_PATH),
	{.name = "poll"},
	{.name = "ppoll"},
	{.name = "read"},
	{.name = "restart_syscall"},
	{.name = "rt_sigprocmask"},
	{.name = "rt_sigreturn"},
	SANDBOX_ONLY("sendto", 1, STDERR_FILENO),
	{.name = "tgkill"},
	{.name = "write"},
	{.name = NULL},
};

static int
add_call(scmp_filter_ctx filter, const struct sandbox_call *call)
{
	int number = seccomp_syscall_resolve_name(call->name);

	if (number == __NR_SCMP_ERROR)
		return -EINVAL;
	if (call->argument == 0)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	return seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, number, 1,
		SCMP_CMP(call->argument - 1, SCMP_CMP_MASKED_EQ, call->mask, call->equals));
}

static int
add_calls(scmp_filter_ctx filter, const struct sandbox_call *calls)
{
	int result = 0;

	for (; calls->name != NULL && result == 0; calls++)
		result = add_call(filter, calls);
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
