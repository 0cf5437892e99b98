/* SPDX-License-Identifier: MIT */
/* Where a key's bytes come and go, as its USB descriptors say: pure, over bytes of a stranger. */
#ifndef BACKEND_USB_DESCRIPTOR_H
#define BACKEND_USB_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USB_INTERFACES_MAX 32

/* Types of descriptors, and the bytes that those have at least: USB 2.0, 9.6. */
#define USB_TYPE_DEVICE 1
#define USB_TYPE_CONFIGURATION 2
#define USB_TYPE_INTERFACE 4
#define USB_TYPE_ENDPOINT 5
#define USB_DEVICE_LEN 18
#define USB_CONFIGURATION_LEN 9
#define USB_INTERFACE_LEN 9
#define USB_ENDPOINT_LEN 7

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
