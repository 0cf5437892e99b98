/* SPDX-License-Identifier: MIT */
#include "backend/usb_transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/usb.h"
#include "backend/usb_descriptor.h"
#include "backend/usb_faults.h"
#include "backend/usb_queue.h"
#include "base/secret.h"
#include "priv/usb.h"

#define USB_DRAIN_MS 50      /* what a key had still to say to somebody else is thrown away */
#define USB_COMMAND_MS 1000  /* for the key to accept a command */
#define USB_COMMANDS_LEN 256 /* bytes of commands that wait; one is 18 */
#define USB_DESCRIPTORS_LEN 1024
#define USB_CANCEL_TRIES 100 /* of USB_CANCEL_MS each: the kernel ends a transfer at once */
#define USB_CANCEL_MS 10

enum usb_phase {
	USB_DRAINING, /* until the timer: packets are thrown away, commands wait */
	USB_RUNNING,
	USB_STOPPING,  /* after a fault: until no transfer flies */
	USB_UNHALTING, /* until the kernel has done it */
	USB_PAUSING,   /* until the timer */
	USB_RESETTING, /* until no transfer flies, then until the kernel has done it */
	USB_ENDED,     /* until no transfer flies; then we are gone */
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
	libusb_device_handle *handle;
	struct usb_endpoints endpoints;
	uint32_t claimed; /* interfaces */
	enum usb_phase phase;
	struct event *work;  /* activated when there is something to do */
	struct event *timer; /* of the phase */
	struct event *act;   /* the kernel is done; NULL: there is no act */
	int act_fd;
	bool reading;
	bool offer;     /* reading was switched on: the taker hears of it, with bytes or without */
	int error;      /* of USB_ENDED */
	bool told;      /* ... it was */
	uint8_t halted; /* endpoint, for USB_UNHALTING */
	struct usb_faults faults;
	struct usb_queue queue;
	struct usb_in in[USB_QUEUE_LEN];
	uint8_t *packets; /* USB_QUEUE_LEN times the longest packet, secret */
	struct libusb_transfer *out;
	bool out_flies;
	uint8_t sent[USB_COMMANDS_LEN], commands[USB_COMMANDS_LEN];
	size_t commands_len;
};

/* ---- phases ---- */

/* All that is done outside libusb is done from the loop. */
static void
usb_work_later(struct usb_transport *t)
{
	event_active(t->work, EV_TIMEOUT, 0);
}

static void
usb_timer(struct usb_transport *t, enum usb_phase phase, unsigned wait_ms)
{
	struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

	t->phase = phase;
	event_add(t->timer, &wait);
}

static void
usb_cancel(struct usb_transport *t)
{
	for (size_t i = 0; i < USB_QUEUE_LEN; i++)
		if (t->queue.slots[i].state == USB_SLOT_FLYING)
			libusb_cancel_transfer(t->in[i].transfer);
	if (t->out_flies)
		libusb_cancel_transfer(t->out);
}

static bool
usb_flies(const struct usb_transport *t)
{
	return t->queue.flying > 0 || t->out_flies;
}

/* To a phase in which nothing flies. */
static void
usb_stop(struct usb_transport *t, enum usb_phase phase)
{
	event_del(t->timer);
	t->phase = phase;
	usb_cancel(t);
	usb_work_later(t);
}

static void
usb_end(struct usb_transport *t, int error)
{
	if (t->phase == USB_ENDED)
		return;
	t->error = error;
	usb_stop(t, USB_ENDED);
}

static void
usb_on_left(void *arg)
{
	usb_end(arg, ENODEV);
}

/* ---- how transfers end ---- */

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

	usb_queue_land(&t->queue, (unsigned)(in - t->in), (size_t)transfer->actual_length);
	usb_judge(t, transfer);
	usb_work_later(t);
}

/* What a key did not accept is lost, as it would be on the wire: the session will ask again. */
static void LIBUSB_CALL
usb_on_sent(struct libusb_transfer *transfer)
{
	struct usb_transport *t = transfer->user_data;

	t->out_flies = false;
	if (transfer->status != LIBUSB_TRANSFER_COMPLETED)
		usb_judge(t, transfer);
	usb_work_later(t);
}

/* ---- transfers ---- */

static void
usb_ask(struct usb_transport *t)
{
	unsigned slot;

	while (t->reading && usb_is_at_work(t) && usb_queue_fly(&t->queue, &slot)) {
		int result = libusb_submit_transfer(t->in[slot].transfer);

		if (result < 0) {
			usb_queue_unfly(&t->queue);
			usb_end(t, usb_errno(result));
		}
	}
}

static void
usb_command(struct usb_transport *t)
{
	int result;

	if (t->phase != USB_RUNNING || t->out_flies || t->commands_len == 0)
		return;
	memcpy(t->sent, t->commands, t->commands_len);
	libusb_fill_bulk_transfer(t->out, t->handle, t->endpoints.out, t->sent,
				  (int)t->commands_len, usb_on_sent, t, USB_COMMAND_MS);
	t->commands_len = 0;
	result = libusb_submit_transfer(t->out);
	t->out_flies = result == 0;
	if (result < 0)
		usb_end(t, usb_errno(result));
}

/* Gives what has come, for as long as it is taken. */
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

/* ---- faults and resets ---- */

static void
usb_release(struct usb_transport *t)
{
	for (int i = 0; i < USB_INTERFACES_MAX; i++)
		if (t->claimed >> i & 1)
			libusb_release_interface(t->handle, i);
	t->claimed = 0;
}

static void
usb_act_free(struct usb_transport *t)
{
	if (t->act == NULL)
		return;
	event_free(t->act);
	t->act = NULL;
	close(t->act_fd);
}

static void
usb_on_act(evutil_socket_t fd, short what, void *arg)
{
	struct usb_transport *t = arg;
	int result;

	(void)what;
	event_free(t->act);
	t->act = NULL;
	result = priv_usb_result(fd);
	if (t->phase == USB_RESETTING)
		usb_end(t, result == 0 ? ECONNRESET : -result);
	else if (result == -ENODEV)
		usb_end(t, ENODEV);
	else if (t->phase == USB_UNHALTING) /* done or not: the next transfer will show */
		usb_timer(t, USB_PAUSING, t->faults.pause_ms);
}

static void
usb_start_act(struct usb_transport *t, enum priv_usb_act act, unsigned number)
{
	int fd = priv_usb_start(t->key->fd, act, number);

	if (fd < 0) {
		usb_end(t, -fd);
		return;
	}
	t->act_fd = fd;
	t->act = event_new(t->base, fd, EV_READ, usb_on_act, t);
	if (t->act == NULL || event_add(t->act, NULL) != 0)
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
	usb_start_act(t, PRIV_USB_CLEAR_HALT, t->halted);
	t->halted = 0;
}

/* Nothing flies: what the phase was waiting for. */
static void
usb_on_landed(struct usb_transport *t)
{
	if (t->phase == USB_STOPPING) {
		usb_recover(t);
	} else if (t->phase == USB_RESETTING && t->act == NULL) {
		usb_release(t);
		usb_start_act(t, PRIV_USB_RESET, 0);
	} else if (t->phase == USB_ENDED && !t->told) {
		t->told = true;
		t->events.gone(t->events.arg, t->error); /* may free us */
	}
}

static void
usb_on_work(evutil_socket_t fd, short what, void *arg)
{
	struct usb_transport *t = arg;

	(void)fd, (void)what;
	usb_deliver(t);
	usb_ask(t);
	usb_command(t);
	if (!usb_flies(t))
		usb_on_landed(t);
}

static void
usb_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct usb_transport *t = arg;

	(void)fd, (void)what;
	t->phase = USB_RUNNING;
	usb_work_later(t);
}

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
	uint8_t bytes[USB_DESCRIPTORS_LEN];
	/* The kernel's copy: the key is not asked. */
	ssize_t len = pread(t->key->fd, bytes, sizeof(bytes), 0);

	if (len < 0)
		return -errno;
	return usb_endpoints_find(bytes, (size_t)len, &t->endpoints) ? 0 : -ENXIO;
}

/* All of them: nobody else may talk to a key that is ours. */
static int
usb_claim(struct usb_transport *t)
{
	for (int i = 0; i < USB_INTERFACES_MAX; i++) {
		int result;

		if ((t->endpoints.interfaces >> i & 1) == 0)
			continue;
		libusb_detach_kernel_driver(t->handle, i); /* it may not have come yet */
		result = libusb_claim_interface(t->handle, i);
		if (result < 0)
			return -usb_errno(result);
		t->key->was_claimed = true;
		t->claimed |= UINT32_C(1) << i;
	}
	return 0;
}

static int
usb_make(struct usb_transport *t)
{
	size_t len = t->endpoints.in_packet_len;

	t->work = event_new(t->base, -1, 0, usb_on_work, t);
	t->timer = evtimer_new(t->base, usb_on_timer, t);
	t->packets = secret_new(USB_QUEUE_LEN * len);
	t->out = libusb_alloc_transfer(0);
	if (t->work == NULL || t->timer == NULL || t->packets == NULL || t->out == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < USB_QUEUE_LEN; i++) {
		t->in[i] = (struct usb_in){t, libusb_alloc_transfer(0)};
		if (t->in[i].transfer == NULL)
			return -ENOMEM;
		/*
		 * One packet each: a frame fills a packet, so that a longer transfer would not end
		 * with it, and no packet is longer, so that none can overflow.
		 */
		libusb_fill_bulk_transfer(t->in[i].transfer, t->handle, t->endpoints.in,
					  t->packets + i * len, (int)len, usb_on_packet, &t->in[i],
					  0);
	}
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
	if (t->handle != NULL) {
		usb_release(t);
		libusb_close(t->handle);
	}
	secret_free(t->packets, (size_t)USB_QUEUE_LEN * t->endpoints.in_packet_len);
	secret_wipe(t->sent, sizeof(t->sent));
	free(t);
}

static int
usb_set_up(struct usb_transport *t)
{
	int result;

	if (usb_loop(t->usb) == NULL)
		return -ENODEV;
	result = usb_loop_wrap(usb_loop(t->usb), t->key->fd, &t->handle);
	if (result == 0)
		result = usb_find_endpoints(t);
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
				    .reading = true};
	result = usb_hold(t->usb, where, &t->key);
	if (result < 0) {
		free(t);
		return result;
	}
	key = t->key;
	result = usb_set_up(t);
	if (result < 0) {
		usb_free_transport(t);
		usb_give_back(env->usb, key, false);
		return result;
	}
	key->on_left = usb_on_left;
	key->arg = t;
	usb_timer(t, USB_DRAINING, USB_DRAIN_MS);
	usb_work_later(t);
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

static const char *
usb_check(const char *where)
{
	size_t len = strlen(where);

	for (const char *at = where; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~')
			return "a serial number has no blanks";
	return len > 0 && len <= USB_SERIAL_MAX ? NULL : "usb:SERIAL needs a key's serial number";
}

static void *
usb_watch(const struct transport_env *env, const char *where, void (*fn)(void *arg), void *arg)
{
	(void)where;
	return usb_watch_new(env->usb, fn, arg);
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
};
