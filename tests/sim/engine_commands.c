/* SPDX-License-Identifier: MIT */
/* What the host orders, and the answers that wait to be sent. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/engine_inside.h"

/* A command of one packet yields a frame for two bytes ("K.") or, for one, the reset and its stale
 * frames, which take the place of all that waited. */
#define PACKET_REPLIES (ENGINE_PACKET_MAX / 2)
static_assert(PACKET_REPLIES + FAULTS_STALE_MAX + 1 <= ENGINE_REPLIES, "a packet's answers fit");

/* ---- replies ---- */

static uint8_t *
engine_reply(struct engine *e)
{
	assert(e->replies_len < ENGINE_REPLIES);
	return e->replies[(e->replies_at + e->replies_len++) % ENGINE_REPLIES];
}

static void
engine_say(struct engine *e, char type, const char *text)
{
	frames_text(&e->keys.mac, type, text, engine_reply(e));
}

/* ---- commands ---- */

/* The device's own 32 bytes for a new key; without them it says B and all stays as it is. */
static bool
engine_draw(struct engine *e, uint8_t ret[static 32])
{
	if (!engine_failing(e) && e->config.random(e->config.arg, ret, 32))
		return true;
	e->counters.broken++;
	engine_say(e, 'B', "Generators have gone bad, rekeying abandoned.");
	return false;
}

void
engine_serial(struct engine *e, uint8_t ret[static FRAMES_LEN])
{
	uint8_t serial[KEYED_SERIAL_LEN];
	static const uint8_t zero[KEYED_SECRET_LEN];
	struct keyed mac;

	memcpy(serial, e->config.identity.serial, sizeof(serial));
	serial[KEYED_SERIAL_LEN - 1] ^= faults_first(e->faults, FAULT_WRONG_SERIAL);
	keyed_prepare(&mac, KEYED_FRAME_MAC, serial, zero);
	frames_binary(&mac, 'S', 0, serial, sizeof(serial), ret);
}

/* As when packets of the old session were still queued: genuine, and worth nothing any more. */
static void
engine_say_stale(struct engine *e)
{
	uint64_t count = e->keys.in_session ? e->faults->setting[FAULT_STALE] : 0;
	uint8_t block[32] = {0};

	for (uint64_t i = 0; i < count; i++)
		frames_entropy(&e->keys.mac, &e->keys.pad, e->sequence++ % ENGINE_SEQUENCES, block,
			       engine_reply(e));
	e->faults->done[FAULT_STALE] += count;
}

static void
engine_reset(struct engine *e, uint64_t now_ns)
{
	uint64_t soon = engine_block_ns(e) < ENGINE_ASK_NS ? engine_block_ns(e) : ENGINE_ASK_NS;

	e->counters.resets++;
	e->replies_len = 0;
	engine_say_stale(e);
	keys_forget_session(&e->keys);
	e->infos_left = e->block_at = 0;
	engine_serial(e, engine_reply(e));
	e->due_ns = now_ns + soon;
}

static void
engine_rekey(struct engine *e, uint64_t now_ns)
{
	const struct command_parser *in = &e->parser;
	unsigned len = (unsigned)in->nonce_len;
	uint8_t device[32];

	e->counters.nonces++;
	if (faults_first(e->faults, FAULT_NO_KEY_ANSWER) || !engine_draw(e, device))
		return;
	if (faults_first(e->faults, FAULT_BAD_KEY_LENGTH))
		len ^= 1;
	/* The answer still carries the MAC of the key before. */
	frames_binary(&e->keys.mac, 'K', len, device, sizeof(device), engine_reply(e));
	keys_start_session(&e->keys, device, in->nonce, in->nonce_len);
	e->sequence = e->block_at = 0;
	e->counters.rekeys++;
	e->due_ns = now_ns;
}

static void
engine_unlock(struct engine *e)
{
	keys_unlock(&e->keys, e->parser.mac);
	e->counters.lt_macs++;
	engine_say(e, 'M', "Long-term rekey unlocked");
}

static void
engine_refuse(struct engine *e, const char *why)
{
	e->counters.lt_refused++;
	engine_say(e, 'l', why);
}

static void
engine_change_long_term(struct engine *e)
{
	const struct command_parser *in = &e->parser;
	uint8_t device[32];

	if (!engine_draw(e, device))
		return;
	if (!faults_first(e->faults, FAULT_NO_LT_ANSWER))
		frames_binary(&e->keys.mac, 'L', (unsigned)in->nonce_len, device, sizeof(device),
			      engine_reply(e));
	keys_change_long_term(&e->keys, device, in->nonce, in->nonce_len);
	e->counters.lt_rekeys++;
}

static void
engine_lt_rekey(struct engine *e)
{
	if (faults_first(e->faults, FAULT_LT_LOCKED))
		e->keys.unlocked = false;
	switch (keys_prove(&e->keys, e->parser.nonce, e->parser.nonce_len)) {
	case KEYS_LOCKED:
		return engine_refuse(e, "Long-term rekey locked-out");
	case KEYS_MISMATCH:
		return engine_refuse(e, "Nonce MAC does not match");
	case KEYS_PROVEN:
		return engine_change_long_term(e);
	}
}

static void
engine_unknown(struct engine *e)
{
	char text[FRAMES_TEXT_MAX + 1];

	snprintf(text, sizeof(text), "Unknown Input Character 0x%02x", e->parser.unknown);
	e->counters.unknown++;
	engine_say(e, 'W', text);
}

static void
engine_obey(struct engine *e, enum command command, uint64_t now_ns)
{
	switch (command) {
	case COMMAND_RESET:
		return engine_reset(e, now_ns);
	case COMMAND_REKEY:
		return engine_rekey(e, now_ns);
	case COMMAND_LT_MAC:
		return engine_unlock(e);
	case COMMAND_LT_REKEY:
		return engine_lt_rekey(e);
	case COMMAND_UNKNOWN:
		return engine_unknown(e);
	case COMMAND_NONE:
		return;
	}
}

bool
engine_ready(const struct engine *e)
{
	/* A device that hangs goes on swallowing what it is told. */
	return e->replies_len + PACKET_REPLIES <= ENGINE_REPLIES || faults_hanging(e->faults);
}

void
engine_feed(struct engine *e, uint64_t now_ms, const uint8_t *packet, size_t len)
{
	struct cursor in = cursor_over(packet, len);
	enum command command;

	assert(len <= ENGINE_PACKET_MAX && engine_ready(e));
	e->counters.bytes_in += len;
	if (faults_hanging(e->faults))
		return;
	while ((command = command_next(&e->parser, &in)) != COMMAND_NONE)
		engine_obey(e, command, now_ms * ENGINE_NS_PER_MS);
}
