/* SPDX-License-Identifier: MIT */
#include "backend/report.h"

#include <inttypes.h>

#define DESCRIPTION_MAX 4096

/* ---- what the key sends ---- */

static void
report_span(struct evbuffer *out, const char *what, const struct census_span *s)
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
report_timings(struct evbuffer *out, const struct census *c)
{
	report_span(out, "reset to S, ms", &c->serial_ms);
	report_span(out, "reset to first k, ms", &c->ask_ms);
	report_span(out, "K to its answer, ms", &c->answer_ms);
	report_span(out, "answer to answer, ms", &c->interval_ms);
	report_span(out, "entropy frames a second", &c->blocks_per_s);
}

static void
report_type(struct evbuffer *out, char type, const struct census_type *t)
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
report_frames(struct evbuffer *out, const struct census *c)
{
	for (size_t i = 0; i < CENSUS_TYPES; i++)
		report_type(out, i == 0 ? '?' : (char)i, &c->types[i]);
	for (size_t i = 0; i < CENSUS_SHAPES && c->shapes[i].count > 0; i++)
		evbuffer_add_printf(out, "text %c, %" PRIu64 " times: %s\n", c->shapes[i].type,
				    c->shapes[i].count, c->shapes[i].text);
	if (c->shapes_more > 0)
		evbuffer_add_printf(out, "texts of other shapes: %" PRIu64 "\n", c->shapes_more);
}

static void
report_counters(struct evbuffer *out, const struct session_counters *c)
{
	evbuffer_add_printf(out, "bytes read %" PRIu64 ", written %" PRIu64 "\n", c->bytes_in,
			    c->bytes_out);
	evbuffer_add_printf(out,
			    "frames: good %" PRIu64 ", bad MAC %" PRIu64 ", malformed %" PRIu64
			    ", replayed %" PRIu64 ", skipped %" PRIu64 ", ignored %" PRIu64 "\n",
			    c->frames_ok, c->frames_bad_mac, c->frames_malformed,
			    c->frames_replayed, c->frames_skipped, c->frames_ignored);
	evbuffer_add_printf(out,
			    "resets %" PRIu64 ", nonces %" PRIu64 ", session keys %" PRIu64
			    ", blocks %" PRIu64 "\n",
			    c->resets, c->nonces, c->rekeys, c->blocks);
}

static void
report_telemetry(struct evbuffer *out, const struct telemetry *t)
{
	if (t->have_temperature)
		evbuffer_add_printf(out, "temperature, K/10: %u\n", t->temp_decikelvin);
	if (t->have_voltage)
		evbuffer_add_printf(out, "voltage, mV: %u\n", t->voltage_mv);
	if (t->have_fips)
		evbuffer_add_printf(out,
				    "FIPS blocks %u, failed %u: monobit %u, poker %u,"
				    " runs %u\n",
				    t->fips_blocks, t->fips_fails, t->fips_monobit, t->fips_poker,
				    t->fips_runs);
	if (t->have_raw)
		evbuffer_add_printf(out,
				    "raw bytes %u, Shannon/100: left %u, right %u, xor %u;"
				    " debiased left %u bytes %u, right %u bytes %u; badness %c\n",
				    t->raw_bytes, t->shannon_left_centi, t->shannon_right_centi,
				    t->shannon_xor_centi, t->debiased_left_bytes,
				    t->debiased_left_shannon_centi, t->debiased_right_bytes,
				    t->debiased_right_shannon_centi, t->badness);
}

/* ---- what it is ---- */

static void
report_description(struct evbuffer *out, const struct source *source)
{
	char text[DESCRIPTION_MAX];

	source_describe(source, text, sizeof(text));
	evbuffer_add_printf(out, "%s", text);
}

void
report_write(struct evbuffer *out, const struct source *source)
{
	struct source_status s;

	source_status(source, &s);
	evbuffer_add_printf(out, "key %s\ntransport %s, opened %" PRIu64 " times\n",
			    s.ekey.serial[0] != '\0' ? s.ekey.serial : "(unknown)", s.address,
			    s.connects);
	evbuffer_add_printf(out, "state: %s%s\n", s.state, s.paused ? " (pool full)" : "");
	report_description(out, source);
	report_timings(out, s.ekey.census);
	report_frames(out, s.ekey.census);
	report_counters(out, &s.ekey.session);
	report_telemetry(out, &s.ekey.telemetry);
	evbuffer_add_printf(out, "health: %s, %" PRIu64 " alarms\n", intake_state_text(s.health),
			    s.intake.alarms);
}
