/* SPDX-License-Identifier: MIT */
#include "tls/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "priv/sandbox.h"

/* All that the first version of Landlock knows; of later ones we have no need. */
#define FILES_ALL (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)
#define FILES_READ LANDLOCK_ACCESS_FS_READ_FILE

/* One that is not there has nothing to be read. */
static int
allow(int ruleset, const char *directory)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = FILES_READ};
	long result;

	rule.parent_fd = open(directory, O_PATH | O_CLOEXEC | O_DIRECTORY);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	result = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (result != 0)
		result = -errno;
	close(rule.parent_fd);
	return (int)result;
}

static int
confine_files(const char directories[static CONFINE_DIRECTORIES][TLS_PATH_MAX])
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs = FILES_ALL};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int result = 0;

	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; result == 0 && i < CONFINE_DIRECTORIES && directories[i][0] != '\0'; i++)
		result = allow(ruleset, directories[i]);
	if (result == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		result = -errno;
	if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		result = -errno;
	close(ruleset);
	return result;
}

/* No socket is made, bound or connected here: the daemon gives those that there are. */
static const struct sandbox_call calls[] = {
	/* stat() and the like: keys are read again, by paths whose links are followed. */
	{.name = "epoll_ctl epoll_pwait epoll_pwait2 epoll_wait lstat mlock2 munlock newfstatat"
		 " readlink recvfrom recvmsg sendmsg sendto shutdown stat"},
	SANDBOX_ONLY("fcntl", 2, F_GETFL),
	SANDBOX_ONLY("fcntl", 2, F_SETFL),
	SANDBOX_OPEN_TO_READ,
	{.name = NULL},
};

/* What OpenSSL tries beyond, in some version, shall fail and not end all connections. */
static const struct sandbox sandbox = {.calls = calls, .refusal = SANDBOX_EPERM};

bool
confine(const char directories[static CONFINE_DIRECTORIES][TLS_PATH_MAX])
{
	int result = confine_files(directories);

	if (result == -ENOSYS || result == -EOPNOTSUPP) {
		log_info("this kernel has no Landlock: only the modes of files limit what"
			 " ekey-tls can read");
		result = 0;
	} else if (result < 0) {
		log_err("Landlock: %s", strerror(-result));
		return false;
	}
	result = sandbox_enter(&sandbox);
	if (result < 0)
		log_err("the filter of system calls: %s", strerror(-result));
	return result == 0;
}
