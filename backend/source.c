/* SPDX-License-Identifier: MIT */
#include "backend/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "backend/fd_transport.h"
#include "backend/ladder.h"
#include "backend/rekeying.h"
#include "backend/source_log.h"
#include "backend/usb_transport.h"
#include "base/clock.h"
#include "base/secret.h"

#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 30000
#define RETRY_BLIND_MAX_MS 2000 /* where nothing tells us that the path has appeared */
/*
 * While nobody waits, bytes that come in a trickle may lie with the kernel for REST_MS: a key sends
 * 86 frames a second, and to wake up for each costs more than all the rest. A fast source never
 * rests.
 */
#define REST_MS 100
#define REST_LEN 1024 /* bytes of one read that are no trickle */

struct source {
	struct source_env env;
	struct source_config config;
	const struct transport_kind *kind;
	const char *where;           /* config.address after the kind's prefix */
	struct transport *transport; /* NULL: not open */
	void *watch;                 /* while it is not open; NULL: cannot be watched */
	uint8_t want_serial[KEYED_SERIAL_LEN];
	struct session_env session_env;
	struct session session;
	struct intake intake;
	struct rekeying rekeying; /* while it is active it has the key, and the session is closed */
	struct source_log log;
	struct event *timer;
	uint64_t timer_ms; /* when it fires; UINT64_MAX: not armed */
	uint64_t retry_at_ms, retry_ms;
	/*
	 * Entropy may come: room for it must be had before the next frame is read. Not before, so
	 * that a key is greeted while the pool is full. (The first block comes with KEYED itself;
	 * the intake then starts up, and holds it.)
	 */
	bool keyed;
	bool paused;            /* the pool is full */
	uint64_t rest_until_ms; /* UINT64_MAX: not resting */
	struct ladder ladder;
	bool reset_due; /* as soon as it is open */
	bool was_reset; /* by ourselves, and is not back yet */
	uint64_t connects, undecoded_bytes;
	char waiting[SOURCE_ADDRESS_MAX + 128];
};

/* ---- transports ---- */

/* Tried in this order: a bare path comes last. */
static const struct transport_kind *const kinds[] = {&transport_usb, &transport_unix,
						     &transport_tty};

static const struct transport_kind *
source_transport_kind(const char *address)
{
	size_t i = 0;

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the last prefix, "", ends it. */
	while (strncmp(address, kinds[i]->prefix, strlen(kinds[i]->prefix)) != 0)
		i++;
	return kinds[i];
}

const char *
source_address_error(const char *address)
{
	const struct transport_kind *kind = source_transport_kind(address);

	return kind->check(address + strlen(kind->prefix));
}

/* ---- the timer ---- */

static uint64_t
source_due(const struct source *s)
{
	uint64_t deadline_ms = session_deadline(&s->session);

	if (s->transport == NULL)
		return s->retry_at_ms;
	if (rekeying_active(&s->rekeying))
		return rekey_deadline(&s->rekeying.rekey);
	return s->rest_until_ms < deadline_ms ? s->rest_until_ms : deadline_ms;
}

/*
 * One timer for what is due next. Deadlines move away with every frame: the timer is left alone
 * then, and looks again when it fires. With nothing due it is off, and nothing wakes us.
 */
static void
source_arm(struct source *s, uint64_t now_ms)
{
	uint64_t due_ms = source_due(s);
	uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
			       .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};

	if (due_ms == UINT64_MAX && s->timer_ms != UINT64_MAX)
		event_del(s->timer);
	else if (due_ms < s->timer_ms)
		event_add(s->timer, &wait);
	else
		return;
	s->timer_ms = due_ms;
}

/* ---- the ladder ---- */

static bool
source_can_reset(const struct source *s)
{
	return s->kind->reset != NULL;
}

/* The key's serial as text: what it told last, or where it is looked for. */
static const char *
source_serial(const struct source *s)
{
	return s->log.serial[0] != '\0' || s->kind != &transport_usb ? s->log.serial : s->where;
}

static void
source_reset(struct source *s)
{
	s->reset_due = false;
	s->was_reset = true;
	source_log_reset(&s->log);
	s->kind->reset(s->transport);
}

static void
source_step(struct source *s, enum ladder_step step)
{
	if (step == LADDER_ALARM)
		source_log_alarm(&s->log, source_serial(s));
	else if (step == LADDER_RESET_DEVICE && s->transport != NULL)
		source_reset(s);
	else if (step == LADDER_RESET_DEVICE)
		s->reset_due = true;
}

/* The key has said what it thinks of us. */
static bool
source_is_answer(enum session_state state)
{
	return state == SESSION_KEYED || state == SESSION_UNKNOWN_KEY ||
	       state == SESSION_WRONG_KEY || state == SESSION_UNSUPPORTED ||
	       state == SESSION_GENERATORS_BAD;
}

/* ---- bytes ---- */

static void
source_on_state(struct source *s)
{
	enum session_state state = session_state(&s->session);
	const uint8_t *serial = session_serial(&s->session);
	char text[KEYRING_SERIAL_TEXT_LEN + 1] = "";
	bool was_keyed = s->keyed;

	s->keyed = state == SESSION_KEYED || (state == SESSION_REKEYING && was_keyed);
	if (s->keyed)
		s->retry_ms = RETRY_MIN_MS;
	else if (was_keyed)
		intake_restart(&s->intake); /* the device was reset, or is another */
	if (serial != NULL)
		keyring_serial_text(serial, text);
	source_log_state(&s->log, state, text);
	if (source_is_answer(state) && ladder_answered(&s->ladder))
		source_log_answers(&s->log, source_serial(s));
}

static void
source_on_event(struct source *s, enum session_event event, uint64_t now_ms)
{
	const struct telemetry *telemetry = session_telemetry(&s->session);
	bool health_changed = false;

	if (event == SESSION_ENTROPY)
		health_changed = intake_put(&s->intake, session_block(&s->session),
					    SESSION_BLOCK_LEN, now_ms);
	else if (event == SESSION_TELEMETRY && telemetry->have_raw)
		health_changed = intake_badness(&s->intake, telemetry->badness, now_ms);
	else if (event == SESSION_CHANGED)
		source_on_state(s);
	if (health_changed)
		source_log_health(&s->log, &s->intake);
}

static bool
source_must_pause(const struct source *s)
{
	return s->keyed && !intake_has_room(&s->intake, SESSION_BLOCK_LEN);
}

static void
source_pause(struct source *s)
{
	s->paused = true;
	s->rest_until_ms = UINT64_MAX;
	session_pause(&s->session);
	s->transport->kind->set_reading(s->transport, false);
}

static void
source_send(struct source *s)
{
	size_t len;
	const uint8_t *bytes = session_send(&s->session, &len);

	if (bytes != NULL)
		s->transport->kind->send(s->transport, bytes, len);
}

/* Decodes as long as the pool has room; returns how many bytes that took. */
static size_t
source_take(struct source *s, const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);
	uint64_t now_ms = clock_now_ms();
	enum session_event event = SESSION_CHANGED;

	while (event != SESSION_MORE && !source_must_pause(s)) {
		event = session_next(&s->session, &in, now_ms);
		source_send(s);
		source_on_event(s, event, now_ms);
	}
	if (source_must_pause(s))
		source_pause(s);
	s->undecoded_bytes = in.left;
	source_arm(s, now_ms);
	return len - in.left;
}

/* Lets the next frames come together, unless somebody waits for them. */
static void
source_rest(struct source *s)
{
	s->rest_until_ms = clock_now_ms() + REST_MS;
	s->transport->kind->set_reading(s->transport, false);
	source_arm(s, s->rest_until_ms - REST_MS);
}

static void
source_wake(struct source *s)
{
	s->rest_until_ms = UINT64_MAX;
	s->transport->kind->set_reading(s->transport, true);
}

/* ---- a change of the long-term key ---- */

static void
source_end_session(struct source *s)
{
	session_close(&s->session);
	intake_restart(&s->intake);
	s->keyed = false;
	s->paused = false;
	s->rest_until_ms = UINT64_MAX;
	s->undecoded_bytes = 0;
}

static void
source_back_to_session(struct source *s)
{
	rekeying_end(&s->rekeying);
	session_open(&s->session, clock_now_ms());
	source_take(s, NULL, 0);
}

static void
source_rekey_take(struct source *s, const uint8_t *bytes, size_t len)
{
	uint64_t now_ms = clock_now_ms();

	if (rekeying_take(&s->rekeying, bytes, len, now_ms))
		source_back_to_session(s);
	source_arm(s, now_ms);
}

static void
source_rekey_tick(struct source *s, uint64_t now_ms)
{
	if (rekeying_tick(&s->rekeying, now_ms))
		source_back_to_session(s);
}

bool
source_rekey(struct source *s, const uint8_t serial[static KEYED_SERIAL_LEN],
	     const uint8_t mac[static KEYED_MAC_LEN], rekeying_fn *fn, void *arg)
{
	const uint8_t *here = session_serial(&s->session);
	uint64_t now_ms = clock_now_ms();

	if (s->transport == NULL || here == NULL || memcmp(here, serial, KEYED_SERIAL_LEN) != 0 ||
	    rekeying_active(&s->rekeying))
		return false;
	source_end_session(s);
	s->rekeying =
		(struct rekeying){.transport = s->transport, .log = &s->log, .fn = fn, .arg = arg};
	rekeying_begin(&s->rekeying, serial, mac, now_ms);
	s->transport->kind->set_reading(s->transport, true);
	source_arm(s, now_ms);
	return true;
}

bool
source_rekey_change(struct source *s, const uint8_t serial[static KEYED_SERIAL_LEN],
		    const uint8_t nonce[static REKEY_NONCE_LEN])
{
	uint64_t now_ms = clock_now_ms();

	if (memcmp(s->rekeying.rekey.serial, serial, KEYED_SERIAL_LEN) != 0 ||
	    !rekeying_change(&s->rekeying, nonce, now_ms))
		return false;
	source_arm(s, now_ms);
	return true;
}

static size_t
source_on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct source *s = arg;
	size_t taken;

	if (rekeying_active(&s->rekeying)) {
		source_rekey_take(s, bytes, len);
		return len;
	}
	taken = source_take(s, bytes, len);
	if (s->kind->keeps && len > 0 && len < REST_LEN && !s->paused &&
	    !pool_is_wanted(s->env.pool) && session_state(&s->session) == SESSION_KEYED)
		source_rest(s);
	return taken;
}

/* ---- coming and going ---- */

/* Tries again later, each time later; at once when the path appears. */
static void
source_wait(struct source *s, int error)
{
	uint64_t now_ms = clock_now_ms();
	uint64_t max_ms = s->watch != NULL ? RETRY_MAX_MS : RETRY_BLIND_MAX_MS;

	if (!s->was_reset)
		source_log_waiting(&s->log, error);
	snprintf(s->waiting, sizeof(s->waiting), "waiting for %s: %s", s->config.address,
		 source_error_text(&s->log, error));
	s->retry_at_ms = now_ms + s->retry_ms;
	s->retry_ms = s->retry_ms * 2 < max_ms ? s->retry_ms * 2 : max_ms;
	source_arm(s, now_ms);
}

static void
source_disconnect(struct source *s)
{
	rekeying_end(&s->rekeying);
	source_end_session(s);
	s->transport->kind->close(s->transport);
	s->transport = NULL;
	if (s->env.presence != NULL)
		s->env.presence(s->env.presence_arg);
}

static void
source_on_appear(void *arg)
{
	struct source *s = arg;

	s->retry_ms = RETRY_MIN_MS;
	s->retry_at_ms = clock_now_ms();
	source_arm(s, s->retry_at_ms);
}

static struct transport_env
source_transport_env(const struct source *s)
{
	return (struct transport_env){.base = s->env.base, .usb = s->env.usb};
}

static void
source_watch(struct source *s)
{
	const struct transport_env env = source_transport_env(s);

	if (s->watch == NULL && s->kind->watch != NULL)
		s->watch = s->kind->watch(&env, s->where, source_on_appear, s);
}

static void
source_unwatch(struct source *s)
{
	if (s->watch != NULL)
		s->kind->unwatch(s->watch);
	s->watch = NULL;
}

/* A device that went is another matter than one that is there and has a fault. */
static void
source_judge_gone(struct source *s, int error)
{
	if (error == 0 || error == ENODEV || error == EIO)
		ladder_unplugged(&s->ladder);
	else if (!s->was_reset)
		source_step(s, ladder_fault(&s->ladder, source_can_reset(s), clock_now_ms()));
}

static void
source_on_gone(void *arg, int error)
{
	struct source *s = arg;

	source_disconnect(s);
	if (s->log.state != SESSION_CLOSED)
		source_log_gone(&s->log, error);
	source_judge_gone(s, error);
	source_watch(s);
	source_wait(s, error);
}

static void
source_connect(struct source *s)
{
	const struct transport_events events = {
		.bytes = source_on_bytes, .gone = source_on_gone, .arg = s};
	const struct transport_env env = source_transport_env(s);
	int result;

	/* Watched before it is tried: it cannot appear unseen in between. */
	source_watch(s);
	result = s->kind->open(&env, s->where, &events, &s->transport);
	if (result < 0) {
		source_wait(s, -result);
		return;
	}
	source_unwatch(s);
	s->connects++;
	s->was_reset = false;
	session_open(&s->session, clock_now_ms());
	source_take(s, NULL, 0);
	if (s->env.presence != NULL)
		s->env.presence(s->env.presence_arg);
	if (s->reset_due)
		source_reset(s);
}

/* The session's deadline has passed. */
static void
source_tick(struct source *s, uint64_t now_ms)
{
	enum session_state before = session_state(&s->session);
	uint64_t resets = session_counters(&s->session)->resets;

	session_tick(&s->session, now_ms);
	source_take(s, NULL, 0);
	if (session_counters(&s->session)->resets > resets && !source_is_answer(before))
		source_step(s, ladder_in_vain(&s->ladder, source_can_reset(s), now_ms));
}

static void
source_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct source *s = arg;
	uint64_t now_ms = clock_now_ms();

	(void)fd, (void)what;
	s->timer_ms = UINT64_MAX;
	if (s->transport == NULL && now_ms >= s->retry_at_ms)
		source_connect(s);
	else if (now_ms >= rekey_deadline(&s->rekeying.rekey))
		source_rekey_tick(s, now_ms);
	else if (s->transport != NULL && now_ms >= s->rest_until_ms)
		source_wake(s);
	else if (s->transport != NULL && now_ms >= session_deadline(&s->session))
		source_tick(s, now_ms);
	source_arm(s, now_ms);
}

/* ---- life ---- */

/*
 * For nonces, which must be fresh but are no secret. Early in the boot the kernel's generator may
 * still wait for the very entropy that this key will bring: never wait for it.
 */
static bool
source_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	return getrandom(ret, len, GRND_INSECURE) == (ssize_t)len;
}

struct source *
source_new(const struct source_env *env, const struct source_config *config)
{
	struct source *s = secret_new(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env = *env;
	s->config = *config;
	s->kind = source_transport_kind(s->config.address);
	s->where = s->config.address + strlen(s->kind->prefix);
	s->log = (struct source_log){.name = s->config.name,
				     .address = s->config.address,
				     .keyring_path = env->keyring_path,
				     .error_text = s->kind->error_text};
	s->session_env = (struct session_env){.keyring = env->keyring, .random = source_random};
	if (s->kind == &transport_usb && keyring_serial_parse(s->where, s->want_serial))
		s->session_env.want_serial = s->want_serial;
	session_init(&s->session, &s->session_env);
	ladder_init(&s->ladder);
	intake_init(&s->intake, env->pool, config->h);
	s->timer_ms = UINT64_MAX;
	s->rest_until_ms = UINT64_MAX;
	s->retry_ms = RETRY_MIN_MS;
	s->timer = evtimer_new(env->base, source_on_timer, s);
	if (s->timer == NULL) {
		secret_free(s, sizeof(*s));
		return NULL;
	}
	snprintf(s->waiting, sizeof(s->waiting), "waiting for %s", s->config.address);
	source_arm(s, clock_now_ms());
	return s;
}

void
source_free(struct source **source)
{
	struct source *s = *source;

	if (s == NULL)
		return;
	if (s->transport != NULL)
		source_disconnect(s);
	source_unwatch(s);
	event_free(s->timer);
	secret_free(s, sizeof(*s));
	*source = NULL;
}

void
source_room(struct source *s)
{
	if (!s->paused || source_must_pause(s))
		return;
	s->paused = false;
	session_resume(&s->session, clock_now_ms());
	s->transport->kind->set_reading(s->transport, true); /* decodes from the loop, not now */
}

void
source_wanted(struct source *s)
{
	if (s->rest_until_ms != UINT64_MAX)
		source_wake(s);
}

void
source_keyring_changed(struct source *s)
{
	if (rekey_state(&s->rekeying.rekey) == REKEY_CHANGED)
		source_back_to_session(s);
	session_keyring_changed(&s->session, clock_now_ms());
	if (s->transport != NULL && !s->paused)
		source_take(s, NULL, 0);
}

void
source_describe(const struct source *s, char *ret, size_t cap)
{
	ret[0] = '\0';
	if (s->transport != NULL && s->kind->describe != NULL)
		s->kind->describe(s->transport, ret, cap);
}

static const char *
source_state_text(const struct source *s)
{
	if (s->transport == NULL)
		return s->waiting;
	if (rekeying_active(&s->rekeying))
		return rekey_state_text(rekey_state(&s->rekeying.rekey));
	return session_state_text(session_state(&s->session));
}

void
source_status(const struct source *s, struct source_status *ret)
{
	const uint8_t *serial = session_serial(&s->session);

	*ret = (struct source_status){
		.name = s->config.name,
		.address = s->config.address,
		.connected = s->transport != NULL,
		.paused = s->paused,
		.alarm = s->ladder.alarm,
		.state = source_state_text(s),
		.connects = s->connects,
		.undecoded_bytes = s->undecoded_bytes,
		.session = *session_counters(&s->session),
		.census = session_census(&s->session),
		.telemetry = *session_telemetry(&s->session),
		.health = s->intake.state,
		.cause = s->intake.cause,
		.intake = s->intake.counters,
	};
	if (serial != NULL)
		keyring_serial_text(serial, ret->serial);
}
