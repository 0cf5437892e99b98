/* SPDX-License-Identifier: MIT */
/*
 * The host's side of a change of the long-term key, as a machine without I/O: reset, serial, M, L.
 * doc/protocol.md 2 and 3.5. The master key is no part of it: it is given the MAC of the nonce
 * first, the nonce when the new key can be stored, and returns the device's 32 bytes.
 *
 * It begins with a reset, so that it works whatever long-term key the host knows: the right one, a
 * wrong one, none. All frames then carry the MAC of the zero key, a checksum without secret. An
 * attacker on the wire can spoil the change, but neither learn nor choose the new key; the first
 * session under it is the proof.
 *
 * After a lost or damaged answer all is repeated, beginning with another reset, at most
 * REKEY_TRIES times. That may change the key twice; the last answer is the one that counts.
 */
#ifndef BACKEND_EKEY_REKEY_H
#define BACKEND_EKEY_REKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/frame.h"
#include "backend/ekey/keyed.h"
#include "lib/bytes.h"

#define REKEY_NONCE_LEN 12
#define REKEY_SEND_MAX 32 /* longest thing ever sent: 1 + 16 + 1 */

#define REKEY_TRIES 3        /* resets in all */
#define REKEY_SERIAL_MS 1500 /* from a reset to the S frame */
#define REKEY_UNLOCK_MS 2000 /* from M to its answer */
#define REKEY_CHANGE_MS 3000 /* from L to its answer; the device writes its flash */
#define REKEY_HOLD_MS 10000  /* accepted, without rekey_change(); or changed, and not stored */

enum rekey_state {
	REKEY_CLOSED,
	REKEY_RESETTING, /* reset sent: everything but S is ignored */
	REKEY_UNLOCKING, /* M sent */
	REKEY_ACCEPTED,  /* waits for rekey_change() */
	REKEY_CHANGING,  /* L sent */
	REKEY_CHANGED,   /* `answer` has the device's bytes; the new key is to be stored */
	/* Failures; the device has its old key, except for REKEY_LOST. */
	REKEY_REFUSED,  /* the nonce's MAC is wrong: another master key */
	REKEY_LOCKED,   /* it says that it is locked, after M as well */
	REKEY_OTHER,    /* another key than that of this serial */
	REKEY_BROKEN,   /* its generators are bad */
	REKEY_SILENT,   /* no answer */
	REKEY_LOST,     /* no answer to L: it may have another long-term key now */
	REKEY_ABANDONED /* not continued within REKEY_HOLD_MS */
};

/* Others may read `state` and, in REKEY_CHANGED, `answer`: the new key follows from it, master key
 * and nonce. All other fields are the machine's own. All zero is closed. */
struct rekey {
	enum rekey_state state;
	struct framer framer;
	struct keyed zero_key;
	uint8_t serial[KEYED_SERIAL_LEN];
	uint8_t mac[KEYED_MAC_LEN];
	uint8_t nonce[REKEY_NONCE_LEN];
	bool have_nonce;
	bool risked; /* L was sent: the device may have changed its key */
	unsigned tries;
	uint64_t deadline_ms;
	uint8_t answer[KEYED_SECRET_LEN];
	uint8_t send[REKEY_SEND_MAX];
	size_t send_len;
};

/* The transport is open: queues a reset. `mac` is that of the nonce, under the master key. */
void rekey_open(struct rekey *r, const uint8_t serial[static KEYED_SERIAL_LEN],
		const uint8_t mac[static KEYED_MAC_LEN], uint64_t now_ms);

/* In REKEY_ACCEPTED: the nonce itself, and the device changes its key. False in other states. */
bool rekey_change(struct rekey *r, const uint8_t nonce[static REKEY_NONCE_LEN], uint64_t now_ms);

/* Wipes and closes. */
void rekey_close(struct rekey *r);

/* Takes bytes up to the next change of state: then true, and the rest is left in `in`. */
bool rekey_take(struct rekey *r, struct cursor *in, uint64_t now_ms);

/* Bytes to send, in order; take them all after every call. NULL when none. */
const uint8_t *rekey_send(struct rekey *r, size_t *ret_len);

/* When rekey_tick() is due, or UINT64_MAX. */
uint64_t rekey_deadline(const struct rekey *r);
void rekey_tick(struct rekey *r, uint64_t now_ms);

/* True for the failures. */
bool rekey_failed(const struct rekey *r);

/* The state for the owner: progress, or the failure and its cure. */
const char *rekey_state_text(enum rekey_state state);

#endif
