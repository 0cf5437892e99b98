/* SPDX-License-Identifier: MIT */
/*
 * Messages to the service manager (sd_notify(3)), and the sockets that it opened. Without
 * NOTIFY_SOCKET, or built without libsystemd, these functions do nothing.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#define NOTIFY_STATUS_MAX 256

/* `status`: the line that `systemctl status` shows. */
void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);

/*
 * Returns the listening socket that the service manager opened under this name (systemd.socket(5),
 * FileDescriptorName=), which stays open; -ENOENT: there is none.
 */
int notify_socket(const char *name);

/* Calls `fn` for each of these sockets. */
typedef void notify_socket_fn(void *arg, const char *name, int fd);
void notify_sockets(notify_socket_fn *fn, void *arg);

struct notify_watchdog;

/* Writes the present status line. */
typedef void notify_status_fn(void *arg, char *ret, size_t size);

/*
 * Sends a ping and a status line twice in each WATCHDOG_USEC, by a timer of `base`: they stop when
 * its loop hangs. Without WATCHDOG_USEC *ret is NULL and there is no timer. 0 or -errno.
 */
int notify_watchdog_start(struct event_base *base, notify_status_fn *status, void *arg,
			  struct notify_watchdog **ret);

/* Sends the changed line, with a ping, in the next turn of the loop. NULL is fine. */
void notify_changed(struct notify_watchdog *watchdog);

/* NULLs the pointer. NULL is fine. */
void notify_watchdog_stop(struct notify_watchdog **watchdog);

#endif
