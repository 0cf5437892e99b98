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
#include "backend/source_address.h"
#include "ekey/keyring.h"
#include "ekey/session.h"
#include "pool/intake.h"
#include "pool/pool.h"
#include "priv/tls_channel.h"

#define SOURCE_NAME_MAX 72 /* "NAME", or "NAME/SERIAL" of a key that nobody named */

struct source;

enum source_type { SOURCE_EKEY, SOURCE_EGD };

/* By address: what comes over the network without TLS is not trusted (trust.h). */
enum source_trust { SOURCE_TRUST_BY_ADDRESS, SOURCE_TRUST_YES, SOURCE_TRUST_NO };

/* Of several addresses: all are asked, or the first that can serve. */
enum source_policy { SOURCE_POLICY_ALL, SOURCE_POLICY_FAILOVER };

struct source_config {
	char name[SOURCE_NAME_MAX]; /* [source NAME] */
	enum source_type type;
	char address[SOURCE_ADDRESS_MAX]; /* "usb", "usb:SERIAL", "/dev/ttyACM0", "unix:PATH" */
	unsigned h;                       /* claimed min-entropy, bits per byte */
	unsigned credit;                  /* bits per byte that a receiver may count on */
	unsigned expect;                  /* keys; fewer are reported (sources.h) */
	struct tls_files tls;
	/* Of an EGD server: */
	bool expanded; /* it serves class expanded */
	enum source_trust trust;
	enum source_policy policy;
	size_t read_ahead;   /* bytes asked for at once, and kept ready while nobody waits */
	uint64_t timeout_ms; /* the longest wait for a reply */
};

#define SOURCE_CREDIT_MAX 8
#define SOURCE_CREDIT_DEFAULT 7
#define SOURCE_READ_AHEAD_MIN 256
#define SOURCE_READ_AHEAD_MAX (1U << 20)
#define SOURCE_READ_AHEAD_DEFAULT 4096
#define SOURCE_TIMEOUT_MIN_MS 1000
#define SOURCE_TIMEOUT_MAX_MS (3600 * 1000)
#define SOURCE_TIMEOUT_DEFAULT_MS 30000

/* Shared by all sources; outlives them. */
struct source_env {
	struct event_base *base;
	struct usb *usb; /* NULL where no address on USB is used */
	struct pool *pool;
	const struct keyring *const *keyring; /* the daemon's current ring */
	const char *keyring_path;             /* for the log, which says where a key is missing */
	/* NULL, or: a source has come or gone, or can serve now, or no longer. */
	void (*presence)(void *arg);
	void *presence_arg;
	/* NULL, or: takes bytes that may not enter the pool, for the kernel's generator. */
	void (*mix)(void *arg, const uint8_t *bytes, size_t len);
	void *mix_arg;
	/* Bits per byte, the lowest of all that have fed the pool; begins with SOURCE_CREDIT_MAX.
	 */
	unsigned *credit;
	const int *tls; /* see transport_env */
};

/* Of an Entropy Key. */
struct source_ekey_status {
	bool alarm; /* it does not answer, and all that we can do was done */
	char serial[KEYRING_SERIAL_TEXT_LEN + 1]; /* "" before the first S */
	uint64_t undecoded_bytes;                 /* read, and kept until the pool has room */
	struct session_counters session;
	const struct census *census;
	struct telemetry telemetry;
};

/* Of an EGD server. */
struct source_egd_status {
	const char *use; /* of its bytes: "pool", "kernel", "none" */
	bool expanded;
	unsigned credit;     /* bits per byte */
	bool stands_by;      /* it is there, and another is asked */
	uint64_t level_bits; /* as it said last */
	uint64_t answers;    /* connections on which it answered */
	uint64_t requests;   /* for entropy */
	uint64_t bytes;      /* of entropy that came */
	uint64_t late;       /* times that a reply was not waited for any longer */
	uint64_t violations; /* bytes that nobody had asked for: the connection was ended */
	size_t round_bytes;  /* that are asked for at once, now */
	uint64_t heard_ms;   /* clock_now_ms() of the last byte; 0: none yet */
};

struct source_status {
	const char *name, *address;
	enum source_type type;
	bool connected;
	bool serves;       /* its bytes enter the pool, or would if they were asked for */
	bool paused;       /* the pool is full: we do not read */
	const char *state; /* one phrase: "keyed", "waiting for /dev/ttyACM0", ... */
	uint64_t connects; /* times the transport was opened */
	enum intake_state health;
	enum intake_cause cause;
	struct intake_counters intake;
	union {
		struct source_ekey_status ekey;
		struct source_egd_status egd;
	};
};

/* Starts at once, in the background; absence of the device is a state. NULL: no memory. */
struct source *source_new(const struct source_env *env, const struct source_config *config);

/* Closes, restores the tty, wipes. NULLs the pointer. */
void source_free(struct source **source);

/* The pool has room again. */
void source_room(struct source *source);

/* Somebody waits for bytes: what lies with the kernel is read at once. */
void source_wanted(struct source *source);

/* Another is asked in its place; it stays connected. Only for EGD servers. */
void source_stand_by(struct source *source, bool on);

/*
 * This machine is a clone, and others have what it has: connections, sessions with keys, and what
 * is held or on its way; all of it ends, and begins anew. Not from within a call to it.
 */
void source_renew(struct source *source);

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
