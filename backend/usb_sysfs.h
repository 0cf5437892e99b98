/* SPDX-License-Identifier: MIT */
/*
 * The keys on the bus as the kernel remembers them from the moment they were plugged in: their
 * serial numbers are read without a word to the keys themselves.
 */
#ifndef BACKEND_USB_SYSFS_H
#define BACKEND_USB_SYSFS_H

#include <stddef.h>

#define USB_SYSFS "/sys/bus/usb/devices"
#define USB_VENDOR 0x20df  /* Simtec Electronics */
#define USB_PRODUCT 0x0001 /* Entropy Key */
#define USB_SERIAL_MAX 32  /* characters; a key's are 16 */

struct usb_address {
	unsigned bus, device;
	char serial[USB_SERIAL_MAX + 1];
};

/*
 * Writes at most `cap` keys that are listed in the folder `sysfs` to ret[]; returns how many. A key
 * whose serial number is missing, longer, or not of plain characters without blanks is left out.
 */
size_t usb_sysfs_list(const char *sysfs, struct usb_address *ret, size_t cap);

#endif
