/* SPDX-License-Identifier: MIT */
#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"

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

void
notify_pass_sockets(void)
{
	int count = sd_listen_fds(0);

	for (int i = 0; i < count; i++)
		(void)fcntl(SD_LISTEN_FDS_START + i, F_SETFD, 0);
}

/* ---- the store: each fd under "fdN" and its path ---- */

#define STORE_PREFIX_LEN 3
#define STORE_BARRIER_US 5000000

bool
notify_store(const char *path, const int *fds, unsigned count)
{
	char text[512];
	bool stored = getenv("FDSTORE") != NULL;

	for (unsigned i = 0; stored && i < count; i++) {
		if (fds[i] < 0)
			continue;
		/* Not polled: an fd that the kernel gives up is ours to look after. */
		snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=fd%u%s", i, path);
		stored = sd_pid_notify_with_fds(0, 0, text, &fds[i], 1) > 0;
	}
	if (stored)
		(void)sd_notify_barrier(0, STORE_BARRIER_US);
	return stored;
}

void
notify_forget(const char *path)
{
	for (unsigned i = 0; i < NOTIFY_STORE_FDS; i++)
		(void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=fd%u%s", i, path);
	(void)sd_notify_barrier(0, STORE_BARRIER_US);
}

static bool
store_name_parse(const char *name, unsigned *ret_what)
{
	*ret_what = (unsigned)(name[0] == 'f' && name[1] == 'd' ? name[2] - '0' : NOTIFY_STORE_FDS);
	return *ret_what < NOTIFY_STORE_FDS && name[STORE_PREFIX_LEN] == '/';
}

/* Its number is not the daemon's to have, and must not be missing in the row either. */
static int
store_take(int fd)
{
	int taken = fcntl(fd, F_DUPFD_CLOEXEC, 0), null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup3(null, fd, O_CLOEXEC) < 0)
		close(fd);
	if (null >= 0)
		close(null);
	return taken;
}

void
notify_stored(notify_stored_fn *fn, void *arg)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names);

	for (int i = 0; i < count; i++) {
		unsigned what;

		if (store_name_parse(names[i], &what)) {
			int fd = store_take(SD_LISTEN_FDS_START + i);

			if (!fn(arg, names[i] + STORE_PREFIX_LEN, what, fd))
				close(fd);
		}
		free(names[i]);
	}
	free(names);
}

/* ---- sockets ---- */

void
notify_sockets(notify_socket_fn *fn, void *arg)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names);
	unsigned what;

	for (int i = 0; i < count; i++) {
		if (!store_name_parse(names[i], &what))
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
