/* SPDX-License-Identifier: MIT */
#include "sim/engine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define BADNESS_LEFT '1' /* left generator not random */
#define ASK_NS (ENGINE_ASK_MS * NS_PER_MS)

/* A command of one packet yields a frame for two bytes ("K.") or, for one, the reset and its stale
 * frames, which take the place of all that waited. */
#define PACKET_REPLIES (ENGINE_PACKET_MAX / 2)
static_assert(PACKET_REPLIES + FAULTS_STALE_MAX + 1 <= ENGINE_REPLIES, "a packet's answers fit");

static uint64_t
period_ns(const struct engine *e)
{
	return e->config.rate == 0 ? 0 : NS_PER_S / e->config.rate;
}

static uint64_t
block_ns(const struct engine *e)
{
	return ENGINE_BLOCK_FRAMES * period_ns(e);
}

static uint64_t
ask_ns(const struct engine *e)
{
	return block_ns(e) > ASK_NS ? block_ns(e) : ASK_NS;
}

static bool
failing(const struct engine *e)
{
	return e->info.badness != INFO_BADNESS_OK;
}

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
	if (!failing(e) && e->config.random(e->config.arg, ret, 32))
		return true;
	e->counters.broken++;
	engine_say(e, 'B', "Generators have gone bad, rekeying abandoned.");
	return false;
}

static void
engine_say_serial(struct engine *e)
{
	uint8_t serial[KEYED_SERIAL_LEN];
	static const uint8_t zero[KEYED_SECRET_LEN];
	struct keyed mac;

	memcpy(serial, e->config.identity.serial, sizeof(serial));
	serial[KEYED_SERIAL_LEN - 1] ^= faults_first(e->faults, FAULT_WRONG_SERIAL);
	keyed_prepare(&mac, KEYED_FRAME_MAC, serial, zero);
	frames_binary(&mac, 'S', 0, serial, sizeof(serial), engine_reply(e));
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
	uint64_t soon = block_ns(e) < ASK_NS ? block_ns(e) : ASK_NS;

	e->counters.resets++;
	e->replies_len = 0;
	engine_say_stale(e);
	keys_forget_session(&e->keys);
	e->infos_left = e->block_at = 0;
	engine_say_serial(e);
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
		engine_obey(e, command, now_ms * NS_PER_MS);
}

/* ---- frames ---- */

/* A block has been made and judged, whether it could be sent or not. */
static void
engine_end_block(struct engine *e)
{
	e->block_at = 0;
	e->infos_left = INFO_KINDS;
	info_block(&e->info);
}

/* The ordered failure strikes when its time has come, and stays. */
static void
engine_age(struct engine *e)
{
	if (e->config.fail_mode != INFO_BADNESS_OK && e->counters.blocks >= e->config.fail_after)
		e->info.badness = e->config.fail_mode;
}

static void
engine_entropy(struct engine *e, const uint8_t block[static 32], uint8_t ret[static FRAMES_LEN])
{
	if (e->sequence + 1 < ENGINE_SEQUENCES && faults_every(e->faults, FAULT_SKIP))
		e->sequence++;
	frames_entropy(&e->keys.mac, &e->keys.pad, e->sequence++, block, ret);
	e->counters.blocks++;
	engine_age(e);
	e->due_ns += period_ns(e);
	if (++e->block_at == ENGINE_BLOCK_FRAMES)
		engine_end_block(e);
}

static void
engine_ask(struct engine *e, uint64_t now_ns, uint8_t ret[static FRAMES_LEN])
{
	frames_text(&e->keys.mac, 'k', "Unable to send entropy. Please re-key session.", ret);
	e->counters.asks++;
	e->due_ns = now_ns + ask_ns(e);
	engine_end_block(e);
}

static void
engine_inform(struct engine *e, uint8_t ret[static FRAMES_LEN])
{
	char text[INFO_TEXT_LEN];

	info_text(&e->info, INFO_KINDS - e->infos_left--, text);
	frames_text(&e->keys.mac, 'I', text, ret);
	e->counters.infos++;
}

/* There is no entropy to send: only the measurements go on. */
static void
engine_idle(struct engine *e, uint64_t now_ns, uint8_t ret[static FRAMES_LEN])
{
	e->due_ns = now_ns + ask_ns(e);
	engine_end_block(e);
	engine_inform(e, ret);
}

/* What the generators have for the host: a block, the wish for a new session, or nothing. */
static void
engine_generate(struct engine *e, uint64_t now_ns, uint8_t ret[static FRAMES_LEN])
{
	uint8_t block[32];

	if (failing(e) || (e->keys.in_session && e->counters.blocks >= e->config.blocks_max)) {
		engine_idle(e, now_ns, ret);
	} else if (!e->keys.in_session || e->sequence == ENGINE_SEQUENCES) {
		engine_ask(e, now_ns, ret);
	} else if (e->config.entropy(e->config.arg, block)) {
		engine_entropy(e, block, ret);
	} else {
		e->info.badness = BADNESS_LEFT;
		engine_idle(e, now_ns, ret);
	}
}

/* Writes the frame that is next, if one is due. Answers first, then what belongs to a block. */
static bool
engine_next(struct engine *e, uint64_t now_ns, uint8_t ret[static FRAMES_LEN])
{
	if (e->replies_len > 0) {
		memcpy(ret, e->replies[e->replies_at], FRAMES_LEN);
		e->replies_at = (e->replies_at + 1) % ENGINE_REPLIES;
		e->replies_len--;
	} else if (e->infos_left > 0) {
		engine_inform(e, ret);
	} else if (now_ns < e->due_ns) {
		return false;
	} else {
		engine_generate(e, now_ns, ret);
	}
	return true;
}

size_t
engine_produce(struct engine *e, uint64_t now_ms, uint8_t *ret, size_t cap)
{
	uint64_t now_ns = now_ms * NS_PER_MS;
	size_t used = 0;

	/* A host that did not read for a while finds one block waiting, not all the past. */
	if (now_ns > e->due_ns + block_ns(e))
		e->due_ns = now_ns - block_ns(e);
	while (cap - used >= FAULTS_ROOM && !faults_closing(e->faults) &&
	       !faults_hanging(e->faults) && engine_next(e, now_ns, ret + used)) {
		e->counters.frames++;
		used += faults_pass(e->faults, ret + used);
	}
	return used;
}

uint64_t
engine_deadline(const struct engine *e)
{
	if (faults_hanging(e->faults))
		return ENGINE_NO_DEADLINE;
	if (e->replies_len > 0 || e->infos_left > 0)
		return 0;
	return (e->due_ns + NS_PER_MS - 1) / NS_PER_MS;
}

/* ---- life ---- */

void
engine_init(struct engine *e, const struct engine_config *config, struct faults *faults)
{
	memset(e, 0, sizeof(*e));
	e->config = *config;
	e->faults = faults;
	keys_init(&e->keys, &config->identity);
	info_init(&e->info);
	engine_age(e);
	engine_replug(e);
}

void
engine_replug(struct engine *e)
{
	command_init(&e->parser);
	keys_forget_session(&e->keys);
	e->replies_len = e->infos_left = e->block_at = 0;
	e->due_ns = 0;
}

const uint8_t *
engine_ltk(const struct engine *e)
{
	return e->keys.identity.ltk;
}
