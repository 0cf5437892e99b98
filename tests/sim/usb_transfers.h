/* SPDX-License-Identifier: MIT */
/*
 * The transfers between a USB host and the simulated key, without I/O: the host's USB/IP commands
 * go in, the answers come out, and between them lies a stream of bytes in each direction.
 */
#ifndef TESTS_SIM_USB_TRANSFERS_H
#define TESTS_SIM_USB_TRANSFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/urb.h"
#include "tests/sim/usb_device.h"
#include "tests/sim/usbip.h"

/* Takes all of the bytes, which are of one message but not all of it. */
typedef void usb_send(void *arg, const void *bytes, size_t len);

struct usb_transfers {
	struct usb_device *device;
	usb_send *send;
	void *arg;
	struct urb_list in, out; /* of the bulk endpoints */
	struct urb_list silent;  /* never answered: notifications, and control when crashed */
};

/* All must outlive it. */
void usb_transfers_init(struct usb_transfers *t, struct usb_device *device, usb_send *send,
			void *arg);

/* Forgets them: the plug is pulled. */
void usb_transfers_drop(struct usb_transfers *t);

/* A transfer is submitted. `urb` has its payload, if it is one out; it is ours from here. */
void usb_transfers_submit(struct usb_transfers *t, const struct usbip_command *c, struct urb *urb);

/*
 * The host wants a transfer to end. As with a real controller what it has got so far is not lost:
 * then it returns, and it was too late to unlink it.
 */
void usb_transfers_unlink(struct usb_transfers *t, const struct usbip_command *c);

/* A packet, or a part of one, that the host has written; 0: there is none. */
bool usb_transfers_may_take(const struct usb_transfers *t);
size_t usb_transfers_take(struct usb_transfers *t, uint8_t *ret, size_t cap);

/*
 * `ready` bytes (not 0) wait for the host: gives it a packet of them, if it asks and nothing goes
 * wrong, and returns its length. A transfer returns when it is full or by a packet that is not.
 */
bool usb_transfers_may_give(const struct usb_transfers *t);
size_t usb_transfers_give(struct usb_transfers *t, const uint8_t *bytes, size_t ready);

/* Returns the bulk IN transfer that has begun, before the plug is pulled. */
void usb_transfers_flush(struct usb_transfers *t);

#endif
