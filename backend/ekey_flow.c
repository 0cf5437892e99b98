/* SPDX-License-Identifier: MIT */
#include "backend/ekey_inside.h"

#include <string.h>

#include "base/clock.h"

/*
 * While nobody waits, bytes that come in a trickle may lie with the kernel for REST_MS: a key sends
 * 86 frames a second, and to wake up for each costs more than all the rest. A fast source never
 * rests.
 */
#define REST_MS 100
#define REST_LEN 1024 /* bytes of one read that are no trickle */

/* ---- what the session says ---- */

bool
ekey_is_answer(enum session_state state)
{
	return state == SESSION_KEYED || state == SESSION_UNKNOWN_KEY ||
	       state == SESSION_WRONG_KEY || state == SESSION_UNSUPPORTED ||
	       state == SESSION_GENERATORS_BAD;
}

static void
ekey_say_state(struct ekey *k, enum session_state state)
{
	const uint8_t *serial = session_serial(&k->session);
	char text[KEYRING_SERIAL_TEXT_LEN + 1] = "";

	if (serial != NULL)
		keyring_serial_text(serial, text);
	source_log_state(&k->log, state, text);
	if (k->log.state != SESSION_CLOSED)
		link_known(&k->link);
}

static void
ekey_on_state(struct ekey *k)
{
	enum session_state state = session_state(&k->session);
	bool was_keyed = k->keyed;

	k->keyed = state == SESSION_KEYED || (state == SESSION_REKEYING && was_keyed);
	if (k->keyed)
		link_good(&k->link);
	else if (was_keyed)
		intake_restart(&k->intake); /* the device was reset, or is another */
	ekey_say_state(k, state);
	if (k->keyed != was_keyed)
		ekey_tell_presence(k);
	if (ekey_is_answer(state) && ladder_answered(&k->ladder, clock_now_ms()))
		source_log_answers(&k->log, ekey_serial(k));
}

static bool
ekey_put(struct ekey *k, uint64_t now_ms)
{
	source_note_credit(&k->env, k->config.credit);
	return intake_put(&k->intake, session_block(&k->session), SESSION_BLOCK_LEN, now_ms);
}

static void
ekey_on_event(struct ekey *k, enum session_event event, uint64_t now_ms)
{
	const struct telemetry *telemetry = session_telemetry(&k->session);
	bool health_changed = false;

	if (event == SESSION_ENTROPY)
		health_changed = ekey_put(k, now_ms);
	else if (event == SESSION_TELEMETRY && telemetry->have_raw)
		health_changed = intake_badness(&k->intake, telemetry->badness, now_ms);
	else if (event == SESSION_CHANGED)
		ekey_on_state(k);
	if (health_changed)
		source_log_health(k->config.name, &k->intake);
}

/* ---- bytes ---- */

static bool
ekey_must_pause(const struct ekey *k)
{
	return k->keyed && !intake_has_room(&k->intake, SESSION_BLOCK_LEN);
}

static void
ekey_pause(struct ekey *k)
{
	k->paused = true;
	k->rest_until_ms = UINT64_MAX;
	session_pause(&k->session);
	link_set_reading(&k->link, false);
}

static void
ekey_send(struct ekey *k)
{
	size_t len;
	const uint8_t *bytes = session_send(&k->session, &len);

	if (bytes != NULL)
		link_send(&k->link, bytes, len);
}

size_t
ekey_take(struct ekey *k, const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);
	uint64_t now_ms = clock_now_ms();
	enum session_event event = SESSION_CHANGED;

	while (event != SESSION_MORE && !ekey_must_pause(k)) {
		event = session_next(&k->session, &in, now_ms);
		ekey_send(k);
		ekey_on_event(k, event, now_ms);
	}
	if (ekey_must_pause(k))
		ekey_pause(k);
	k->undecoded_bytes = in.left;
	ekey_arm(k, now_ms);
	return len - in.left;
}

void
ekey_room(struct source *source)
{
	struct ekey *k = (struct ekey *)source;

	if (!k->paused || ekey_must_pause(k))
		return;
	k->paused = false;
	session_resume(&k->session, clock_now_ms());
	link_set_reading(&k->link, true); /* decodes from the loop, not now */
}

/* ---- rest ---- */

/* Lets the next frames come together, unless somebody waits for them. */
static void
ekey_rest(struct ekey *k)
{
	k->rest_until_ms = clock_now_ms() + REST_MS;
	link_set_reading(&k->link, false);
	ekey_arm(k, k->rest_until_ms - REST_MS);
}

void
ekey_wake(struct ekey *k)
{
	k->rest_until_ms = UINT64_MAX;
	link_set_reading(&k->link, true);
}

void
ekey_wanted(struct source *source)
{
	struct ekey *k = (struct ekey *)source;

	if (k->rest_until_ms != UINT64_MAX)
		ekey_wake(k);
}

/* ---- the session, and what may stand in its place ---- */

void
ekey_begin_session(struct ekey *k)
{
	session_open(&k->session, clock_now_ms());
	ekey_take(k, NULL, 0);
}

void
ekey_end_session(struct ekey *k)
{
	session_close(&k->session);
	k->log.state = SESSION_CLOSED; /* that the next session begins with a reset is no news */
	intake_restart(&k->intake);
	k->keyed = false;
	k->paused = false;
	k->rest_until_ms = UINT64_MAX;
	k->undecoded_bytes = 0;
}

void
ekey_back_to_session(struct ekey *k)
{
	rekeying_end(&k->rekeying);
	ekey_begin_session(k);
}

static void
ekey_rekey_take(struct ekey *k, const uint8_t *bytes, size_t len)
{
	uint64_t now_ms = clock_now_ms();

	if (rekeying_take(&k->rekeying, bytes, len, now_ms))
		ekey_back_to_session(k);
	ekey_arm(k, now_ms);
}

size_t
ekey_on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct ekey *k = arg;
	size_t taken;

	if (rekeying_active(&k->rekeying)) {
		ekey_rekey_take(k, bytes, len);
		return len;
	}
	taken = ekey_take(k, bytes, len);
	if (k->link.kind->keeps && len > 0 && len < REST_LEN && !k->paused &&
	    !pool_is_wanted(k->env.pool) && session_state(&k->session) == SESSION_KEYED)
		ekey_rest(k);
	return taken;
}
