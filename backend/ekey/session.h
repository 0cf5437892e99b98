/* SPDX-License-Identifier: MIT */
/*
 * The host's side of the Entropy Key protocol as a machine without I/O: bytes and `now_ms` in,
 * entropy blocks, telemetry and bytes to send out. doc/protocol.md 2 to 4. The same machine serves
 * USB, a tty, a Unix socket, a recording, the fuzzer.
 *
 * One damaged, replayed or unauthenticated frame costs that frame, never the session or the key.
 * (Until a session key is agreed the protocol authenticates nothing: a writer on the wire can delay
 * the agreement.)
 * A session restarts after a time without an authenticated frame (see SESSION_*_MS), paced so that
 * no fault can cause a storm of resets.
 */
#ifndef BACKEND_EKEY_SESSION_H
#define BACKEND_EKEY_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/frame.h"
#include "backend/ekey/frame_stats.h"
#include "backend/ekey/keyed.h"
#include "backend/ekey/keyring.h"
#include "backend/ekey/packet.h"
#include "backend/ekey/telemetry.h"
#include "lib/bytes.h"

#define SESSION_BLOCK_LEN 32 /* bytes of one entropy frame */
#define SESSION_NONCE_LEN 12 /* ekeyd's length; the device takes 0..4095 */
#define SESSION_SEND_MAX 32  /* longest thing ever sent: 1 + 16 + 1 */

/* Deadlines. */
#define SESSION_SERIAL_MS 1500   /* from a reset to the S frame */
#define SESSION_REKEY_MS 5000    /* from S to the first k; the device asks about once a second */
#define SESSION_ANSWER_MS 2000   /* from K to its answer */
#define SESSION_SILENCE_MS 5000  /* between authenticated frames while keyed */
#define SESSION_SUSPECT_MS 500   /* the same, after a frame of another session than ours */
#define SESSION_RETRY_MIN_MS 250 /* first wait before another reset; doubles up to... */
#define SESSION_RETRY_MAX_MS 60000
#define SESSION_ASK_MS 500 /* between nonces while a key has given no entropy */

/* Frames in a row, and none good, until the long-term key is called wrong: chance is 2^-48 each. */
#define SESSION_WRONG_KEY_FRAMES 16

enum session_state {
	SESSION_CLOSED,     /* no transport, or not yet started */
	SESSION_RESETTING,  /* reset sent (or about to be): everything but S is ignored */
	SESSION_IDENTIFIED, /* S seen, long-term key found: waiting for k */
	SESSION_REKEYING, /* nonce sent: waiting for the answer, then for a frame that proves it */
	SESSION_KEYED,    /* entropy flows */
	SESSION_UNKNOWN_KEY, /* the serial is not in the keyring; retried when it is reloaded */
	SESSION_WRONG_KEY,   /* answered, but no frame of it verifies: the long-term key is wrong */
	SESSION_UNSUPPORTED, /* protocol version other than 0, or not the serial we insist on */
	SESSION_GENERATORS_BAD, /* the device reports it (B): retried, slowly */
};

enum session_event {
	SESSION_MORE,      /* all input taken */
	SESSION_ENTROPY,   /* `block` holds 32 bytes; take them before the next call */
	SESSION_TELEMETRY, /* an authenticated information frame: `telemetry` changed */
	SESSION_CHANGED,   /* session_state() changed */
};

struct session_counters {
	uint64_t bytes_in, bytes_out;
	uint64_t frames_ok; /* authenticated */
	uint64_t frames_bad_mac;
	uint64_t frames_malformed;
	uint64_t frames_replayed; /* entropy whose sequence number did not go forward */
	uint64_t frames_skipped;  /* sequence numbers that never came */
	uint64_t frames_ignored;  /* authentic, but not expected in that state */
	uint64_t blocks;          /* entropy blocks given out */
	uint64_t nonces, rekeys, resets;
};

/* Given to session_init(); must outlive the session. */
struct session_env {
	const struct keyring *const *keyring; /* the daemon's current ring, may be swapped */
	const uint8_t *want_serial;           /* 12 bytes, or NULL: any serial of the keyring */
	/* Fills `len` (<= 8) unpredictable bytes; false when it cannot. */
	bool (*random)(void *arg, uint8_t *ret, size_t len);
	void *random_arg;
};

/*
 * Holds keys: allocate it with secret_new(). Others may read `counters`, `frame_stats`, `telemetry`
 * and, until the next call, `block`; all other fields are the session's own.
 */
struct session {
	const struct session_env *env;
	enum session_state state, reported_state;
	struct framer framer;
	struct session_counters counters;
	struct frame_stats frame_stats;
	struct telemetry telemetry;
	uint8_t serial[KEYED_SERIAL_LEN];
	struct keyed mac_key; /* of the key in force */
	struct keyed zero_mac_key;
	struct keyed pad_key;
	bool have_serial;
	bool have_pad; /* mac_key and pad_key are of a session, not the zero key */
	bool proven;   /* the device has sent a frame under that session's key */
	bool suspect;  /* a frame of another session came since the last good one */
	bool paused;
	int last_sequence;   /* -1: none yet under this key */
	unsigned unverified; /* bad MACs since the key last changed, none good */
	uint32_t nonce_count;
	uint8_t nonce[SESSION_NONCE_LEN];
	uint64_t deadline_ms; /* UINT64_MAX: none */
	uint64_t reset_at_ms; /* of the last reset */
	uint64_t retry_ms;    /* present wait between resets */
	uint64_t next_ask_ms; /* no nonce before, unless the present key gave entropy */
	uint8_t block[SESSION_BLOCK_LEN];
	uint8_t send[SESSION_SEND_MAX];
	size_t send_len;
};

void session_init(struct session *s, const struct session_env *env);

/* The transport is open: queues a reset and waits for S. */
void session_open(struct session *s, uint64_t now_ms);

/* The transport is gone: keys are wiped, state CLOSED; counters stay. */
void session_close(struct session *s);

/*
 * Takes bytes from `in` up to the next event. Call until SESSION_MORE:
 *     while ((event = session_next(s, &in, now_ms)) != SESSION_MORE) ...
 * and stop earlier while the caller has no room: the bytes that `in` still holds are not lost.
 */
enum session_event session_next(struct session *s, struct cursor *in, uint64_t now_ms);

/* Bytes to send to the device, in order; take them all after every call. NULL when none. */
const uint8_t *session_send(struct session *s, size_t *ret_len);

/* When session_tick() is next due, or UINT64_MAX. */
uint64_t session_deadline(const struct session *s);

/* Acts on deadlines that have passed. SESSION_CHANGED is reported by the next session_next(). */
void session_tick(struct session *s, uint64_t now_ms);

/* We stop reading on purpose: silence is then no fault. Resume restarts the timers. */
void session_pause(struct session *s);
void session_resume(struct session *s, uint64_t now_ms);

/* The keyring changed: a session waiting for its key looks again. */
void session_keyring_changed(struct session *s, uint64_t now_ms);

enum session_state session_state(const struct session *s);
const char *session_state_text(enum session_state state);

/* 12 bytes, or NULL before the first S. */
const uint8_t *session_serial(const struct session *s);

#endif
