/* SPDX-License-Identifier: MIT */
/*
 * A configured source of entropy: opens its transport, speaks its protocol, passes its bytes
 * through its intake into the pool, and reopens the transport when the device or server went away.
 */
#ifndef BACKEND_SOURCE_H
#define BACKEND_SOURCE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/ekey/keyring.h"
#include "backend/ekey/rekey.h"
#include "backend/ekey/session.h"
#include "backend/source_address.h"
#include "lib/num.h"
#include "lib/priv/tls_channel.h"
#include "pool/intake.h"
#include "pool/pool.h"

#define SOURCE_NAME_MAX 72 /* "NAME", or "NAME/SERIAL" of a key without a section of its own */

struct source;

/* Each has a struct source_kind in the table of source_types.c. */
enum source_type { SOURCE_EKEY, SOURCE_EGD, SOURCE_RAW, SOURCE_TYPES };

/* BY_ADDRESS: raw sources, and those over the network without TLS, are not trusted (trust.h). */
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
	bool expanded; /* the server serves class expanded */
	enum source_trust trust;
	enum source_policy policy;
	size_t read_ahead;   /* bytes asked for at once, and kept ready while no reader waits */
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
	/* NULL, or called when a source has come or gone, can serve now, or no longer can. */
	void (*presence)(void *arg);
	void *presence_arg;
	/* NULL, or takes bytes that may not enter the pool, for the kernel's generator. */
	void (*mix)(void *arg, const uint8_t *bytes, size_t len);
	void *mix_arg;
	unsigned *credit; /* bits per byte, the lowest of all sources that have fed the pool */
	const int *tls;   /* see transport_env */
};

/* Of an Entropy Key. */
struct source_ekey_status {
	bool alarm; /* the key does not answer, after all that the daemon can do */
	char serial[KEYRING_SERIAL_TEXT_LEN + 1]; /* "" before the first S */
	uint64_t undecoded_bytes;                 /* read, and kept until the pool has room */
	struct session_counters session;
	const struct frame_stats *frame_stats;
	struct telemetry telemetry;
};

/* Of an EGD server. */
struct source_egd_status {
	bool expanded;
	bool stands_by;      /* connected, while another server of its section is asked */
	uint64_t level_bits; /* the server's last reply about its level */
	uint64_t answers;    /* connections on which the server proved to be one */
	uint64_t requests;   /* for entropy */
	uint64_t bytes;      /* of entropy received */
	uint64_t late;       /* replies that came too late: each ended its connection */
	uint64_t violations; /* bytes without a request: each ended its connection */
	size_t round_bytes;  /* asked for at once, now */
	uint64_t heard_ms;   /* clock_now_ms() of the last byte; 0: none yet */
};

/* Of a device, FIFO or socket. */
struct source_raw_status {
	uint64_t bytes;    /* of entropy received */
	uint64_t heard_ms; /* clock_now_ms() of the last byte; 0: none yet */
};

struct source_status {
	const char *name, *address;
	enum source_type type;
	bool connected;
	bool serves;       /* its bytes enter the pool, or would if they were asked for */
	bool paused;       /* the pool is full: nothing is read */
	const char *state; /* one phrase: "keyed", "waiting for /dev/ttyACM0", ... */
	const char *use;   /* of its bytes: "pool", "kernel", "none" */
	unsigned credit;   /* bits per byte; 0 for bytes that do not enter the pool */
	uint64_t connects; /* times the transport was opened */
	enum intake_state health;
	enum intake_cause cause;
	struct intake_counters intake;
	union {
		struct source_ekey_status ekey;
		struct source_egd_status egd;
		struct source_raw_status raw;
	};
};

/* One row of the status: `text`, or `number` where that is NULL. */
struct source_row {
	const char *key, *text;
	uint64_t number;
};

typedef void source_row_fn(void *arg, const struct source_row *row);

/* Receives each new state, REKEY_CLOSED last. It must not call the source. */
typedef void source_rekey_fn(void *arg, const struct rekey *rekey);

/* ---- types, for the configuration ---- */

extern const struct num_word source_types[SOURCE_TYPES + 1]; /* their names; ends with NULL */
bool source_type_needs_keyring(enum source_type type);
unsigned source_type_credit(enum source_type type); /* bits per byte, by default */

/* Returns NULL, or what is wrong with a section whose values are right one by one. */
const char *source_config_error(const struct source_config *config);

/* ---- a source ---- */

/* Starts at once, in the background; absence of the device is a state. NULL: no memory. */
struct source *source_new(const struct source_env *env, const struct source_config *config);

/* Closes, restores the tty, wipes. NULLs the pointer. */
void source_free(struct source **source);

/* Goes on after the pool was full: it has room again. */
void source_room(struct source *source);

/* Reads at once the bytes that the kernel holds: a reader waits. */
void source_wanted(struct source *source);

/* While on, another server is asked in its place; it stays connected. Only for EGD servers. */
void source_stand_by(struct source *source, bool on);

/*
 * Ends and restarts connections and sessions with keys, and wipes held bytes: this machine is a
 * clone, and other machines have the same state. Not from within a call of the source.
 */
void source_renew(struct source *source);

/* Uses the ring to which *env->keyring points now. */
void source_keyring_changed(struct source *source);

/*
 * Changes the long-term key of the source's key: the session ends, and a new one begins when the
 * keyring has changed, or when the change has failed. `fn` receives each state. False when the key
 * is not here, or is being changed already.
 */
bool source_rekey(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
		  const uint8_t mac[static KEYED_MAC_LEN], source_rekey_fn *fn, void *arg);

/* In REKEY_ACCEPTED, and for this key; see rekey_change(). */
bool source_rekey_change(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
			 const uint8_t nonce[static REKEY_NONCE_LEN]);

/* Writes lines of text about the hardware, perhaps none, NUL-terminated. */
void source_describe(const struct source *source, char *ret, size_t cap);

/* Pointers in *ret live as long as the source. */
void source_status(const struct source *source, struct source_status *ret);

/* Gives the rows of the status, beginning with the type. */
void source_rows(const struct source_status *status, source_row_fn *fn, void *arg);

#endif
