/* SPDX-License-Identifier: MIT */
/*
 * Carries a source's bytes: over USB, a tty, a socket, TLS; their meaning is the source's. Its
 * events come from the event loop, never from within a call to it.
 */
#ifndef BACKEND_TRANSPORT_TRANSPORT_H
#define BACKEND_TRANSPORT_TRANSPORT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct usb;

/* Of the daemon, and of the source that opens the transport. */
struct transport_env {
	struct event_base *base;
	struct usb *usb; /* NULL where no address on USB is used */
	const int *tls;  /* channel to ekey-tls (lib/priv/tls_channel.h); NULL, or -1 there: none */
	bool any_file;   /* a path may be any character device or FIFO: the source only reads */
	const char *name; /* of the source; "tls:" uses the keys of "source NAME" */
};

/* One open transport; each kind embeds it as its first member. */
struct transport {
	const struct transport_kind *kind;
};

#define TRANSPORT_OPENING 1 /* from open(): it continues in the background */

struct transport_events {
	/* After TRANSPORT_OPENING: the transport is open, reads, and may be sent to. */
	void (*opened)(void *arg);
	/*
	 * Takes bytes, perhaps none; returns how many. A receiver that does not take all has
	 * switched reading off; the transport keeps the rest and gives it first when reading is
	 * switched on again.
	 */
	size_t (*bytes)(void *arg, const uint8_t *bytes, size_t len);
	/*
	 * The transport has ended: removed (`error` is an errno), closed by the other side (0), or
	 * not opened after all. The last event; close the transport, then or later.
	 */
	void (*gone)(void *arg, int error);
	void *arg;
};

struct transport_kind {
	const char *prefix; /* of its addresses; the rest is `where` */
	/* NULL, or what is wrong with the form of `where`. */
	const char *(*check)(const char *where);
	/*
	 * Returns 0 with an open transport that reads, TRANSPORT_OPENING with one that must not be
	 * sent to before opened(), or -errno. Copies `events`, keeps nothing of `env` and `where`.
	 */
	int (*open)(const struct transport_env *env, const char *where,
		    const struct transport_events *events, struct transport **ret);
	/* Restores the device; wipes bytes that were not taken. */
	void (*close)(struct transport *transport);
	/* Queues bytes, in order. gone() follows when they cannot be sent. */
	void (*send)(struct transport *transport, const uint8_t *bytes, size_t len);
	/* While off nothing but its removal wakes the daemon. */
	void (*set_reading)(struct transport *transport, bool on);
	/* The kernel keeps bytes that are not read yet, and the device need not wait. */
	bool keeps;
	/* Strangers on the way can read and change the bytes: the network, without TLS. */
	bool exposed;
	/* NULL, or resets the device, as if it were plugged in again; gone() follows. */
	void (*reset)(struct transport *transport);
	/*
	 * Both NULL, or calls fn(arg) from the loop, perhaps too often, when `where` may exist now.
	 * Returns NULL when it cannot: then only retries help. `where` is not copied.
	 */
	void *(*watch)(const struct transport_env *env, const char *where, void (*fn)(void *arg),
		       void *arg);
	void (*unwatch)(void *watch);
	/* NULL, or returns English for an errno, or NULL where strerror() says it well. */
	const char *(*error_text)(int error);
	/*
	 * NULL, or returns English for its end where an errno says too little, or NULL. From gone()
	 * until close().
	 */
	const char *(*why)(const struct transport *transport);
	/* NULL, or returns its socket or tty, for questions to the kernel about the other side. */
	int (*fd)(const struct transport *transport);
	/* NULL, or writes lines of text about the hardware, for a report. */
	void (*describe)(const struct transport *transport, char *ret, size_t cap);
};

/* The kind of an address by its prefix, and the rest; without a prefix it is the path of a tty. */
const struct transport_kind *transport_find(const char *address, const char **ret_where);

#endif
