/* SPDX-License-Identifier: MIT */
#include "priv/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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
