/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/secret.h"
#include "ekey/session_internal.h"

#define PROTOCOL_VERSION 0
#define LAST_SEQUENCE 4095 /* under one key; PROTOCOL 2, "Rate" */

/* Nothing this key sends is of use now: its session ends, to be retried slowly or on order. */
static void
give_up(struct session *s, enum session_state state, uint64_t now_ms)
{
	session_keys_drop(s);
	session_enter(s, state, now_ms);
}

/* ---- which device, and have we its key ---- */

void
session_look_up_key(struct session *s, uint64_t now_ms)
{
	bool found = keyring_find(*s->env->keyring, s->serial) != NULL;

	session_enter(s, found ? SESSION_IDENTIFIED : SESSION_UNKNOWN_KEY, now_ms);
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
 * device takes the nonce after the reset. If it does not, the deadline comes.
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
	census_frame(&s->census, frame, true, now_ms);
	s->zero_mac_key = zero_key;
	memcpy(s->serial, p.payload, sizeof(s->serial));
	s->have_serial = true;
	if (same && s->state == SESSION_REKEYING)
		return true;
	session_keys_drop(s);
	if (is_wanted(s, p.subcode))
		session_look_up_key(s, now_ms);
	else
		session_enter(s, SESSION_UNSUPPORTED, now_ms);
	return true;
}

/* ---- frames that do not verify ---- */

/*
 * While keyed, S or k under the zero key may mean that the device was reset without our order, or
 * that another writer on the wire pretends so. While there is no session, E means that the device
 * has one, of another program or after an answer that was lost.
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

/* Only the absence of authentic frames decides, but sooner. */
static void
suspect_session(struct session *s, const uint8_t *frame, uint64_t now_ms)
{
	if (s->suspect || !is_of_another_session(s, frame))
		return;
	s->suspect = true;
	session_arm(s, now_ms);
}

static void
unverified_frame(struct session *s, const uint8_t *frame, uint64_t now_ms)
{
	s->counters.frames_bad_mac++;
	if (session_unproven(s) && ++s->unverified == SESSION_WRONG_KEY_FRAMES)
		give_up(s, SESSION_WRONG_KEY, now_ms);
	else
		suspect_session(s, frame, now_ms);
}

/* ---- frames that do ---- */

/* The device is alive and has our key: the first such frame proves the key. */
static void
prove(struct session *s, uint64_t now_ms)
{
	if (!s->have_pad)
		return;
	s->suspect = false;
	if (!s->proven) {
		s->proven = true;
		session_enter(s, SESSION_KEYED, now_ms);
	} else if (s->state == SESSION_KEYED) {
		session_arm(s, now_ms);
	}
}

static void
ask_for_key(struct session *s, uint64_t now_ms)
{
	if (!session_keys_ask(s))
		return; /* no randomness: the device asks again, or the deadline comes */
	s->next_ask_ms = now_ms + SESSION_ASK_MS;
	s->suspect = false;
	census_nonce(&s->census, now_ms);
	session_enter(s, SESSION_REKEYING, now_ms);
}

/*
 * Asked for again before any entropy came, a key is not given at once: a device that is well asks
 * about once a second.
 */
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
 * Only the answer to our latest nonce; and once: what comes after it under the new key has proven
 * that key, and we are not REKEYING any more. A device that took the nonce with another length has
 * a key that we cannot know: nothing of it will verify, so there is nothing to wait for.
 */
static void
key_answered(struct session *s, const struct packet *p, uint64_t now_ms)
{
	if (s->state != SESSION_REKEYING)
		s->counters.frames_ignored++;
	else if (p->subcode != SESSION_NONCE_LEN)
		session_restart(s, now_ms);
	else if (session_keys_answer(s, p->payload))
		session_arm(s, now_ms);
	else
		give_up(s, SESSION_UNKNOWN_KEY, now_ms);
}

/* Strictly forward under one key; what was lost on the way is counted, what was seen is refused. */
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
		return SESSION_MORE; /* no sign of life either: anybody can replay it */
	prove(s, now_ms);
	decrypt(s, p);
	if (s->last_sequence == LAST_SEQUENCE && s->state == SESSION_KEYED)
		ask_for_key(s, now_ms);
	return SESSION_ENTROPY;
}

/* Under the zero key anybody could write it, so nothing may be decided by it. */
static enum session_event
information(struct session *s, const struct packet *p)
{
	if (s->have_pad && telemetry_parse(&s->telemetry, p->payload, p->len))
		return SESSION_TELEMETRY;
	if (s->have_pad)
		s->counters.frames_malformed++;
	else
		s->counters.frames_ignored++;
	return SESSION_MORE;
}

static enum session_event
authentic_frame(struct session *s, const struct packet *p, uint64_t now_ms)
{
	if (p->type == 'E')
		return entropy(s, p, now_ms);
	prove(s, now_ms);
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
	default: /* M, L, l, W: answers to what we never send; S under a session key */
		s->counters.frames_ignored++;
	}
	return SESSION_MORE;
}

/* States in which all frames can mean something. */
static bool
hears_all(const struct session *s)
{
	return s->state == SESSION_IDENTIFIED || s->state == SESSION_REKEYING ||
	       s->state == SESSION_KEYED;
}

/* The rest hear nothing until their deadline. */
static bool
hears_serial(const struct session *s)
{
	return s->state == SESSION_RESETTING || s->state == SESSION_UNKNOWN_KEY ||
	       s->state == SESSION_UNSUPPORTED || (hears_all(s) && !s->have_pad);
}

enum session_event
session_frame(struct session *s, const uint8_t frame[static FRAME_LEN], uint64_t now_ms)
{
	enum packet_verdict verdict;
	struct packet p;

	if (hears_serial(s) && identify(s, frame, now_ms))
		return SESSION_MORE;
	if (!hears_all(s)) {
		census_frame(&s->census, frame, false, now_ms);
		return SESSION_MORE;
	}
	verdict = packet_open(frame, &s->mac_key, &p);
	census_frame(&s->census, frame, verdict != PACKET_BAD_MAC, now_ms);
	switch (verdict) {
	case PACKET_OK:
		s->counters.frames_ok++;
		return authentic_frame(s, &p, now_ms);
	case PACKET_MALFORMED:
		s->counters.frames_ok++;
		s->counters.frames_malformed++;
		prove(s, now_ms);
		break;
	case PACKET_BAD_MAC:
		unverified_frame(s, frame, now_ms);
	}
	return SESSION_MORE;
}
