/* SPDX-License-Identifier: MIT */
/* A source that sends nothing but entropy: a character device, tty, FIFO or Unix socket. */
#include <stdio.h>

#include "backend/source_kind.h"
#include "lib/clock.h"
#include "lib/log.h"

#define RAW_PIECE_LEN 64 /* bytes that pass or fail the health tests together */
#define RAW_DRAIN_MS 50  /* bytes from before a clone are dropped */

_Static_assert(RAW_PIECE_LEN == SOURCE_MIX_LEN, "the kernel's generator gets whole pieces");

static const struct trust_doubt raw_doubt = {
	"it is not trusted, since nothing shows that its bytes are good entropy",
	"; if they are, write: trusted = yes"};

struct raw {
	struct source source;
	bool sends;              /* on this connection */
	uint64_t heard_ms;       /* the last byte, or when reading began */
	uint64_t rest_until_ms;  /* nothing is read before; 0: it is read */
	bool drain;              /* at the next connection */
	uint64_t drain_until_ms; /* bytes are dropped before */
	char silent[64];
	struct source_raw_status figures;
};

static bool
raw_serves(const struct source *source)
{
	return ((const struct raw *)source)->sends && source->trust.fate == TRUST_POOL &&
	       source->intake.state != INTAKE_QUARANTINE;
}

/* ---- reading ---- */

static bool
raw_must_pause(const struct source *s)
{
	return s->trust.fate == TRUST_POOL && !intake_has_room(&s->intake, RAW_PIECE_LEN);
}

static void
raw_rest(struct raw *r, uint64_t until_ms)
{
	r->rest_until_ms = until_ms;
	link_set_reading(&r->source.link, false);
}

/* The kernel's generator gets a piece a minute; in quarantine, or without use, none is read. */
static void
raw_check_rest(struct raw *r, uint64_t now_ms)
{
	const struct source *s = &r->source;

	if (s->trust.fate == TRUST_NONE)
		raw_rest(r, UINT64_MAX);
	else if (s->trust.fate == TRUST_MIX && r->figures.bytes > 0 &&
		 r->figures.bytes % SOURCE_MIX_LEN == 0)
		raw_rest(r, r->heard_ms + SOURCE_MIX_MS);
	else if (intake_quarantined_until(&s->intake) > now_ms)
		raw_rest(r, intake_quarantined_until(&s->intake));
}

static void
raw_note_bytes(struct raw *r, size_t len, uint64_t now_ms)
{
	struct source *s = &r->source;

	r->heard_ms = now_ms;
	r->figures.bytes += len;
	r->figures.heard_ms = now_ms;
	link_good(&s->link);
	if (!r->sends)
		log_info("source %s: %s sends bytes", s->config.name, s->config.address);
	link_known(&s->link);
	r->sends = true;
}

static size_t
raw_take(struct raw *r, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	struct source *s = &r->source;
	size_t taken = 0;

	while (taken < len && !raw_must_pause(s) && r->rest_until_ms == 0) {
		size_t n = RAW_PIECE_LEN - r->figures.bytes % RAW_PIECE_LEN;

		if (n > len - taken)
			n = len - taken;
		raw_note_bytes(r, n, now_ms);
		source_put(s, bytes + taken, n, now_ms);
		taken += n;
		raw_check_rest(r, now_ms);
	}
	if (raw_must_pause(s) && r->rest_until_ms == 0)
		source_pause(s);
	return taken;
}

/* While it rests, bytes that were read already are dropped: they would be old. */
static size_t
raw_on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct raw *r = arg;
	uint64_t now_ms = clock_now_ms();
	size_t taken = len;

	if (now_ms >= r->drain_until_ms)
		taken = raw_take(r, bytes, len, now_ms);
	if (r->rest_until_ms != 0)
		taken = len;
	source_note_serves(&r->source);
	source_arm(&r->source, now_ms);
	return taken;
}

/* ---- events ---- */

static void
raw_on_opened(void *arg)
{
	struct raw *r = arg;

	r->heard_ms = clock_now_ms();
	r->drain_until_ms = r->drain ? r->heard_ms + RAW_DRAIN_MS : 0;
	r->drain = false;
	raw_check_rest(r, r->heard_ms);
	source_note_presence(&r->source);
	source_arm(&r->source, r->heard_ms);
}

/* The next to send bytes may be another device. */
static void
raw_on_gone(void *arg, int error)
{
	struct raw *r = arg;

	(void)error;
	r->sends = false;
	r->rest_until_ms = 0;
	r->source.paused = false;
	intake_restart(&r->source.intake);
	source_note_presence(&r->source);
	source_arm(&r->source, clock_now_ms());
}

static void
raw_room(struct source *source, uint64_t now_ms)
{
	struct raw *r = (struct raw *)source;

	if (!source->paused || raw_must_pause(source))
		return;
	r->heard_ms = now_ms;
	source_resume(source);
	source_arm(source, now_ms);
}

static void
raw_renew(struct source *source)
{
	((struct raw *)source)->drain = true;
	if (source->intake.held_len > 0)
		intake_restart(&source->intake);
	link_renew(&source->link);
}

static uint64_t
raw_due(const struct source *source, uint64_t now_ms)
{
	const struct raw *r = (const struct raw *)source;

	(void)now_ms;
	if (source->paused || source->link.dropped != NULL)
		return UINT64_MAX;
	return r->rest_until_ms != 0 ? r->rest_until_ms : r->heard_ms + source->config.timeout_ms;
}

static void
raw_timer_fired(struct source *source, uint64_t now_ms)
{
	struct raw *r = (struct raw *)source;

	if (now_ms < raw_due(source, now_ms))
		return;
	if (r->rest_until_ms == 0) {
		link_drop(&source->link, r->silent);
		return;
	}
	r->rest_until_ms = 0;
	r->heard_ms = now_ms;
	link_set_reading(&source->link, true);
}

/* ---- configuration and status ---- */

static const char *
raw_check(const struct source_config *c)
{
	return !source_address_is_list(c->address) && source_address_is_path(c->address)
		       ? NULL
		       : "a raw source is the path of a character device, tty or FIFO, or "
			 "unix:PATH";
}

static void
raw_init(struct source *source)
{
	struct raw *r = (struct raw *)source;

	snprintf(r->silent, sizeof(r->silent), "no byte came for %llu s",
		 (unsigned long long)(source->config.timeout_ms / 1000));
}

static const char *
raw_state_text(const struct source *source)
{
	const struct raw *r = (const struct raw *)source;

	if (source->trust.fate == TRUST_NONE)
		return "open, but not used";
	if (!r->sends)
		return "open, no byte has come yet";
	return source->trust.fate == TRUST_POOL ? "serves"
						: "sends, but its bytes are not for the pool";
}

static void
raw_status(const struct source *source, struct source_status *ret)
{
	ret->raw = ((const struct raw *)source)->figures;
}

static void
raw_rows(const struct source_status *status, source_row_fn *fn, void *arg)
{
	fn(arg, &(struct source_row){"read_bytes", NULL, status->raw.bytes});
	if (status->raw.heard_ms > 0)
		fn(arg, &(struct source_row){"heard_ms_ago", NULL,
					     clock_now_ms() - status->raw.heard_ms});
}

const struct source_kind source_raw = {
	.size = sizeof(struct raw),
	.any_file = true,
	.doubt = &raw_doubt,
	.check = raw_check,
	.events = {.opened = raw_on_opened, .bytes = raw_on_bytes, .gone = raw_on_gone},
	.due = raw_due,
	.timer_fired = raw_timer_fired,
	.room = raw_room,
	.renew = raw_renew,
	.serves = raw_serves,
	.state_text = raw_state_text,
	.status = raw_status,
	.rows = raw_rows,
	.init = raw_init,
};
