/* SPDX-License-Identifier: MIT */
/*
 * A configured source of entropy: opens its transport, speaks its protocol, passes its bytes
 * through its intake into the pool, comes back by itself when the transport or the key went away.
 */
#ifndef BACKEND_SOURCE_H
#define BACKEND_SOURCE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/rekeying.h"
#include "ekey/keyring.h"
#include "ekey/session.h"
#include "pool/intake.h"
#include "pool/pool.h"

#define SOURCE_NAME_MAX 72 /* "NAME", or "NAME/SERIAL" of a key that nobody named */
#define SOURCE_ADDRESS_MAX 256

struct source;

struct source_config {
	char name[SOURCE_NAME_MAX];       /* [source NAME] */
	char address[SOURCE_ADDRESS_MAX]; /* "usb", "usb:SERIAL", "/dev/ttyACM0", "unix:PATH" */
	unsigned h;                       /* claimed min-entropy, bits per byte */
	unsigned expect;                  /* keys; fewer are reported (sources.h) */
};

/* Shared by all sources; outlives them. */
struct source_env {
	struct event_base *base;
	struct usb *usb; /* NULL where no address on USB is used */
	struct pool *pool;
	const struct keyring *const *keyring; /* the daemon's current ring */
	const char *keyring_path;             /* for the log, which says where a key is missing */
	void (*presence)(void *arg);          /* NULL, or: a source's device has come or gone */
	void *presence_arg;
};

struct source_status {
	const char *name, *address;
	bool connected;
	bool paused;       /* the pool is full: we do not read */
	bool alarm;        /* it does not answer, and all that we can do was done */
	const char *state; /* one phrase: "keyed", "waiting for /dev/ttyACM0", ... */
	char serial[KEYRING_SERIAL_TEXT_LEN + 1]; /* "" before the first S */
	uint64_t connects;                        /* times the transport was opened */
	uint64_t undecoded_bytes;                 /* read, and kept until the pool has room */
	struct session_counters session;
	const struct census *census;
	struct telemetry telemetry;
	enum intake_state health;
	enum intake_cause cause;
	struct intake_counters intake;
};

/* Checks the form of one device's address; NULL when good, else what is wrong with it. */
const char *source_address_error(const char *address);

/* Starts at once, in the background; absence of the device is a state. NULL: no memory. */
struct source *source_new(const struct source_env *env, const struct source_config *config);

/* Closes, restores the tty, wipes. NULLs the pointer. */
void source_free(struct source **source);

/* The pool has room again. */
void source_room(struct source *source);

/* Somebody waits for bytes: what lies with the kernel is read at once. */
void source_wanted(struct source *source);

/* *env->keyring points to another ring now. */
void source_keyring_changed(struct source *source);

/*
 * Changes the long-term key of the source's key: the session ends, and begins again when the
 * keyring has changed, or when the change has failed. `fn` is told what happens. False when there
 * is no such key here, or it is at it already.
 */
bool source_rekey(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
		  const uint8_t mac[static KEYED_MAC_LEN], rekeying_fn *fn, void *arg);

/* In REKEY_ACCEPTED, and for this key; see rekey_change(). */
bool source_rekey_change(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
			 const uint8_t nonce[static REKEY_NONCE_LEN]);

/* What its transport says about the hardware: a NUL-terminated text of lines, perhaps empty. */
void source_describe(const struct source *source, char *ret, size_t cap);

/* Pointers in *ret live as long as the source. */
void source_status(const struct source *source, struct source_status *ret);

#endif
