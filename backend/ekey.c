/* SPDX-License-Identifier: MIT */
/* A source that is an Entropy Key: how it comes and goes, what is due when, what it is asked. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "backend/ekey_inside.h"
#include "backend/usb_transport.h"
#include "base/clock.h"
#include "base/secret.h"

const char *
ekey_serial(const struct ekey *k)
{
	return k->log.serial[0] != '\0' || k->link.kind != &transport_usb ? k->log.serial
									  : k->link.where;
}

/* ---- the ladder ---- */

static void
ekey_step(struct ekey *k, enum ladder_step step)
{
	if (step == LADDER_ALARM)
		source_log_alarm(&k->log, ekey_serial(k));
	if (step != LADDER_RESET_DEVICE)
		return;
	k->log.state = SESSION_CLOSED;
	link_reset(&k->link);
}

/*
 * That we reset it is no news; a device that went, or whose connection we ended, is another matter
 * than one with a fault.
 */
static void
ekey_judge_gone(struct ekey *k, int error)
{
	if (k->link.was_reset)
		return;
	if (error == 0 || error == ENODEV || error == EIO || error == ECONNABORTED)
		ladder_unplugged(&k->ladder);
	else
		ekey_step(k, ladder_fault(&k->ladder, link_can_reset(&k->link), clock_now_ms()));
}

/* ---- coming and going ---- */

void
ekey_tell_presence(const struct ekey *k)
{
	if (k->env.presence != NULL)
		k->env.presence(k->env.presence_arg);
}

static void
ekey_on_opened(void *arg)
{
	struct ekey *k = arg;

	ekey_begin_session(k);
	ekey_tell_presence(k);
}

static void
ekey_on_gone(void *arg, int error)
{
	struct ekey *k = arg;

	rekeying_end(&k->rekeying);
	ekey_end_session(k);
	ekey_tell_presence(k);
	ekey_judge_gone(k, error);
}

/* Reset in vain, but for a device that cannot be reset now. */
static void
ekey_on_missing(void *arg)
{
	struct ekey *k = arg;

	ekey_step(k, ladder_in_vain(&k->ladder, false, clock_now_ms()));
}

/* ---- the timer ---- */

static uint64_t
ekey_due(const struct ekey *k)
{
	uint64_t deadline_ms = session_deadline(&k->session);

	if (!link_is_open(&k->link))
		return UINT64_MAX;
	if (rekeying_active(&k->rekeying))
		return rekey_deadline(&k->rekeying.rekey);
	return k->rest_until_ms < deadline_ms ? k->rest_until_ms : deadline_ms;
}

/*
 * One timer for what is due next. Deadlines move away with every frame: the timer is left alone
 * then, and looks again when it fires. With nothing due it is off, and nothing wakes us.
 */
void
ekey_arm(struct ekey *k, uint64_t now_ms)
{
	uint64_t due_ms = ekey_due(k);
	uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	struct timeval wait = clock_timeval(wait_ms);

	if (due_ms == UINT64_MAX && k->timer_ms != UINT64_MAX)
		event_del(k->timer);
	else if (due_ms < k->timer_ms)
		event_add(k->timer, &wait);
	else
		return;
	k->timer_ms = due_ms;
}

/* The session's deadline has passed. */
static void
ekey_tick(struct ekey *k, uint64_t now_ms)
{
	enum session_state before = session_state(&k->session);
	uint64_t resets = session_counters(&k->session)->resets;

	session_tick(&k->session, now_ms);
	ekey_take(k, NULL, 0);
	if (session_counters(&k->session)->resets > resets && !ekey_is_answer(before))
		ekey_step(k, ladder_in_vain(&k->ladder, link_can_reset(&k->link), now_ms));
}

static void
ekey_rekey_tick(struct ekey *k, uint64_t now_ms)
{
	if (rekeying_tick(&k->rekeying, now_ms))
		ekey_back_to_session(k);
}

static void
ekey_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ekey *k = arg;
	uint64_t now_ms = clock_now_ms();

	(void)fd, (void)what;
	k->timer_ms = UINT64_MAX;
	if (now_ms >= rekey_deadline(&k->rekeying.rekey))
		ekey_rekey_tick(k, now_ms);
	else if (link_is_open(&k->link) && now_ms >= k->rest_until_ms)
		ekey_wake(k);
	else if (link_is_open(&k->link) && now_ms >= session_deadline(&k->session))
		ekey_tick(k, now_ms);
	ekey_arm(k, now_ms);
}

/* ---- the keyring, and a change of the long-term key ---- */

static void
ekey_keyring_changed(struct source *source)
{
	struct ekey *k = (struct ekey *)source;

	if (rekey_state(&k->rekeying.rekey) == REKEY_CHANGED)
		ekey_back_to_session(k);
	session_keyring_changed(&k->session, clock_now_ms());
	if (link_is_open(&k->link) && !k->paused)
		ekey_take(k, NULL, 0);
}

static bool
ekey_rekey(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
	   const uint8_t mac[static KEYED_MAC_LEN], rekeying_fn *fn, void *arg)
{
	struct ekey *k = (struct ekey *)source;
	const uint8_t *here = session_serial(&k->session);
	uint64_t now_ms = clock_now_ms();

	if (!link_is_open(&k->link) || here == NULL ||
	    memcmp(here, serial, KEYED_SERIAL_LEN) != 0 || rekeying_active(&k->rekeying))
		return false;
	ekey_end_session(k);
	k->rekeying = (struct rekeying){.link = &k->link, .log = &k->log, .fn = fn, .arg = arg};
	rekeying_begin(&k->rekeying, serial, mac, now_ms);
	link_set_reading(&k->link, true);
	ekey_arm(k, now_ms);
	return true;
}

static bool
ekey_rekey_change(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
		  const uint8_t nonce[static REKEY_NONCE_LEN])
{
	struct ekey *k = (struct ekey *)source;
	uint64_t now_ms = clock_now_ms();

	if (memcmp(k->rekeying.rekey.serial, serial, KEYED_SERIAL_LEN) != 0 ||
	    !rekeying_change(&k->rekeying, nonce, now_ms))
		return false;
	ekey_arm(k, now_ms);
	return true;
}

/* ---- a clone ---- */

/*
 * Frames that are on their way are of the old session. A change of the long-term key goes on.
 */
static void
ekey_renew(struct source *source)
{
	struct ekey *k = (struct ekey *)source;

	if (!link_is_open(&k->link) || rekeying_active(&k->rekeying))
		return;
	ekey_end_session(k);
	link_set_reading(&k->link, true);
	ekey_begin_session(k);
}

/* ---- life ---- */

/*
 * For nonces, which must be fresh but are no secret. Early in the boot the kernel's generator may
 * still wait for the very entropy that this key will bring: never wait for it.
 */
static bool
ekey_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	return getrandom(ret, len, GRND_INSECURE) == (ssize_t)len;
}

static void
ekey_free(struct source *source)
{
	struct ekey *k = (struct ekey *)source;
	bool was_open = link_is_open(&k->link);

	rekeying_end(&k->rekeying);
	link_stop(&k->link);
	if (was_open)
		ekey_tell_presence(k);
	if (k->timer != NULL)
		event_free(k->timer);
	secret_free(k, sizeof(*k));
}

static bool
ekey_start(struct ekey *k)
{
	const struct transport_env env = {
		.base = k->env.base, .usb = k->env.usb, .tls = k->env.tls, .name = k->config.name};
	const struct link_events events = {ekey_on_opened, ekey_on_bytes, ekey_on_gone,
					   ekey_on_missing, k};

	k->timer = evtimer_new(k->env.base, ekey_on_timer, k);
	return k->timer != NULL &&
	       link_start(&k->link, &env, k->config.name, k->config.address, &events);
}

static struct source *
ekey_new(const struct source_env *env, const struct source_config *config)
{
	struct ekey *k = secret_new(sizeof(*k));

	if (k == NULL)
		return NULL;
	k->source.kind = &source_ekey;
	k->env = *env;
	k->config = *config;
	k->log = (struct source_log){.name = k->config.name,
				     .address = k->config.address,
				     .keyring_path = env->keyring_path};
	k->session_env = (struct session_env){.keyring = env->keyring, .random = ekey_random};
	session_init(&k->session, &k->session_env);
	ladder_init(&k->ladder);
	intake_init(&k->intake, env->pool, config->h);
	k->timer_ms = UINT64_MAX;
	k->rest_until_ms = UINT64_MAX;
	if (!ekey_start(k)) {
		ekey_free(&k->source);
		return NULL;
	}
	if (k->link.kind == &transport_usb && keyring_serial_parse(k->link.where, k->want_serial))
		k->session_env.want_serial = k->want_serial;
	return &k->source;
}

/* ---- questions ---- */

static void
ekey_describe(const struct source *source, char *ret, size_t cap)
{
	const struct ekey *k = (const struct ekey *)source;

	link_describe(&k->link, ret, cap);
}

static const char *
ekey_state_text(const struct ekey *k)
{
	if (!link_is_open(&k->link))
		return k->link.waiting;
	if (rekeying_active(&k->rekeying))
		return rekey_state_text(rekey_state(&k->rekeying.rekey));
	return session_state_text(session_state(&k->session));
}

static void
ekey_status(const struct source *source, struct source_status *ret)
{
	const struct ekey *k = (const struct ekey *)source;
	const uint8_t *serial = session_serial(&k->session);

	*ret = (struct source_status){
		.name = k->config.name,
		.address = k->config.address,
		.type = SOURCE_EKEY,
		.connected = link_is_open(&k->link),
		.serves = k->keyed && k->intake.state != INTAKE_QUARANTINE,
		.paused = k->paused,
		.state = ekey_state_text(k),
		.connects = k->link.opens,
		.health = k->intake.state,
		.cause = k->intake.cause,
		.intake = k->intake.counters,
		.ekey = {.alarm = k->ladder.alarm,
			 .undecoded_bytes = k->undecoded_bytes,
			 .session = *session_counters(&k->session),
			 .census = session_census(&k->session),
			 .telemetry = *session_telemetry(&k->session)},
	};
	if (serial != NULL)
		keyring_serial_text(serial, ret->ekey.serial);
}

const struct source_kind source_ekey = {
	.new = ekey_new,
	.free = ekey_free,
	.room = ekey_room,
	.wanted = ekey_wanted,
	.renew = ekey_renew,
	.status = ekey_status,
	.keyring_changed = ekey_keyring_changed,
	.rekey = ekey_rekey,
	.rekey_change = ekey_rekey_change,
	.describe = ekey_describe,
};
