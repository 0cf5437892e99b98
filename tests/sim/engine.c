/* SPDX-License-Identifier: MIT */
#include "tests/sim/engine_inside.h"

#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
#define ASK_TEXT "Unable to send entropy. Please re-key session."
#define BADNESS_LEFT '1' /* left generator not random */

static uint64_t
period_ns(const struct engine *e)
{
	return e->config.rate == 0 ? 0 : NS_PER_S / e->config.rate;
}

uint64_t
engine_block_ns(const struct engine *e)
{
	return ENGINE_BLOCK_FRAMES * period_ns(e);
}

static uint64_t
ask_ns(const struct engine *e)
{
	return engine_block_ns(e) > ENGINE_ASK_NS ? engine_block_ns(e) : ENGINE_ASK_NS;
}

bool
engine_failing(const struct engine *e)
{
	return e->info.badness != INFO_BADNESS_OK;
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
	frames_text(&e->keys.mac, 'k', ASK_TEXT, ret);
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

	if (engine_failing(e) ||
	    (e->keys.in_session && e->counters.blocks >= e->config.blocks_max)) {
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

/* Writes a frame that waits in the buffers since the device was powered. */
static void
engine_waiting(struct engine *e, uint8_t ret[static FRAMES_LEN])
{
	if (e->faults->done[FAULT_WAITING] == 1)
		engine_serial(e, ret);
	else
		frames_text(&e->keys.mac, 'k', ASK_TEXT, ret);
}

/*
 * Writes the frame that is next, if one is due. Frames that wait first, then answers, then what
 * belongs to a block.
 */
static bool
engine_next(struct engine *e, uint64_t now_ns, uint8_t ret[static FRAMES_LEN])
{
	if (faults_first(e->faults, FAULT_WAITING)) {
		engine_waiting(e, ret);
	} else if (e->replies_len > 0) {
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
	uint64_t now_ns = now_ms * ENGINE_NS_PER_MS;
	size_t used = 0;

	/* A host that did not read for a while finds one block waiting, not all the past. */
	if (now_ns > e->due_ns + engine_block_ns(e))
		e->due_ns = now_ns - engine_block_ns(e);
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
	return (e->due_ns + ENGINE_NS_PER_MS - 1) / ENGINE_NS_PER_MS;
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
