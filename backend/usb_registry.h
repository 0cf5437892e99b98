/* SPDX-License-Identifier: MIT */
/*
 * What the three files behind backend/usb.h share: usb.c, which keys are there, usb_hold.c, who has
 * which, and usb_watch.c, who is to hear when that changes.
 */
#ifndef BACKEND_USB_REGISTRY_H
#define BACKEND_USB_REGISTRY_H

#include <event2/event.h>
#include <stdbool.h>

#include "backend/usb.h"

struct usb {
	struct event_base *base;
	struct usb_loop *loop; /* NULL: not started */
	struct usb_key *keys;
	struct usb_watch *watches, *next_watch;
	struct usb_reserved *reserved;
	struct event *changed; /* tells the watches, from the loop */
	struct event *scan;    /* without hotplug */
	bool told_scan;
};

/* Starts looking for keys, or tries again every USB_SCAN_S. */
void usb_start(struct usb *u);

/* Unplugged, and nobody has it any more. */
void usb_forget(struct usb *u, struct usb_key *key);

/* A key that was given up is nobody's, but was ours: also of that the kernel may have it again. */
void usb_return_to_kernel(const struct usb_key *key);

/* `serial` was plugged in; NULL: something else has changed. */
void usb_tell(struct usb *u, const char *serial);

/* For usb.changed. */
void usb_on_changed(evutil_socket_t fd, short what, void *arg);

#endif
