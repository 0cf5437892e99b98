/* SPDX-License-Identifier: MIT */
/*
 * libusb in the event loop: its fds and its timer are events like any other, and nothing wakes the
 * daemon while nothing happens on the bus. (libusb's own thread reads udev's events, and wakes the
 * daemon only when a device comes or goes.)
 */
#ifndef BACKEND_USB_USB_LOOP_H
#define BACKEND_USB_USB_LOOP_H

#include <event2/event.h>
#include <libusb.h>
#include <stdbool.h>

struct usb_loop;

struct usb_loop_events {
	/*
	 * A device of the wanted kind was plugged in, also before the start; was unplugged. Called
	 * while libusb is at work: only take note.
	 */
	void (*arrived)(void *arg, unsigned bus, unsigned device);
	void (*left)(void *arg, unsigned bus, unsigned device);
	void *arg;
};

/*
 * 0 with *ret, or -errno. `vendor` and `product` are those of the wanted devices. Without
 * `hotplug` no device is looked at, now or by another loop of this process.
 */
int usb_loop_new(struct event_base *base, int vendor, int product,
		 const struct usb_loop_events *events, bool hotplug, struct usb_loop **ret);

/* No handle may be open. NULLs the pointer; NULL is fine. */
void usb_loop_free(struct usb_loop **loop);

/* False: arrived() and left() are not called; the bus must be looked at. */
bool usb_loop_has_hotplug(const struct usb_loop *l);

/*
 * A handle over an open usbfs node, which stays the caller's. 0 with *ret or -errno. Waits up to a
 * second for a device that does not answer: see PRIV_USB_PROBE.
 */
int usb_loop_wrap(struct usb_loop *l, int fd, libusb_device_handle **ret);

/* Handles the events that are due, or come within `wait_ms`: calls transfers' callbacks. */
void usb_loop_turn(struct usb_loop *l, unsigned wait_ms);

#endif
