/* SPDX-License-Identifier: MIT */
#include "lib/priv/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/secret.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* Both limits, so that the process cannot raise it again. */
static int
limit(__rlimit_resource_t resource, rlim_t value)
{
	const struct rlimit both = {value, value};

	return setrlimit(resource, &both) == 0 ? 0 : -errno;
}

int
sandbox_enter(const struct sandbox *sandbox)
{
	int result = limit(RLIMIT_NPROC, 0);

	secret_shield();
	if (result == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		result = -errno;
	if (result == 0 && sandbox->files_max != 0)
		result = limit(RLIMIT_NOFILE, sandbox->files_max);
	if (SANITIZED || result < 0)
		return result;
	if (sandbox->memory_bytes != 0)
		result = limit(RLIMIT_AS, sandbox->memory_bytes);
	return result == 0 ? syscall_filter_load(sandbox) : result;
}

/* ---- capabilities ---- */

#define SETS _LINUX_CAPABILITY_U32S_3 /* of 32 bits each */

/* The C library has no functions for the two system calls; libcap is not worth a dependency. */
int
capability_keep_only(uint64_t mask)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[SETS];
	uint32_t excess = 0;

	if (syscall(SYS_capget, &header, sets) != 0)
		return -errno;
	for (unsigned i = 0; i < SETS; i++) {
		excess |= sets[i].permitted & ~(uint32_t)(mask >> 32 * i);
		sets[i].permitted &= (uint32_t)(mask >> 32 * i);
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	if (excess == 0)
		return 0; /* a filter of system calls need not allow capset(2) then */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return -errno;
	return syscall(SYS_capset, &header, sets) == 0 ? 0 : -errno;
}
