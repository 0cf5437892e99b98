/* SPDX-License-Identifier: MIT */
#include "backend/source_kind.h"

#include "backend/source_log.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/secret.h"

/* ---- for the types ---- */

void
source_arm(struct source *s, uint64_t now_ms)
{
	uint64_t due_ms = s->link.open ? s->kind->due(s, now_ms) : UINT64_MAX;
	struct timeval wait = clock_timeval(due_ms > now_ms ? due_ms - now_ms : 0);

	if (due_ms == UINT64_MAX && s->timer_ms != UINT64_MAX)
		event_del(s->timer);
	else if (due_ms < s->timer_ms)
		event_add(s->timer, &wait);
	else
		return;
	s->timer_ms = due_ms;
}

static void
source_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct source *s = arg;
	uint64_t now_ms = clock_now_ms();

	(void)fd, (void)what;
	s->timer_ms = UINT64_MAX;
	if (!s->link.open)
		return;
	s->kind->timer_fired(s, now_ms);
	source_arm(s, now_ms);
}

void
source_note_presence(struct source *s)
{
	s->served = s->kind->serves(s);
	if (s->env.presence != NULL)
		s->env.presence(s->env.presence_arg);
}

void
source_note_serves(struct source *s)
{
	if (s->kind->serves(s) != s->served)
		source_note_presence(s);
}

void
source_pause(struct source *s)
{
	s->paused = true;
	link_set_reading(&s->link, false);
}

void
source_resume(struct source *s)
{
	s->paused = false;
	link_set_reading(&s->link, true);
}

void
source_put(struct source *s, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	if (s->trust.fate == TRUST_MIX)
		s->env.mix(s->env.mix_arg, bytes, len);
	if (s->trust.fate != TRUST_POOL)
		return;
	if (s->env.credit != NULL && s->trust.credit < *s->env.credit)
		*s->env.credit = s->trust.credit;
	if (intake_put(&s->intake, bytes, len, now_ms))
		source_log_health(s->config.name, &s->intake);
}

/* ---- life ---- */

static void
source_log_trust(const struct source *s)
{
	if (s->trust.doubt.why != NULL)
		log_warn("source %s: %s: %s: its bytes %s%s", s->config.name, s->config.address,
			 s->trust.doubt.why,
			 s->trust.fate == TRUST_MIX
				 ? "are only mixed into the kernel's generator, without credit"
				 : "are not used, nor asked for",
			 s->trust.doubt.cure);
}

static bool
source_start(struct source *s)
{
	const struct transport_env env = {.base = s->env.base,
					  .usb = s->env.usb,
					  .tls = s->env.tls,
					  .any_file = s->kind->any_file,
					  .name = s->config.name};
	struct link_events events = s->kind->events;

	events.arg = s;
	s->timer = evtimer_new(s->env.base, source_on_timer, s);
	return s->timer != NULL &&
	       link_start(&s->link, &env, s->config.name, s->config.address, &events);
}

struct source *
source_new_of(const struct source_kind *kind, const struct source_env *env,
	      const struct source_config *config)
{
	struct source *s = secret_new(kind->size);
	const struct trust_doubt *doubt;

	if (s == NULL)
		return NULL;
	s->kind = kind;
	s->env = *env;
	s->config = *config;
	s->timer_ms = UINT64_MAX;
	intake_init(&s->intake, env->pool, config->h);
	if (kind->init != NULL)
		kind->init(s);
	if (!source_start(s)) {
		source_free(&s);
		return NULL;
	}
	doubt = s->link.kind->exposed ? &trust_exposed : kind->doubt;
	s->trust = trust_of(config, doubt, env->mix != NULL);
	source_log_trust(s);
	return s;
}

void
source_free(struct source **source)
{
	struct source *s = *source;

	if (s == NULL)
		return;
	if (s->kind->stop != NULL)
		s->kind->stop(s);
	link_stop(&s->link);
	if (s->timer != NULL)
		event_free(s->timer);
	secret_free(s, s->kind->size);
	*source = NULL;
}

/* ---- events and orders ---- */

void
source_room(struct source *s)
{
	s->kind->room(s, clock_now_ms());
}

void
source_wanted(struct source *s)
{
	if (s->kind->wanted != NULL)
		s->kind->wanted(s, clock_now_ms());
}

void
source_stand_by(struct source *s, bool on)
{
	if (s->kind->stand_by != NULL)
		s->kind->stand_by(s, on);
}

void
source_renew(struct source *s)
{
	s->kind->renew(s);
}

void
source_keyring_changed(struct source *s)
{
	if (s->kind->keyring_changed != NULL)
		s->kind->keyring_changed(s);
}

bool
source_rekey(struct source *s, const uint8_t serial[static KEYED_SERIAL_LEN],
	     const uint8_t mac[static KEYED_MAC_LEN], source_rekey_fn *fn, void *arg)
{
	return s->kind->rekey != NULL && s->kind->rekey(s, serial, mac, fn, arg);
}

bool
source_rekey_change(struct source *s, const uint8_t serial[static KEYED_SERIAL_LEN],
		    const uint8_t nonce[static REKEY_NONCE_LEN])
{
	return s->kind->rekey_change != NULL && s->kind->rekey_change(s, serial, nonce);
}

/* ---- questions ---- */

void
source_describe(const struct source *s, char *ret, size_t cap)
{
	ret[0] = '\0';
	link_describe(&s->link, ret, cap);
}

void
source_status(const struct source *s, struct source_status *ret)
{
	static const char *const uses[] = {
		[TRUST_POOL] = "pool", [TRUST_MIX] = "kernel", [TRUST_NONE] = "none"};
	bool connected = s->link.open;

	*ret = (struct source_status){
		.name = s->config.name,
		.address = s->config.address,
		.type = s->config.type,
		.connected = connected,
		.serves = s->kind->serves(s),
		.paused = s->paused,
		.state = connected ? s->kind->state_text(s) : s->link.waiting,
		.use = uses[s->trust.fate],
		.credit = s->trust.credit,
		.connects = s->link.opens,
		.health = s->intake.state,
		.cause = s->intake.cause,
		.intake = s->intake.counters,
	};
	s->kind->status(s, ret);
}
