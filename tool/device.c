/* SPDX-License-Identifier: MIT */
#include "tool/device.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "backend/fd_transport.h"
#include "backend/usb.h"
#include "backend/usb_transport.h"
#include "base/clock.h"
#include "base/secret.h"
#include "ekey/session.h"

#define USB_ANY "usb"

struct device {
	struct reach reach;
	struct event_base *base;
	struct usb *usb; /* NULL where it is not needed */
	struct usb_watch *watch;
	struct event *timer;
	struct transport *transport; /* NULL: not open */
	bool gone;
	const char *why_gone;
	uint8_t serial[KEYED_SERIAL_LEN];
	char serial_text[KEYRING_SERIAL_TEXT_LEN + 1];
	struct rekey rekey;
	struct keyring ring; /* for the proof: the new key alone */
	struct session session;
};

/* ---- bytes ---- */

static void
device_send(struct device *d, const uint8_t *bytes, size_t len)
{
	if (bytes != NULL)
		d->transport->kind->send(d->transport, bytes, len);
}

static void
device_rekey_send(struct device *d)
{
	size_t len;
	const uint8_t *bytes = rekey_send(&d->rekey, &len);

	device_send(d, bytes, len);
}

static void
device_rekey_take(struct device *d, struct cursor *in)
{
	while (rekey_take(&d->rekey, in, clock_now_ms()))
		device_rekey_send(d);
}

static void
device_session_take(struct device *d, struct cursor *in)
{
	enum session_event event;

	do {
		size_t len;
		const uint8_t *bytes;

		event = session_next(&d->session, in, clock_now_ms());
		bytes = session_send(&d->session, &len);
		device_send(d, bytes, len);
	} while (event != SESSION_MORE);
}

static size_t
device_on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct device *d = arg;
	struct cursor in = cursor_over(bytes, len);

	if (rekey_state(&d->rekey) != REKEY_CLOSED)
		device_rekey_take(d, &in);
	else
		device_session_take(d, &in);
	return len;
}

static const char *
device_error_text(const struct transport_kind *kind, int error)
{
	const char *text = kind->error_text != NULL ? kind->error_text(error) : NULL;

	return text != NULL ? text : strerror(error);
}

static void
device_on_gone(void *arg, int error)
{
	struct device *d = arg;
	bool unplugged = error == 0 || error == ENODEV || error == EIO;

	d->gone = true;
	d->why_gone =
		unplugged ? "the key was unplugged" : device_error_text(d->transport->kind, error);
}

static void
device_on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg; /* it ends a turn of the loop, no more */
}

/* Until something happens, or until the deadline. False: the key has gone. */
static bool
device_wait(struct device *d, uint64_t deadline_ms)
{
	uint64_t now_ms = clock_now_ms();
	uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
	struct timeval wait;

	wait_ms = wait_ms < REKEY_HOLD_MS ? wait_ms : REKEY_HOLD_MS;
	wait = clock_timeval(wait_ms);
	event_add(d->timer, &wait);
	event_base_loop(d->base, EVLOOP_ONCE);
	return !d->gone;
}

/* ---- the change ---- */

/* Until it is in `wanted`, or has failed. */
static enum exit_code
device_run(struct device *d, enum rekey_state wanted)
{
	device_rekey_send(d);
	while (rekey_state(&d->rekey) != wanted && !rekey_failed(&d->rekey)) {
		if (!device_wait(d, rekey_deadline(&d->rekey)))
			return reach_failed(d->why_gone);
		rekey_tick(&d->rekey, clock_now_ms());
		device_rekey_send(d);
	}
	if (rekey_failed(&d->rekey))
		return reach_failed(rekey_state_text(rekey_state(&d->rekey)));
	return EXIT_OK;
}

static enum exit_code
device_start(struct reach *reach, const uint8_t mac[static KEYED_MAC_LEN])
{
	struct device *d = (struct device *)reach;

	rekey_open(&d->rekey, d->serial, mac, clock_now_ms());
	return device_run(d, REKEY_ACCEPTED);
}

static enum exit_code
device_change(struct reach *reach, const uint8_t nonce[static REKEY_NONCE_LEN],
	      uint8_t ret_answer[static KEYED_SECRET_LEN])
{
	struct device *d = (struct device *)reach;
	enum exit_code code;

	if (!rekey_change(&d->rekey, nonce, clock_now_ms()))
		return reach_failed(rekey_state_text(REKEY_ABANDONED));
	code = device_run(d, REKEY_CHANGED);
	if (code == EXIT_OK)
		memcpy(ret_answer, rekey_answer(&d->rekey), KEYED_SECRET_LEN);
	return code;
}

/* ---- the proof ---- */

static bool
device_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	return getrandom(ret, len, GRND_INSECURE) == (ssize_t)len;
}

static enum exit_code
device_prove(struct reach *reach, const struct keyring_entry *entry)
{
	struct device *d = (struct device *)reach;
	const struct keyring *ring = &d->ring;
	const struct session_env env = {.keyring = &ring, .random = device_random};
	uint64_t end_ms = clock_now_ms() + REACH_PROVE_MS;
	struct cursor none = cursor_over(NULL, 0);

	d->ring.entries[d->ring.len++] = *entry;
	rekey_close(&d->rekey);
	session_init(&d->session, &env);
	session_open(&d->session, clock_now_ms());
	device_session_take(d, &none);
	while (session_state(&d->session) != SESSION_KEYED && clock_now_ms() < end_ms) {
		if (!device_wait(d, session_deadline(&d->session)))
			return reach_failed(d->why_gone);
		session_tick(&d->session, clock_now_ms());
		device_session_take(d, &none);
	}
	if (session_state(&d->session) != SESSION_KEYED)
		return reach_failed(session_state_text(session_state(&d->session)));
	return EXIT_OK;
}

/* ---- life ---- */

static void
device_close(struct reach *reach)
{
	struct device *d = (struct device *)reach;

	if (d == NULL)
		return;
	if (d->transport != NULL)
		d->transport->kind->close(d->transport);
	usb_watch_free(&d->watch);
	usb_free(&d->usb);
	if (d->timer != NULL)
		event_free(d->timer);
	if (d->base != NULL)
		event_base_free(d->base);
	secret_free(d, sizeof(*d));
}

static const struct reach_kind device_kind = {device_start, device_change, device_prove,
					      device_close};

static void
device_on_usb(void *arg)
{
	(void)arg; /* what is plugged in is known when the watch begins */
}

static int
device_start_usb(struct device *d)
{
	d->usb = usb_new(d->base);
	if (d->usb != NULL)
		d->watch = usb_watch_new(d->usb, d->serial_text, device_on_usb, d);
	return d->watch != NULL ? 0 : -ENOMEM;
}

bool
device_is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Returns what the address says after its prefix. */
static const char *
device_find(const struct device *d, const char *address, const struct transport_kind **ret)
{
	*ret = &transport_usb;
	if (strcmp(address, USB_ANY) == 0)
		return d->serial_text;
	if (strncmp(address, transport_usb.prefix, strlen(transport_usb.prefix)) == 0)
		return address + strlen(transport_usb.prefix);
	*ret = &transport_unix;
	if (strncmp(address, transport_unix.prefix, strlen(transport_unix.prefix)) == 0)
		return address + strlen(transport_unix.prefix);
	if (!device_is_socket(address))
		*ret = &transport_tty;
	return address;
}

/* Says itself what goes wrong. */
static enum exit_code
device_open(struct device *d, const char *address)
{
	const struct transport_events events = {
		.bytes = device_on_bytes, .gone = device_on_gone, .arg = d};
	const struct transport_kind *kind;
	const char *where = device_find(d, address, &kind), *wrong = kind->check(where);
	int result = -ENOMEM;

	if (wrong != NULL) {
		fprintf(stderr, "ekeyctl: --device %s: %s\n", address, wrong);
		return EXIT_USAGE;
	}
	d->base = event_base_new();
	d->timer = d->base != NULL ? evtimer_new(d->base, device_on_timer, d) : NULL;
	if (d->timer != NULL)
		result = kind == &transport_usb ? device_start_usb(d) : 0;
	if (result == 0) {
		const struct transport_env env = {.base = d->base, .usb = d->usb};

		result = kind->open(&env, where, &events, &d->transport);
	}
	if (result == 0)
		return EXIT_OK;
	fprintf(stderr, "ekeyctl: %s: %s\n", address,
		result == -EBUSY ? "in use; ekey-randomd runs? Then leave --device out"
				 : device_error_text(kind, -result));
	return EXIT_NO_KEY;
}

enum exit_code
device_reach(const char *address, const uint8_t serial[static KEYED_SERIAL_LEN],
	     struct reach **ret_reach)
{
	struct device *d = secret_new(sizeof(*d));
	enum exit_code code;

	if (d == NULL)
		return reach_failed(strerror(ENOMEM));
	d->reach.kind = &device_kind;
	memcpy(d->serial, serial, sizeof(d->serial));
	keyring_serial_text(serial, d->serial_text);
	code = device_open(d, address);
	if (code == EXIT_OK)
		*ret_reach = &d->reach;
	else
		device_close(&d->reach);
	return code;
}
