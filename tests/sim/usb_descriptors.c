/* SPDX-License-Identifier: MIT */
#include "tests/sim/usb_descriptors.h"

#include <assert.h>
#include <string.h>

#define LE16(value) (uint8_t)((value)&0xff), (uint8_t)((value) >> 8)

#define VENDOR 0x20df
#define PRODUCT 0x0001
#define USB_VERSION 0x0200
#define DEVICE_VERSION 0x0200
#define BUS_POWERED 0x80
#define MAX_POWER_2MA (76 / 2)

#define CLASS_COMMUNICATIONS 0x02
#define CLASS_DATA 0x0a
#define SUBCLASS_ACM 0x02
#define PROTOCOL_AT 0x01

#define BULK 2
#define INTERRUPT 3
#define NOTIFY_LEN 8         /* bytes */
#define NOTIFY_INTERVAL 0xff /* ms */

#define CS_INTERFACE 0x24
#define ENGLISH 0x0409

#define CONFIGURATION_LEN 67

static const uint8_t device[] = {
	18,
	USB_DESCRIPTOR_DEVICE,
	LE16(USB_VERSION),
	CLASS_COMMUNICATIONS,
	0,
	0,
	USB_PACKET_LEN,
	LE16(VENDOR),
	LE16(PRODUCT),
	LE16(DEVICE_VERSION),
	USB_STRING_MANUFACTURER,
	USB_STRING_PRODUCT,
	USB_STRING_SERIAL,
	1, /* configuration */
};

/* clang-format off */
static const uint8_t configuration[] = {
	9, USB_DESCRIPTOR_CONFIGURATION, LE16(CONFIGURATION_LEN), 2, USB_CONFIGURATION, 0, BUS_POWERED,
	MAX_POWER_2MA,
	/* interface 0: communications */
	9, 4, 0, 0, 1, CLASS_COMMUNICATIONS, SUBCLASS_ACM, PROTOCOL_AT, 0,
	5, CS_INTERFACE, 0x00, LE16(0x0110), /* CDC 1.10 */
	5, CS_INTERFACE, 0x01, 0, 1,         /* calls: none; data interface 1 */
	4, CS_INTERFACE, 0x02, 2,            /* line coding and line state */
	5, CS_INTERFACE, 0x06, 0, 1,         /* union of interfaces 0 and 1 */
	7, 5, USB_EP_NOTIFY, INTERRUPT, LE16(NOTIFY_LEN), NOTIFY_INTERVAL,
	/* interface 1: data */
	9, 4, 1, 0, 2, CLASS_DATA, 0, 0, 0,
	7, 5, USB_EP_OUT, BULK, LE16(USB_PACKET_LEN), 0,
	7, 5, USB_EP_IN, BULK, LE16(USB_PACKET_LEN), 0,
};
/* clang-format on */

static_assert(sizeof(device) == 18, "as the standard has it");
static_assert(sizeof(configuration) == CONFIGURATION_LEN, "as it says itself");

static size_t
put(const uint8_t *bytes, size_t len, uint8_t ret[static USB_DESCRIPTOR_MAX])
{
	memcpy(ret, bytes, len);
	return len;
}

/* ASCII as UTF-16. */
static size_t
put_string(const char *text, uint8_t ret[static USB_DESCRIPTOR_MAX])
{
	size_t len = 2 + 2 * strlen(text);

	assert(len <= USB_DESCRIPTOR_MAX);
	memset(ret, 0, len);
	ret[0] = (uint8_t)len;
	ret[1] = USB_DESCRIPTOR_STRING;
	for (size_t i = 0; text[i] != '\0'; i++)
		ret[2 + 2 * i] = (uint8_t)text[i];
	return len;
}

static size_t
put_languages(uint8_t ret[static USB_DESCRIPTOR_MAX])
{
	static const uint8_t languages[] = {4, USB_DESCRIPTOR_STRING, LE16(ENGLISH)};

	return put(languages, sizeof(languages), ret);
}

size_t
usb_descriptor(uint8_t type, uint8_t index, const char *serial,
	       uint8_t ret[static USB_DESCRIPTOR_MAX])
{
	switch (type << 8 | index) {
	case USB_DESCRIPTOR_DEVICE << 8:
		return put(device, sizeof(device), ret);
	case USB_DESCRIPTOR_CONFIGURATION << 8:
		return put(configuration, sizeof(configuration), ret);
	case USB_DESCRIPTOR_STRING << 8:
		return put_languages(ret);
	case USB_DESCRIPTOR_STRING << 8 | USB_STRING_MANUFACTURER:
		return put_string("Simtec Electronics", ret);
	case USB_DESCRIPTOR_STRING << 8 | USB_STRING_PRODUCT:
		return put_string("Entropy Key", ret);
	case USB_DESCRIPTOR_STRING << 8 | USB_STRING_SERIAL:
		return put_string(serial, ret);
	default:
		return 0;
	}
}
