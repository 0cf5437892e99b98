/* SPDX-License-Identifier: MIT */
/*
 * The keys on the bus as the kernel knows them since they were plugged in: their serial numbers are
 * read without a request to the keys.
 */
#ifndef BACKEND_USB_USB_SYSFS_H
#define BACKEND_USB_USB_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/priv/usb.h"

#define USB_SYSFS "/sys/bus/usb/devices"
#define USB_VENDOR 0x20df  /* Simtec Electronics */
#define USB_PRODUCT 0x0001 /* Entropy Key */

struct usb_address {
	unsigned bus, device;
	char folder[32]; /* "1-4.2", of its port */
};

/*
 * Writes at most `cap` keys that are listed in the folder `sysfs` to ret[]; returns their number.
 * Never waits: a key that the kernel is resetting is listed like any other.
 */
size_t usb_sysfs_list(const char *sysfs, struct usb_address *ret, size_t cap);

/*
 * Starts to read a key's identity, which the kernel gives under a lock that it holds while it
 * resets that key, for minutes. The helper's fd becomes readable when it is done, for
 * priv_usb_identity(). 0 or -errno.
 */
int usb_sysfs_identify(const char *sysfs, const struct usb_address *address, struct helper *ret);

#endif
