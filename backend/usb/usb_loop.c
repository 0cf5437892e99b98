/* SPDX-License-Identifier: MIT */
#include "backend/usb/usb_loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/usb/usb_faults.h"

/* Without udevd (in a container, with mdev) this is absent, and libudev reports no event. */
#define UDEV_SOCKET "/run/udev/control"

/* An fd that libusb wants watched. */
struct usb_fd {
	struct usb_fd *next;
	int fd;
	struct event *event;
};

struct usb_loop {
	struct event_base *base;
	struct usb_loop_events events;
	libusb_context *context;
	struct usb_fd *fds;
	struct event *timer; /* NULL where libusb has a timerfd among its fds */
	bool has_hotplug;
};

/* ---- fds ---- */

static void
loop_on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	usb_loop_turn(arg, 0);
}

static void
loop_add_fd(int fd, short poll_events, void *arg)
{
	struct usb_loop *l = arg;
	struct usb_fd *f = calloc(1, sizeof(*f));
	short what = EV_PERSIST;

	/* A device's node is writable when a transfer has ended, and when the device is gone. */
	what |= (poll_events & POLLIN ? EV_READ : 0) | (poll_events & POLLOUT ? EV_WRITE : 0);
	if (f == NULL)
		return;
	f->fd = fd;
	f->event = event_new(l->base, fd, what, loop_on_event, l);
	if (f->event == NULL || event_add(f->event, NULL) != 0) {
		if (f->event != NULL)
			event_free(f->event);
		free(f);
		return;
	}
	f->next = l->fds;
	l->fds = f;
}

static void
loop_remove_fd(int fd, void *arg)
{
	struct usb_loop *l = arg;

	for (struct usb_fd **at = &l->fds; *at != NULL; at = &(*at)->next) {
		struct usb_fd *f = *at;

		if (f->fd != fd)
			continue;
		*at = f->next;
		event_free(f->event);
		free(f);
		return;
	}
}

static void
loop_watch_fds(struct usb_loop *l)
{
	const struct libusb_pollfd **fds = libusb_get_pollfds(l->context);

	for (size_t i = 0; fds != NULL && fds[i] != NULL; i++)
		loop_add_fd(fds[i]->fd, fds[i]->events, l);
	libusb_free_pollfds(fds);
	libusb_set_pollfd_notifiers(l->context, loop_add_fd, loop_remove_fd, l);
}

/* ---- time ---- */

static void
loop_arm(struct usb_loop *l)
{
	struct timeval wait;

	if (l->timer != NULL && libusb_get_next_timeout(l->context, &wait) == 1)
		event_add(l->timer, &wait);
}

void
usb_loop_turn(struct usb_loop *l, unsigned wait_ms)
{
	struct timeval wait = {.tv_usec = (suseconds_t)wait_ms * 1000};

	libusb_handle_events_timeout_completed(l->context, &wait, NULL);
	loop_arm(l);
}

/* ---- coming and going ---- */

static int LIBUSB_CALL
loop_on_hotplug(libusb_context *context, libusb_device *device, libusb_hotplug_event event,
		void *arg)
{
	struct usb_loop *l = arg;
	unsigned bus = libusb_get_bus_number(device);
	unsigned address = libusb_get_device_address(device);

	(void)context;
	if (event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED)
		l->events.arrived(l->events.arg, bus, address);
	else
		l->events.left(l->events.arg, bus, address);
	return 0;
}

static bool
loop_start_hotplug(struct usb_loop *l, int vendor, int product)
{
	const int both = LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT;

	return libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG) && access(UDEV_SOCKET, F_OK) == 0 &&
	       libusb_hotplug_register_callback(l->context, both, LIBUSB_HOTPLUG_ENUMERATE, vendor,
						product, LIBUSB_HOTPLUG_MATCH_ANY, loop_on_hotplug,
						l, NULL) == LIBUSB_SUCCESS;
}

bool
usb_loop_has_hotplug(const struct usb_loop *l)
{
	return l->has_hotplug;
}

/* ---- life ---- */

int
usb_loop_new(struct event_base *base, int vendor, int product, const struct usb_loop_events *events,
	     bool hotplug, struct usb_loop **ret)
{
	struct usb_loop *l = calloc(1, sizeof(*l));
	int result;

	if (l == NULL)
		return -ENOMEM;
	*l = (struct usb_loop){.base = base, .events = *events};
	if (!hotplug)
		(void)libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
	result = libusb_init(&l->context);
	if (result < 0) {
		free(l);
		return -usb_errno(result);
	}
	if (libusb_pollfds_handle_timeouts(l->context) == 0)
		l->timer = evtimer_new(base, loop_on_event, l);
	loop_watch_fds(l);
	l->has_hotplug = hotplug && loop_start_hotplug(l, vendor, product);
	*ret = l;
	return 0;
}

void
usb_loop_free(struct usb_loop **loop)
{
	struct usb_loop *l = *loop;

	if (l == NULL)
		return;
	libusb_set_pollfd_notifiers(l->context, NULL, NULL, NULL);
	while (l->fds != NULL)
		loop_remove_fd(l->fds->fd, l);
	if (l->timer != NULL)
		event_free(l->timer);
	libusb_exit(l->context);
	free(l);
	*loop = NULL;
}

int
usb_loop_wrap(struct usb_loop *l, int fd, libusb_device_handle **ret)
{
	int result = libusb_wrap_sys_device(l->context, (intptr_t)fd, ret);

	return result < 0 ? -usb_errno(result) : 0;
}
