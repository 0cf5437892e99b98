/* SPDX-License-Identifier: MIT */
/* A source that is an EGD server: asked for what the pool has room for and use of, over a link. */
#include <stdio.h>

#include "backend/egd_inside.h"
#include "backend/peer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"

/* Of a server that starves: until it is believed that it has entropy again; doubled each time. */
#define REST_MIN_MS EGD_CLIENT_PROBE_MS
#define REST_MAX_MS (16 * EGD_CLIENT_PROBE_MS)

/* ---- what it can do ---- */

bool
egd_serves(const struct egd *e)
{
	return e->answers && !e->starves && e->trust.fate == TRUST_POOL &&
	       e->intake.state != INTAKE_QUARANTINE;
}

/* `served`: before what may have changed it. */
void
egd_tell_change(const struct egd *e, bool served)
{
	if (e->env.presence != NULL && egd_serves(e) != served)
		e->env.presence(e->env.presence_arg);
}

/*
 * Its level alone can end it, but not soon when it ended it before and no entropy followed: each
 * trial has those wait who wait.
 */
void
egd_starve(struct egd *e, uint64_t now_ms)
{
	if (e->starves)
		return;
	e->starves = true;
	e->starved_ms = now_ms;
	e->rest_ms = e->rest_ms == 0 ? REST_MIN_MS : 2 * e->rest_ms;
	if (e->rest_ms > REST_MAX_MS)
		e->rest_ms = REST_MAX_MS;
}

void
egd_judge_pace(struct egd *e, uint64_t now_ms)
{
	bool served = egd_serves(e);

	if (e->starves || now_ms < egd_client_lags_at(&e->client) || !pool_is_wanted(e->env.pool))
		return;
	egd_starve(e, now_ms);
	egd_tell_change(e, served);
}

/* ---- the timer ---- */

/* When it may be asked what it was not asked now; else others tell us when to. */
static uint64_t
egd_ask_due(const struct egd *e, uint64_t now_ms)
{
	uint64_t due_ms =
		e->trust.fate == TRUST_MIX ? e->mix_ms : intake_quarantined_until(&e->intake);

	if (!e->answers || e->stands_by || egd_client_is_owed(&e->client) || due_ms <= now_ms)
		return UINT64_MAX;
	return due_ms;
}

static uint64_t
egd_due(const struct egd *e, uint64_t now_ms)
{
	uint64_t due_ms = egd_client_deadline(&e->client), ask_ms = egd_ask_due(e, now_ms);
	uint64_t lags_ms = egd_client_lags_at(&e->client);

	if (e->paused || !link_is_open(&e->link))
		return UINT64_MAX;
	if (now_ms < lags_ms && lags_ms < due_ms && !e->starves)
		due_ms = lags_ms;
	return ask_ms < due_ms ? ask_ms : due_ms;
}

/* As that of ekey.c: it is left alone when what is due moves away. */
void
egd_arm(struct egd *e, uint64_t now_ms)
{
	uint64_t due_ms = egd_due(e, now_ms);
	uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	const struct timeval wait = clock_timeval(wait_ms);

	if (due_ms == UINT64_MAX && e->timer_ms != UINT64_MAX)
		event_del(e->timer);
	else if (due_ms < e->timer_ms)
		event_add(e->timer, &wait);
	else
		return;
	e->timer_ms = due_ms;
}

/* ---- coming and going ---- */

/* Whom we may be is asked who he is first. */
static void
egd_on_opened(void *arg)
{
	uint64_t now_ms = clock_now_ms();
	struct egd *e = arg;

	egd_client_open(&e->client, e->config.timeout_ms, now_ms);
	switch (peer_of(link_fd(&e->link))) {
	case PEER_SELF:
		link_drop(&e->link, "it is a listener of our own");
		break;
	case PEER_NEAR:
		egd_ask_single(e, EGD_PID, now_ms);
		break;
	case PEER_OTHER:
		egd_ask_single(e, EGD_LEVEL, now_ms);
		break;
	}
}

/* What was still owed is lost; who waits for it is served by what is asked for next. */
static void
egd_on_gone(void *arg, int error)
{
	struct egd *e = arg;
	bool served = egd_serves(e);

	(void)error;
	egd_client_close(&e->client);
	e->answers = false;
	e->paused = false;
	egd_arm(e, clock_now_ms());
	egd_tell_change(e, served);
}

/* Its patience is at an end: another connection cannot bring what was asked for on this one. */
static void
egd_on_late(struct egd *e, uint64_t now_ms)
{
	bool served = egd_serves(e);

	e->figures.late++;
	if (e->client.owed > 0)
		egd_starve(e, now_ms);
	link_drop(&e->link, e->late);
	egd_tell_change(e, served);
}

static void
egd_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct egd *e = arg;
	uint64_t now_ms = clock_now_ms();

	(void)fd, (void)what;
	e->timer_ms = UINT64_MAX;
	if (e->paused || !link_is_open(&e->link) || e->link.dropped != NULL)
		return;
	egd_judge_pace(e, now_ms);
	if (now_ms < egd_client_deadline(&e->client))
		egd_ask(e, now_ms);
	else if (egd_client_is_owed(&e->client))
		egd_on_late(e, now_ms);
	else if (egd_client_prove(&e->client, now_ms))
		egd_on_proven(e, now_ms);
	else
		egd_ask_single(e, EGD_LEVEL, now_ms);
}

/* ---- a clone ---- */

/* Its health is judged on: only what is held has to go. */
static void
egd_renew(struct source *source)
{
	struct egd *e = (struct egd *)source;

	if (e->intake.held_len > 0)
		intake_restart(&e->intake);
	link_renew(&e->link);
}

/* ---- life ---- */

static void
egd_say_trust(const struct egd *e)
{
	if (e->trust.why != NULL)
		log_warn("source %s: %s: %s: its bytes %s%s", e->config.name, e->config.address,
			 e->trust.why,
			 e->trust.fate == TRUST_MIX
				 ? "are only mixed into the kernel's generator, without credit"
				 : "are not used, nor asked for",
			 e->trust.cure);
}

static void
egd_free(struct source *source)
{
	struct egd *e = (struct egd *)source;

	link_stop(&e->link);
	if (e->timer != NULL)
		event_free(e->timer);
	secret_free(e, sizeof(*e));
}

static bool
egd_start(struct egd *e)
{
	const struct transport_env env = {
		.base = e->env.base, .usb = e->env.usb, .tls = e->env.tls, .name = e->config.name};
	const struct link_events events = {
		.opened = egd_on_opened, .bytes = egd_on_bytes, .gone = egd_on_gone, .arg = e};

	e->timer = evtimer_new(e->env.base, egd_on_timer, e);
	return e->timer != NULL &&
	       link_start(&e->link, &env, e->config.name, e->config.address, &events);
}

static struct source *
egd_new(const struct source_env *env, const struct source_config *config)
{
	struct egd *e = secret_new(sizeof(*e));

	if (e == NULL)
		return NULL;
	e->source.kind = &source_egd;
	e->env = *env;
	e->config = *config;
	e->timer_ms = UINT64_MAX;
	intake_init(&e->intake, env->pool, config->h);
	snprintf(e->late, sizeof(e->late), "too little came for %llu s",
		 (unsigned long long)(config->timeout_ms / 1000));
	if (!egd_start(e)) {
		egd_free(&e->source);
		return NULL;
	}
	e->trust = trust_of(config, e->link.kind->exposed, env->mix != NULL);
	egd_say_trust(e);
	return &e->source;
}

/* ---- questions ---- */

static const char *
egd_state_text(const struct egd *e)
{
	if (!link_is_open(&e->link))
		return e->link.waiting;
	if (!e->answers)
		return "connected, has not answered yet";
	if (e->trust.fate != TRUST_POOL)
		return "answers, but is not for the pool";
	if (e->starves)
		return "answers, but sends too little entropy";
	return e->stands_by ? "stands by" : "serves";
}

static const char *
egd_use_text(enum trust_fate fate)
{
	return fate == TRUST_POOL ? "pool" : fate == TRUST_MIX ? "kernel" : "none";
}

static void
egd_status(const struct source *source, struct source_status *ret)
{
	const struct egd *e = (const struct egd *)source;

	*ret = (struct source_status){
		.name = e->config.name,
		.address = e->config.address,
		.type = SOURCE_EGD,
		.connected = link_is_open(&e->link),
		.serves = egd_serves(e),
		.paused = e->paused,
		.state = egd_state_text(e),
		.connects = e->link.opens,
		.health = e->intake.state,
		.cause = e->intake.cause,
		.intake = e->intake.counters,
		.egd = e->figures,
	};
	ret->egd.use = egd_use_text(e->trust.fate);
	ret->egd.expanded = e->config.expanded;
	ret->egd.credit = e->trust.credit;
	ret->egd.stands_by = e->stands_by;
	ret->egd.round_bytes = e->client.round;
}

const struct source_kind source_egd = {
	.new = egd_new,
	.free = egd_free,
	.room = egd_room,
	.wanted = egd_wanted,
	.renew = egd_renew,
	.stand_by = egd_stand_by,
	.status = egd_status,
};
