/* SPDX-License-Identifier: MIT */
/* USB descriptors of any device: what is found is a pair of endpoints that may be used. */
#include <stdlib.h>

#include "backend/usb_descriptor.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct usb_endpoints e;

	if (!usb_endpoints_find(data, size, &e))
		return 0;
	if ((e.in & 0x80) == 0 || (e.out & 0x80) != 0 || e.in_packet_len == 0 ||
	    e.in_packet_len > 0x7ff || e.data_interface >= USB_INTERFACES_MAX ||
	    (e.interfaces >> e.data_interface & 1) == 0)
		abort();
	return 0;
}
