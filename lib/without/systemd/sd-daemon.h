/* SPDX-License-Identifier: MIT */
/* In the place of libsystemd's header where that is not installed: there is no service manager. */
#ifndef LIB_WITHOUT_SYSTEMD_SD_DAEMON_H
#define LIB_WITHOUT_SYSTEMD_SD_DAEMON_H

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

#define SD_LISTEN_FDS_START 3

static inline int
sd_notifyf(int unset, const char *format, ...)
{
	(void)unset, (void)format;
	return 0;
}

static inline int
sd_notify(int unset, const char *state)
{
	(void)unset, (void)state;
	return 0;
}

static inline int
sd_listen_fds_with_names(int unset, char ***ret_names)
{
	(void)unset, (void)ret_names;
	return -ENOSYS;
}

static inline int
sd_watchdog_enabled(int unset, uint64_t *ret_us)
{
	(void)unset, (void)ret_us;
	return 0;
}

static inline int
sd_pid_notify_with_fds(pid_t pid, int unset, const char *state, const int *fds, unsigned count)
{
	(void)pid, (void)unset, (void)state, (void)fds, (void)count;
	return 0;
}

static inline int
sd_notify_barrier(int unset, uint64_t limit_us)
{
	(void)unset, (void)limit_us;
	return 0;
}

#endif
