/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the session share; nobody else includes it. session.c: the machine and its
 * deadlines. session_frames.c: what a frame means. session_keys.c: nonces and keys.
 */
#ifndef EKEY_SESSION_INTERNAL_H
#define EKEY_SESSION_INTERNAL_H

#include "ekey/session.h"

/* The answer has come, and nothing yet that shows that both sides derived the same key. */
static inline bool
session_unproven(const struct session *s)
{
	return s->have_pad && !s->proven;
}

/* ---- session.c ---- */

/* Changes the state and gives it its deadline. */
void session_enter(struct session *s, enum session_state state, uint64_t now_ms);

/* The deadline of the present state, counted from now. */
void session_arm(struct session *s, uint64_t now_ms);

/* Gives the session up: RESETTING, with a reset as soon as the pace allows one. */
void session_restart(struct session *s, uint64_t now_ms);

/* Queues bytes for the device; false, and nothing queued, when there is no room. */
bool session_queue(struct session *s, const void *bytes, size_t len);

/* ---- session_frames.c ---- */

/* What one frame brings: ENTROPY, TELEMETRY, or MORE for none of them. May change the state. */
enum session_event session_frame(struct session *s, const uint8_t frame[static FRAME_LEN],
				 uint64_t now_ms);

/* The device has named itself: looks for its long-term key. */
void session_look_up_key(struct session *s, uint64_t now_ms);

/* ---- session_keys.c ---- */

/* Sends a fresh nonce; false, and nothing sent, when there is no randomness for one. */
bool session_keys_ask(struct session *s);

/* The device's 32 bytes make the new keys; false when the keyring has no key for it any more. */
bool session_keys_answer(struct session *s, const uint8_t device[static KEYED_SECRET_LEN]);

/* Back to the zero key. */
void session_keys_drop(struct session *s);

#endif
