/* SPDX-License-Identifier: MIT */
#include "priv/sandbox.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/secret.h"
#include "priv/syscall_filter.h"

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
