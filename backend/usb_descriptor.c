/* SPDX-License-Identifier: MIT */
#include "backend/usb_descriptor.h"

/* USB 2.0, 9.6. */
#define ENDPOINT_IN 0x80
#define ENDPOINT_TYPE_MASK 3
#define ENDPOINT_TYPE_BULK 2
#define PACKET_LEN_MASK 0x7ff

/* The interface whose endpoints are being read. */
struct search {
	struct usb_endpoints found;
	bool main_setting; /* of its alternate settings the one that holds from the start */
	unsigned configurations;
};

static void
search_interface(struct search *s, const uint8_t *d)
{
	s->main_setting = d[3] == 0 && d[2] < USB_INTERFACES_MAX;
	if (!s->main_setting)
		return;
	s->found.interfaces |= UINT32_C(1) << d[2];
	if (s->found.in == 0 || s->found.out == 0) {
		s->found.data_interface = d[2];
		s->found.in = s->found.out = 0;
	}
}

static void
search_endpoint(struct search *s, const uint8_t *d)
{
	uint16_t packet_len = (uint16_t)((d[4] | d[5] << 8) & PACKET_LEN_MASK);

	if (!s->main_setting || (d[3] & ENDPOINT_TYPE_MASK) != ENDPOINT_TYPE_BULK ||
	    packet_len == 0 || (s->found.in != 0 && s->found.out != 0))
		return;
	if ((d[2] & ENDPOINT_IN) == 0) {
		s->found.out = d[2];
	} else {
		s->found.in = d[2];
		s->found.in_packet_len = packet_len;
	}
}

static void
search_descriptor(struct search *s, const uint8_t *d)
{
	if (d[1] == USB_TYPE_CONFIGURATION)
		s->configurations++;
	else if (s->configurations == 1 && d[1] == USB_TYPE_INTERFACE && d[0] >= USB_INTERFACE_LEN)
		search_interface(s, d);
	else if (s->configurations == 1 && d[1] == USB_TYPE_ENDPOINT && d[0] >= USB_ENDPOINT_LEN)
		search_endpoint(s, d);
}

bool
usb_endpoints_find(const uint8_t *bytes, size_t len, struct usb_endpoints *ret)
{
	struct search s = {0};

	while (len >= 2 && bytes[0] >= 2 && bytes[0] <= len) {
		search_descriptor(&s, bytes);
		len -= bytes[0];
		bytes += bytes[0];
	}
	if (s.found.in == 0 || s.found.out == 0)
		return false;
	*ret = s.found;
	return true;
}
