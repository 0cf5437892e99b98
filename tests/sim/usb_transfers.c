/* SPDX-License-Identifier: MIT */
#include "tests/sim/usb_transfers.h"

#include <errno.h>
#include <string.h>

#define NUMBER(address) ((address)&0x0f)

void
usb_transfers_init(struct usb_transfers *t, struct usb_device *device, usb_send *send, void *arg)
{
	*t = (struct usb_transfers){.device = device, .send = send, .arg = arg};
}

void
usb_transfers_drop(struct usb_transfers *t)
{
	urb_free_all(&t->in);
	urb_free_all(&t->out);
	urb_free_all(&t->silent);
}

/* `data` is NULL for a transfer out. */
static void
answer(struct usb_transfers *t, const struct urb *u, int status, const uint8_t *data)
{
	uint8_t header[USBIP_HEADER_LEN];

	usbip_returned(u->sequence, status, (uint32_t)u->done, header);
	t->send(t->arg, header, sizeof(header));
	if (data != NULL && u->done > 0)
		t->send(t->arg, data, u->done);
}

/* The first transfer of a bulk endpoint is over. */
static void
complete(struct usb_transfers *t, struct urb_list *list, int status)
{
	struct urb *u = urb_take(list, list->first->sequence);

	answer(t, u, status, list == &t->in ? u->data : NULL);
	urb_free(u);
}

static void
submit_control(struct usb_transfers *t, const struct usbip_command *c, struct urb *u)
{
	uint8_t reply[USB_REPLY_MAX];
	int len = usb_device_control(t->device, c->setup, u->data, usbip_payload_len(c), reply);

	if (len == USB_NAK) {
		urb_append(&t->silent, u);
		return;
	}
	if (len >= 0)
		u->done = !c->in || (size_t)len > u->len ? u->len : (size_t)len;
	answer(t, u, len < 0 ? len : 0, c->in ? reply : NULL);
	urb_free(u);
}

void
usb_transfers_submit(struct usb_transfers *t, const struct usbip_command *c, struct urb *urb)
{
	if (c->endpoint == 0)
		submit_control(t, c, urb);
	else if (c->in && c->endpoint == NUMBER(USB_EP_IN))
		urb_append(&t->in, urb);
	else if (!c->in && c->endpoint == NUMBER(USB_EP_OUT))
		urb_append(&t->out, urb);
	else
		urb_append(&t->silent, urb);
}

void
usb_transfers_unlink(struct usb_transfers *t, const struct usbip_command *c)
{
	struct urb_list *const lists[] = {&t->in, &t->out, &t->silent};
	uint8_t header[USBIP_HEADER_LEN];
	struct urb *u = NULL;
	int status = 0;
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(*lists) && u == NULL; i++)
		u = urb_take(lists[i], c->unlink);
	if (u != NULL && u->done > 0)
		answer(t, u, 0, lists[i - 1] == &t->in ? u->data : NULL);
	else if (u != NULL)
		status = -ECONNRESET;
	usbip_unlinked(c->sequence, status, header);
	t->send(t->arg, header, sizeof(header));
	if (u != NULL)
		urb_free(u);
}

bool
usb_transfers_may_take(const struct usb_transfers *t)
{
	return t->out.first != NULL && usb_device_talks(t->device);
}

size_t
usb_transfers_take(struct usb_transfers *t, uint8_t *ret, size_t cap)
{
	struct urb *u = t->out.first;
	size_t len;

	if (!usb_transfers_may_take(t))
		return 0;
	len = u->len - u->done < cap ? u->len - u->done : cap;
	memcpy(ret, u->data + u->done, len);
	u->done += len;
	if (u->done == u->len)
		complete(t, &t->out, 0);
	return len;
}

bool
usb_transfers_may_give(const struct usb_transfers *t)
{
	return t->in.first != NULL && usb_device_talks(t->device) && !t->device->mute;
}

size_t
usb_transfers_give(struct usb_transfers *t, const uint8_t *bytes, size_t ready)
{
	struct urb *u = t->in.first;
	size_t len = 0;
	int status;

	if (!usb_transfers_may_give(t))
		return 0;
	status = usb_device_packet(t->device, ready, &len);
	if (status == USB_NAK)
		return 0;
	if (status == 0 && len > u->len - u->done)
		status = -EOVERFLOW; /* babble: more than was asked for */
	if (status < 0) {
		complete(t, &t->in, status);
		return 0;
	}
	memcpy(u->data + u->done, bytes, len);
	u->done += len;
	if (u->done == u->len || len < USB_PACKET_LEN)
		complete(t, &t->in, 0);
	return len;
}

void
usb_transfers_flush(struct usb_transfers *t)
{
	if (t->in.first != NULL && t->in.first->done > 0)
		complete(t, &t->in, 0);
}
