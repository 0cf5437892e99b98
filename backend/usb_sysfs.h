/* SPDX-License-Identifier: MIT */
/*
 * The keys on the bus as the kernel remembers them from the moment they were plugged in: their
 * serial numbers are read without a word to the keys themselves.
 */
#ifndef BACKEND_USB_SYSFS_H
#define BACKEND_USB_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

#define USB_SYSFS "/sys/bus/usb/devices"
#define USB_VENDOR 0x20df  /* Simtec Electronics */
#define USB_PRODUCT 0x0001 /* Entropy Key */
#define USB_SERIAL_MAX 32  /* characters; a key's are 16 */

#define USB_TEXT_MAX 64 /* bytes of another text of theirs, with its NUL */

struct usb_address {
	unsigned bus, device;
	char folder[32]; /* "1-4.2", of the port that it is in */
};

/* What a key says of itself; texts but the serial number may be "". */
struct usb_identity {
	char serial[USB_SERIAL_MAX + 1];
	char manufacturer[USB_TEXT_MAX], product[USB_TEXT_MAX];
	char speed[8]; /* Mbit/s: "12" */
};

/*
 * Writes at most `cap` keys that are listed in the folder `sysfs` to ret[]; returns how many. Never
 * waits: a key that the kernel is resetting is listed like any other.
 */
size_t usb_sysfs_list(const char *sysfs, struct usb_address *ret, size_t cap);

/*
 * Who the key is. False when its serial number is missing, longer, or not of plain characters
 * without blanks. Waits while the kernel resets that key: ask once, when it has come.
 */
bool usb_sysfs_identify(const char *sysfs, const struct usb_address *address,
			struct usb_identity *ret);

#endif
