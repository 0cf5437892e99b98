/* SPDX-License-Identifier: MIT */
/*
 * Confines a process that handles bytes from strangers: no new privileges, no core dump, no access
 * to its memory by other processes of its user, no child process, and only the system calls of a
 * table. The caller gives up capabilities and files before.
 */
#ifndef LIB_PRIV_SANDBOX_H
#define LIB_PRIV_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

/* An allowed system call; with `argument` only where that argument & `mask` == `equals`. */
struct sandbox_call {
	const char *name;  /* as in syscalls(2), or several, with spaces between */
	unsigned argument; /* 1 to 6; 0: with any arguments */
	uint64_t mask, equals;
};

/* For requests of ioctl(2), options of prctl(2) and the like. */
#define SANDBOX_ONLY(name_, argument_, value) \
	{ \
		.name = (name_), .argument = (argument_), .mask = UINT32_MAX, .equals = (value) \
	}
#define SANDBOX_OPEN_TO_READ \
	{ \
		.name = "openat", .argument = 3, .mask = 03 /* O_ACCMODE */, \
		.equals = 00 /* O_RDONLY */ \
	}

enum sandbox_refusal {
	SANDBOX_KILL,  /* another system call ends the process by SIGSYS */
	SANDBOX_EPERM, /* another system call fails: for libraries with calls of their own */
};

struct sandbox {
	/*
	 * The last has no name. Allowed in each sandbox, and not to be listed: read, write, close,
	 * poll, the time, getrandom, the log, memory that is not executable, the process's end.
	 */
	const struct sandbox_call *calls;
	enum sandbox_refusal refusal;
	unsigned files_max;  /* RLIMIT_NOFILE; 0: as it is */
	size_t memory_bytes; /* RLIMIT_AS; 0: as it is */
};

/*
 * Confines all threads of this process for good. 0 or -errno: -EINVAL for a name that is no system
 * call, -ENOSYS or -EINVAL where the kernel has no filters, -EPERM under a service manager's filter
 * without seccomp(2). After an error the process must not go on. Builds with a sanitizer, which
 * makes calls of its own, have no filter and no limit of memory.
 */
int sandbox_enter(const struct sandbox *sandbox);

/* The filter of sandbox_enter(); in a program without libseccomp it allows all. 0 or -errno. */
int syscall_filter_load(const struct sandbox *sandbox);

#define CAPABILITY_NONE UINT64_C(0)

/*
 * Gives up all capabilities but those in `mask` (bits by number, <linux/capability.h>), for good:
 * no program that this process executes gets them back. 0 or -errno.
 */
int capability_keep_only(uint64_t mask);

#endif
