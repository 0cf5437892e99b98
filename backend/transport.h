/* SPDX-License-Identifier: MIT */
/*
 * What carries a source's bytes: USB, a tty, a socket, TLS. A transport knows nothing of what the
 * bytes mean. Its events come from the event loop, never from within a call to it.
 */
#ifndef BACKEND_TRANSPORT_H
#define BACKEND_TRANSPORT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct usb;

/* What transports need of the daemon, and of the source that opens them. */
struct transport_env {
	struct event_base *base;
	struct usb *usb;  /* NULL where no address on USB is used */
	const int *tls;   /* channel to ekey-tls (priv/tls_channel.h); NULL, or -1 there: none */
	const char *name; /* of the source: with the keys of "source NAME" is spoken "tls:" */
};

/* One open transport; each kind embeds it as its first member. */
struct transport {
	const struct transport_kind *kind;
};

#define TRANSPORT_OPENING 1 /* of open(): it goes on in the background */

struct transport_events {
	/* After TRANSPORT_OPENING: it is open now, reads, and may be sent to. */
	void (*opened)(void *arg);
	/*
	 * Bytes have come; returns how many were taken. What is not taken stays in the transport
	 * and is given again, first of all, when reading is switched on again: the taker has then
	 * switched it off. May be called with no bytes.
	 */
	size_t (*bytes)(void *arg, const uint8_t *bytes, size_t len);
	/*
	 * It has ended: removed (`error` is an errno), or closed by the other side (0), or it could
	 * not be opened after all. The last event; close it, then or later.
	 */
	void (*gone)(void *arg, int error);
	void *arg;
};

struct transport_kind {
	const char *prefix; /* of the addresses that it serves; the rest is its `where` */
	/* NULL, or what is wrong with the form of `where`. */
	const char *(*check)(const char *where);
	/*
	 * 0 with an open transport that reads, TRANSPORT_OPENING with one that must not be sent to
	 * before it is opened(), or -errno. `events` is copied; of `env` and `where` nothing is
	 * kept.
	 */
	int (*open)(const struct transport_env *env, const char *where,
		    const struct transport_events *events, struct transport **ret);
	/* Gives everything back as it was; what was not taken is wiped. */
	void (*close)(struct transport *transport);
	/* Queues bytes, in order. When they cannot be sent the transport will be gone. */
	void (*send)(struct transport *transport, const uint8_t *bytes, size_t len);
	/* While off nothing wakes us for it but its removal. */
	void (*set_reading)(struct transport *transport, bool on);
	/* What is not read yet is kept with the kernel, and the device is not held up by it. */
	bool keeps;
	/* Strangers on the way can read and change what it carries: the network, without TLS. */
	bool exposed;
	/*
	 * NULL, or: starts the device anew, as if it were plugged in again. Takes a while; then the
	 * transport is gone.
	 */
	void (*reset)(struct transport *transport);
	/*
	 * Both NULL, or: calls fn(arg) from the loop, perhaps too often, when `where` may be there
	 * at last. NULL when that cannot be: then only trying again helps. `where` is not copied.
	 */
	void *(*watch)(const struct transport_env *env, const char *where, void (*fn)(void *arg),
		       void *arg);
	void (*unwatch)(void *watch);
	/* NULL, or English for an errno; NULL is answered where strerror() says it well. */
	const char *(*error_text)(int error);
	/*
	 * NULL, or: English for why this one is gone, where an errno says too little; NULL is
	 * answered where not. From gone() until it is closed.
	 */
	const char *(*why)(const struct transport *transport);
	/* NULL, or: the socket or tty under it, for questions to the kernel about who is there. */
	int (*fd)(const struct transport *transport);
	/* May be NULL: writes what is known of the hardware, for a report, as lines of text. */
	void (*describe)(const struct transport *transport, char *ret, size_t cap);
};

/* Of an address by its prefix; one without any is the path of a tty. */
const struct transport_kind *transport_kind_of(const char *address);

#endif
