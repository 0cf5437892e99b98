/* SPDX-License-Identifier: MIT */
/*
 * USB descriptors of any device: what is found is a pair of endpoints that may be used, and what is
 * told of them is plain text in whole lines, in a buffer of any size.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/usb/usb_descriptor.h"
#include "tests/fuzz/fuzz.h"

static void
describe(const uint8_t *data, size_t size)
{
	size_t cap = size > 0 ? 1 + (size_t)data[size - 1] * 8 : 1;
	char *text = malloc(cap);

	usb_describe(data, size, text, cap);
	if (strlen(text) >= cap || (text[0] != '\0' && text[strlen(text) - 1] != '\n'))
		abort();
	for (const char *at = text; *at != '\0'; at++)
		if (*at != '\n' && (*at < ' ' || *at > '~'))
			abort();
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct usb_endpoints e;

	describe(data, size);
	if (!usb_endpoints_find(data, size, &e))
		return 0;
	if ((e.in & 0x80) == 0 || (e.out & 0x80) != 0 || e.in_packet_len == 0 ||
	    e.in_packet_len > 0x7ff || e.data_interface >= USB_INTERFACES_MAX ||
	    (e.interfaces >> e.data_interface & 1) == 0)
		abort();
	return 0;
}
