/* SPDX-License-Identifier: MIT */
/*
 * The key's USB controller without I/O: its control endpoint, and what becomes of each bulk IN
 * packet, with the faults of a bus. Sources: USB 2.0 chapters 8 and 9, CDC PSTN 1.2.
 */
#ifndef TESTS_SIM_USB_DEVICE_H
#define TESTS_SIM_USB_DEVICE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/faults.h"
#include "tests/sim/usb_descriptors.h"

#define USB_SETUP_LEN 8
#define USB_REPLY_MAX USB_DESCRIPTOR_MAX

/* Not now: the host goes on asking. Other values below 0 are a transfer's status, as it sees it. */
#define USB_NAK (-EAGAIN)

struct usb_counters {
	uint64_t configured;     /* times a host, or its reset, made the device ready */
	uint64_t halts_cleared;  /* of bulk IN */
	uint64_t class_requests; /* CDC control requests */
	uint64_t line_states;    /* those of them that carry DTR and RTS */
};

struct usb_device {
	struct faults *faults;
	const char *serial;
	bool strict; /* firmware dies of line states, as the real one did */
	struct usb_counters counters;
	uint8_t configuration; /* 0: not configured */
	bool halted;           /* bulk IN answers STALL until the host clears it */
	bool mute;             /* bulk IN answers NAK until the host resets the device */
	bool crashed;          /* all endpoints answer NAK until it is plugged in again */
	uint8_t line_coding[7];
};

/* `faults` and `serial` (16 characters) must outlive it. */
void usb_device_init(struct usb_device *d, struct faults *faults, const char *serial, bool strict);

/* Power off and on. Counters stay. */
void usb_device_replug(struct usb_device *d);

/*
 * A control transfer: `out_len` bytes came with the setup. Returns the length of the answer in
 * `ret` (0 too: done), or USB_NAK, or -EPIPE for a request that it does not know.
 */
int usb_device_control(struct usb_device *d, const uint8_t setup[static USB_SETUP_LEN],
		       const uint8_t *out, size_t out_len, uint8_t ret[static USB_REPLY_MAX]);

/*
 * The host asks for a bulk IN packet while `ready` bytes (not 0) wait. 0: the packet has the first
 * *ret_len of them, perhaps none; USB_NAK; or -errno: the transfer ends with it, and the bytes wait
 * for the next.
 */
int usb_device_packet(struct usb_device *d, size_t ready, size_t *ret_len);

/* It will take or give bulk data. */
bool usb_device_talks(const struct usb_device *d);

#endif
