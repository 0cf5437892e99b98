/* SPDX-License-Identifier: MIT */
#include "backend/usb_describe.h"

#include <stdarg.h>
#include <stdio.h>

#include "backend/usb_descriptor.h"

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

static unsigned
le16(const uint8_t *at)
{
	return (unsigned)(at[0] | at[1] << 8);
}

static void
put_device(struct page *p, const uint8_t *d)
{
	put_line(p, "device %04x:%04x release %04x, USB %04x, class %02x/%02x/%02x\n", le16(d + 8),
		 le16(d + 10), le16(d + 12), le16(d + 2), d[4], d[5], d[6]);
	put_line(p, "control packets %u bytes, strings %u %u %u, configurations %u\n", d[7], d[14],
		 d[15], d[16], d[17]);
}

static void
put_configuration(struct page *p, const uint8_t *d)
{
	put_line(p,
		 "configuration %u: %u bytes, %u interfaces, string %u, attributes %02x, %u mA\n",
		 d[5], le16(d + 2), d[4], d[6], d[7], 2U * d[8]);
}

static void
put_interface(struct page *p, const uint8_t *d)
{
	put_line(p, "interface %u setting %u: %u endpoints, class %02x/%02x/%02x, string %u\n",
		 d[2], d[3], d[4], d[5], d[6], d[7], d[8]);
}

static void
put_endpoint(struct page *p, const uint8_t *d)
{
	static const char *const types[] = {"control", "isochronous", "bulk", "interrupt"};

	put_line(p, "endpoint %02x: %s, packets %u bytes, interval %u\n", d[2], types[d[3] & 3],
		 le16(d + 4), d[6]);
}

static void
put_other(struct page *p, const uint8_t *d)
{
	char hex[3 * UINT8_MAX + 1] = "";

	for (size_t i = 2; i < d[0]; i++)
		snprintf(hex + 3 * (i - 2), 4, " %02x", d[i]);
	put_line(p, "descriptor %02x:%s\n", d[1], hex);
}

static const struct {
	uint8_t type, len; /* what is shorter is told in hex */
	void (*put)(struct page *p, const uint8_t *d);
} kinds[] = {
	{USB_TYPE_DEVICE, USB_DEVICE_LEN, put_device},
	{USB_TYPE_CONFIGURATION, USB_CONFIGURATION_LEN, put_configuration},
	{USB_TYPE_INTERFACE, USB_INTERFACE_LEN, put_interface},
	{USB_TYPE_ENDPOINT, USB_ENDPOINT_LEN, put_endpoint},
};

static void
put_descriptor(struct page *p, const uint8_t *d)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (d[1] == kinds[i].type && d[0] >= kinds[i].len) {
			kinds[i].put(p, d);
			return;
		}
	}
	put_other(p, d);
}

void
usb_describe(const uint8_t *bytes, size_t len, char *ret, size_t cap)
{
	struct page page = {.text = ret, .cap = cap};

	if (cap == 0)
		return;
	ret[0] = '\0';
	while (len >= 2 && bytes[0] >= 2 && bytes[0] <= len) {
		put_descriptor(&page, bytes);
		len -= bytes[0];
		bytes += bytes[0];
	}
	if (len > 0)
		put_line(&page, "%zu bytes that are no descriptor\n", len);
}
