/* SPDX-License-Identifier: MIT */
/* USB descriptors as text for people, for a report: pure, over bytes of a stranger. */
#ifndef BACKEND_USB_DESCRIBE_H
#define BACKEND_USB_DESCRIBE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes a line for each of the descriptors in `bytes`, a device descriptor and its configurations
 * as usbfs gives them, to ret[0..cap): NUL-terminated, and only lines that are whole. Numbers are
 * told as they are, what has no name here in hex. Texts of the device are not among them.
 */
void usb_describe(const uint8_t *bytes, size_t len, char *ret, size_t cap);

#endif
