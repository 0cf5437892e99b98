/* SPDX-License-Identifier: MIT */
#include "tests/sim/usb_device.h"

#include <string.h>

/* bmRequestType: direction, kind and recipient. */
#define TO_HOST 0x80
#define KIND_MASK 0x60
#define KIND_CLASS 0x20
#define OF_DEVICE 0x00
#define OF_INTERFACE 0x01
#define OF_ENDPOINT 0x02

#define GET_STATUS 0
#define CLEAR_FEATURE 1
#define GET_DESCRIPTOR 6
#define GET_CONFIGURATION 8
#define SET_CONFIGURATION 9
#define GET_INTERFACE 10
#define SET_INTERFACE 11

#define ENDPOINT_HALT 0

#define SET_LINE_CODING 0x20
#define GET_LINE_CODING 0x21
#define SET_CONTROL_LINE_STATE 0x22

struct setup {
	uint8_t type, request;
	uint16_t value, index;
};

static struct setup
setup_parse(const uint8_t bytes[static USB_SETUP_LEN])
{
	return (struct setup){
		.type = bytes[0],
		.request = bytes[1],
		.value = (uint16_t)(bytes[2] | bytes[3] << 8),
		.index = (uint16_t)(bytes[4] | bytes[5] << 8),
	};
}

void
usb_device_init(struct usb_device *d, struct faults *faults, const char *serial, bool strict)
{
	*d = (struct usb_device){.faults = faults, .serial = serial, .strict = strict};
	usb_device_replug(d);
}

void
usb_device_replug(struct usb_device *d)
{
	static const uint8_t line_9600_8n1[] = {0x80, 0x25, 0, 0, 0, 0, 8};

	d->configuration = 0;
	d->halted = d->mute = d->crashed = false;
	memcpy(d->line_coding, line_9600_8n1, sizeof(d->line_coding));
}

/* ---- control ---- */

static int
get_descriptor(const struct usb_device *d, const struct setup *s, uint8_t *ret)
{
	size_t len = usb_descriptor((uint8_t)(s->value >> 8), (uint8_t)s->value, d->serial, ret);

	return len > 0 ? (int)len : -EPIPE;
}

/* The host does this when it finds the device and whenever it has reset it. */
static int
set_configuration(struct usb_device *d, const struct setup *s)
{
	if (s->value > USB_CONFIGURATION)
		return -EPIPE;
	d->configuration = (uint8_t)s->value;
	d->halted = d->mute = false;
	d->counters.configured += s->value != 0;
	return 0;
}

static int
get_status(const struct usb_device *d, const struct setup *s, uint8_t *ret)
{
	ret[0] = s->type == (TO_HOST | OF_ENDPOINT) && s->index == USB_EP_IN && d->halted;
	ret[1] = 0;
	return 2;
}

static int
clear_halt(struct usb_device *d, const struct setup *s)
{
	if (s->type != OF_ENDPOINT || s->value != ENDPOINT_HALT)
		return -EPIPE;
	if (s->index == USB_EP_IN) {
		d->counters.halts_cleared += d->halted;
		d->halted = false;
	}
	return 0;
}

static int
standard_request(struct usb_device *d, const struct setup *s, uint8_t *ret)
{
	switch (s->request) {
	case GET_STATUS:
		return get_status(d, s, ret);
	case CLEAR_FEATURE:
		return clear_halt(d, s);
	case GET_DESCRIPTOR:
		return get_descriptor(d, s, ret);
	case GET_CONFIGURATION:
		ret[0] = d->configuration;
		return 1;
	case SET_CONFIGURATION:
		return set_configuration(d, s);
	case GET_INTERFACE:
		ret[0] = 0;
		return 1;
	case SET_INTERFACE:
		return s->value == 0 ? 0 : -EPIPE;
	default:
		return -EPIPE;
	}
}

static int
set_line_state(struct usb_device *d)
{
	d->counters.line_states++;
	if (!d->strict)
		return 0;
	d->crashed = true;
	return USB_NAK;
}

static int
class_request(struct usb_device *d, const struct setup *s, const uint8_t *out, size_t out_len,
	      uint8_t *ret)
{
	d->counters.class_requests++;
	switch (s->request) {
	case SET_LINE_CODING:
		if (out_len != sizeof(d->line_coding))
			return -EPIPE;
		memcpy(d->line_coding, out, out_len);
		return 0;
	case GET_LINE_CODING:
		memcpy(ret, d->line_coding, sizeof(d->line_coding));
		return (int)sizeof(d->line_coding);
	case SET_CONTROL_LINE_STATE:
		return set_line_state(d);
	default:
		return -EPIPE;
	}
}

int
usb_device_control(struct usb_device *d, const uint8_t setup[static USB_SETUP_LEN],
		   const uint8_t *out, size_t out_len, uint8_t ret[static USB_REPLY_MAX])
{
	struct setup s = setup_parse(setup);

	if (d->crashed)
		return USB_NAK;
	if ((s.type & KIND_MASK) == 0)
		return standard_request(d, &s, ret);
	if ((s.type & KIND_MASK) == KIND_CLASS)
		return class_request(d, &s, out, out_len, ret);
	return -EPIPE;
}

/* ---- bulk ---- */

bool
usb_device_talks(const struct usb_device *d)
{
	return d->configuration != 0 && !d->crashed;
}

/* A fault of the bus that ends the transfer, or 0. */
static int
bus_fault(struct usb_device *d)
{
	if (faults_every(d->faults, FAULT_USB_STALL)) {
		d->halted = true;
		return -EPIPE;
	}
	if (faults_every(d->faults, FAULT_USB_EPROTO))
		return -EPROTO;
	if (faults_every(d->faults, FAULT_USB_OVERFLOW))
		return -EOVERFLOW;
	return 0;
}

int
usb_device_packet(struct usb_device *d, size_t ready, size_t *ret_len)
{
	size_t len = ready < USB_PACKET_LEN ? ready : USB_PACKET_LEN;
	int status;

	if (!usb_device_talks(d) || d->mute)
		return USB_NAK;
	if (d->halted)
		return -EPIPE;
	if (faults_after(d->faults, FAULT_USB_NAK)) {
		d->mute = true;
		return USB_NAK;
	}
	if (faults_after(d->faults, FAULT_USB_DEAD)) {
		d->crashed = true;
		return USB_NAK;
	}
	status = bus_fault(d);
	if (status != 0)
		return status;
	if (faults_every(d->faults, FAULT_USB_ZERO))
		len = 0;
	else if (len > 1 && faults_every(d->faults, FAULT_USB_SHORT))
		len = 1 + faults_draw(d->faults, len - 1);
	*ret_len = len;
	return 0;
}
