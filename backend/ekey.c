/* SPDX-License-Identifier: MIT */
/* A source that is an Entropy Key: its session, its recovery, changes of its long-term key. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "backend/recovery.h"
#include "backend/source_kind.h"
#include "backend/source_log.h"
#include "lib/clock.h"

/*
 * While no reader waits, bytes that come in a trickle may lie with the kernel for REST_MS: a key
 * sends 86 frames a second, and to wake up for each costs more than all the rest. A fast source
 * never rests.
 */
#define REST_MS 100
#define REST_LEN 1024 /* bytes of one read that are no trickle */

struct ekey {
	struct source source;
	uint8_t want_serial[KEYED_SERIAL_LEN];
	struct session_env session_env;
	struct session session;
	struct rekey rekey; /* while it is not closed the session is, and the key's bytes are its */
	source_rekey_fn *rekey_fn;
	void *rekey_arg;
	struct source_log log;
	struct recovery recovery;
	/*
	 * Entropy may come: room for it must be had before the next frame is read. Not before, so
	 * that a session can begin while the pool is full. (The first block comes with KEYED
	 * itself; the intake then starts up, and holds it.)
	 */
	bool keyed;
	uint64_t rest_until_ms; /* UINT64_MAX: not resting */
	uint64_t undecoded_bytes;
};

static bool
ekey_is_on_usb(const struct ekey *k)
{
	return source_address_is_usb(k->source.config.address);
}

/* The key's serial as text: of its last session, or the configured one. */
static const char *
ekey_serial(const struct ekey *k)
{
	return k->log.serial[0] != '\0' || !ekey_is_on_usb(k) ? k->log.serial
							      : k->source.link.where;
}

/* ---- recovery ---- */

static void
ekey_step(struct ekey *k, enum recovery_step step)
{
	if (step == RECOVERY_ALARM)
		source_log_alarm(&k->log, ekey_serial(k));
	if (step != RECOVERY_RESET_DEVICE)
		return;
	k->log.state = SESSION_CLOSED;
	link_reset(&k->source.link);
}

/* The session's reset brought no answer, or the device did not come back after its own. */
static void
ekey_on_vain_reset(struct ekey *k, bool can_reset, uint64_t now_ms)
{
	ekey_step(k, recovery_in_vain(&k->recovery, can_reset, now_ms));
}

/* A device that went, or whose connection we ended, is another matter than one with a fault. */
static void
ekey_on_fault(struct ekey *k, int error)
{
	if (error == 0 || error == ENODEV || error == EIO || error == ECONNABORTED)
		recovery_unplugged(&k->recovery);
	else
		ekey_step(k, recovery_fault(&k->recovery, k->source.link.kind->reset != NULL,
					    clock_now_ms()));
}

/* ---- the session's events ---- */

static bool
ekey_is_answer(enum session_state state)
{
	return state == SESSION_KEYED || state == SESSION_UNKNOWN_KEY ||
	       state == SESSION_WRONG_KEY || state == SESSION_UNSUPPORTED ||
	       state == SESSION_GENERATORS_BAD;
}

static void
ekey_log_state(struct ekey *k, enum session_state state)
{
	const uint8_t *serial = session_serial(&k->session);
	char text[KEYRING_SERIAL_TEXT_LEN + 1] = "";

	if (serial != NULL)
		keyring_serial_text(serial, text);
	source_log_state(&k->log, state, text);
	if (k->log.state != SESSION_CLOSED)
		link_known(&k->source.link);
}

static void
ekey_on_state(struct ekey *k)
{
	enum session_state state = session_state(&k->session);
	bool was_keyed = k->keyed;

	k->keyed = state == SESSION_KEYED || (state == SESSION_REKEYING && was_keyed);
	if (k->keyed)
		link_good(&k->source.link);
	else if (was_keyed)
		intake_restart(&k->source.intake); /* the device was reset, or is another */
	ekey_log_state(k, state);
	if (k->keyed != was_keyed)
		source_note_presence(&k->source);
	if (ekey_is_answer(state) && recovery_answered(&k->recovery, clock_now_ms()))
		source_log_answers(&k->log, ekey_serial(k));
}

static void
ekey_on_event(struct ekey *k, enum session_event event, uint64_t now_ms)
{
	const struct telemetry *telemetry = &k->session.telemetry;
	struct source *s = &k->source;

	if (event == SESSION_ENTROPY)
		source_put(s, k->session.block, SESSION_BLOCK_LEN, now_ms);
	else if (event == SESSION_TELEMETRY && telemetry->have_raw &&
		 intake_badness(&s->intake, telemetry->badness, now_ms))
		source_log_health(s->config.name, &s->intake);
	else if (event == SESSION_CHANGED)
		ekey_on_state(k);
}

/* ---- bytes ---- */

static bool
ekey_must_pause(const struct ekey *k)
{
	return k->keyed && !intake_has_room(&k->source.intake, SESSION_BLOCK_LEN);
}

static void
ekey_send(struct ekey *k)
{
	size_t len;
	const uint8_t *bytes = session_send(&k->session, &len);

	if (bytes != NULL)
		link_send(&k->source.link, bytes, len);
}

/* Decodes as far as the pool has room; returns how many bytes that took. */
static size_t
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
	if (ekey_must_pause(k)) {
		k->rest_until_ms = UINT64_MAX;
		session_pause(&k->session);
		source_pause(&k->source);
	}
	k->undecoded_bytes = in.left;
	source_arm(&k->source, now_ms);
	return len - in.left;
}

static void
ekey_room(struct source *source, uint64_t now_ms)
{
	struct ekey *k = (struct ekey *)source;

	if (!source->paused || ekey_must_pause(k))
		return;
	session_resume(&k->session, now_ms);
	source_resume(source);
}

static void
ekey_rest(struct ekey *k)
{
	uint64_t now_ms = clock_now_ms();

	k->rest_until_ms = now_ms + REST_MS;
	link_set_reading(&k->source.link, false);
	source_arm(&k->source, now_ms);
}

static void
ekey_wanted(struct source *source, uint64_t now_ms)
{
	struct ekey *k = (struct ekey *)source;

	(void)now_ms;
	if (k->rest_until_ms == UINT64_MAX)
		return;
	k->rest_until_ms = UINT64_MAX;
	link_set_reading(&source->link, true);
}

/* ---- begin and end of a session ---- */

static void
ekey_begin_session(struct ekey *k)
{
	session_open(&k->session, clock_now_ms());
	ekey_take(k, NULL, 0);
}

static void
ekey_end_session(struct ekey *k)
{
	session_close(&k->session);
	k->log.state = SESSION_CLOSED; /* that the next session begins with a reset is no news */
	intake_restart(&k->source.intake);
	k->keyed = false;
	k->source.paused = false;
	k->rest_until_ms = UINT64_MAX;
	k->undecoded_bytes = 0;
}

/* ---- a change of the long-term key, in place of the session ---- */

static bool
ekey_is_rekeying(const struct ekey *k)
{
	return k->rekey.state != REKEY_CLOSED;
}

static void
ekey_report_rekey(struct ekey *k)
{
	source_log_rekey(&k->log, k->rekey.state);
	k->rekey_fn(k->rekey_arg, &k->rekey);
}

/* After a new state. */
static void
ekey_rekey_step(struct ekey *k)
{
	size_t len;
	const uint8_t *bytes = rekey_send(&k->rekey, &len);

	if (bytes != NULL)
		link_send(&k->source.link, bytes, len);
	ekey_report_rekey(k);
}

static void
ekey_end_rekey(struct ekey *k)
{
	if (!ekey_is_rekeying(k))
		return;
	rekey_close(&k->rekey);
	ekey_report_rekey(k);
}

static void
ekey_back_to_session(struct ekey *k)
{
	ekey_end_rekey(k);
	ekey_begin_session(k);
}

static void
ekey_rekey_take(struct ekey *k, const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);
	uint64_t now_ms = clock_now_ms();

	while (rekey_take(&k->rekey, &in, now_ms))
		ekey_rekey_step(k);
	if (rekey_failed(&k->rekey))
		ekey_back_to_session(k);
	source_arm(&k->source, now_ms);
}

static void
ekey_rekey_fired(struct ekey *k, uint64_t now_ms)
{
	rekey_tick(&k->rekey, now_ms);
	ekey_rekey_step(k);
	if (rekey_failed(&k->rekey))
		ekey_back_to_session(k);
}

static bool
ekey_rekey(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
	   const uint8_t mac[static KEYED_MAC_LEN], source_rekey_fn *fn, void *arg)
{
	struct ekey *k = (struct ekey *)source;
	const uint8_t *here = session_serial(&k->session);
	uint64_t now_ms = clock_now_ms();

	if (!source->link.open || here == NULL || memcmp(here, serial, KEYED_SERIAL_LEN) != 0 ||
	    ekey_is_rekeying(k))
		return false;
	ekey_end_session(k);
	k->rekey_fn = fn;
	k->rekey_arg = arg;
	rekey_open(&k->rekey, serial, mac, now_ms);
	ekey_rekey_step(k);
	link_set_reading(&source->link, true);
	source_arm(source, now_ms);
	return true;
}

static bool
ekey_rekey_change(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
		  const uint8_t nonce[static REKEY_NONCE_LEN])
{
	struct ekey *k = (struct ekey *)source;
	uint64_t now_ms = clock_now_ms();

	if (memcmp(k->rekey.serial, serial, KEYED_SERIAL_LEN) != 0 ||
	    !rekey_change(&k->rekey, nonce, now_ms))
		return false;
	ekey_rekey_step(k);
	source_arm(source, now_ms);
	return true;
}

static void
ekey_keyring_changed(struct source *source)
{
	struct ekey *k = (struct ekey *)source;

	if (k->rekey.state == REKEY_CHANGED)
		ekey_back_to_session(k);
	session_keyring_changed(&k->session, clock_now_ms());
	if (source->link.open && !source->paused)
		ekey_take(k, NULL, 0);
}

/* ---- the link's events ---- */

static size_t
ekey_on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct ekey *k = arg;
	const struct source *s = &k->source;
	size_t taken;

	if (ekey_is_rekeying(k)) {
		ekey_rekey_take(k, bytes, len);
		return len;
	}
	taken = ekey_take(k, bytes, len);
	if (s->link.kind->keeps && len > 0 && len < REST_LEN && !s->paused &&
	    !pool_is_wanted(s->env.pool) && session_state(&k->session) == SESSION_KEYED)
		ekey_rest(k);
	return taken;
}

static void
ekey_on_opened(void *arg)
{
	ekey_begin_session(arg);
	source_note_presence(arg);
}

static void
ekey_on_gone(void *arg, int error)
{
	struct ekey *k = arg;

	ekey_end_rekey(k);
	ekey_end_session(k);
	source_note_presence(&k->source);
	source_arm(&k->source, clock_now_ms());
	if (!k->source.link.was_reset)
		ekey_on_fault(k, error);
}

static void
ekey_on_missing(void *arg)
{
	ekey_on_vain_reset(arg, false, clock_now_ms());
}

/* ---- time ---- */

static uint64_t
ekey_due(const struct source *source, uint64_t now_ms)
{
	const struct ekey *k = (const struct ekey *)source;
	uint64_t deadline_ms = session_deadline(&k->session);

	(void)now_ms;
	if (ekey_is_rekeying(k))
		return rekey_deadline(&k->rekey);
	return k->rest_until_ms < deadline_ms ? k->rest_until_ms : deadline_ms;
}

static void
ekey_session_fired(struct ekey *k, uint64_t now_ms)
{
	enum session_state before = session_state(&k->session);
	uint64_t resets = k->session.counters.resets;

	session_tick(&k->session, now_ms);
	ekey_take(k, NULL, 0);
	if (k->session.counters.resets > resets && !ekey_is_answer(before))
		ekey_on_vain_reset(k, k->source.link.kind->reset != NULL, now_ms);
}

static void
ekey_timer_fired(struct source *source, uint64_t now_ms)
{
	struct ekey *k = (struct ekey *)source;

	if (now_ms >= rekey_deadline(&k->rekey))
		ekey_rekey_fired(k, now_ms);
	else if (now_ms >= k->rest_until_ms)
		ekey_wanted(source, now_ms);
	else if (now_ms >= session_deadline(&k->session))
		ekey_session_fired(k, now_ms);
}

/* ---- a clone ---- */

/* Frames on their way belong to the old session. A change of the long-term key goes on. */
static void
ekey_renew(struct source *source)
{
	struct ekey *k = (struct ekey *)source;

	if (!source->link.open || ekey_is_rekeying(k))
		return;
	ekey_end_session(k);
	link_set_reading(&source->link, true);
	ekey_begin_session(k);
}

/* ---- life ---- */

static const char *
ekey_check(const struct source_config *c)
{
	if (source_address_is_list(c->address))
		return "one Entropy Key has one address";
	if (!source_address_is_usb(c->address) && !source_address_is_path(c->address))
		return "an Entropy Key is at usb, usb:SERIAL, the path of a tty, or unix:PATH";
	if (c->expect > 1 && !source_address_is_any(c->address))
		return "one address is one key: expect is for address = usb";
	return NULL;
}

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
ekey_init(struct source *source)
{
	struct ekey *k = (struct ekey *)source;
	const char *address = source->config.address;

	k->log = (struct source_log){.name = source->config.name,
				     .address = address,
				     .keyring_path = source->env.keyring_path};
	k->session_env =
		(struct session_env){.keyring = source->env.keyring, .random = ekey_random};
	if (ekey_is_on_usb(k) &&
	    keyring_serial_parse(address + strlen(SOURCE_ADDRESS_USB), k->want_serial))
		k->session_env.want_serial = k->want_serial;
	session_init(&k->session, &k->session_env);
	recovery_init(&k->recovery);
	k->rest_until_ms = UINT64_MAX;
}

static void
ekey_stop(struct source *source)
{
	ekey_end_rekey((struct ekey *)source);
}

/* ---- status ---- */

static bool
ekey_serves(const struct source *source)
{
	return ((const struct ekey *)source)->keyed && source->intake.state != INTAKE_QUARANTINE;
}

static const char *
ekey_state_text(const struct source *source)
{
	const struct ekey *k = (const struct ekey *)source;

	return ekey_is_rekeying(k) ? rekey_state_text(k->rekey.state)
				   : session_state_text(session_state(&k->session));
}

static void
ekey_status(const struct source *source, struct source_status *ret)
{
	const struct ekey *k = (const struct ekey *)source;
	const uint8_t *serial = session_serial(&k->session);

	ret->ekey = (struct source_ekey_status){.alarm = k->recovery.alarm,
						.undecoded_bytes = k->undecoded_bytes,
						.session = k->session.counters,
						.frame_stats = &k->session.frame_stats,
						.telemetry = k->session.telemetry};
	if (serial != NULL)
		keyring_serial_text(serial, ret->ekey.serial);
}

/* A row of telemetry is left out until the key has sent its figure. */
static void
ekey_rows(const struct source_status *status, source_row_fn *fn, void *arg)
{
	const struct source_ekey_status *key = &status->ekey;
	const struct session_counters *c = &key->session;
	const struct telemetry *t = &key->telemetry;
	const char badness[] = {t->badness, '\0'};
	const struct {
		bool have;
		struct source_row row;
	} rows[] = {
		{true, {"alarm", key->alarm ? "yes" : "no", 0}},
		{true, {"serial", key->serial[0] != '\0' ? key->serial : "-", 0}},
		{true, {"undecoded_bytes", NULL, key->undecoded_bytes}},
		{true, {"read_bytes", NULL, c->bytes_in}},
		{true, {"written_bytes", NULL, c->bytes_out}},
		{true, {"frames_ok", NULL, c->frames_ok}},
		{true, {"frames_bad_mac", NULL, c->frames_bad_mac}},
		{true, {"frames_malformed", NULL, c->frames_malformed}},
		{true, {"frames_replayed", NULL, c->frames_replayed}},
		{true, {"frames_skipped", NULL, c->frames_skipped}},
		{true, {"frames_ignored", NULL, c->frames_ignored}},
		{true, {"blocks", NULL, c->blocks}},
		{true, {"nonces", NULL, c->nonces}},
		{true, {"rekeys", NULL, c->rekeys}},
		{true, {"resets", NULL, c->resets}},
		{t->have_temperature, {"temperature_decikelvin", NULL, t->temp_decikelvin}},
		{t->have_voltage, {"voltage_mv", NULL, t->voltage_mv}},
		{t->have_fips, {"fips_blocks", NULL, t->fips_blocks}},
		{t->have_fips, {"fips_fails", NULL, t->fips_fails}},
		{t->have_fips, {"fips_monobit_fails", NULL, t->fips_monobit}},
		{t->have_fips, {"fips_poker_fails", NULL, t->fips_poker}},
		{t->have_fips, {"fips_runs_fails", NULL, t->fips_runs}},
		{t->have_raw, {"badness", badness, 0}},
		{t->have_raw, {"badness_text", telemetry_badness_text(t->badness), 0}},
		{t->have_raw, {"raw_bytes", NULL, t->raw_bytes}},
		{t->have_raw, {"raw_left_shannon_centibits", NULL, t->shannon_left_centi}},
		{t->have_raw, {"raw_right_shannon_centibits", NULL, t->shannon_right_centi}},
		{t->have_raw, {"raw_xor_shannon_centibits", NULL, t->shannon_xor_centi}},
		{t->have_raw, {"debiased_left_bytes", NULL, t->debiased_left_bytes}},
		{t->have_raw,
		 {"debiased_left_shannon_centibits", NULL, t->debiased_left_shannon_centi}},
		{t->have_raw, {"debiased_right_bytes", NULL, t->debiased_right_bytes}},
		{t->have_raw,
		 {"debiased_right_shannon_centibits", NULL, t->debiased_right_shannon_centi}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].have)
			fn(arg, &rows[i].row);
}

const struct source_kind source_ekey = {
	.size = sizeof(struct ekey),
	.needs_keyring = true,
	.credit = SOURCE_CREDIT_DEFAULT,
	.check = ekey_check,
	.events = {ekey_on_opened, ekey_on_bytes, ekey_on_gone, ekey_on_missing, NULL},
	.due = ekey_due,
	.timer_fired = ekey_timer_fired,
	.room = ekey_room,
	.renew = ekey_renew,
	.serves = ekey_serves,
	.state_text = ekey_state_text,
	.status = ekey_status,
	.rows = ekey_rows,
	.init = ekey_init,
	.stop = ekey_stop,
	.wanted = ekey_wanted,
	.keyring_changed = ekey_keyring_changed,
	.rekey = ekey_rekey,
	.rekey_change = ekey_rekey_change,
};
