/* SPDX-License-Identifier: MIT */
/* In the place of notify.c where there is no libsystemd: nobody is told anything. */
#include "daemon/notify.h"

#include <errno.h>

void
notify_ready(const char *status)
{
	(void)status;
}

void
notify_reloading(void)
{
}

void
notify_stopping(void)
{
}

int
notify_socket(const char *name)
{
	(void)name;
	return -ENOENT;
}

void
notify_sockets(notify_socket_fn *fn, void *arg)
{
	(void)fn, (void)arg;
}

int
notify_watchdog_start(struct event_base *base, notify_status_fn *status, void *arg,
		      struct notify_watchdog **ret)
{
	(void)base, (void)status, (void)arg;
	*ret = NULL;
	return 0;
}

void
notify_changed(struct notify_watchdog *watchdog)
{
	(void)watchdog;
}

void
notify_watchdog_stop(struct notify_watchdog **watchdog)
{
	(void)watchdog;
}
