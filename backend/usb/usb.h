/* SPDX-License-Identifier: MIT */
/*
 * The Entropy Keys on USB: those that are plugged in, their holders, and watches for changes. Costs
 * nothing until the first watch.
 */
#ifndef BACKEND_USB_USB_H
#define BACKEND_USB_USB_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "backend/usb/usb_loop.h"
#include "backend/usb/usb_sysfs.h"

#define USB_KEYS_MAX 64 /* more than the hubs of one host carry */

struct usb;
struct usb_watch;

/* One key, from when it is plugged in until it is unplugged and not held. */
struct usb_key {
	struct usb_address address;
	struct usb_identity identity; /* serial "": it has none, and cannot be held */
	struct event *identifying;    /* its identity is still being read ... */
	struct helper identifier;     /* ... by this helper */
	struct usb *usb;
	bool left;        /* unplugged; listed only for its holder */
	bool was_claimed; /* by us: the kernel's driver gets it back */
	bool tty_offered; /* in the log */
	/* While it is held: */
	int fd;                     /* its usbfs node; -1: not held */
	void (*on_left)(void *arg); /* unplugged: once, while libusb is at work */
	void *arg;
	struct usb_key *next;
};

/* NULL: no memory. */
struct usb *usb_new(struct event_base *base);

/* No key may be held. The kernel's driver gets its keys back. NULLs the pointer. */
void usb_free(struct usb **usb);

/*
 * Calls fn(arg) from the loop when a key with that serial is plugged in; with a NULL serial soon,
 * and after every change. `serial` is not copied. NULL: no memory.
 */
struct usb_watch *usb_watch_new(struct usb *u, const char *serial, void (*fn)(void *arg),
				void *arg);
void usb_watch_free(struct usb_watch **watch);

/* The i-th plugged key with a serial number; NULL after the last. Good until the loop runs. */
const struct usb_key *usb_key(const struct usb *u, size_t i);

/* Keeps the key for the source that names it: "usb" leaves it alone. False: no memory. */
bool usb_reserve(struct usb *u, const char *serial);
void usb_unreserve(struct usb *u, const char *serial);
bool usb_is_reserved(const struct usb *u, const char *serial);

/*
 * Opens the key, for one holder at a time. 0 with *ret, whose `on_left` and `arg` the caller sets;
 * -ENODEV not plugged in, -EBUSY another source has it, or -errno.
 */
int usb_hold(struct usb *u, const char *serial, struct usb_key **ret);

/* Closes it; with `to_kernel` its driver gets it back. */
void usb_give_back(struct usb *u, struct usb_key *key, bool to_kernel);

/* Logs the key's tty, once, when `error` is a fault that the kernel's driver may not have. */
void usb_offer_tty(struct usb_key *key, int error);

/* NULL before the first watch, or when libusb cannot start. */
struct usb_loop *usb_loop(const struct usb *u);

#endif
