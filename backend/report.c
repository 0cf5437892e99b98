/* SPDX-License-Identifier: MIT */
#include "backend/report.h"

#include <inttypes.h>
#include <string.h>

#define DESCRIPTION_MAX 4096
#define BLOCKS_MANY 1000 /* a dozen rounds of information frames, which follow 78 blocks each */

/* ---- measurements ---- */

static void
report_span(struct evbuffer *out, const char *what, const struct frame_stats_span *s)
{
	if (s->count == 0)
		evbuffer_add_printf(out, "%s: never\n", what);
	else
		evbuffer_add_printf(out,
				    "%s: last %" PRIu64 ", least %" PRIu64 ", most %" PRIu64
				    ", of %" PRIu64 "\n",
				    what, s->last, s->min, s->max, s->count);
}

static void
report_timings(struct evbuffer *out, const struct frame_stats *c)
{
	report_span(out, "reset to S, ms", &c->serial_ms);
	report_span(out, "reset to first k, ms", &c->ask_ms);
	report_span(out, "K to its answer, ms", &c->answer_ms);
	report_span(out, "answer to answer, ms", &c->interval_ms);
	report_span(out, "entropy frames a second", &c->blocks_per_s);
}

static void
report_type(struct evbuffer *out, char type, const struct frame_stats_type *t)
{
	if (t->authentic == 0 && t->unverified == 0)
		return;
	evbuffer_add_printf(out, "frames %c: %" PRIu64 " authentic, %" PRIu64 " not verified", type,
			    t->authentic, t->unverified);
	if (t->binary)
		evbuffer_add_printf(out, ", sub-codes %u to %u", t->subcode_min, t->subcode_max);
	evbuffer_add_printf(out, "\n");
}

static void
report_frames(struct evbuffer *out, const struct frame_stats *c)
{
	for (size_t i = 0; i < FRAME_STATS_TYPES; i++)
		report_type(out, i == 0 ? '?' : (char)i, &c->types[i]);
	for (size_t i = 0; i < FRAME_STATS_SHAPES && c->shapes[i].count > 0; i++)
		evbuffer_add_printf(out, "text %c, %" PRIu64 " times: %s\n", c->shapes[i].type,
				    c->shapes[i].count, c->shapes[i].text);
	if (c->shapes_more > 0)
		evbuffer_add_printf(out, "texts of other shapes: %" PRIu64 "\n", c->shapes_more);
}

static void
report_row(void *arg, const struct source_row *row)
{
	if (row->text != NULL)
		evbuffer_add_printf(arg, "%s: %s\n", row->key, row->text);
	else
		evbuffer_add_printf(arg, "%s: %" PRIu64 "\n", row->key, row->number);
}

/* ---- comparison ---- */

/* A pause of the reader may spoil some measurements, but hardly all. */
static bool
is_outside(const struct frame_stats_span *s, uint64_t least, uint64_t most)
{
	return s->count > 0 && (s->max < least || s->min > most);
}

static bool
has_subcodes(const struct frame_stats *c, char type, unsigned least, unsigned most)
{
	const struct frame_stats_type *t = &c->types[(size_t)type];

	return !t->binary || (t->subcode_min == least && t->subcode_max <= most);
}

/* A value of the information frames, which come with entropy frames. */
static bool
is_wrong(const struct source_status *s, bool have, uint64_t value, uint64_t least, uint64_t most)
{
	return have ? value < least || value > most : s->ekey.session.blocks >= BLOCKS_MANY;
}

/* Of a description that is "" the key is not on USB. */
static bool
differs_usb(const char *description)
{
	static const char *const parts[] = {
		" at 12 Mbit/s: \"Simtec Electronics\", \"Entropy Key\"\n",
		"device 20df:0001 ",
		" 2 interfaces, ",
		" 76 mA\n",
		"endpoint 03: bulk, packets 64 bytes",
		"endpoint 81: bulk, packets 64 bytes"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (description[0] != '\0' && strstr(description, parts[i]) == NULL)
			return true;
	return false;
}

static bool
differs_types(const struct frame_stats *c)
{
	for (size_t i = 0; i < FRAME_STATS_TYPES; i++)
		if (c->types[i].authentic + c->types[i].unverified > 0 &&
		    (i == 0 || strchr("SIWEkKMLlB", (int)i) == NULL))
			return true;
	return false;
}

/* The protocol's version, our nonce's length, the sequence. */
static bool
differs_subcodes(const struct frame_stats *c)
{
	return !has_subcodes(c, 'S', 0, 0) ||
	       !has_subcodes(c, 'K', SESSION_NONCE_LEN, SESSION_NONCE_LEN) ||
	       !has_subcodes(c, 'E', 0, 4095);
}

void
report_compare(struct evbuffer *out, const struct source_status *s, const char *description)
{
	const struct session_counters *session = &s->ekey.session;
	const struct telemetry *t = &s->ekey.telemetry;
	const struct frame_stats *c = s->ekey.frame_stats;
	/* A key makes a block of 78 frames in 0.9 s, and 4,096 frames in 48 s. */
	const struct {
		const char *name;
		bool differs;
	} facts[] = {
		{"USB descriptors", differs_usb(description)},
		{"state", !s->serves},
		{"reset to first k", is_outside(&c->ask_ms, 0, 2000)},
		{"answer to answer", is_outside(&c->interval_ms, 40000, 60000)},
		{"entropy frames a second", is_outside(&c->blocks_per_s, 70, 100)},
		{"types of frames", differs_types(c)},
		{"sub-codes", differs_subcodes(c)},
		{"frames that are not good",
		 session->frames_malformed > 0 || session->frames_replayed > 0 ||
			 session->frames_bad_mac > session->frames_ok / 100},
		/* 0 to 80 degrees C, and the supply of a chip for 3.3 V. */
		{"temperature", is_wrong(s, t->have_temperature, t->temp_decikelvin, 2730, 3530)},
		{"voltage", is_wrong(s, t->have_voltage, t->voltage_mv, 3000, 3600)},
		{"self-tests", s->intake.alarms > 0 ||
				       is_wrong(s, t->have_fips && t->have_raw, (uint8_t)t->badness,
						TELEMETRY_BADNESS_OK, TELEMETRY_BADNESS_OK)},
	};
	bool any = false;

	evbuffer_add_printf(out, "compared with what a key should show:");
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		if (!facts[i].differs)
			continue;
		evbuffer_add_printf(out, "%s %s", any ? "," : " differs in", facts[i].name);
		any = true;
	}
	evbuffer_add_printf(out, "%s\n", any ? "" : " as expected");
}

/* ---- the whole ---- */

void
report_write(struct evbuffer *out, const struct source *source)
{
	char description[DESCRIPTION_MAX] = "";
	struct source_status s;

	source_status(source, &s);
	source_describe(source, description, sizeof(description));
	evbuffer_add_printf(out, "key %s\n%s",
			    s.ekey.serial[0] != '\0' ? s.ekey.serial : "(unknown)", description);
	report_timings(out, s.ekey.frame_stats);
	report_frames(out, s.ekey.frame_stats);
	source_rows(&s, report_row, out);
	report_compare(out, &s, description);
}
