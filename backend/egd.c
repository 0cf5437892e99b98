/* SPDX-License-Identifier: MIT */
/* A source that is an EGD server: asked for what the pool has room for and use of, over a link. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/link.h"
#include "backend/peer.h"
#include "backend/source_kind.h"
#include "backend/source_log.h"
#include "backend/trust.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "egd/egd_client.h"

#define MIX_LEN 64   /* bytes for the kernel's generator, of a source that is not trusted... */
#define MIX_MS 60000 /* ... as often as that generator takes in what it was given */

_Static_assert(EGD_CLIENT_PIECE_MAX <= INTAKE_BLOCK_MAX, "a piece goes through the intake whole");

struct egd {
	struct source source;
	struct source_env env;
	struct source_config config;
	struct link link;
	struct egd_client client;
	struct intake intake; /* not restarted with each connection: what it holds is scarce */
	struct trust trust;
	struct event *timer;
	uint64_t timer_ms; /* when it fires; UINT64_MAX: not armed */
	bool answers;      /* on this connection; it is not ourselves */
	bool starves;      /* it was too late with entropy, and has sent none since */
	bool stands_by;
	bool paused;     /* bytes have come, and the pool is full */
	uint64_t mix_ms; /* when its bytes are next asked for, for the kernel */
	char late[64];
	struct source_egd_status figures;
};

/* ---- what it can do ---- */

static bool
egd_serves(const struct egd *e)
{
	return e->answers && !e->starves && e->intake.state != INTAKE_QUARANTINE;
}

/* `served`: before what may have changed it. */
static void
egd_tell_change(const struct egd *e, bool served)
{
	if (e->env.presence != NULL && egd_serves(e) != served)
		e->env.presence(e->env.presence_arg);
}

/* ---- the timer ---- */

static uint64_t
egd_due(const struct egd *e)
{
	uint64_t due_ms = egd_client_deadline(&e->client), ask_ms = UINT64_MAX;

	if (e->paused || !link_is_open(&e->link))
		return UINT64_MAX;
	if (e->answers && !e->stands_by && !egd_client_is_owed(&e->client)) {
		if (e->trust.fate == TRUST_MIX)
			ask_ms = e->mix_ms;
		else if (intake_quarantined_until(&e->intake) > 0)
			ask_ms = intake_quarantined_until(&e->intake);
	}
	return ask_ms < due_ms ? ask_ms : due_ms;
}

/* As that of ekey.c: it is left alone when what is due moves away. */
static void
egd_arm(struct egd *e, uint64_t now_ms)
{
	uint64_t due_ms = egd_due(e);
	uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
				     .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};

	if (due_ms == UINT64_MAX && e->timer_ms != UINT64_MAX)
		event_del(e->timer);
	else if (due_ms < e->timer_ms)
		event_add(e->timer, &wait);
	else
		return;
	e->timer_ms = due_ms;
}

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

static void
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

static void
egd_ask_single(struct egd *e, enum egd_op op, uint64_t now_ms)
{
	uint8_t request[EGD_ASK_LEN];
	size_t len = egd_client_ask_single(&e->client, op, now_ms, request);

	link_send(&e->link, request, len);
	egd_arm(e, now_ms);
}

/* ---- answers ---- */

static void
egd_on_entropy(struct egd *e, const struct egd_reply *piece, uint64_t now_ms)
{
	e->figures.bytes += piece->len;
	e->starves = false;
	link_good(&e->link);
	if (e->trust.fate == TRUST_MIX)
		e->env.mix(e->env.mix_arg, piece->bytes, piece->len);
	if (e->trust.fate != TRUST_POOL)
		return;
	if (intake_put(&e->intake, piece->bytes, piece->len, now_ms))
		source_log_health(e->config.name, &e->intake);
	source_note_credit(&e->env, &e->intake, e->trust.credit);
}

/* A server with entropy no longer starves, though it was not asked. */
static void
egd_on_level(struct egd *e, uint32_t bits)
{
	e->figures.level_bits = bits;
	if (bits > 0)
		e->starves = false;
	if (e->answers)
		return;
	e->answers = true;
	e->figures.answers++;
	if (e->starves)
		return;
	log_info("source %s: %s answers", e->config.name, e->config.address);
	link_known(&e->link);
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

static void
egd_on_violation(struct egd *e)
{
	e->figures.violations++;
	link_drop(&e->link, "it sent bytes that were not asked for: is it an EGD server?");
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
		egd_on_level(e, reply->bits);
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

static size_t
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
egd_on_late(struct egd *e)
{
	bool served = egd_serves(e);

	e->figures.late++;
	if (e->client.owed > 0)
		e->starves = true;
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
	if (now_ms < egd_client_deadline(&e->client))
		egd_ask(e, now_ms);
	else if (egd_client_is_owed(&e->client))
		egd_on_late(e);
	else
		egd_ask_single(e, EGD_LEVEL, now_ms);
}

/* ---- told by others ---- */

static void
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

static void
egd_wanted(struct source *source)
{
	egd_ask((struct egd *)source, clock_now_ms());
}

/* What is owed to us is still taken. */
static void
egd_stand_by(struct source *source, bool on)
{
	struct egd *e = (struct egd *)source;

	e->stands_by = on;
	egd_ask(e, clock_now_ms());
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
	const struct transport_env env = {.base = e->env.base, .usb = e->env.usb};
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
	snprintf(e->late, sizeof(e->late), "nothing came for %llu s",
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
	if (e->starves)
		return "answers, but sends no entropy";
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
	.stand_by = egd_stand_by,
	.status = egd_status,
};
