/* SPDX-License-Identifier: MIT */
#include "backend/usb_inside.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define USB_COMMAND_MS 1000 /* for the key to accept a command */
#define USB_DRAIN_MS 50     /* what a key had still to say to somebody else is thrown away */

/* ---- phases ---- */

void
usb_work_later(struct usb_transport *t)
{
	event_active(t->work, EV_TIMEOUT, 0);
}

void
usb_timer(struct usb_transport *t, enum usb_phase phase, unsigned wait_ms)
{
	struct timeval wait = clock_timeval(wait_ms);

	t->phase = phase;
	event_add(t->timer, &wait);
}

void
usb_cancel(struct usb_transport *t)
{
	for (size_t i = 0; i < USB_QUEUE_LEN; i++)
		if (t->queue.slots[i].state == USB_SLOT_FLYING)
			libusb_cancel_transfer(t->in[i].transfer);
	if (t->out_flies)
		libusb_cancel_transfer(t->out);
}

bool
usb_flies(const struct usb_transport *t)
{
	return t->queue.flying > 0 || t->out_flies;
}

void
usb_stop(struct usb_transport *t, enum usb_phase phase)
{
	event_del(t->timer);
	t->phase = phase;
	usb_cancel(t);
	usb_work_later(t);
}

void
usb_end(struct usb_transport *t, int error)
{
	if (t->phase == USB_ENDED)
		return;
	usb_offer_tty(t->key, error);
	t->error = error;
	usb_stop(t, USB_ENDED);
}

void
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

void LIBUSB_CALL
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

void
usb_release(struct usb_transport *t)
{
	for (int i = 0; i < USB_INTERFACES_MAX; i++)
		if (t->claimed >> i & 1)
			priv_usb_release(t->key->fd, (unsigned)i);
	t->claimed = 0;
}

void
usb_act_free(struct usb_transport *t)
{
	if (t->act == NULL)
		return;
	event_free(t->act);
	t->act = NULL;
	helper_stop(&t->helper);
}

/* Only who does not answer at all is given up here: whatever else is amiss, transfers will show. */
static void
usb_probed(struct usb_transport *t, int result)
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
	int result;

	(void)fd;
	event_free(t->act);
	t->act = NULL;
	if ((what & EV_TIMEOUT) != 0)
		helper_stop(&t->helper);
	result = (what & EV_TIMEOUT) != 0 ? -ETIMEDOUT : priv_usb_result(&t->helper);
	if (t->phase == USB_RESETTING)
		usb_end(t, result == 0 ? ECONNRESET : -result);
	else if (result == -ENODEV)
		usb_end(t, ENODEV);
	else if (t->phase == USB_PROBING)
		usb_probed(t, result);
	else if (t->phase == USB_UNHALTING) /* done or not: the next transfer will show */
		usb_timer(t, USB_PAUSING, t->faults.pause_ms);
}

void
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

/* Nothing flies: what the phase was waiting for. */
static void
usb_on_landed(struct usb_transport *t)
{
	if (t->phase == USB_STOPPING) {
		usb_recover(t);
	} else if (t->phase == USB_RESETTING && t->act == NULL) {
		usb_release(t);
		usb_act_start(t, PRIV_USB_RESET, 0);
	} else if (t->phase == USB_ENDED && !t->told) {
		t->told = true;
		t->events.gone(t->events.arg, t->error); /* may free us */
	}
}

void
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

void
usb_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct usb_transport *t = arg;

	(void)fd, (void)what;
	t->phase = USB_RUNNING;
	usb_work_later(t);
}
