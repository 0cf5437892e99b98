/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told, when one asks by NOTIFY_SOCKET (sd_notify(3)). Nobody asked:
 * nothing happens. The same holds when built without libsystemd.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#define NOTIFY_STATUS_MAX 256

/* What `systemctl status` shows, one line. */
void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);

/*
 * The listening socket that the service manager opened for us under this name (systemd.socket(5),
 * FileDescriptorName=); it stays open as long as we run. -ENOENT: there is none.
 */
int notify_socket(const char *name);

/* Calls `fn` for each of these sockets. */
typedef void notify_socket_fn(void *arg, const char *name, int fd);
void notify_sockets(notify_socket_fn *fn, void *arg);

struct notify_watchdog;

/* Writes the line of now. */
typedef void notify_status_fn(void *arg, char *ret, size_t size);

/*
 * From now on a ping and a status line, twice in each WATCHDOG_USEC, from a timer of `base`: they
 * stop when its loop does. *ret is NULL, and there is no timer, when nobody watches. 0 or -errno.
 */
int notify_watchdog_start(struct event_base *base, notify_status_fn *status, void *arg,
			  struct notify_watchdog **ret);

/* The line is another one now: it is sent, with a ping, in the loop's next turn. NULL is fine. */
void notify_changed(struct notify_watchdog *watchdog);

/* NULLs the pointer. NULL is fine. */
void notify_watchdog_stop(struct notify_watchdog **watchdog);

#endif
