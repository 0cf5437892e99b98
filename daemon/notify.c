/* SPDX-License-Identifier: MIT */
#include "daemon/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "lib/clock.h"
#include "lib/fd_store.h"

struct notify_watchdog {
	struct event *timer;
	notify_status_fn *status;
	void *arg;
};

void
notify_ready(const char *status)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

/* The time lets Type=notify-reload (systemd 253) tell this reload from one before. */
void
notify_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_us());
}

void
notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

/* ---- sockets ---- */

void
notify_sockets(notify_socket_fn *fn, void *arg)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names);

	for (int i = 0; i < count; i++) {
		if (strncmp(names[i], FD_STORE_PREFIX, strlen(FD_STORE_PREFIX)) != 0)
			fn(arg, names[i], SD_LISTEN_FDS_START + i);
		free(names[i]);
	}
	free(names);
}

struct wanted {
	const char *name;
	int found;
};

static void
notify_match(void *arg, const char *name, int fd)
{
	struct wanted *wanted = arg;

	if (strcmp(name, wanted->name) == 0)
		wanted->found = fd;
}

int
notify_socket(const char *name)
{
	struct wanted wanted = {.name = name, .found = -ENOENT};

	notify_sockets(notify_match, &wanted);
	return wanted.found;
}

/* ---- the watchdog ---- */

static void
notify_ping(evutil_socket_t fd, short what, void *arg)
{
	const struct notify_watchdog *w = arg;
	char status[NOTIFY_STATUS_MAX];

	(void)fd, (void)what;
	w->status(w->arg, status, sizeof(status));
	(void)sd_notifyf(0, "WATCHDOG=1\nSTATUS=%s", status);
}

int
notify_watchdog_start(struct event_base *base, notify_status_fn *status, void *arg,
		      struct notify_watchdog **ret)
{
	struct notify_watchdog *w;
	struct timeval every;
	uint64_t limit_us;

	*ret = NULL;
	if (sd_watchdog_enabled(0, &limit_us) <= 0)
		return 0;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	*w = (struct notify_watchdog){.status = status, .arg = arg};
	every = (struct timeval){.tv_sec = (time_t)(limit_us / 2 / 1000000),
				 .tv_usec = (suseconds_t)(limit_us / 2 % 1000000)};
	w->timer = event_new(base, -1, EV_PERSIST, notify_ping, w);
	if (w->timer == NULL || event_add(w->timer, &every) != 0) {
		notify_watchdog_stop(&w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

/* Not as if its time had come: the next ping would be due an interval after that time. */
void
notify_changed(struct notify_watchdog *w)
{
	if (w != NULL)
		event_active(w->timer, EV_READ, 0);
}

void
notify_watchdog_stop(struct notify_watchdog **watchdog)
{
	struct notify_watchdog *w = *watchdog;

	if (w == NULL)
		return;
	if (w->timer != NULL)
		event_free(w->timer);
	free(w);
	*watchdog = NULL;
}
