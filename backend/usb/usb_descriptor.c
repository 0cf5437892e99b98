/* SPDX-License-Identifier: MIT */
#include "backend/usb/usb_descriptor.h"

#include <stdarg.h>
#include <stdio.h>

/* USB 2.0, 9.6: types of descriptors, and the bytes that each has at least. */
enum { DEVICE = 1, CONFIGURATION = 2, INTERFACE = 4, ENDPOINT = 5, TYPES };
static const uint8_t lengths[TYPES] = {
	[DEVICE] = 18, [CONFIGURATION] = 9, [INTERFACE] = 9, [ENDPOINT] = 7};

#define ENDPOINT_IN 0x80
#define ENDPOINT_TYPE_MASK 3
#define ENDPOINT_TYPE_BULK 2
#define PACKET_LEN_MASK 0x7ff

/* Moves to the next descriptor; NULL when the rest is none. */
static const uint8_t *
next_descriptor(const uint8_t **bytes, size_t *len)
{
	const uint8_t *d = *bytes;

	if (*len < 2 || d[0] < 2 || d[0] > *len)
		return NULL;
	*bytes += d[0];
	*len -= d[0];
	return d;
}

/* Its type; 0: unknown, or too short for its type. */
static unsigned
type_of(const uint8_t *d)
{
	return d[1] < TYPES && lengths[d[1]] > 0 && d[0] >= lengths[d[1]] ? d[1] : 0;
}

static unsigned
le16(const uint8_t *at)
{
	return (unsigned)(at[0] | at[1] << 8);
}

/* ---- endpoints ---- */

/* The interface whose endpoints are being read. */
struct search {
	struct usb_endpoints found;
	bool main_setting; /* of its alternate settings the one that holds from the start */
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
	uint16_t packet_len = (uint16_t)(le16(d + 4) & PACKET_LEN_MASK);

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

bool
usb_endpoints_find(const uint8_t *bytes, size_t len, struct usb_endpoints *ret)
{
	unsigned configurations = 0;
	struct search s = {0};
	const uint8_t *d;

	while ((d = next_descriptor(&bytes, &len)) != NULL) {
		configurations += d[1] == CONFIGURATION;
		if (configurations == 1 && type_of(d) == INTERFACE)
			search_interface(&s, d);
		else if (configurations == 1 && type_of(d) == ENDPOINT)
			search_endpoint(&s, d);
	}
	if (s.found.in == 0 || s.found.out == 0)
		return false;
	*ret = s.found;
	return true;
}

/* ---- text ---- */

struct page {
	char *text;
	size_t cap, len;
};

/* A line that does not fit is left out. */
static void __attribute__((format(printf, 2, 3))) put_line(struct page *p, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(p->text + p->len, p->cap - p->len, format, args);
	va_end(args);
	if (len > 0 && (size_t)len < p->cap - p->len)
		p->len += (size_t)len;
	p->text[p->len] = '\0';
}

static void
put_hex(struct page *p, const uint8_t *d)
{
	char hex[3 * UINT8_MAX + 1] = "";

	for (size_t i = 2; i < d[0]; i++)
		snprintf(hex + 3 * (i - 2), 4, " %02x", d[i]);
	put_line(p, "descriptor %02x:%s\n", d[1], hex);
}

static void
put_descriptor(struct page *p, const uint8_t *d)
{
	static const char *const endpoints[] = {"control", "isochronous", "bulk", "interrupt"};

	switch (type_of(d)) {
	case DEVICE:
		put_line(p, "device %04x:%04x release %04x, USB %04x, class %02x/%02x/%02x\n",
			 le16(d + 8), le16(d + 10), le16(d + 12), le16(d + 2), d[4], d[5], d[6]);
		put_line(p, "control packets %u bytes, strings %u %u %u, configurations %u\n", d[7],
			 d[14], d[15], d[16], d[17]);
		break;
	case CONFIGURATION:
		put_line(p,
			 "configuration %u: %u bytes, %u interfaces, string %u, attributes %02x,"
			 " %u mA\n",
			 d[5], le16(d + 2), d[4], d[6], d[7], 2U * d[8]);
		break;
	case INTERFACE:
		put_line(p,
			 "interface %u setting %u: %u endpoints, class %02x/%02x/%02x, string %u\n",
			 d[2], d[3], d[4], d[5], d[6], d[7], d[8]);
		break;
	case ENDPOINT:
		put_line(p, "endpoint %02x: %s, packets %u bytes, interval %u\n", d[2],
			 endpoints[d[3] & ENDPOINT_TYPE_MASK], le16(d + 4), d[6]);
		break;
	default:
		put_hex(p, d);
	}
}

void
usb_describe(const uint8_t *bytes, size_t len, char *ret, size_t cap)
{
	struct page page = {.text = ret, .cap = cap};
	const uint8_t *d;

	if (cap == 0)
		return;
	ret[0] = '\0';
	while ((d = next_descriptor(&bytes, &len)) != NULL)
		put_descriptor(&page, d);
	if (len > 0)
		put_line(&page, "%zu bytes that are no descriptor\n", len);
}
