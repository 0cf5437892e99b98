/* SPDX-License-Identifier: MIT */
#include "backend/ekey/session.h"

#include <string.h>

#include "backend/ekey/pem64.h"
#include "lib/secret.h"

#define RESET_COMMAND 0x03
#define PROTOCOL_VERSION 0
#define LAST_SEQUENCE 4095 /* under one key; doc/protocol.md 2, "Rate" */
#define NONCE_COUNTER_LEN 4
#define NONCE_RANDOM_LEN (SESSION_NONCE_LEN - NONCE_COUNTER_LEN)
#define NONCE_COMMAND_LEN (1 + PEM64_TEXT_LEN(SESSION_NONCE_LEN) + 1)

/* ---- deadlines ---- */

/* How long each state lasts without the frame that it waits for; 0: no limit. */
static const unsigned timeouts_ms[] = {
	[SESSION_RESETTING] = SESSION_SERIAL_MS,    [SESSION_IDENTIFIED] = SESSION_REKEY_MS,
	[SESSION_REKEYING] = SESSION_ANSWER_MS,     [SESSION_KEYED] = SESSION_SILENCE_MS,
	[SESSION_WRONG_KEY] = SESSION_RETRY_MAX_MS, [SESSION_GENERATORS_BAD] = SESSION_RETRY_MAX_MS,
};

/* The answer has come, and no frame yet that shows that both sides derived the same key. */
static bool
is_unproven(const struct session *s)
{
	return s->have_pad && !s->proven;
}

/* Sets the deadline of the present state, counted from now. */
static void
arm_deadline(struct session *s, uint64_t now_ms)
{
	unsigned timeout_ms = timeouts_ms[s->state];

	if (s->suspect)
		timeout_ms = SESSION_SUSPECT_MS;
	else if (s->state == SESSION_REKEYING && is_unproven(s))
		timeout_ms = SESSION_SILENCE_MS;
	s->deadline_ms = timeout_ms > 0 ? now_ms + timeout_ms : UINT64_MAX;
}

static void
enter(struct session *s, enum session_state state, uint64_t now_ms)
{
	s->state = state;
	arm_deadline(s, now_ms);
}

uint64_t
session_deadline(const struct session *s)
{
	return s->paused ? UINT64_MAX : s->deadline_ms;
}

/* ---- keys ---- */

static void
start_key(struct session *s, bool have_pad)
{
	s->have_pad = have_pad;
	s->proven = false;
	s->suspect = false;
	s->unverified = 0;
	s->last_sequence = -1;
}

/* Returns to the zero key. */
static void
drop_keys(struct session *s)
{
	secret_wipe(&s->pad_key, sizeof(s->pad_key));
	secret_wipe(s->nonce, sizeof(s->nonce));
	s->mac_key = s->zero_mac_key;
	start_key(s, false);
}

/* Makes the new keys from the device's 32 bytes; false when the keyring has its key no longer. */
static bool
derive_keys(struct session *s, const uint8_t device[static KEYED_SECRET_LEN])
{
	const uint8_t *ltk = keyring_find(*s->env->keyring, s->serial);
	struct keyed derivation;
	uint8_t key[KEYED_SECRET_LEN];

	if (ltk == NULL)
		return false;
	keyed_prepare(&derivation, KEYED_SESSION_KEY, s->serial, ltk);
	keyed_derive(&derivation, device, KEYED_SECRET_LEN, s->nonce, sizeof(s->nonce), key);
	keyed_prepare(&s->mac_key, KEYED_FRAME_MAC, s->serial, key);
	keyed_prepare(&s->pad_key, KEYED_ENTROPY_PAD, s->serial, key);
	start_key(s, true);
	s->counters.rekeys++;
	secret_wipe(&derivation, sizeof(derivation));
	secret_wipe(key, sizeof(key));
	secret_wipe(s->nonce, sizeof(s->nonce));
	return true;
}

/*
 * A counter, so that no nonce of this session comes twice, then randomness, so that none can be
 * foreseen. Little-endian on every host.
 */
static bool
make_nonce(struct session *s)
{
	if (!s->env->random(s->env->random_arg, s->nonce + NONCE_COUNTER_LEN, NONCE_RANDOM_LEN))
		return false;
	for (int i = 0; i < NONCE_COUNTER_LEN; i++)
		s->nonce[i] = (uint8_t)(s->nonce_count >> (8 * i));
	s->nonce_count++;
	return true;
}

/* ---- sending ---- */

/* Queues a fresh nonce; false, and nothing queued, when there is no randomness for one. */
static bool
send_nonce(struct session *s)
{
	uint8_t *at = s->send + s->send_len;

	if (sizeof(s->send) - s->send_len < NONCE_COMMAND_LEN || !make_nonce(s))
		return false;
	at[0] = 'K';
	pem64_encode(s->nonce, SESSION_NONCE_LEN, (char *)at + 1);
	at[NONCE_COMMAND_LEN - 1] = '.';
	s->send_len += NONCE_COMMAND_LEN;
	s->counters.nonces++;
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

/* Discards what was queued before the reset. */
static void
send_reset(struct session *s, uint64_t now_ms)
{
	s->send[0] = RESET_COMMAND;
	s->send_len = 1;
	s->counters.resets++;
	frame_stats_reset(&s->frame_stats, now_ms);
	s->reset_at_ms = now_ms;
	s->next_ask_ms = now_ms;
	enter(s, SESSION_RESETTING, now_ms);
}

/*
 * Gives the session up, with a reset as soon as the pace allows one. The pace is between resets,
 * not after failures: a session that ran for long restarts at once.
 */
static void
restart(struct session *s, uint64_t now_ms)
{
	uint64_t next_ms = s->reset_at_ms + s->retry_ms;

	drop_keys(s);
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

/* Ends a session of which no frame is of use now; it is retried slowly, or on order. */
static void
give_up(struct session *s, enum session_state state, uint64_t now_ms)
{
	drop_keys(s);
	enter(s, state, now_ms);
}

/* ---- the serial frame ---- */

static void
look_up_key(struct session *s, uint64_t now_ms)
{
	bool found = keyring_find(*s->env->keyring, s->serial) != NULL;

	enter(s, found ? SESSION_IDENTIFIED : SESSION_UNKNOWN_KEY, now_ms);
}

static bool
is_wanted(const struct session *s, unsigned version)
{
	return version == PROTOCOL_VERSION &&
	       (s->env->want_serial == NULL ||
		memcmp(s->env->want_serial, s->serial, KEYED_SERIAL_LEN) == 0);
}

/*
 * While no session key is in force, a serial frame always counts: the device has been reset. With a
 * nonce on its way that was our reset: S and k had waited since the device was powered, and the
 * device takes the nonce after the reset. If the device does not, the deadline passes.
 */
static bool
identify(struct session *s, const uint8_t *frame, uint64_t now_ms)
{
	struct keyed zero_key;
	struct packet p;
	bool same;

	if (!packet_open_serial(frame, &zero_key, &p))
		return false;
	same = memcmp(s->serial, p.payload, sizeof(s->serial)) == 0;
	s->counters.frames_ok++;
	frame_stats_frame(&s->frame_stats, frame, true, now_ms);
	s->zero_mac_key = zero_key;
	memcpy(s->serial, p.payload, sizeof(s->serial));
	s->have_serial = true;
	if (same && s->state == SESSION_REKEYING)
		return true;
	drop_keys(s);
	if (is_wanted(s, p.subcode))
		look_up_key(s, now_ms);
	else
		enter(s, SESSION_UNSUPPORTED, now_ms);
	return true;
}

/* ---- unverified frames ---- */

/*
 * While keyed, S or k under the zero key may mean that the device was reset by another program, or
 * that another writer on the wire pretends it was. Without a session, E means that the device has
 * one: of another program, or after an answer that was lost.
 */
static bool
is_of_another_session(const struct session *s, const uint8_t *frame)
{
	uint8_t type = frame[FRAME_TYPE_AT];
	struct packet p;

	if (!s->have_pad)
		return type == 'E';
	return s->state == SESSION_KEYED && (type == 'S' || type == 'k') &&
	       packet_open(frame, &s->zero_mac_key, &p) == PACKET_OK;
}

/* The absence of authentic frames still decides, but after a shorter time. */
static void
suspect_session(struct session *s, const uint8_t *frame, uint64_t now_ms)
{
	if (s->suspect || !is_of_another_session(s, frame))
		return;
	s->suspect = true;
	arm_deadline(s, now_ms);
}

static void
unverified_frame(struct session *s, const uint8_t *frame, uint64_t now_ms)
{
	s->counters.frames_bad_mac++;
	if (is_unproven(s) && ++s->unverified == SESSION_WRONG_KEY_FRAMES)
		give_up(s, SESSION_WRONG_KEY, now_ms);
	else
		suspect_session(s, frame, now_ms);
}

/* ---- authentic frames ---- */

/* The device is alive and has our key: the first authentic frame proves the key. */
static void
mark_proven(struct session *s, uint64_t now_ms)
{
	if (!s->have_pad)
		return;
	s->suspect = false;
	if (!s->proven) {
		s->proven = true;
		enter(s, SESSION_KEYED, now_ms);
	} else if (s->state == SESSION_KEYED) {
		arm_deadline(s, now_ms);
	}
}

static void
ask_for_key(struct session *s, uint64_t now_ms)
{
	if (!send_nonce(s))
		return; /* no randomness: the device repeats its request, or the deadline passes */
	s->next_ask_ms = now_ms + SESSION_ASK_MS;
	s->suspect = false;
	frame_stats_nonce(&s->frame_stats, now_ms);
	enter(s, SESSION_REKEYING, now_ms);
}

/* A repeated request before any entropy is paced: a healthy device asks about once a second. */
static void
key_wanted(struct session *s, uint64_t now_ms)
{
	bool fruitless = s->last_sequence < 0 && now_ms < s->next_ask_ms;

	if ((s->state == SESSION_IDENTIFIED || s->state == SESSION_KEYED) && !fruitless)
		ask_for_key(s, now_ms);
	else
		s->counters.frames_ignored++;
}

/*
 * Takes the answer to our latest nonce, and only once: the next frame under the new key proves that
 * key, and ends REKEYING. A device that took the nonce with another length has a key that we cannot
 * know: none of its frames would verify, so the session restarts at once.
 */
static void
key_answered(struct session *s, const struct packet *p, uint64_t now_ms)
{
	if (s->state != SESSION_REKEYING)
		s->counters.frames_ignored++;
	else if (p->subcode != SESSION_NONCE_LEN)
		restart(s, now_ms);
	else if (derive_keys(s, p->payload))
		arm_deadline(s, now_ms);
	else
		give_up(s, SESSION_UNKNOWN_KEY, now_ms);
}

/* Strictly forward under one key: lost frames are counted, repeated ones are refused. */
static bool
sequence_forward(struct session *s, const struct packet *p)
{
	int sequence = (int)p->subcode;

	if (sequence <= s->last_sequence) {
		s->counters.frames_replayed++;
		return false;
	}
	s->counters.frames_skipped += (uint64_t)(sequence - s->last_sequence - 1);
	s->last_sequence = sequence;
	return true;
}

static void
decrypt(struct session *s, const struct packet *p)
{
	uint8_t pad[SKEIN_LEN];

	keyed_pad(&s->pad_key, p->subcode_text, pad);
	for (size_t i = 0; i < SESSION_BLOCK_LEN; i++)
		s->block[i] = p->payload[i] ^ pad[i];
	secret_wipe(pad, sizeof(pad));
	s->counters.blocks++;
	s->retry_ms = SESSION_RETRY_MIN_MS;
}

static enum session_event
entropy(struct session *s, const struct packet *p, uint64_t now_ms)
{
	if (!s->have_pad) {
		s->counters.frames_ignored++;
		return SESSION_MORE;
	}
	if (!sequence_forward(s, p))
		return SESSION_MORE; /* no sign of life either: it may be a replay */
	mark_proven(s, now_ms);
	decrypt(s, p);
	if (s->last_sequence == LAST_SEQUENCE && s->state == SESSION_KEYED)
		ask_for_key(s, now_ms);
	return SESSION_ENTROPY;
}

/* Under the zero key any writer on the wire could forge it, so it decides nothing. */
static enum session_event
information(struct session *s, const struct packet *p)
{
	if (!s->have_pad)
		s->counters.frames_ignored++;
	else if (telemetry_parse(&s->telemetry, p->payload, p->len))
		return SESSION_TELEMETRY;
	else
		s->counters.frames_malformed++;
	return SESSION_MORE;
}

static enum session_event
authentic_frame(struct session *s, const struct packet *p, uint64_t now_ms)
{
	if (p->type == 'E')
		return entropy(s, p, now_ms);
	mark_proven(s, now_ms);
	switch (p->type) {
	case 'I':
		return information(s, p);
	case 'k':
		key_wanted(s, now_ms);
		break;
	case 'K':
		key_answered(s, p, now_ms);
		break;
	case 'B':
		give_up(s, SESSION_GENERATORS_BAD, now_ms);
		break;
	default: /* M, L, l, W: answers to commands that we never send; S under a session key */
		s->counters.frames_ignored++;
	}
	return SESSION_MORE;
}

/* States in which all frames are opened. */
static bool
expects_all(const struct session *s)
{
	return s->state == SESSION_IDENTIFIED || s->state == SESSION_REKEYING ||
	       s->state == SESSION_KEYED;
}

/* The other states ignore all frames until their deadline. */
static bool
expects_serial(const struct session *s)
{
	return s->state == SESSION_RESETTING || s->state == SESSION_UNKNOWN_KEY ||
	       s->state == SESSION_UNSUPPORTED || (expects_all(s) && !s->have_pad);
}

/* Takes one frame: ENTROPY, TELEMETRY, or MORE for neither. May change the state. */
static enum session_event
take_frame(struct session *s, const uint8_t frame[static FRAME_LEN], uint64_t now_ms)
{
	enum packet_verdict verdict;
	struct packet p;

	if (expects_serial(s) && identify(s, frame, now_ms))
		return SESSION_MORE;
	if (!expects_all(s)) {
		frame_stats_frame(&s->frame_stats, frame, false, now_ms);
		return SESSION_MORE;
	}
	verdict = packet_open(frame, &s->mac_key, &p);
	frame_stats_frame(&s->frame_stats, frame, verdict != PACKET_BAD_MAC, now_ms);
	switch (verdict) {
	case PACKET_OK:
		s->counters.frames_ok++;
		return authentic_frame(s, &p, now_ms);
	case PACKET_MALFORMED:
		s->counters.frames_ok++;
		s->counters.frames_malformed++;
		mark_proven(s, now_ms);
		break;
	case PACKET_BAD_MAC:
		unverified_frame(s, frame, now_ms);
	}
	return SESSION_MORE;
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
		.reported_state = SESSION_CLOSED,
		.last_sequence = -1,
		.deadline_ms = UINT64_MAX,
		.retry_ms = SESSION_RETRY_MIN_MS,
	};
	framer_init(&s->framer);
	frame_stats_init(&s->frame_stats);
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
	drop_keys(s);
	secret_wipe(&s->mac_key, sizeof(s->mac_key));
	framer_reset(&s->framer);
	frame_stats_pause(&s->frame_stats);
	s->send_len = 0;
	s->paused = false;
	enter(s, SESSION_CLOSED, 0);
}

void
session_pause(struct session *s)
{
	forget_block(s);
	frame_stats_pause(&s->frame_stats);
	s->paused = true;
}

void
session_resume(struct session *s, uint64_t now_ms)
{
	forget_block(s);
	if (s->paused)
		arm_deadline(s, now_ms);
	s->paused = false;
}

void
session_keyring_changed(struct session *s, uint64_t now_ms)
{
	forget_block(s);
	if (s->state == SESSION_UNKNOWN_KEY)
		look_up_key(s, now_ms);
	if (s->state == SESSION_WRONG_KEY) {
		s->retry_ms = SESSION_RETRY_MIN_MS;
		restart(s, now_ms);
	}
}

void
session_tick(struct session *s, uint64_t now_ms)
{
	forget_block(s);
	if (now_ms >= session_deadline(s))
		restart(s, now_ms);
}

/* ---- events ---- */

/* Called between two frames, so that an event before a change is reported before it. */
static bool
report_change(struct session *s)
{
	bool changed = s->state != s->reported_state;

	s->reported_state = s->state;
	return changed;
}

/* Frames up to the first that brings an event; SESSION_MORE when the input has none. */
static enum session_event
take_frames(struct session *s, struct cursor *in, uint64_t now_ms)
{
	const uint8_t *frame;

	while ((frame = framer_next(&s->framer, in)) != NULL) {
		enum session_event event = take_frame(s, frame, now_ms);

		if (event != SESSION_MORE)
			return event;
		if (report_change(s))
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
	if (report_change(s))
		return SESSION_CHANGED;
	event = take_frames(s, in, now_ms);
	s->counters.bytes_in += left - in->left;
	return event;
}

/* ---- questions ---- */

enum session_state
session_state(const struct session *s)
{
	return s->state;
}

const char *
session_state_text(enum session_state state)
{
	static const char *const texts[] = {
		[SESSION_CLOSED] = "not connected",
		[SESSION_RESETTING] = "waiting for the key to answer the reset",
		[SESSION_IDENTIFIED] = "waiting for the key to ask for a session",
		[SESSION_REKEYING] = "agreeing on a session key",
		[SESSION_KEYED] = "keyed",
		[SESSION_UNKNOWN_KEY] = "its long-term key is not in the keyring",
		[SESSION_WRONG_KEY] = "its long-term key in the keyring is wrong",
		[SESSION_UNSUPPORTED] =
			"not the key of the configuration, or of an unknown protocol version",
		[SESSION_GENERATORS_BAD] = "the key reports that its generators are bad",
	};

	return texts[state];
}

const uint8_t *
session_serial(const struct session *s)
{
	return s->have_serial ? s->serial : NULL;
}
