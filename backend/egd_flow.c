/* SPDX-License-Identifier: MIT */
#include "backend/egd_inside.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/source_log.h"
#include "base/clock.h"
#include "base/log.h"

#define MIX_LEN 64   /* bytes for the kernel's generator, of a source that is not trusted... */
#define MIX_MS 60000 /* ... as often as that generator takes in what it was given */

_Static_assert(EGD_CLIENT_PIECE_MAX <= INTAKE_BLOCK_MAX, "a piece goes through the intake whole");

/* ---- asking ---- */

/* What lies ready for those to come; more only for who waits now. */
static size_t
egd_wants_for_pool(struct egd *e, uint64_t now_ms)
{
	struct pool *pool = e->env.pool;
	size_t level = pool_level(pool), held = e->intake.held_len, want = e->config.read_ahead;
	size_t room = pool_room(pool);

	if (now_ms < intake_quarantined_until(&e->intake))
		return 0;
	if (!pool_is_wanted(pool)) {
		if (!pool_ask_low(pool, want / 2))
			return 0;
		want -= level;
	}
	if (!intake_has_room(&e->intake, EGD_CLIENT_PIECE_MAX) || room <= held)
		return 0;
	return want < room - held ? want : room - held;
}

static size_t
egd_wants(struct egd *e, uint64_t now_ms)
{
	if (!e->answers || e->stands_by || e->paused)
		return 0;
	switch (e->trust.fate) {
	case TRUST_POOL:
		return egd_wants_for_pool(e, now_ms);
	case TRUST_MIX:
		return now_ms >= e->mix_ms ? MIX_LEN : 0;
	case TRUST_NONE:
		break;
	}
	return 0;
}

void
egd_ask(struct egd *e, uint64_t now_ms)
{
	uint8_t requests[EGD_CLIENT_SEND_MAX];
	size_t len = 0;

	if (e->link.dropped == NULL && !egd_client_is_owed(&e->client))
		len = egd_client_ask(&e->client, egd_wants(e, now_ms), now_ms, requests);
	if (len > 0) {
		e->figures.requests += len / EGD_ASK_LEN;
		e->mix_ms = now_ms + MIX_MS;
		link_send(&e->link, requests, len);
	}
	egd_arm(e, now_ms);
}

void
egd_ask_single(struct egd *e, enum egd_op op, uint64_t now_ms)
{
	uint8_t request[EGD_ASK_LEN];
	size_t len = egd_client_ask_single(&e->client, op, now_ms, request);

	link_send(&e->link, request, len);
	egd_arm(e, now_ms);
}

/* ---- answers ---- */

static void
egd_say_answers(struct egd *e)
{
	if (e->link.known)
		return;
	log_info("source %s: %s answers", e->config.name, e->config.address);
	link_known(&e->link);
}

static void
egd_on_entropy(struct egd *e, const struct egd_reply *piece, uint64_t now_ms)
{
	e->figures.bytes += piece->len;
	if (e->client.keeps_up) {
		e->starves = false;
		e->rest_ms = 0;
		egd_say_answers(e);
		link_good(&e->link);
	}
	if (e->trust.fate == TRUST_MIX)
		e->env.mix(e->env.mix_arg, piece->bytes, piece->len);
	if (e->trust.fate != TRUST_POOL)
		return;
	source_note_credit(&e->env, e->trust.credit);
	if (intake_put(&e->intake, piece->bytes, piece->len, now_ms))
		source_log_health(e->config.name, &e->intake);
}

/* With entropy for the smallest request it no longer starves, though it was not asked for it. */
static void
egd_on_level(struct egd *e, uint32_t bits, uint64_t now_ms)
{
	e->figures.level_bits = bits;
	if (!e->answers)
		return; /* not proven yet */
	if (bits >= 8 * EGD_CLIENT_ROUND_MIN && now_ms >= e->starved_ms + e->rest_ms)
		e->starves = false;
	if (!e->starves)
		egd_say_answers(e);
}

void
egd_on_proven(struct egd *e, uint64_t now_ms)
{
	bool served = egd_serves(e);

	e->figures.answers++;
	e->answers = true;
	egd_on_level(e, (uint32_t)e->figures.level_bits, now_ms);
	egd_tell_change(e, served);
	egd_ask(e, now_ms);
}

static void
egd_on_pid(struct egd *e, const struct egd_reply *pid, uint64_t now_ms)
{
	char ours[EGD_PID_MAX + 1];
	size_t len = (size_t)snprintf(ours, sizeof(ours), "%ld", (long)getpid());

	if (len == pid->len && memcmp(ours, pid->bytes, len) == 0)
		link_drop(&e->link, "it is a listener of our own");
	else
		egd_ask_single(e, EGD_LEVEL, now_ms);
}

/* Bytes of it that are still held may be no entropy either. */
static void
egd_on_violation(struct egd *e)
{
	e->figures.violations++;
	if (e->intake.held_len > 0)
		intake_restart(&e->intake);
	link_drop(&e->link, EGD_TEXT_NOT_ASKED);
}

static void
egd_on_event(struct egd *e, enum egd_client_event event, const struct egd_reply *reply,
	     uint64_t now_ms)
{
	bool served = egd_serves(e);

	e->figures.heard_ms = now_ms;
	if (event == EGD_CLIENT_BYTES)
		egd_on_entropy(e, reply, now_ms);
	else if (event == EGD_CLIENT_LEVEL)
		egd_on_level(e, reply->bits, now_ms);
	else if (event == EGD_CLIENT_PID)
		egd_on_pid(e, reply, now_ms);
	else if (event == EGD_CLIENT_BAD)
		egd_on_violation(e);
	egd_tell_change(e, served);
}

static bool
egd_must_pause(const struct egd *e)
{
	return e->trust.fate == TRUST_POOL && e->client.owed > 0 &&
	       !intake_has_room(&e->intake, EGD_CLIENT_PIECE_MAX);
}

/* What was asked for when there was room, by several perhaps, waits until there is room again. */
static void
egd_pause(struct egd *e)
{
	e->paused = true;
	link_set_reading(&e->link, false);
}

size_t
egd_on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);
	uint64_t now_ms = clock_now_ms();
	struct egd *e = arg;

	while (in.left > 0 && e->link.dropped == NULL && !egd_must_pause(e)) {
		struct egd_reply reply = {0};

		egd_on_event(e, egd_client_next(&e->client, &in, now_ms, &reply), &reply, now_ms);
	}
	if (in.left > 0 && e->link.dropped == NULL)
		egd_pause(e);
	egd_ask(e, now_ms);
	return len - in.left;
}

/* ---- told by others ---- */

void
egd_room(struct source *source)
{
	struct egd *e = (struct egd *)source;
	uint64_t now_ms = clock_now_ms();

	if (e->paused && !egd_must_pause(e)) {
		e->paused = false;
		egd_client_listens(&e->client, now_ms);
		link_set_reading(&e->link, true); /* from the loop, not now */
	}
	egd_ask(e, now_ms);
}

void
egd_wanted(struct source *source)
{
	uint64_t now_ms = clock_now_ms();
	struct egd *e = (struct egd *)source;

	egd_judge_pace(e, now_ms);
	egd_ask(e, now_ms);
}

/* What is owed to us is still taken. */
void
egd_stand_by(struct source *source, bool on)
{
	struct egd *e = (struct egd *)source;

	e->stands_by = on;
	egd_ask(e, clock_now_ms());
}
