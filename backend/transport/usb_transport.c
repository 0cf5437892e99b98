/* SPDX-License-Identifier: MIT */
#include "backend/transport/usb_transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/ekey/keyring.h"
#include "backend/usb/usb.h"
#include "backend/usb/usb_descriptor.h"
#include "backend/usb/usb_faults.h"
#include "backend/usb/usb_queue.h"
#include "lib/clock.h"
#include "lib/priv/usb.h"
#include "lib/secret.h"

#define USB_COMMANDS_LEN 256 /* bytes of commands that wait; one is 18 */
#define USB_DESCRIPTORS_LEN 1024
#define USB_COMMAND_MS 1000  /* for the key to accept a command */
#define USB_DRAIN_MS 50      /* packets that the key had for its previous host are dropped */
#define USB_PROBE_MS 1000    /* for the key to answer a request of USB itself: it takes one */
#define USB_CANCEL_TRIES 100 /* of USB_CANCEL_MS each: the kernel ends a transfer at once */
#define USB_CANCEL_MS 10

enum usb_phase {
	USB_PROBING,  /* until the key has shown that its firmware lives */
	USB_DRAINING, /* until the timer: packets are dropped, commands wait */
	USB_RUNNING,
	USB_STOPPING,  /* after a fault: until no transfer is pending */
	USB_UNHALTING, /* until the kernel has done it */
	USB_PAUSING,   /* until the timer */
	USB_RESETTING, /* until no transfer is pending, then until the kernel has done it */
	USB_ENDED,     /* until no transfer is pending; then gone() is called */
};

struct usb_transport;

/* One of the transfers for the key's packets. */
struct usb_in {
	struct usb_transport *owner;
	struct libusb_transfer *transfer;
};

struct usb_transport {
	struct transport transport;
	struct transport_events events;
	struct event_base *base;
	struct usb *usb;
	struct usb_key *key;
	libusb_device_handle *handle; /* NULL while USB_PROBING */
	uint8_t descriptors[USB_DESCRIPTORS_LEN];
	size_t descriptors_len;
	struct usb_endpoints endpoints;
	uint32_t claimed; /* interfaces */
	enum usb_phase phase;
	struct event *work;   /* runs usb_on_work() from the loop, never from within libusb */
	struct event *timer;  /* of the phase */
	struct event *act;    /* the helper is done; NULL: it has no act */
	struct helper helper; /* of `act` */
	bool reading;
	bool offer;     /* reading was switched on: bytes() is due, with bytes or without */
	int error;      /* of USB_ENDED */
	bool reported;  /* ... by gone() */
	uint8_t halted; /* endpoint, for USB_UNHALTING */
	struct usb_faults faults;
	struct usb_queue queue;
	struct usb_in in[USB_QUEUE_LEN];
	uint8_t *packets; /* USB_QUEUE_LEN times the longest packet, secret */
	struct libusb_transfer *out;
	bool out_pending;
	uint8_t sent[USB_COMMANDS_LEN], commands[USB_COMMANDS_LEN];
	size_t commands_len;
};

/* ---- phases ---- */

static void
usb_work_later(struct usb_transport *t)
{
	event_active(t->work, EV_TIMEOUT, 0);
}

/* Enters `phase`, which ends in USB_RUNNING after `wait_ms`. */
static void
usb_timer(struct usb_transport *t, enum usb_phase phase, unsigned wait_ms)
{
	struct timeval wait = clock_timeval(wait_ms);

	t->phase = phase;
	event_add(t->timer, &wait);
}

static void
usb_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct usb_transport *t = arg;

	(void)fd, (void)what;
	t->phase = USB_RUNNING;
	usb_work_later(t);
}

/* Asks the kernel to end all transfers; they are pending until it has. */
static void
usb_cancel(struct usb_transport *t)
{
	for (size_t i = 0; i < USB_QUEUE_LEN; i++)
		if (t->queue.slots[i].state == USB_SLOT_PENDING)
			libusb_cancel_transfer(t->in[i].transfer);
	if (t->out_pending)
		libusb_cancel_transfer(t->out);
}

static bool
usb_is_pending(const struct usb_transport *t)
{
	return t->queue.pending > 0 || t->out_pending;
}

/* Enters a phase in which no transfer is submitted. */
static void
usb_stop(struct usb_transport *t, enum usb_phase phase)
{
	event_del(t->timer);
	t->phase = phase;
	usb_cancel(t);
	usb_work_later(t);
}

/* gone() is called as soon as no transfer is pending; `error` is an errno. */
static void
usb_end(struct usb_transport *t, int error)
{
	if (t->phase == USB_ENDED)
		return;
	usb_offer_tty(t->key, error);
	t->error = error;
	usb_stop(t, USB_ENDED);
}

static void
usb_on_left(void *arg)
{
	usb_end(arg, ENODEV);
}

/* ---- transfers ---- */

static bool
usb_is_at_work(const struct usb_transport *t)
{
	return t->phase == USB_DRAINING || t->phase == USB_RUNNING;
}

/* Of many transfers that fail together one is judged. */
static void
usb_judge(struct usb_transport *t, const struct libusb_transfer *transfer)
{
	enum usb_verdict verdict;

	if (transfer->status == LIBUSB_TRANSFER_NO_DEVICE)
		usb_end(t, ENODEV);
	if (!usb_is_at_work(t))
		return;
	verdict = usb_faults_judge(&t->faults, transfer->status, (size_t)transfer->actual_length);
	if (verdict == USB_END)
		usb_end(t, t->faults.error);
	else if (verdict == USB_UNHALT)
		t->halted = transfer->endpoint;
	if (verdict == USB_UNHALT || verdict == USB_AGAIN)
		usb_stop(t, USB_STOPPING);
}

static void LIBUSB_CALL
usb_on_packet(struct libusb_transfer *transfer)
{
	struct usb_in *in = transfer->user_data;
	struct usb_transport *t = in->owner;

	usb_queue_complete(&t->queue, (unsigned)(in - t->in), (size_t)transfer->actual_length);
	usb_judge(t, transfer);
	usb_work_later(t);
}

/* A command that the key did not accept is lost, as on a wire: the session sends another. */
static void LIBUSB_CALL
usb_on_sent(struct libusb_transfer *transfer)
{
	struct usb_transport *t = transfer->user_data;

	t->out_pending = false;
	if (transfer->status != LIBUSB_TRANSFER_COMPLETED)
		usb_judge(t, transfer);
	usb_work_later(t);
}

static void
usb_submit_in(struct usb_transport *t)
{
	unsigned slot;

	while (t->reading && usb_is_at_work(t) && usb_queue_submit(&t->queue, &slot)) {
		int result = libusb_submit_transfer(t->in[slot].transfer);

		if (result < 0) {
			usb_queue_cancel(&t->queue);
			usb_end(t, usb_errno(result));
		}
	}
}

static void
usb_submit_out(struct usb_transport *t)
{
	int result;

	if (t->phase != USB_RUNNING || t->out_pending || t->commands_len == 0)
		return;
	memcpy(t->sent, t->commands, t->commands_len);
	libusb_fill_bulk_transfer(t->out, t->handle, t->endpoints.out, t->sent,
				  (int)t->commands_len, usb_on_sent, t, USB_COMMAND_MS);
	t->commands_len = 0;
	result = libusb_submit_transfer(t->out);
	t->out_pending = result == 0;
	if (result < 0)
		usb_end(t, usb_errno(result));
}

/* Gives packets as long as they are taken. */
static void
usb_deliver(struct usb_transport *t)
{
	unsigned slot;
	size_t at, len, taken;

	if (t->reading && t->offer && t->phase != USB_DRAINING) {
		t->offer = false;
		t->events.bytes(t->events.arg, NULL, 0);
	}
	while (usb_queue_front(&t->queue, &slot, &at, &len)) {
		const uint8_t *packet = t->packets + (size_t)slot * t->endpoints.in_packet_len;

		if (t->phase == USB_DRAINING) {
			usb_queue_take(&t->queue, len);
			continue;
		}
		if (!t->reading)
			return;
		taken = t->events.bytes(t->events.arg, packet + at, len);
		usb_queue_take(&t->queue, taken);
		if (taken < len)
			return;
	}
}

/* ---- acts of the kernel, while the phase waits ---- */

static void
usb_act_free(struct usb_transport *t)
{
	if (t->act == NULL)
		return;
	event_free(t->act);
	t->act = NULL;
	helper_stop(&t->helper);
}

/*
 * libusb asks the key for its configuration as it wraps the node, and waits for the answer: that is
 * why a helper has probed the key before.
 */
static int
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

/* Only a key without any answer is given up here: transfers show every other fault. */
static void
usb_on_probed(struct usb_transport *t, int result)
{
	if (result != -ETIMEDOUT)
		result = usb_begin(t);
	if (result < 0)
		usb_end(t, -result);
	else
		usb_timer(t, USB_DRAINING, USB_DRAIN_MS);
	usb_work_later(t);
}

static void
usb_on_act(evutil_socket_t fd, short what, void *arg)
{
	struct usb_transport *t = arg;
	bool late = (what & EV_TIMEOUT) != 0;
	int result = late ? -ETIMEDOUT : priv_usb_result(&t->helper);

	(void)fd;
	usb_act_free(t);
	if (t->phase == USB_RESETTING)
		usb_end(t, result == 0 ? ECONNRESET : -result);
	else if (result == -ENODEV)
		usb_end(t, ENODEV);
	else if (t->phase == USB_PROBING)
		usb_on_probed(t, result);
	else if (t->phase == USB_UNHALTING) /* done or not: the next transfer will show */
		usb_timer(t, USB_PAUSING, t->faults.pause_ms);
}

static void
usb_act_start(struct usb_transport *t, enum priv_usb_act act, unsigned number)
{
	const struct timeval timeout = {.tv_sec = priv_usb_role.timeout_s};
	int result = priv_usb_start(&t->helper, t->key->fd, act, number);

	if (result < 0) {
		usb_end(t, -result);
		return;
	}
	t->act = event_new(t->base, t->helper.fd, EV_READ, usb_on_act, t);
	if (t->act == NULL || event_add(t->act, &timeout) != 0)
		usb_end(t, ENOMEM);
}

static void
usb_recover(struct usb_transport *t)
{
	if (t->halted == 0) {
		usb_timer(t, USB_PAUSING, t->faults.pause_ms);
		return;
	}
	t->phase = USB_UNHALTING;
	usb_act_start(t, PRIV_USB_CLEAR_HALT, t->halted);
	t->halted = 0;
}

static void
usb_release_interfaces(struct usb_transport *t)
{
	for (int i = 0; i < USB_INTERFACES_MAX; i++)
		if (t->claimed >> i & 1)
			priv_usb_release(t->key->fd, (unsigned)i);
	t->claimed = 0;
}

/* The event that a phase waits for: no transfer is pending. */
static void
usb_on_idle(struct usb_transport *t)
{
	if (t->phase == USB_STOPPING) {
		usb_recover(t);
	} else if (t->phase == USB_RESETTING && t->act == NULL) {
		usb_release_interfaces(t);
		usb_act_start(t, PRIV_USB_RESET, 0);
	} else if (t->phase == USB_ENDED && !t->reported) {
		t->reported = true;
		t->events.gone(t->events.arg, t->error); /* may free us */
	}
}

static void
usb_on_work(evutil_socket_t fd, short what, void *arg)
{
	struct usb_transport *t = arg;

	(void)fd, (void)what;
	usb_deliver(t);
	usb_submit_in(t);
	usb_submit_out(t);
	if (!usb_is_pending(t))
		usb_on_idle(t);
}

/* ---- the interface of a transport ---- */

static void
usb_send(struct transport *transport, const uint8_t *bytes, size_t len)
{
	struct usb_transport *t = (struct usb_transport *)transport;

	if (len > USB_COMMANDS_LEN - t->commands_len) {
		usb_end(t, ETIMEDOUT); /* the key has accepted nothing for many commands */
		return;
	}
	memcpy(t->commands + t->commands_len, bytes, len);
	t->commands_len += len;
	usb_work_later(t);
}

/* While off, pending transfers still bring their packets; then the key has to wait. */
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

/* All of them: no other process may talk to a key that is ours. */
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

/* No transfer may be pending: libusb would write to freed memory. */
static void
usb_free_transport(struct usb_transport *t)
{
	usb_act_free(t);
	if (t->work != NULL)
		event_free(t->work);
	if (t->timer != NULL)
		event_free(t->timer);
	for (size_t i = 0; i < USB_QUEUE_LEN; i++)
		libusb_free_transfer(t->in[i].transfer);
	libusb_free_transfer(t->out);
	usb_release_interfaces(t);
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

/* A key that was given up stays without a driver: the driver would talk to it between our tries. */
static void
usb_close(struct transport *transport)
{
	struct usb_transport *t = (struct usb_transport *)transport;
	bool to_kernel = t->phase != USB_ENDED && t->phase != USB_RESETTING;
	struct usb_key *key = t->key;
	struct usb *usb = t->usb;

	key->on_left = NULL;
	t->phase = USB_ENDED;
	t->reported = true;
	usb_cancel(t);
	for (int i = 0; usb_is_pending(t) && i < USB_CANCEL_TRIES; i++)
		usb_loop_turn(usb_loop(usb), USB_CANCEL_MS);
	if (!usb_is_pending(t))
		usb_free_transport(t); /* else the kernel may still write to it: it is leaked */
	usb_give_back(usb, key, to_kernel);
}

/* Without the serial number, which the caller has. */
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
