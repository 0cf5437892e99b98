/* SPDX-License-Identifier: MIT */
/* A key's USB descriptors: its endpoints, and text for a report. Pure, over untrusted bytes. */
#ifndef BACKEND_USB_USB_DESCRIPTOR_H
#define BACKEND_USB_USB_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USB_INTERFACES_MAX 32

struct usb_endpoints {
	uint32_t interfaces; /* of the configuration: bit N is interface N */
	uint8_t data_interface;
	uint8_t in, out;        /* addresses of its bulk endpoints */
	uint16_t in_packet_len; /* longest packet, bytes */
};

/*
 * Both read `bytes` as usbfs gives them: a device descriptor and its configurations.
 *
 * Finds the first interface of the first configuration with a bulk endpoint each way. False when
 * there is none, or when the descriptors before it make no sense.
 */
bool usb_endpoints_find(const uint8_t *bytes, size_t len, struct usb_endpoints *ret);

/*
 * Writes a line for each descriptor to ret[0..cap): NUL-terminated, and only whole lines. Unknown
 * descriptors are written in hex; the device's texts are not among them.
 */
void usb_describe(const uint8_t *bytes, size_t len, char *ret, size_t cap);

#endif
