/* SPDX-License-Identifier: MIT */
#include "ekey/session.h"

#include <string.h>

#include "base/secret.h"
#include "ekey/session_internal.h"

#define RESET_COMMAND 0x03

/* ---- deadlines ---- */

/* How long the present state may last without what it waits for; UINT64_MAX: for ever. */
static uint64_t
patience_ms(const struct session *s)
{
	if (s->suspect)
		return SESSION_SUSPECT_MS;
	switch (s->state) {
	case SESSION_RESETTING:
		return SESSION_SERIAL_MS;
	case SESSION_IDENTIFIED:
		return SESSION_REKEY_MS;
	case SESSION_REKEYING: /* for the answer; then for a frame that proves the new key */
		return session_unproven(s) ? SESSION_SILENCE_MS : SESSION_ANSWER_MS;
	case SESSION_KEYED:
		return SESSION_SILENCE_MS;
	case SESSION_WRONG_KEY:
	case SESSION_GENERATORS_BAD:
		return SESSION_RETRY_MAX_MS;
	case SESSION_CLOSED:
	case SESSION_UNKNOWN_KEY:
	case SESSION_UNSUPPORTED:
		break;
	}
	return UINT64_MAX;
}

void
session_arm(struct session *s, uint64_t now_ms)
{
	uint64_t wait_ms = patience_ms(s);

	s->deadline_ms = wait_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + wait_ms;
}

void
session_enter(struct session *s, enum session_state state, uint64_t now_ms)
{
	s->state = state;
	session_arm(s, now_ms);
}

uint64_t
session_deadline(const struct session *s)
{
	return s->paused ? UINT64_MAX : s->deadline_ms;
}

/* ---- what goes to the device ---- */

bool
session_queue(struct session *s, const void *bytes, size_t len)
{
	if (len > sizeof(s->send) - s->send_len)
		return false;
	memcpy(s->send + s->send_len, bytes, len);
	s->send_len += len;
	return true;
}

const uint8_t *
session_send(struct session *s, size_t *ret_len)
{
	*ret_len = s->send_len;
	s->counters.bytes_out += s->send_len;
	s->send_len = 0;
	return *ret_len > 0 ? s->send : NULL;
}

/* Whatever was queued before a reset is void. */
static void
send_reset(struct session *s, uint64_t now_ms)
{
	s->send[0] = RESET_COMMAND;
	s->send_len = 1;
	s->counters.resets++;
	census_reset(&s->census, now_ms);
	s->reset_at_ms = now_ms;
	s->next_ask_ms = now_ms;
	session_enter(s, SESSION_RESETTING, now_ms);
}

/* The pace is between resets, not after failures: a session that ran for long restarts at once. */
void
session_restart(struct session *s, uint64_t now_ms)
{
	uint64_t next_ms = s->reset_at_ms + s->retry_ms;

	session_keys_drop(s);
	if (now_ms < next_ms) {
		s->state = SESSION_RESETTING;
		s->deadline_ms = next_ms;
		return;
	}
	s->retry_ms *= 2;
	if (s->retry_ms > SESSION_RETRY_MAX_MS)
		s->retry_ms = SESSION_RETRY_MAX_MS;
	send_reset(s, now_ms);
}

/* ---- life ---- */

static void
forget_block(struct session *s)
{
	secret_wipe(s->block, sizeof(s->block));
}

void
session_init(struct session *s, const struct session_env *env)
{
	*s = (struct session){
		.env = env,
		.state = SESSION_CLOSED,
		.told_state = SESSION_CLOSED,
		.last_sequence = -1,
		.deadline_ms = UINT64_MAX,
		.retry_ms = SESSION_RETRY_MIN_MS,
	};
	framer_init(&s->framer);
	census_init(&s->census);
}

void
session_open(struct session *s, uint64_t now_ms)
{
	session_close(s);
	s->have_serial = false;
	s->telemetry = (struct telemetry){0};
	s->retry_ms = SESSION_RETRY_MIN_MS;
	send_reset(s, now_ms);
}

void
session_close(struct session *s)
{
	forget_block(s);
	session_keys_drop(s);
	secret_wipe(&s->mac_key, sizeof(s->mac_key));
	framer_reset(&s->framer);
	census_pause(&s->census);
	s->send_len = 0;
	s->paused = false;
	session_enter(s, SESSION_CLOSED, 0);
}

void
session_pause(struct session *s)
{
	forget_block(s);
	census_pause(&s->census);
	s->paused = true;
}

void
session_resume(struct session *s, uint64_t now_ms)
{
	forget_block(s);
	if (s->paused)
		session_arm(s, now_ms);
	s->paused = false;
}

void
session_keyring_changed(struct session *s, uint64_t now_ms)
{
	forget_block(s);
	if (s->state == SESSION_UNKNOWN_KEY)
		session_look_up_key(s, now_ms);
	if (s->state == SESSION_WRONG_KEY) {
		s->retry_ms = SESSION_RETRY_MIN_MS;
		session_restart(s, now_ms);
	}
}

void
session_tick(struct session *s, uint64_t now_ms)
{
	forget_block(s);
	if (now_ms >= session_deadline(s))
		session_restart(s, now_ms);
}

/* ---- events ---- */

/* Between two frames, so that what came before a change is told before it. */
static bool
tell_change(struct session *s)
{
	bool changed = s->state != s->told_state;

	s->told_state = s->state;
	return changed;
}

/* Frames up to the first that brings an event; SESSION_MORE when the input has none. */
static enum session_event
take_frames(struct session *s, struct cursor *in, uint64_t now_ms)
{
	const uint8_t *frame;

	while ((frame = framer_next(&s->framer, in)) != NULL) {
		enum session_event event = session_frame(s, frame, now_ms);

		if (event != SESSION_MORE)
			return event;
		if (tell_change(s))
			return SESSION_CHANGED;
	}
	return SESSION_MORE;
}

enum session_event
session_next(struct session *s, struct cursor *in, uint64_t now_ms)
{
	size_t left = in->left;
	enum session_event event;

	forget_block(s);
	if (tell_change(s))
		return SESSION_CHANGED;
	event = take_frames(s, in, now_ms);
	s->counters.bytes_in += left - in->left;
	return event;
}

/* ---- questions ---- */

const uint8_t *
session_block(const struct session *s)
{
	return s->block;
}

enum session_state
session_state(const struct session *s)
{
	return s->state;
}

const char *
session_state_text(enum session_state state)
{
	switch (state) {
	case SESSION_CLOSED:
		return "not connected";
	case SESSION_RESETTING:
		return "waiting for the key to answer the reset";
	case SESSION_IDENTIFIED:
		return "waiting for the key to ask for a session";
	case SESSION_REKEYING:
		return "agreeing on a session key";
	case SESSION_KEYED:
		return "keyed";
	case SESSION_UNKNOWN_KEY:
		return "its long-term key is not in the keyring";
	case SESSION_WRONG_KEY:
		return "its long-term key in the keyring is wrong";
	case SESSION_UNSUPPORTED:
		return "not the key that was asked for, or of an unknown protocol version";
	case SESSION_GENERATORS_BAD:
		return "the key says that its generators are bad";
	}
	return "unknown";
}

const struct telemetry *
session_telemetry(const struct session *s)
{
	return &s->telemetry;
}

const struct session_counters *
session_counters(const struct session *s)
{
	return &s->counters;
}

const struct census *
session_census(const struct session *s)
{
	return &s->census;
}

const uint8_t *
session_serial(const struct session *s)
{
	return s->have_serial ? s->serial : NULL;
}
