/* SPDX-License-Identifier: MIT */
#include "pool/intake.h"

#include <assert.h>
#include <string.h>

#include "lib/secret.h"

#define BADNESS_GOOD '0'

/* One block must not end a probation that it began: its release was not asked for. */
static_assert(INTAKE_BLOCK_MAX < INTAKE_PROBATION_LEN, "a probation is longer than a block");
static_assert(INTAKE_PROBATION_LEN + INTAKE_BLOCK_MAX <= POOL_ASK_MAX, "a release fits");

void
intake_init(struct intake *in, struct pool *pool, unsigned h)
{
	*in = (struct intake){.pool = pool, .state = INTAKE_STARTUP, .badness = BADNESS_GOOD};
	health_init(&in->health, h);
}

/* Bytes that must pass before any is released; 0: none is held. */
static size_t
hold_len(const struct intake *in)
{
	switch (in->state) {
	case INTAKE_STARTUP:
		return INTAKE_STARTUP_LEN;
	case INTAKE_PROBATION:
		return INTAKE_PROBATION_LEN;
	case INTAKE_ACTIVE:
	case INTAKE_QUARANTINE:
		break;
	}
	return 0;
}

bool
intake_has_room(const struct intake *in, size_t len)
{
	if (in->state == INTAKE_QUARANTINE)
		return true;
	if (in->held_len + len < hold_len(in))
		return true;
	return pool_ask_room(in->pool, in->held_len + len);
}

uint64_t
intake_quarantined_until(const struct intake *in)
{
	return in->state == INTAKE_QUARANTINE ? in->until_ms : 0;
}

/* ---- pooled, held or rejected ---- */

static void
reject_held(struct intake *in)
{
	secret_wipe(in->held, in->held_len);
	in->counters.rejected += in->held_len;
	in->counters.held = 0;
	in->held_len = 0;
}

static void
release(struct intake *in, const uint8_t *bytes, size_t len)
{
	size_t n = pool_put(in->pool, bytes, len);

	in->counters.pooled += n;
	in->counters.rejected += len - n;
}

static void
release_held(struct intake *in)
{
	size_t len = in->held_len;

	in->state = INTAKE_ACTIVE;
	in->held_len = 0;
	in->counters.held = 0;
	release(in, in->held, len);
	secret_wipe(in->held, len);
}

/* Holds the bytes that have to be held and returns how many. */
static size_t
hold(struct intake *in, const uint8_t *bytes, size_t len)
{
	size_t missing = hold_len(in) - in->held_len;
	size_t n = len < missing ? len : missing;

	memcpy(in->held + in->held_len, bytes, n);
	in->held_len += n;
	in->counters.held = in->held_len;
	if (n == missing)
		release_held(in);
	return n;
}

static void
accept(struct intake *in, const uint8_t *bytes, size_t len)
{
	size_t n = in->state == INTAKE_ACTIVE ? 0 : hold(in, bytes, len);

	if (n < len)
		release(in, bytes + n, len - n);
}

/* ---- states ---- */

static void
quarantine(struct intake *in, enum intake_cause cause, uint64_t now_ms)
{
	reject_held(in);
	health_restart(&in->health);
	in->state = INTAKE_QUARANTINE;
	in->cause = cause;
	in->until_ms = now_ms + INTAKE_QUARANTINE_MS;
	in->counters.alarms++;
}

/* Quarantine ends when its time is over and the source reports no badness. */
static bool
quarantine_end(struct intake *in, uint64_t now_ms)
{
	if (in->state != INTAKE_QUARANTINE || now_ms < in->until_ms || in->badness != BADNESS_GOOD)
		return false;
	in->state = INTAKE_PROBATION;
	return true;
}

/* Bytes in quarantine are not tested: the tests restart with the probation. */
static void
check(struct intake *in, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	enum health_verdict verdict = HEALTH_OK;

	if (in->state != INTAKE_QUARANTINE)
		verdict = health_test(&in->health, bytes, len);
	if (verdict == HEALTH_REPETITION)
		quarantine(in, INTAKE_CAUSE_REPETITION, now_ms);
	else if (verdict == HEALTH_PROPORTION)
		quarantine(in, INTAKE_CAUSE_PROPORTION, now_ms);
	if (in->state == INTAKE_QUARANTINE)
		in->counters.rejected += len;
	else
		accept(in, bytes, len);
}

bool
intake_put(struct intake *in, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	enum intake_state before = in->state;
	uint64_t alarms = in->counters.alarms;

	assert(len <= INTAKE_BLOCK_MAX);
	in->counters.in += len;
	quarantine_end(in, now_ms);
	check(in, bytes, len, now_ms);
	return in->state != before || in->counters.alarms != alarms;
}

bool
intake_badness(struct intake *in, char badness, uint64_t now_ms)
{
	in->badness = badness;
	if (badness == BADNESS_GOOD)
		return quarantine_end(in, now_ms);
	if (in->state == INTAKE_QUARANTINE)
		return false;
	quarantine(in, INTAKE_CAUSE_BADNESS, now_ms);
	return true;
}

void
intake_restart(struct intake *in)
{
	reject_held(in);
	health_restart(&in->health);
	in->badness = BADNESS_GOOD;
	if (in->state == INTAKE_ACTIVE)
		in->state = INTAKE_STARTUP;
}

const char *
intake_state_text(enum intake_state state)
{
	static const char *const texts[] = {
		[INTAKE_STARTUP] = "start-up test",
		[INTAKE_ACTIVE] = "healthy",
		[INTAKE_QUARANTINE] = "quarantined",
		[INTAKE_PROBATION] = "on probation",
	};

	return texts[state];
}

const char *
intake_cause_text(enum intake_cause cause)
{
	static const char *const texts[] = {
		[INTAKE_CAUSE_NONE] = "none",
		[INTAKE_CAUSE_REPETITION] = "repetition count test",
		[INTAKE_CAUSE_PROPORTION] = "adaptive proportion test",
		[INTAKE_CAUSE_BADNESS] = "the source's own report",
	};

	return texts[cause];
}
