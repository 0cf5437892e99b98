/* SPDX-License-Identifier: MIT */
#include "daemon/hwreport.h"

#include <inttypes.h>
#include <string.h>

#include "backend/source.h"
#include "base/version.h"
#include "daemon/inputs.h"

#define DESCRIPTION_MAX 4096

/* ---- what the key sends ---- */

static void
report_span(struct evbuffer *out, const char *what, const struct census_span *s)
{
	if (s->count == 0)
		evbuffer_add_printf(out, "*\t%s: never\n", what);
	else
		evbuffer_add_printf(out,
				    "*\t%s: last %" PRIu64 ", least %" PRIu64 ", most %" PRIu64
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
	evbuffer_add_printf(out, "*\tframes %c: %" PRIu64 " authentic, %" PRIu64 " not verified",
			    type, t->authentic, t->unverified);
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
		evbuffer_add_printf(out, "*\ttext %c, %" PRIu64 " times: %s\n", c->shapes[i].type,
				    c->shapes[i].count, c->shapes[i].text);
	if (c->shapes_more > 0)
		evbuffer_add_printf(out, "*\ttexts of other shapes: %" PRIu64 "\n", c->shapes_more);
}

static void
report_counters(struct evbuffer *out, const struct session_counters *c)
{
	evbuffer_add_printf(out, "*\tbytes read %" PRIu64 ", written %" PRIu64 "\n", c->bytes_in,
			    c->bytes_out);
	evbuffer_add_printf(out,
			    "*\tframes: good %" PRIu64 ", bad MAC %" PRIu64 ", malformed %" PRIu64
			    ", replayed %" PRIu64 ", skipped %" PRIu64 ", ignored %" PRIu64 "\n",
			    c->frames_ok, c->frames_bad_mac, c->frames_malformed,
			    c->frames_replayed, c->frames_skipped, c->frames_ignored);
	evbuffer_add_printf(out,
			    "*\tresets %" PRIu64 ", nonces %" PRIu64 ", session keys %" PRIu64
			    ", blocks %" PRIu64 "\n",
			    c->resets, c->nonces, c->rekeys, c->blocks);
}

static void
report_telemetry(struct evbuffer *out, const struct telemetry *t)
{
	if (t->have_temperature)
		evbuffer_add_printf(out, "*\ttemperature, K/10: %u\n", t->temp_decikelvin);
	if (t->have_voltage)
		evbuffer_add_printf(out, "*\tvoltage, mV: %u\n", t->voltage_mv);
	if (t->have_fips)
		evbuffer_add_printf(out,
				    "*\tFIPS blocks %u, failed %u: monobit %u, poker %u,"
				    " runs %u\n",
				    t->fips_blocks, t->fips_fails, t->fips_monobit, t->fips_poker,
				    t->fips_runs);
	if (t->have_raw)
		evbuffer_add_printf(out,
				    "*\traw bytes %u, Shannon/100: left %u, right %u, xor %u;"
				    " debiased left %u bytes %u, right %u bytes %u; badness %c\n",
				    t->raw_bytes, t->shannon_left_centi, t->shannon_right_centi,
				    t->shannon_xor_centi, t->debiased_left_bytes,
				    t->debiased_left_shannon_centi, t->debiased_right_bytes,
				    t->debiased_right_shannon_centi, t->badness);
}

/* ---- what it is ---- */

/* Each line of the transport's description is a row. */
static void
report_description(struct evbuffer *out, const struct source *source)
{
	char text[DESCRIPTION_MAX], *rest = text;

	source_describe(source, text, sizeof(text));
	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		if (line[0] != '\0')
			evbuffer_add_printf(out, "*\t%s\n", line);
}

static void
report_source(struct evbuffer *out, const struct source *source, const struct source_status *s)
{
	evbuffer_add_printf(out, "*\tkey %s\n*\ttransport %s, opened %" PRIu64 " times\n",
			    s->serial[0] != '\0' ? s->serial : "(unknown)", s->address,
			    s->connects);
	evbuffer_add_printf(out, "*\tstate: %s%s\n", s->state, s->paused ? " (pool full)" : "");
	report_description(out, source);
	report_timings(out, s->census);
	report_frames(out, s->census);
	report_counters(out, &s->session);
	report_telemetry(out, &s->telemetry);
	evbuffer_add_printf(out, "*\thealth: %s, %" PRIu64 " alarms\n",
			    intake_state_text(s->health), s->intake.alarms);
}

/* All, or the one with this serial number. */
const char *
hwreport_write(void *arg, const struct ctl_request *request)
{
	const struct source *source;
	bool found = false;

	evbuffer_add_printf(request->out, "*\tekey-randomd %s\n", VERSION);
	for (size_t i = 0; (source = inputs_at(arg, i)) != NULL; i++) {
		struct source_status status;

		source_status(source, &status);
		if (request->words[0] != '\0' && strcmp(request->words, status.serial) != 0)
			continue;
		evbuffer_add_printf(request->out, "*\t\n");
		report_source(request->out, source, &status);
		found = true;
	}
	return found ? NULL : "there is no such key";
}
