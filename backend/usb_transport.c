/* SPDX-License-Identifier: MIT */
#include "backend/usb_transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/usb_describe.h"
#include "backend/usb_inside.h"
#include "base/secret.h"
#include "ekey/keyring.h"

#define USB_PROBE_MS 1000    /* for the key to answer a request of USB itself: it takes one */
#define USB_CANCEL_TRIES 100 /* of USB_CANCEL_MS each: the kernel ends a transfer at once */
#define USB_CANCEL_MS 10

/* ---- the interface ---- */

static void
usb_send(struct transport *transport, const uint8_t *bytes, size_t len)
{
	struct usb_transport *t = (struct usb_transport *)transport;

	if (len > USB_COMMANDS_LEN - t->commands_len) {
		usb_end(t, ETIMEDOUT); /* it has accepted nothing for many commands */
		return;
	}
	memcpy(t->commands + t->commands_len, bytes, len);
	t->commands_len += len;
	usb_work_later(t);
}

/* While off, transfers that fly bring their packet yet; then the key has nobody to send to. */
static void
usb_set_reading(struct transport *transport, bool on)
{
	struct usb_transport *t = (struct usb_transport *)transport;

	t->offer = t->offer || (on && !t->reading);
	t->reading = on;
	if (on)
		usb_work_later(t);
}

static void
usb_reset(struct transport *transport)
{
	struct usb_transport *t = (struct usb_transport *)transport;

	if (t->phase != USB_ENDED && t->phase != USB_RESETTING) {
		usb_act_free(t);
		usb_stop(t, USB_RESETTING);
	}
}

/* ---- life ---- */

static int
usb_find_endpoints(struct usb_transport *t)
{
	/* The kernel's copy: the key is not asked. */
	ssize_t len = pread(t->key->fd, t->descriptors, sizeof(t->descriptors), 0);

	if (len < 0)
		return -errno;
	t->descriptors_len = (size_t)len;
	return usb_endpoints_find(t->descriptors, (size_t)len, &t->endpoints) ? 0 : -ENXIO;
}

/* All of them: nobody else may talk to a key that is ours. */
static int
usb_claim(struct usb_transport *t)
{
	for (unsigned i = 0; i < USB_INTERFACES_MAX; i++) {
		int result;

		if ((t->endpoints.interfaces >> i & 1) == 0)
			continue;
		result = priv_usb_claim(t->key->fd, i);
		if (result < 0)
			return result;
		t->key->was_claimed = true;
		t->claimed |= UINT32_C(1) << i;
	}
	return 0;
}

static int
usb_make(struct usb_transport *t)
{
	t->work = event_new(t->base, -1, 0, usb_on_work, t);
	t->timer = evtimer_new(t->base, usb_on_timer, t);
	t->packets = secret_new((size_t)USB_QUEUE_LEN * t->endpoints.in_packet_len);
	t->out = libusb_alloc_transfer(0);
	if (t->work == NULL || t->timer == NULL || t->packets == NULL || t->out == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < USB_QUEUE_LEN; i++) {
		t->in[i] = (struct usb_in){t, libusb_alloc_transfer(0)};
		if (t->in[i].transfer == NULL)
			return -ENOMEM;
	}
	return 0;
}

/*
 * libusb asks the key for its configuration as it wraps the node, and waits for the answer: that is
 * why the key was probed before, where nobody has to wait.
 */
int
usb_begin(struct usb_transport *t)
{
	size_t len = t->endpoints.in_packet_len;
	int result = usb_loop_wrap(usb_loop(t->usb), t->key->fd, &t->handle);

	if (result < 0)
		return result;
	/*
	 * One packet each: a frame fills a packet, so that a longer transfer would not end with it,
	 * and no packet is longer, so that none can overflow.
	 */
	for (size_t i = 0; i < USB_QUEUE_LEN; i++)
		libusb_fill_bulk_transfer(t->in[i].transfer, t->handle, t->endpoints.in,
					  t->packets + i * len, (int)len, usb_on_packet, &t->in[i],
					  0);
	return 0;
}

/* Nothing may fly: libusb would write to what we free. */
static void
usb_free_transport(struct usb_transport *t)
{
	struct event *events[] = {t->work, t->timer};

	usb_act_free(t);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	for (size_t i = 0; i < USB_QUEUE_LEN; i++)
		libusb_free_transfer(t->in[i].transfer);
	libusb_free_transfer(t->out);
	usb_release(t);
	if (t->handle != NULL)
		libusb_close(t->handle);
	secret_free(t->packets, (size_t)USB_QUEUE_LEN * t->endpoints.in_packet_len);
	secret_wipe(t->sent, sizeof(t->sent));
	free(t);
}

static int
usb_set_up(struct usb_transport *t)
{
	int result = usb_loop(t->usb) != NULL ? usb_find_endpoints(t) : -ENODEV;

	if (result == 0)
		result = usb_claim(t);
	return result == 0 ? usb_make(t) : result;
}

static int
usb_open(const struct transport_env *env, const char *where, const struct transport_events *events,
	 struct transport **ret)
{
	struct usb_transport *t = calloc(1, sizeof(*t));
	struct usb_key *key;
	int result;

	if (t == NULL)
		return -ENOMEM;
	*t = (struct usb_transport){.transport.kind = &transport_usb,
				    .events = *events,
				    .base = env->base,
				    .usb = env->usb,
				    .phase = USB_PROBING,
				    .reading = true};
	result = usb_hold(t->usb, where, &t->key);
	if (result < 0) {
		free(t);
		return result;
	}
	key = t->key;
	result = usb_set_up(t);
	if (result < 0) {
		usb_offer_tty(key, -result);
		usb_free_transport(t);
		usb_give_back(env->usb, key, false);
		return result;
	}
	key->on_left = usb_on_left;
	key->arg = t;
	usb_act_start(t, PRIV_USB_PROBE, USB_PROBE_MS);
	*ret = &t->transport;
	return 0;
}

/* A key that was given up stays without a driver: we try on, and the driver would talk to it. */
static void
usb_close(struct transport *transport)
{
	struct usb_transport *t = (struct usb_transport *)transport;
	bool to_kernel = t->phase != USB_ENDED && t->phase != USB_RESETTING;
	struct usb_key *key = t->key;
	struct usb *usb = t->usb;

	key->on_left = NULL;
	t->phase = USB_ENDED;
	t->told = true;
	usb_cancel(t);
	for (int i = 0; usb_flies(t) && i < USB_CANCEL_TRIES; i++)
		usb_loop_turn(usb_loop(usb), USB_CANCEL_MS);
	if (!usb_flies(t))
		usb_free_transport(t); /* else it is the kernel's for ever: no more than a leak */
	usb_give_back(usb, key, to_kernel);
}

/* The serial number is told by who asks. */
static void
usb_describe_key(const struct transport *transport, char *ret, size_t cap)
{
	const struct usb_transport *t = (const struct usb_transport *)transport;
	const struct usb_identity *id = &t->key->identity;
	int len = snprintf(ret, cap, "USB port %s at %s Mbit/s: \"%s\", \"%s\"\n",
			   t->key->address.folder, id->speed, id->manufacturer, id->product);

	if (len > 0 && (size_t)len < cap)
		usb_describe(t->descriptors, t->descriptors_len, ret + len, cap - (size_t)len);
}

static const char *
usb_check(const char *where)
{
	uint8_t serial[KEYED_SERIAL_LEN];

	return keyring_serial_parse(where, serial) ? NULL : KEYRING_SERIAL_HINT;
}

static void *
usb_watch(const struct transport_env *env, const char *where, void (*fn)(void *arg), void *arg)
{
	return usb_watch_new(env->usb, where, fn, arg);
}

static void
usb_unwatch(void *watch)
{
	struct usb_watch *w = watch;

	usb_watch_free(&w);
}

const struct transport_kind transport_usb = {
	.prefix = "usb:",
	.check = usb_check,
	.open = usb_open,
	.close = usb_close,
	.send = usb_send,
	.set_reading = usb_set_reading,
	.reset = usb_reset,
	.watch = usb_watch,
	.unwatch = usb_unwatch,
	.error_text = usb_error_text,
	.describe = usb_describe_key,
};
