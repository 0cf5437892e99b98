/* SPDX-License-Identifier: MIT */
/*
 * A USB bus that is the test's: it stands in for libusb, for sysfs and for the kernel's acts. What
 * is plugged in, and when and how each transfer and act ends, is the test's to say.
 */
#ifndef TESTS_UNIT_FAKE_USB_H
#define TESTS_UNIT_FAKE_USB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libusb.h>

#include "lib/priv/usb.h"

#define FAKE_USB_SERIAL "M/tBF1IwMQA+AAAA"
#define FAKE_USB_IN 0x81
#define FAKE_USB_OUT 0x03
#define FAKE_USB_ACTS_MAX 256

extern struct fake_usb {
	/* What the next calls return. */
	int init_result, open_result, claim_result, wrap_result, submit_result;
	bool has_hotplug;
	bool is_no_key; /* its descriptors are another device's */
	/* What was done. */
	unsigned claimed, released; /* interfaces, as bits */
	unsigned handles;           /* open */
	unsigned transfers;         /* allocated */
	unsigned looks;             /* into sysfs */
	unsigned acts_len;
	struct {
		enum priv_usb_act act;
		unsigned number;
		int fd; /* -1: opened for it */
	} acts[FAKE_USB_ACTS_MAX];
} fake_usb;

/* An empty bus. */
void fake_usb_begin(void);

/* A key on bus 1, in a new place each time; "": one that tells no serial number. */
void fake_usb_plug(const char *serial);
void fake_usb_unplug(const char *serial);

/* IN transfers that the key may answer. */
unsigned fake_usb_waiting(void);

/* The oldest of them ends: with a packet, or without one. */
void fake_usb_packet(const void *bytes, size_t len);
void fake_usb_fail(enum libusb_transfer_status status);

/* The command that the host sends ends so; NULL: it sends none. *ret_len: of what is returned. */
const uint8_t *fake_usb_command(enum libusb_transfer_status status, size_t *ret_len);

/* The last act is done. */
void fake_usb_act_done(int result);

#endif
