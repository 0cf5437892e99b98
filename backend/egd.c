/* SPDX-License-Identifier: MIT */
/* A source that is an EGD server: asked for what the pool has room for and use of, over a link. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/source_kind.h"
#include "backend/transport/self_check.h"
#include "egd/egd_client.h"
#include "lib/clock.h"
#include "lib/log.h"

/* How long the level of a server that starved is not believed; doubled each time. */
#define REST_MIN_MS EGD_CLIENT_PROBE_MS
#define REST_MAX_MS (16 * EGD_CLIENT_PROBE_MS)

_Static_assert(EGD_CLIENT_PIECE_MAX <= INTAKE_BLOCK_MAX, "a piece goes through the intake whole");

struct egd {
	struct source source;
	struct egd_client client;
	bool answers; /* on this connection: proven to be an EGD server, and not ourselves */
	bool starves; /* it lagged while a reader waited, or was too late, and is not better */
	uint64_t starved_ms, rest_ms; /* when that began; until its level can end it */
	bool stands_by;
	uint64_t mix_ms; /* when bytes are next asked for, for the kernel */
	char late[64];
	struct source_egd_status figures;
};

static bool
egd_serves(const struct source *source)
{
	const struct egd *e = (const struct egd *)source;

	return e->answers && !e->starves && source->trust.fate == TRUST_POOL &&
	       source->intake.state != INTAKE_QUARANTINE;
}

/*
 * The server's level alone can end it, but not soon when it ended it before and no entropy
 * followed: readers wait during each trial.
 */
static void
egd_starve(struct egd *e, uint64_t now_ms)
{
	if (e->starves)
		return;
	e->starves = true;
	e->starved_ms = now_ms;
	e->rest_ms = clock_longer_wait(e->rest_ms, REST_MIN_MS, REST_MAX_MS);
}

/* The server starves when it lags while a reader waits. */
static void
egd_check_pace(struct egd *e, uint64_t now_ms)
{
	if (e->starves || now_ms < egd_client_lags_at(&e->client) ||
	    !pool_is_wanted(e->source.env.pool))
		return;
	egd_starve(e, now_ms);
	source_note_serves(&e->source);
}

/* ---- asking ---- */

/* Bytes for later readers, up to the read-ahead; more only while a reader waits. */
static size_t
egd_wants_for_pool(struct source *s, uint64_t now_ms)
{
	struct pool *pool = s->env.pool;
	size_t level = pool_level(pool), held = s->intake.held_len, want = s->config.read_ahead;
	size_t room = pool_room(pool);

	if (now_ms < intake_quarantined_until(&s->intake))
		return 0;
	if (!pool_is_wanted(pool)) {
		if (!pool_ask_low(pool, want / 2))
			return 0;
		want -= level;
	}
	if (!intake_has_room(&s->intake, EGD_CLIENT_PIECE_MAX) || room <= held)
		return 0;
	return want < room - held ? want : room - held;
}

static size_t
egd_wants(struct egd *e, uint64_t now_ms)
{
	enum trust_fate fate = e->source.trust.fate;

	if (!e->answers || e->stands_by || e->source.paused || fate == TRUST_NONE)
		return 0;
	if (fate == TRUST_MIX)
		return now_ms >= e->mix_ms ? SOURCE_MIX_LEN : 0;
	return egd_wants_for_pool(&e->source, now_ms);
}

/* Asks for entropy, if there is use for more. */
static void
egd_ask(struct egd *e, uint64_t now_ms)
{
	uint8_t requests[EGD_CLIENT_SEND_MAX];
	struct source *s = &e->source;
	size_t len = 0;

	if (s->link.dropped == NULL && !egd_client_is_owed(&e->client))
		len = egd_client_ask(&e->client, egd_wants(e, now_ms), now_ms, requests);
	if (len > 0) {
		e->figures.requests += len / EGD_ASK_LEN;
		e->mix_ms = now_ms + SOURCE_MIX_MS;
		link_send(&s->link, requests, len);
	}
	source_arm(s, now_ms);
}

/* Asks for the server's level or process id. */
static void
egd_ask_single(struct egd *e, enum egd_op op, uint64_t now_ms)
{
	uint8_t request[EGD_ASK_LEN];
	size_t len = egd_client_ask_single(&e->client, op, now_ms, request);

	link_send(&e->source.link, request, len);
	source_arm(&e->source, now_ms);
}

/* ---- replies ---- */

static void
egd_log_answers(struct source *s)
{
	if (s->link.known)
		return;
	log_info("source %s: %s answers", s->config.name, s->config.address);
	link_known(&s->link);
}

static void
egd_on_entropy(struct egd *e, const struct egd_reply *piece, uint64_t now_ms)
{
	e->figures.bytes += piece->len;
	if (e->client.keeps_up) {
		e->starves = false;
		e->rest_ms = 0;
		egd_log_answers(&e->source);
		link_good(&e->source.link);
	}
	source_put(&e->source, piece->bytes, piece->len, now_ms);
}

/* A level of the smallest request ends the starving, though no entropy was asked for. */
static void
egd_on_level(struct egd *e, uint32_t bits, uint64_t now_ms)
{
	e->figures.level_bits = bits;
	if (!e->answers)
		return; /* not proven yet */
	if (bits >= 8 * EGD_CLIENT_ROUND_MIN && now_ms >= e->starved_ms + e->rest_ms)
		e->starves = false;
	if (!e->starves)
		egd_log_answers(&e->source);
}

static void
egd_on_proven(struct egd *e, uint64_t now_ms)
{
	e->figures.answers++;
	e->answers = true;
	egd_on_level(e, (uint32_t)e->figures.level_bits, now_ms);
	source_note_serves(&e->source);
	egd_ask(e, now_ms);
}

static void
egd_drop_self(struct egd *e)
{
	link_drop(&e->source.link, "it is a listener of our own");
}

static void
egd_on_pid(struct egd *e, const struct egd_reply *pid, uint64_t now_ms)
{
	char ours[EGD_PID_MAX + 1];
	size_t len = (size_t)snprintf(ours, sizeof(ours), "%ld", (long)getpid());

	if (len == pid->len && memcmp(ours, pid->bytes, len) == 0)
		egd_drop_self(e);
	else
		egd_ask_single(e, EGD_GET_COUNT, now_ms);
}

static void
egd_wipe_held(struct source *s)
{
	if (s->intake.held_len > 0)
		intake_restart(&s->intake);
}

/* The bytes that are still held may be no entropy either. */
static void
egd_on_violation(struct egd *e)
{
	e->figures.violations++;
	egd_wipe_held(&e->source);
	link_drop(&e->source.link, EGD_TEXT_NOT_ASKED);
}

static void
egd_on_event(struct egd *e, enum egd_client_event event, const struct egd_reply *reply,
	     uint64_t now_ms)
{
	e->figures.heard_ms = now_ms;
	if (event == EGD_CLIENT_BYTES)
		egd_on_entropy(e, reply, now_ms);
	else if (event == EGD_CLIENT_LEVEL)
		egd_on_level(e, reply->bits, now_ms);
	else if (event == EGD_CLIENT_PID)
		egd_on_pid(e, reply, now_ms);
	else if (event == EGD_CLIENT_BAD)
		egd_on_violation(e);
	source_note_serves(&e->source);
}

static bool
egd_must_pause(const struct egd *e)
{
	return e->source.trust.fate == TRUST_POOL && e->client.owed > 0 &&
	       !intake_has_room(&e->source.intake, EGD_CLIENT_PIECE_MAX);
}

/* Bytes that several servers were asked for, when there was room, wait until there is again. */
static size_t
egd_on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);
	uint64_t now_ms = clock_now_ms();
	struct egd *e = arg;

	while (in.left > 0 && e->source.link.dropped == NULL && !egd_must_pause(e)) {
		struct egd_reply reply = {0};

		egd_on_event(e, egd_client_next(&e->client, &in, now_ms, &reply), &reply, now_ms);
	}
	if (in.left > 0 && e->source.link.dropped == NULL)
		source_pause(&e->source);
	egd_ask(e, now_ms);
	return len - in.left;
}

/* ---- events and orders ---- */

/* A server that may be this daemon is asked for its process id first. */
static void
egd_on_opened(void *arg)
{
	uint64_t now_ms = clock_now_ms();
	struct egd *e = arg;

	egd_client_open(&e->client, e->source.config.timeout_ms, now_ms);
	switch (self_check(link_fd(&e->source.link))) {
	case SELF_CHECK_SELF:
		egd_drop_self(e);
		break;
	case SELF_CHECK_NEAR:
		egd_ask_single(e, EGD_GET_PID, now_ms);
		break;
	case SELF_CHECK_OTHER:
		egd_ask_single(e, EGD_GET_COUNT, now_ms);
		break;
	}
}

/* Bytes still owed are lost; the next requests serve the waiting readers. */
static void
egd_on_gone(void *arg, int error)
{
	struct egd *e = arg;

	(void)error;
	egd_client_close(&e->client);
	e->answers = false;
	e->source.paused = false;
	source_arm(&e->source, clock_now_ms());
	source_note_serves(&e->source);
}

static void
egd_room(struct source *source, uint64_t now_ms)
{
	struct egd *e = (struct egd *)source;

	if (source->paused && !egd_must_pause(e)) {
		egd_client_listens(&e->client, now_ms);
		source_resume(source);
	}
	egd_ask(e, now_ms);
}

static void
egd_wanted(struct source *source, uint64_t now_ms)
{
	egd_check_pace((struct egd *)source, now_ms);
	egd_ask((struct egd *)source, now_ms);
}

/* Bytes owed to us are still taken. */
static void
egd_stand_by(struct source *source, bool on)
{
	struct egd *e = (struct egd *)source;

	e->stands_by = on;
	egd_ask(e, clock_now_ms());
}

/* The verdict on its health stays: only held bytes have to go. */
static void
egd_renew(struct source *source)
{
	egd_wipe_held(source);
	link_renew(&source->link);
}

/* ---- time ---- */

/* When entropy may be asked for that may not be asked for now; UINT64_MAX: not by time. */
static uint64_t
egd_ask_due(const struct egd *e, uint64_t now_ms)
{
	const struct source *s = &e->source;
	uint64_t due_ms =
		s->trust.fate == TRUST_MIX ? e->mix_ms : intake_quarantined_until(&s->intake);

	if (!e->answers || e->stands_by || egd_client_is_owed(&e->client) || due_ms <= now_ms)
		return UINT64_MAX;
	return due_ms;
}

static uint64_t
egd_due(const struct source *source, uint64_t now_ms)
{
	const struct egd *e = (const struct egd *)source;
	uint64_t due_ms = egd_client_deadline(&e->client), ask_ms = egd_ask_due(e, now_ms);
	uint64_t lags_ms = egd_client_lags_at(&e->client);

	if (source->paused || source->link.dropped != NULL)
		return UINT64_MAX;
	if (now_ms < lags_ms && lags_ms < due_ms && !e->starves)
		due_ms = lags_ms;
	return ask_ms < due_ms ? ask_ms : due_ms;
}

/* Only another connection can bring what was asked for on this one. */
static void
egd_on_late(struct egd *e, uint64_t now_ms)
{
	e->figures.late++;
	if (e->client.owed > 0)
		egd_starve(e, now_ms);
	link_drop(&e->source.link, e->late);
	source_note_serves(&e->source);
}

static void
egd_timer_fired(struct source *source, uint64_t now_ms)
{
	struct egd *e = (struct egd *)source;

	if (source->paused || source->link.dropped != NULL)
		return;
	egd_check_pace(e, now_ms);
	if (now_ms < egd_client_deadline(&e->client))
		egd_ask(e, now_ms);
	else if (egd_client_is_owed(&e->client))
		egd_on_late(e, now_ms);
	else if (egd_client_prove(&e->client, now_ms))
		egd_on_proven(e, now_ms);
	else
		egd_ask_single(e, EGD_GET_COUNT, now_ms);
}

/* ---- configuration and status ---- */

static const char *
egd_check(const struct source_config *c)
{
	if (source_address_is_usb(c->address))
		return "no EGD server is on USB";
	if (c->policy != SOURCE_POLICY_ALL && !source_address_is_list(c->address))
		return "policy needs several addresses, with commas between them";
	return NULL;
}

static void
egd_init(struct source *source)
{
	struct egd *e = (struct egd *)source;

	snprintf(e->late, sizeof(e->late), "too little entropy came in %llu s",
		 (unsigned long long)(source->config.timeout_ms / 1000));
}

static const char *
egd_state_text(const struct source *source)
{
	const struct egd *e = (const struct egd *)source;

	if (!e->answers)
		return "connected, has not answered yet";
	if (source->trust.fate != TRUST_POOL)
		return "answers, but its bytes are not for the pool";
	if (e->starves)
		return "answers, but sends too little entropy";
	return e->stands_by ? "stands by" : "serves";
}

static void
egd_status(const struct source *source, struct source_status *ret)
{
	const struct egd *e = (const struct egd *)source;

	ret->egd = e->figures;
	ret->egd.expanded = source->config.expanded;
	ret->egd.stands_by = e->stands_by;
	ret->egd.round_bytes = e->client.round;
}

static void
egd_rows(const struct source_status *status, source_row_fn *fn, void *arg)
{
	const struct source_egd_status *egd = &status->egd;
	const struct source_row rows[] = {
		{"class", egd->expanded ? "expanded" : "direct", 0},
		{"stands_by", egd->stands_by ? "yes" : "no", 0},
		{"upstream_bits", NULL, egd->level_bits},
		{"answers", NULL, egd->answers},
		{"requests", NULL, egd->requests},
		{"round_bytes", NULL, egd->round_bytes},
		{"read_bytes", NULL, egd->bytes},
		{"late", NULL, egd->late},
		{"violations", NULL, egd->violations},
		{"heard_ms_ago", NULL, clock_now_ms() - egd->heard_ms},
	};
	size_t count = sizeof(rows) / sizeof(rows[0]) - (egd->heard_ms == 0);

	for (size_t i = 0; i < count; i++)
		fn(arg, &rows[i]);
}

const struct source_kind source_egd = {
	.size = sizeof(struct egd),
	.credit = SOURCE_CREDIT_DEFAULT,
	.check = egd_check,
	.events = {.opened = egd_on_opened, .bytes = egd_on_bytes, .gone = egd_on_gone},
	.due = egd_due,
	.timer_fired = egd_timer_fired,
	.room = egd_room,
	.renew = egd_renew,
	.serves = egd_serves,
	.state_text = egd_state_text,
	.status = egd_status,
	.rows = egd_rows,
	.init = egd_init,
	.wanted = egd_wanted,
	.stand_by = egd_stand_by,
};
