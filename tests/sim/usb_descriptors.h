/* SPDX-License-Identifier: MIT */
/*
 * How an Entropy Key describes itself on USB: a full-speed CDC-ACM modem (doc/protocol.md 1).
 * Numbers that nobody has published are those of the ST virtual COM port, from which its firmware
 * seems to stem.
 */
#ifndef TESTS_SIM_USB_DESCRIPTORS_H
#define TESTS_SIM_USB_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

#define USB_PACKET_LEN 64 /* bytes, of the bulk endpoints; one frame */

#define USB_EP_IN 0x81     /* bulk, data interface */
#define USB_EP_OUT 0x03    /* bulk, data interface */
#define USB_EP_NOTIFY 0x82 /* interrupt, communications interface */

#define USB_CONFIGURATION 1

#define USB_DESCRIPTOR_DEVICE 1
#define USB_DESCRIPTOR_CONFIGURATION 2
#define USB_DESCRIPTOR_STRING 3

#define USB_STRING_MANUFACTURER 1
#define USB_STRING_PRODUCT 2
#define USB_STRING_SERIAL 3

#define USB_DESCRIPTOR_MAX 80 /* bytes, of any */

/*
 * Writes the descriptor of this type and index and returns its length; 0: there is none. `serial`
 * is of at most 32 characters.
 */
size_t usb_descriptor(uint8_t type, uint8_t index, const char *serial,
		      uint8_t ret[static USB_DESCRIPTOR_MAX]);

#endif
