/* SPDX-License-Identifier: MIT */
/*
 * The verdict on the end of a transfer: go on, try again after a while, give the key up. Pure: a
 * table, and counts that keep a permanent fault from becoming a storm.
 */
#ifndef BACKEND_USB_USB_FAULTS_H
#define BACKEND_USB_USB_FAULTS_H

#include <libusb.h>
#include <stddef.h>

#define USB_FAULTS_MAX 6    /* in a row, and no byte between them: the key is given up */
#define USB_EMPTY_MAX 64    /* packets without a byte in a row: a pause follows */
#define USB_PAUSE_MIN_MS 50 /* first wait after a fault; doubles up to... */
#define USB_PAUSE_MAX_MS 1000

enum usb_verdict {
	USB_GO_ON,
	USB_AGAIN,  /* after the pause */
	USB_UNHALT, /* the endpoint has stalled: clear that, then again after the pause */
	USB_END,    /* the key is gone, or given up: see `error` */
};

/* All zero at the start. */
struct usb_faults {
	unsigned in_a_row, empty_in_a_row;
	unsigned pause_ms; /* of the last USB_AGAIN or USB_UNHALT */
	int error;         /* errno of the last fault */
};

/* A transfer has ended with `status` after `len` bytes. */
enum usb_verdict usb_faults_judge(struct usb_faults *f, enum libusb_transfer_status status,
				  size_t len);

/* errno for a libusb_... call that returned `result` < 0. */
int usb_errno(int result);

/* English for an errno of a key on USB, with the cure if any; NULL: strerror() says it well. */
const char *usb_error_text(int error);

#endif
