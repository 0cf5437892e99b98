/* SPDX-License-Identifier: MIT */
/* Where a key's bytes come and go, as its USB descriptors say: pure, over bytes of a stranger. */
#ifndef BACKEND_USB_DESCRIPTOR_H
#define BACKEND_USB_DESCRIPTOR_H

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
 * Finds the first interface with a bulk endpoint each way in the first configuration of
 * `bytes`: a device descriptor and its configurations, as usbfs gives them. False when there is
 * none, or when what leads there makes no sense.
 */
bool usb_endpoints_find(const uint8_t *bytes, size_t len, struct usb_endpoints *ret);

#endif
